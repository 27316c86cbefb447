"""A location in this process's memory: for dry runs of formats and for tests of what stands above. Nothing in it outlives the process."""

import bisect
import datetime as dt
import threading
from collections.abc import Iterator, Sequence
from typing import ClassVar

from holdfast.model import Clock, SystemClock
from holdfast.storage.contract import Buffer, Capabilities, ObjectExists, ObjectInfo, ObjectMissing
from holdfast.storage.names import check_name


class MemoryStorage:
    """``clock`` is the store's own; ``name`` tells several apart."""

    capabilities: ClassVar[Capabilities] = Capabilities()

    def __init__(self, clock: Clock | None = None, name: str = "") -> None:
        self.url = f"memory:{name}"
        self.objects: dict[str, tuple[bytes, dt.datetime]] = {}
        self._clock = clock or SystemClock()
        self._lock = threading.Lock()

    def put_if_absent(self, name: str, parts: Sequence[Buffer]) -> None:
        data = b"".join(parts)
        with self._lock:
            if check_name(name) in self.objects:
                raise ObjectExists(name)
            self.objects[name] = (data, self._clock.now())

    def get(self, name: str, start: int = 0, length: int | None = None) -> bytes:
        with self._lock:
            if check_name(name) not in self.objects:
                raise ObjectMissing(f"There is no {name} in {self.url}", hint="Run 'holdfast vault check'.", name=name, url=self.url)
            data = self.objects[name][0]
        return data[start:] if length is None else data[start : start + length]

    def head(self, name: str) -> ObjectInfo | None:
        with self._lock:
            found = self.objects.get(check_name(name))
        return ObjectInfo(name, len(found[0]), found[1]) if found else None

    def list(self, prefix: str = "", after: str = "") -> Iterator[ObjectInfo]:
        if prefix:
            check_name(f"{prefix}x")
        with self._lock:
            names = sorted(self.objects)
            first = max(bisect.bisect_left(names, prefix), bisect.bisect_right(names, after))
            found = [
                ObjectInfo(name, len(self.objects[name][0]), self.objects[name][1]) for name in names[first:] if name.startswith(prefix)
            ]
        yield from found

    def folders(self, prefix: str) -> Iterator[str]:
        if prefix:
            check_name(f"{prefix}x")
        with self._lock:
            rest = [name[len(prefix) :] for name in self.objects if name.startswith(prefix)]
        yield from sorted({name.split("/", 1)[0] for name in rest if "/" in name})

    def delete(self, name: str) -> None:
        with self._lock:
            self.objects.pop(check_name(name), None)

    def now(self) -> dt.datetime:
        return self._clock.now()

    def close(self) -> None:
        pass
