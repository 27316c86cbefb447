"""What a capture could not take as it should have: named, counted, and told at the end."""

import threading
from collections.abc import Mapping
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

    def to_json(self) -> dict[str, Any]:
        """For ``add`` in another process."""
        found = [[one.where.get("key"), one.where.get("version", ""), one.message] for one in self._findings]
        return {"unreadable": self.unreadable, "vanished": self.vanished, "keys": self._keys, "findings": found}

    def add(self, told: Mapping[str, Any]) -> None:
        """What another process could not take."""
        with self._lock:
            left = _NAMED - len(self._findings)
            for key, version, message in told["findings"][:left]:
                where = {"key": key, **({"version": version} if version else {})}
                self._findings.append(Finding(code="bucket-object-unreadable", message=message, where=where))
            self.unreadable += int(told["unreadable"])
            self.vanished += int(told["vanished"])
            self._keys += told["keys"][: _GONE - len(self._keys)]

    def findings(self) -> list[Finding]:
        more = self.unreadable - len(self._findings)
        if more <= 0:
            return list(self._findings)
        last = Finding(code="bucket-object-unreadable", message=f"{more} more objects are not in the point.", where={"count": more})
        return [*self._findings, last]

    def facts(self) -> dict[str, Any]:
        found: dict[str, Any] = {"incomplete": self.unreadable}
        if self.vanished:
            found["vanished"] = {"count": self.vanished, "keys": self._keys}
        return found
