"""What a capture could not take as it should have: named, counted, and told at the end."""

import os
import threading
from typing import Any

from holdfast.model import Finding

_NAMED = 100
_VANISHED = 20


class Ledger:
    """Safe from many threads. Only the first hundred of a kind are named; all are counted."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._findings: list[Finding] = []
        self._named: list[str] = []
        self.unreadable = 0
        self.changed = 0
        self.vanished = 0

    def cannot_read(self, path: str, error: int, what: str = "") -> None:
        """It is there, and is not in the point (or, of a folder, what lies in it is not)."""
        with self._lock:
            self.unreadable += 1
            if self.unreadable <= _NAMED:
                reason = os.strerror(error)
                message = f"{_show(path)} is not in the point{what}: {reason}."
                self._findings.append(Finding(code="files-unreadable", message=message, where={"path": path, "errno": error}))

    def kept_changing(self, path: str) -> None:
        """It is in the point, and was written to while it was read, twice."""
        with self._lock:
            self.changed += 1
            if self.changed <= _NAMED:
                message = f"{_show(path)} was written to while it was read, and again when it was read anew: its content may be a mixture."
                self._findings.append(Finding(code="files-changed-while-read", message=message, where={"path": path}))

    def is_gone(self, path: str) -> None:
        """It was listed and gone when it was its turn."""
        with self._lock:
            self.vanished += 1
            if len(self._named) < _VANISHED:
                self._named.append(path)

    def findings(self) -> list[Finding]:
        more = [
            Finding(code=code, message=f"{count - _NAMED} more {text}.", where={"count": count})
            for code, count, text in (
                ("files-unreadable", self.unreadable, "could not be read and are not in the point"),
                ("files-changed-while-read", self.changed, "were written to while they were read"),
            )
            if count > _NAMED
        ]
        return [*self._findings, *more]

    def facts(self) -> dict[str, Any]:
        found: dict[str, Any] = {"incomplete": self.unreadable + self.changed}
        if self.vanished:
            found["vanished"] = {"count": self.vanished, "paths": self._named}
        return found


def _show(path: str) -> str:
    """A path in a sentence: what a terminal could take for more than a name is escaped."""
    return path if path.isprintable() else ascii(path)
