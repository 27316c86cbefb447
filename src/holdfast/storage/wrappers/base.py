"""The wrapper that changes nothing; the others override what they change."""

import datetime as dt
from collections.abc import Iterator, Sequence

from holdfast.storage.contract import Buffer, Capabilities, ObjectInfo, Storage


class Wrapper:
    """Passes every call to ``inner``."""

    def __init__(self, inner: Storage) -> None:
        self.inner = inner
        self.url = inner.url

    @property
    def capabilities(self) -> Capabilities:
        return self.inner.capabilities

    def put_if_absent(self, name: str, parts: Sequence[Buffer]) -> None:
        self.inner.put_if_absent(name, parts)

    def get(self, name: str, start: int = 0, length: int | None = None) -> bytes:
        return self.inner.get(name, start, length)

    def head(self, name: str) -> ObjectInfo | None:
        return self.inner.head(name)

    def list(self, prefix: str = "", after: str = "") -> Iterator[ObjectInfo]:
        return self.inner.list(prefix, after)

    def folders(self, prefix: str) -> Iterator[str]:
        return self.inner.folders(prefix)

    def delete(self, name: str) -> None:
        self.inner.delete(name)

    def now(self) -> dt.datetime:
        return self.inner.now()

    def close(self) -> None:
        self.inner.close()
