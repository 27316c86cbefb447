"""The process in which Great Expectations runs: apart, since it is slow to load, changes what it is loaded into, and cannot be stopped.

``python -m holdfast.validation.expectations.worker``: one JSON document a line on standard input, one on standard output; ends with its
input. ``{"ask": "run", "relation", "expectations": [{"type", "kwargs"}], "memory"}`` → ``{"results": [{"outcome": …} | {"wrong": text,
"near": […]}], "facts": {"rows", "present"}, "attempts": [text], "version"}``, results in the order asked; ``{"ask": "profile",
"relation", "distinct", "memory"}`` → ``{"rows", "columns"}``; ``{"ask": "load", "memory"}`` → ``{"version"}``; anything that fails →
``{"error": text, "kind": "missing" | "old" | "memory" | "other"}``.

No code of Python in it can reach a network: its sockets are refused before they look up a name. The server under test is reached by
libpq, which is none of Python's.
"""

import contextlib
import json
import os
import sys
from typing import Any, NoReturn

ATTEMPTS: list[str] = []
"""What was refused."""

_EVENTS = ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr", "socket.sendto", "socket.sendmsg")
_SHOWN = 3


def apart() -> None:
    """From here on this process opens no connection. For good: an audit hook cannot be taken back."""

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event in _EVENTS:
            ATTEMPTS.append(f"{event} {arguments[1:] if event == 'socket.connect' else arguments[:2]}")
            raise PermissionError(f"This process opens no connection ({event}).")

    sys.addaudithook(hook)
    os.environ["GX_ANALYTICS_ENABLED"] = "False"
    os.environ["TQDM_DISABLE"] = "1"
    for name in [name for name in os.environ if name.startswith("GX_CLOUD")]:
        del os.environ[name]


def bounded(memory: int) -> None:
    """What this process allocates stays below ``memory`` bytes: beyond, it fails, and takes nothing else on the machine with it."""
    import resource

    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_DATA, (memory if hard == resource.RLIM_INFINITY else min(memory, hard), hard))


def main() -> NoReturn:
    """Until the input ends."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what libraries print is none of the answers
    apart()
    for line in sys.stdin:
        asked = json.loads(line)
        answers.write(json.dumps(_answer(asked)) + "\n")
        answers.flush()
    # Interpreters of large libraries take long to end, and have nothing more to say.
    os._exit(0)


def _answer(asked: dict[str, Any]) -> dict[str, Any]:
    bounded(asked["memory"])
    try:
        if old := _too_old():
            return {"error": old, "kind": "old"}
        from holdfast.validation.expectations import _library as library

        if asked["ask"] == "load":
            return {"version": library.VERSION}
        with contextlib.closing(library.Opened(asked["relation"], asked["memory"])) as opened:
            if asked["ask"] == "profile":
                return library.profile(opened, asked["distinct"])
            wanted = asked["expectations"]
            results, facts = library.run(opened, wanted), library.facts(opened, wanted)
            return {"results": results, "facts": facts, "attempts": ATTEMPTS, "version": library.VERSION}
    except ModuleNotFoundError as error:
        return {"error": str(error), "kind": "missing"}
    except MemoryError:
        return {"error": f"more than {asked['memory'] >> 20} MiB would have been needed", "kind": "memory"}
    except Exception as error:  # noqa: BLE001 - whatever the libraries raise is told to the one who asked
        text = str(error).strip().splitlines()
        memory = "Out of Memory" in str(error) or "std::bad_alloc" in str(error)
        return {"error": (text[0] if text else type(error).__name__)[:500], "kind": "memory" if memory else "other"}


def _too_old() -> str:
    import great_expectations

    version = str(great_expectations.__version__)
    return f"Great Expectations {version} is installed, and 1.24 or newer is needed" if version.startswith("0.") else ""


if __name__ == "__main__":
    main()
