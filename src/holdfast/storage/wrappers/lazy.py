"""A location that may not be there yet: a disk that is not mounted now can be, a moment later."""

import datetime as dt
import threading
from collections.abc import Callable, Iterator, Sequence

from holdfast.storage.contract import Buffer, Capabilities, ObjectInfo, Storage


class Lazy:
    """What ``make`` opens, opened by the first call that succeeds in it; until then every call raises what ``make`` raises."""

    def __init__(self, url: str, make: Callable[[], Storage]) -> None:
        self.url = url
        self._make = make
        self._opened: Storage | None = None
        self._lock = threading.Lock()

    @property
    def _open(self) -> Storage:
        """Raises StorageUnreachable, StorageDenied."""
        with self._lock:
            if self._opened is None:
                self._opened = self._make()
            return self._opened

    @property
    def capabilities(self) -> Capabilities:
        return self._open.capabilities

    def put_if_absent(self, name: str, parts: Sequence[Buffer]) -> None:
        self._open.put_if_absent(name, parts)

    def get(self, name: str, start: int = 0, length: int | None = None) -> bytes:
        return self._open.get(name, start, length)

    def head(self, name: str) -> ObjectInfo | None:
        return self._open.head(name)

    def list(self, prefix: str = "", after: str = "") -> Iterator[ObjectInfo]:
        return self._open.list(prefix, after)

    def folders(self, prefix: str) -> Iterator[str]:
        return self._open.folders(prefix)

    def delete(self, name: str) -> None:
        self._open.delete(name)

    def now(self) -> dt.datetime:
        return self._open.now()

    def close(self) -> None:
        if self._opened is not None:
            self._opened.close()
