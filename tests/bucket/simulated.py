"""A store that lists as many objects as one likes and holds none of them; and one that takes any key. For what no server here can do."""

import hashlib
from collections.abc import Iterator

from holdfast.connect.objects import Described, Fitting, Listed, ObjectChanged, ObjectGone

T0 = 1_700_000_000_000_000_000


class Simulated:
    """``count`` objects of a few bytes each, their content made from their keys. ``changed``: numbers whose content is another by now."""

    url = "s3://simulated"
    keeps_headers = True

    def __init__(self, count: int, changed: frozenset[int] = frozenset()) -> None:
        self.count, self.changed = count, changed
        self.reads = 0

    def list(self, prefix: str = "", after: str = "") -> Iterator[Listed]:
        assert not after
        for number in range(self.count):
            key = f"landing/{number // 1000:07d}/object-{number:09d}.json"
            if key.startswith(prefix):
                yield Listed(key, 24, T0 + number * 1000 + (number in self.changed), self._etag(number))

    def _etag(self, number: int) -> str:
        return f"{number:030x}{'ff' if number in self.changed else '00'}"

    def read_into(self, key: str, buffer: memoryview, *, start: int = 0, etag: str = "", version: str = "") -> Described:
        del start, version
        number = int(key[-14:-5])
        self.reads += 1
        buffer[:] = f"{number:022d}{etag[-2:]}".encode()
        return Described(24, T0, etag, headers={"content-type": "application/json"})

    def close(self) -> None:
        pass


class AnyKey:
    """Objects in memory, under any key that S3 takes; also those that MinIO and libraries refuse or tidy up."""

    url = "s3://any"
    keeps_headers = True

    def __init__(self) -> None:
        self.held: dict[str, tuple[bytes, int]] = {}

    def fitting(self, described, tags) -> Fitting:
        return Fitting(described.headers, described.metadata, tags)

    def put(self, key: str, data, described=None, tags=None) -> str:
        del described, tags
        self.held[key] = bytes(data), T0 + len(self.held) * 1000
        return hashlib.md5(data).hexdigest()

    def list(self, prefix: str = "", after: str = "") -> Iterator[Listed]:
        for key in sorted(self.held, key=lambda key: key.encode()):
            data, at = self.held[key]
            if key.startswith(prefix) and key > after:
                yield Listed(key, len(data), at, hashlib.md5(data).hexdigest())

    def read_into(self, key: str, buffer: memoryview, *, start: int = 0, etag: str = "", version: str = "") -> Described:
        del version
        if key not in self.held:
            raise ObjectGone(key)
        data, at = self.held[key]
        if etag != hashlib.md5(data).hexdigest():
            raise ObjectChanged(key)
        buffer[:] = data[start : start + len(buffer)]
        return Described(len(data), at, etag)

    def tags(self, key: str, version: str = ""):
        del key, version
        return {}

    def sync(self) -> None:
        pass

    def close(self) -> None:
        pass
