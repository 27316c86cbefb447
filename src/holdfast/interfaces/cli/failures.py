"""How failures reach a person or a script: one message, a hint, a code, an exit status."""

import json
import sys
import traceback
from typing import TextIO

from holdfast.errors import HoldfastError

BUG = 70  # EX_SOFTWARE of sysexits.h
INTERRUPTED = 130
TERMINATED = 143
PIPE_CLOSED = 141


class Terminated(KeyboardInterrupt):
    """SIGTERM: ends what runs at the same safe points as Ctrl-C."""


def exit_status(error: BaseException) -> int:
    """The status that the process ends with."""
    if isinstance(error, HoldfastError):
        return error.status
    if isinstance(error, Terminated):
        return TERMINATED
    return INTERRUPTED if isinstance(error, KeyboardInterrupt) else BUG


def document(error: BaseException, kept: str = "") -> dict[str, object]:
    """``{"code", "message", "hint", "details"}``, JSON-ready."""
    if isinstance(error, HoldfastError):
        return {"code": error.code, "message": error.message, "hint": error.hint, "details": error.details}
    if isinstance(error, KeyboardInterrupt):
        how = "SIGTERM" if isinstance(error, Terminated) else "Ctrl-C"
        return {"code": "stopped", "message": f"Stopped by {how}.", "hint": kept, "details": {}}
    first = str(error).strip().partition("\n")[0]
    return {
        "code": "bug",
        "message": f"This is a bug in Holdfast: {type(error).__name__}{': ' + first if first else ''}",
        "hint": "Nothing was reported as done. Run it again with --debug, and report what that prints.",
        "details": {"type": type(error).__name__},
    }


def show(error: BaseException, *, as_json: bool, debug: bool, printed: bool = False, kept: str = "", stdout: TextIO | None = None) -> int:
    """Tell, and return the exit status. ``printed``: a document is on stdout already, so the failure's goes to stderr."""
    said = document(error, kept)
    if debug:
        traceback.print_exception(error, file=sys.stderr)
    if as_json:
        where = sys.stderr if printed else (stdout or sys.stdout)
        json.dump({"error": said}, where, indent=2, default=str, ensure_ascii=False)
        where.write("\n")
        where.flush()
    else:
        mark = "stopped" if said["code"] == "stopped" else f"error[{said['code']}]"
        if sys.stderr.isatty():
            mark = f"\x1b[1;{33 if mark == 'stopped' else 31}m{mark}\x1b[0m"
        text = f"{mark}: {said['message']}\n"
        if said["hint"]:
            text += (
                "\n".join(f"  {'hint: ' if number == 0 else '      '}{line}" for number, line in enumerate(str(said["hint"]).splitlines()))
                + "\n"
            )
        sys.stderr.write(text)
        sys.stderr.flush()
    return exit_status(error)
