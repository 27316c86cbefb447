"""Stands between a process and its storages (or the calls below a folder): counts, and ends the process at a chosen call."""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from typing import Any

from holdfast.storage.contract import ObjectInfo, Storage
from holdfast.storage.posix import RealFileSystem
from holdfast.storage.wrappers.base import Wrapper

Report = Callable[..., None]
"""Called with what happened, by name; durable before the process ends."""


def end_here() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


class Point:
    """Call number ``at`` (1 is the first; 0: none) of all that is watched together; ``early``: before it is carried out, else behind it."""

    def __init__(self, at: int, report: Report, *, early: bool = True, act: Callable[[], None] = end_here) -> None:
        self.at, self.report, self.early, self.act = at, report, early, act
        self.calls: list[str] = []
        self.lock = threading.Lock()

    def around(self, call: str, name: str, action: Callable[[], Any], url: str = "") -> Any:
        with self.lock:
            self.calls.append(f"{call} {name.partition('/')[0]} {url.rpartition('/')[2]}")
            mine = len(self.calls) == self.at
        if mine and self.early:
            self.fire(call, name)
        try:
            return action()
        finally:
            if mine and not self.early:
                self.fire(call, name)

    def fire(self, call: str, name: str) -> None:
        self.report(fired=f"{call} {name}")
        self.act()


class Watched(Wrapper):
    """Every call of a storage passes the point. Listings are read whole at once."""

    def __init__(self, inner: Storage, point: Point) -> None:
        super().__init__(inner)
        self.point = point

    def _past(self, call: str, name: str, action: Callable[[], Any]) -> Any:
        return self.point.around(call, name, action, self.url)

    def put_if_absent(self, name, parts) -> None:
        self._past("put", name, lambda: self.inner.put_if_absent(name, parts))

    def get(self, name, start=0, length=None) -> bytes:
        return self._past("get", name, lambda: self.inner.get(name, start, length))

    def head(self, name) -> ObjectInfo | None:
        return self._past("head", name, lambda: self.inner.head(name))

    def list(self, prefix="", after="") -> Iterator[ObjectInfo]:
        return iter(self._past("list", prefix, lambda: [*self.inner.list(prefix, after)]))

    def folders(self, prefix) -> Iterator[str]:
        return iter(self._past("folders", prefix, lambda: [*self.inner.folders(prefix)]))

    def delete(self, name) -> None:
        self._past("delete", name, lambda: self.inner.delete(name))

    def now(self):
        return self._past("now", "", self.inner.now)


class WatchedFiles(RealFileSystem):
    """Every call by which a folder location changes its file system passes the point."""

    def __init__(self, point: Point) -> None:
        self.point = point

    def open(self, path, flags, mode=0o600) -> int:
        if not flags & os.O_CREAT:
            return super().open(path, flags, mode)
        return self.point.around("create", "", lambda: RealFileSystem.open(self, path, flags, mode))

    def writev(self, fd, parts) -> int:
        return self.point.around("write", "", lambda: RealFileSystem.writev(self, fd, parts))

    def fsync(self, fd) -> None:
        self.point.around("fsync", "", lambda: RealFileSystem.fsync(self, fd))

    def link(self, source, target) -> None:
        self.point.around("link", "", lambda: RealFileSystem.link(self, source, target))

    def unlink(self, path) -> None:
        self.point.around("unlink", "", lambda: RealFileSystem.unlink(self, path))

    def mkdir(self, path) -> None:
        self.point.around("mkdir", "", lambda: RealFileSystem.mkdir(self, path))
