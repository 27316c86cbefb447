"""What a capture could not take as it should have: named, counted, and told at the end."""

import threading
from typing import Any

from holdfast.model import Finding

_NAMED = 100
_GONE = 20


class Ledger:
    """Safe from many threads. Only the first hundred are named; all are counted."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._findings: list[Finding] = []
        self._keys: list[str] = []
        self.unreadable = 0
        self.vanished = 0

    def cannot_read(self, key: str, version: str, message: str) -> None:
        """It is there, and is not in the point."""
        with self._lock:
            self.unreadable += 1
            if self.unreadable <= _NAMED:
                where = {"key": key, **({"version": version} if version else {})}
                self._findings.append(Finding(code="bucket-object-unreadable", message=f"Not in the point: {message}", where=where))

    def is_gone(self, key: str) -> None:
        """It was listed, and gone when it was its turn."""
        with self._lock:
            self.vanished += 1
            if len(self._keys) < _GONE:
                self._keys.append(key)

    def findings(self) -> list[Finding]:
        more = self.unreadable - _NAMED
        if more <= 0:
            return list(self._findings)
        last = Finding(code="bucket-object-unreadable", message=f"{more} more objects are not in the point.", where={"count": more})
        return [*self._findings, last]

    def facts(self) -> dict[str, Any]:
        found: dict[str, Any] = {"incomplete": self.unreadable}
        if self.vanished:
            found["vanished"] = {"count": self.vanished, "keys": self._keys}
        return found
