"""The entry point. Nothing heavy is imported here: ``wal push`` runs for every 16 MiB that a server writes."""

import gc
import os
import sys


def main(argv: list[str] | None = None) -> int:
    """Run one command line (``sys.argv[1:]`` by default) and return its exit status."""
    arguments = sys.argv[1:] if argv is None else argv
    if arguments[:1] == ["wal"] and arguments[1:2] != ["serve"]:
        from holdfast.systems.postgres import walclient

        return walclient.main(arguments)
    _start_light()
    from holdfast.interfaces.cli.app import run

    return run(arguments)


def _start_light() -> None:
    """What libraries do at their start and nobody here needs costs a short command a tenth of its time."""
    # No linear algebra is done here, so its threads would only spin.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    # Looking for plugins reads the description of every installed package.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "1")
    # Importing makes many objects and hardly any garbage; the default looks through all of them some sixty times, this at most once.
    gc.set_threshold(150_000, 10, 100)


if __name__ == "__main__":
    sys.exit(main())
