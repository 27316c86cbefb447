"""Faults on purpose: each is planned for a call, counted, and must be seen to have fired, or the test that planned it proves nothing."""

import datetime as dt
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self, TypeVar

from holdfast.storage.contract import Buffer, ObjectInfo, Storage, StorageDenied, StorageFull, StorageUnreachable
from holdfast.storage.wrappers.base import Wrapper

T = TypeVar("T")
Act = Callable[[str, str], None]
"""Called with (call, name); raises, sleeps or ends the process."""


def unreachable(call: str, name: str) -> None:
    """A passing fault."""
    raise StorageUnreachable(f"Planned fault at {call} {name}.", name=name)


def full(call: str, name: str) -> None:
    """No room left."""
    raise StorageFull(f"Planned fault at {call} {name}.", name=name)


def denied(call: str, name: str) -> None:
    """Credentials were revoked."""
    raise StorageDenied(f"Planned fault at {call} {name}.", name=name)


@dataclass(slots=True)
class Fault:
    """At calls of ``call`` ('*': any) on names beginning with ``prefix``, skipping the first ``after``, ``times`` times, do ``act``.

    ``late``: the call is carried out first, then its answer is lost. ``flip``: a get's bytes come back with this bit of byte 0 changed.
    One fault given to several storages counts their calls together. ``seen``: calls that fit; ``fired``: how often it really happened (a
    late one whose listing was not read to its end did not).
    """

    call: str
    act: Act = unreachable
    prefix: str = ""
    after: int = 0
    times: int = 1
    late: bool = False
    flip: int | None = None
    fired: int = field(default=0, init=False)
    seen: int = field(default=0, init=False)
    _claimed: int = field(default=0, init=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False, repr=False)

    def due(self, call: str, name: str) -> bool:
        """Whether it is to happen at this call, which is counted."""
        if self.call not in {call, "*"} or not name.startswith(self.prefix):
            return False
        with self._lock:
            self.seen += 1
            if self.seen <= self.after or self._claimed >= self.times:
                return False
            self._claimed += 1
            return True

    def fire(self, call: str, name: str) -> None:
        """Do ``act``, counted first: it may not come back."""
        self.count()
        self.act(call, name)

    def count(self) -> None:
        with self._lock:
            self.fired += 1


class UnfiredFault(AssertionError):
    """A planned fault never happened."""


class Faulty(Wrapper):
    """``inner`` with ``faults``. As a context manager it raises UnfiredFault at the end unless every fault fired in full."""

    def __init__(self, inner: Storage, *faults: Fault) -> None:
        super().__init__(inner)
        self.faults = list(faults)
        self.calls: list[tuple[str, str]] = []
        self._lock = threading.Lock()

    def _before(self, call: str, name: str) -> list[Fault]:
        with self._lock:
            self.calls.append((call, name))
        due = [fault for fault in self.faults if fault.due(call, name)]
        for fault in due:
            if not fault.late and fault.flip is None:
                fault.fire(call, name)
        return due

    @staticmethod
    def _after(due: list[Fault], call: str, name: str) -> None:
        for fault in due:
            if fault.late:
                fault.fire(call, name)

    def _around(self, call: str, name: str, action: Callable[[], T]) -> T:
        due = self._before(call, name)
        try:
            return action()
        finally:
            # Also in the place of an error: that answer is lost as well.
            self._after(due, call, name)

    def put_if_absent(self, name: str, parts: Sequence[Buffer]) -> None:
        self._around("put", name, lambda: self.inner.put_if_absent(name, parts))

    def get(self, name: str, start: int = 0, length: int | None = None) -> bytes:
        due = self._before("get", name)
        try:
            data = self.inner.get(name, start, length)
        finally:
            self._after(due, "get", name)
        for fault in due:
            if fault.flip is not None and data:
                fault.count()
                data = bytes([data[0] ^ (1 << fault.flip)]) + data[1:]
        return data

    def head(self, name: str) -> ObjectInfo | None:
        return self._around("head", name, lambda: self.inner.head(name))

    def list(self, prefix: str = "", after: str = "") -> Iterator[ObjectInfo]:
        due = self._before("list", prefix)
        yield from self.inner.list(prefix, after)
        self._after(due, "list", prefix)

    def folders(self, prefix: str) -> Iterator[str]:
        due = self._before("folders", prefix)
        yield from self.inner.folders(prefix)
        self._after(due, "folders", prefix)

    def delete(self, name: str) -> None:
        self._around("delete", name, lambda: self.inner.delete(name))

    def now(self) -> dt.datetime:
        return self._around("now", "", self.inner.now)

    def require_fired(self) -> None:
        """Raise UnfiredFault unless every fault fired as often as planned."""
        missed = [fault for fault in self.faults if fault.fired < fault.times]
        if missed:
            raise UnfiredFault(f"planned faults that never fired in full: {missed}")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if kind is None:
            self.require_fired()
