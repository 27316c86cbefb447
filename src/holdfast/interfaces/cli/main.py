"""The entry point. Nothing heavy is imported here: ``wal push`` runs for every 16 MiB that a server writes."""

import sys


def main(argv: list[str] | None = None) -> int:
    """Run one command line (``sys.argv[1:]`` by default) and return its exit status."""
    arguments = sys.argv[1:] if argv is None else argv
    if arguments[:1] == ["wal"] and arguments[1:2] != ["serve"]:
        from holdfast.systems.postgres import walclient

        return walclient.main(arguments)
    from holdfast.interfaces.cli.start import end_light, start_light

    start_light()
    from holdfast.interfaces.cli.app import run

    try:
        return run(arguments)
    finally:
        if argv is None:  # as a program of its own, which ends now
            end_light()


if __name__ == "__main__":
    sys.exit(main())
