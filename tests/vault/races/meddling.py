"""Storages of a participant beside whom others work: at a chosen call of it, somebody else's work happens, whole or cut off.

Deterministic but for the order of a participant's own threads: nothing waits, nothing is timed.
"""

import threading
from collections.abc import Callable, Iterator

from holdfast.storage.contract import Storage
from holdfast.storage.wrappers.base import Wrapper


class Cut(BaseException):
    """A participant ended here. Nothing catches it, as nothing catches a kill."""


class Meddler:
    """Counts the calls of one participant over all of its locations. ``act`` happens before the call number ``at`` (from 0), once.

    ``torn``: if that call lists, in the middle of the listing: what comes first by name is told as it was, the rest as it is then.
    """

    def __init__(self, act: Callable[[], None] | None = None, at: int = -1, *, torn: bool = False) -> None:
        self.calls: list[tuple[str, str]] = []
        self.fired = False
        self._act = act
        self._at = at
        self._torn = torn
        self._lock = threading.RLock()

    def call(self, verb: str, name: str, action: Callable[[], object]) -> object:
        with self._lock:
            due = len(self.calls) == self._at
            self.calls.append((verb, name))
            if not due or self._act is None:
                return action()
            self.fired = True
            if not (self._torn and verb == "list"):
                self._act()
                return action()
            before = list(action())  # type: ignore[call-overload]
            self._act()
            after = list(action())  # type: ignore[call-overload]
            middle = before[len(before) // 2].name if before else ""
            return [one for one in before if one.name < middle] + [one for one in after if one.name >= middle]


class Beside(Wrapper):
    """One location as the participant sees it."""

    def __init__(self, inner: Storage, meddler: Meddler) -> None:
        super().__init__(inner)
        self._meddler = meddler

    def put_if_absent(self, name, parts):
        joined = [b"".join(parts)]
        self._meddler.call("put", name, lambda: self.inner.put_if_absent(name, joined))

    def get(self, name, start=0, length=None):
        return self._meddler.call("get", name, lambda: self.inner.get(name, start, length))

    def head(self, name):
        return self._meddler.call("head", name, lambda: self.inner.head(name))

    def list(self, prefix="", after="") -> Iterator:
        yield from self._meddler.call("list", prefix, lambda: list(self.inner.list(prefix, after)))

    def folders(self, prefix):
        yield from self._meddler.call("folders", prefix, lambda: list(self.inner.folders(prefix)))

    def delete(self, name):
        self._meddler.call("delete", name, lambda: self.inner.delete(name))


class Cutting(Wrapper):
    """Raises Cut instead of the change number ``left`` (from 0) below ``prefix``, and instead of each after it. None: never; it counts."""

    def __init__(self, inner: Storage, changes: "Changes") -> None:
        super().__init__(inner)
        self._changes = changes

    def put_if_absent(self, name, parts):
        self._changes.one("put", name)
        self.inner.put_if_absent(name, parts)

    def delete(self, name):
        self._changes.one("delete", name)
        self.inner.delete(name)


class Changes:
    def __init__(self, left: int | None = None, verb: str = "", prefix: str = "") -> None:
        self.seen = 0
        self._left = left
        self._verb, self._prefix = verb, prefix
        self._lock = threading.Lock()

    def one(self, verb: str, name: str) -> None:
        if verb.startswith(self._verb) and name.startswith(self._prefix):
            with self._lock:
                if self._left is not None and self.seen >= self._left:
                    raise Cut
                self.seen += 1
