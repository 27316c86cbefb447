"""Lines of a listing that follow each other, read by one thread one after the other: a hand-over between threads costs more than a line."""

from collections.abc import Callable
from dataclasses import dataclass, field

from holdfast.connect.objects import Job, Listed, ObjectChanged, ObjectDenied, ObjectGone, Objects
from holdfast.connect.objects.buffers import Buffers
from holdfast.systems.bucket.capture.reading import Got, read
from holdfast.systems.contract import StoredLine

LINES = 64
BYTES = 1 << 20
READS = 8
AHEAD = 256
"""Groups that may wait for an earlier one."""
_LINE = 1024

Read = Got | ObjectGone | ObjectDenied | ObjectChanged
"""An object, or why it could not be read."""


@dataclass(slots=True)
class Group:
    """``kept``: lines of the base that are taken over, by their place in ``lines``. Markers and those are not read."""

    lines: list[Listed] = field(default_factory=list)
    kept: dict[int, StoredLine] = field(default_factory=dict)
    wanted: list[Listed] = field(default_factory=list)
    bytes: int = 0

    def add(self, listed: Listed, line: StoredLine | None) -> None:
        if line is not None:
            self.kept[len(self.lines)] = line
        elif not listed.marker:
            self.wanted.append(listed)
            self.bytes += listed.size
        self.lines.append(listed)

    def takes(self, size: int) -> bool:
        """Whether one more fits, of which so many bytes have to be read."""
        return len(self.lines) < LINES and len(self.wanted) < READS and self.bytes + size <= BYTES

    def job(self, store: Objects, buffers: Buffers) -> "Job[list[Read]]":
        """Its result: what ``wanted`` became."""
        run: Callable[[], list[Read]] | None = None
        if self.wanted:

            def run() -> list[Read]:
                return [read_one(store, listed, buffers) for listed in self.wanted]

        return Job(self, run, self.bytes + _LINE * len(self.lines))


def read_one(store: Objects, listed: Listed, buffers: Buffers) -> Read:
    try:
        return read(store, listed, buffers=buffers)
    except (ObjectGone, ObjectDenied, ObjectChanged) as error:
        return error
