"""Large objects in one resumable session: its bytes go one after the other, whatever order they come in.

cloud.google.com/storage/docs/performing-resumable-uploads. Nothing is seen of an object before its last byte is there, a session that is
left alone ends by itself, and the store knows the MD5 of the whole: none of this holds for one that is put together from others.
"""

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from holdfast.connect.objects.contract import Buffer
from holdfast.connect.objects.errors import StoreDenied
from holdfast.connect.objects.transport import Answer
from holdfast.connect.objects.trying import Patience

GRAIN = 256 << 10
"""Every piece but the last has a multiple of this."""
_GOES_ON = 308
_IDLE = 1000
"""Answers of a session that make no headway, without a fault that is waited for."""


class Sender(Protocol):
    def __call__(self, session: "Session", headers: dict[str, str], body: Buffer) -> Answer:
        """PUT to the session: 200 and 201 end it, 308 tells how much is there (``range``). Raises the store's errors."""
        ...


@dataclass(slots=True)
class Session:
    """``held``: what came before its turn, by where it begins. The newest that had its turn waits, for it may be the last."""

    path: str
    query: Mapping[str, str]
    lock: threading.Lock = field(default_factory=threading.Lock)
    held: dict[int, Buffer] = field(default_factory=dict)
    sent: int = 0
    patience: Patience | None = None
    """Since bytes last arrived."""

    def take(self, send: Sender, offset: int, data: Buffer) -> None:
        with self.lock:
            self.held[offset] = data
            while self.sent in self.held and self.sent + len(self.held[self.sent]) in self.held:
                self._send(send, self.held[self.sent], None)

    def finish(self, send: Sender) -> Answer:
        """The answer that tells the object. Raises StoreDenied: a piece is missing."""
        with self.lock:
            while self.sent in self.held and self.sent + len(self.held[self.sent]) in self.held:
                self._send(send, self.held[self.sent], None)
            last = self.held.get(self.sent, b"")
            if len(self.held) > bool(len(last)):
                raise StoreDenied(f"A large object lacks its bytes from {self.sent} on.", hint="Run it again.")
            answer = self._send(send, last, self.sent + len(last))
            assert answer is not None
            return answer

    def _send(self, send: Sender, data: Buffer, total: int | None) -> Answer | None:
        """All of ``data``: the store may take less of it, or have taken more than it could tell."""
        start, end = self.sent, self.sent + len(data)
        view = memoryview(data)
        idle = 0
        while True:
            at = self.sent - start
            span = f"{self.sent}-{end - 1}" if end > self.sent else "*"
            answer = send(self, {"content-range": f"bytes {span}/{'*' if total is None else total}"}, view[at:])
            if answer.status != _GOES_ON:
                self._arrived(start, end)
                return answer
            there = told(answer)
            if there > end or there < start:
                raise StoreDenied(f"A large object's session stands at {there} instead of {end}.", hint="Run it again.")
            if there == end and total is None:
                self._arrived(start, end)
                return None
            idle = 0 if there > self.sent else idle + 1
            if idle > _IDLE:
                raise StoreDenied(f"A large object's session does not go on behind {there} bytes.", hint="Run it again.")
            if there > self.sent:
                self.patience = None
            self.sent = there

    def _arrived(self, start: int, end: int) -> None:
        self.held.pop(start, None)
        self.sent, self.patience = end, None


def told(answer: Answer) -> int:
    """How many bytes a session has."""
    last = answer.headers.get("range", "").rpartition("-")[2]
    return int(last) + 1 if last.isdigit() else 0
