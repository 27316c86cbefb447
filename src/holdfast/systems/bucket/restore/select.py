"""Which lines of a point are restored, and under which keys."""

import datetime as dt
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from holdfast.connect.objects import split
from holdfast.systems.bucket.entries import ROOT, is_marker, name_of
from holdfast.systems.bucket.settings import folder_of
from holdfast.systems.contract import PointReader, StoredLine


@dataclass(frozen=True, slots=True)
class Selection:
    """``paths``: keys, or folders of keys; empty: everything. ``as_of``: the version of each key that was current then."""

    paths: tuple[str, ...] = ()
    as_of: dt.datetime | None = None

    @classmethod
    def of(cls, paths: Sequence[str], as_of: dt.datetime | None = None) -> "Selection":
        """Keys as they are in the bucket, or as ``ls`` shows them."""
        return cls(tuple(sorted({path.removeprefix(ROOT) for path in paths})), as_of)

    def wants(self, key: str) -> str | None:
        """Which of the paths names the key; empty where everything is wanted."""
        if not self.paths:
            return ""
        for path in self.paths:
            if key == path or key.startswith(path if path.endswith("/") else path + "/"):
                return path
        return None

    def lines(self, reader: PointReader) -> Iterator[StoredLine]:
        """At most one of each key, in order; nothing for a key that held nothing then."""
        limit = None if self.as_of is None else int(self.as_of.timestamp() * 1_000_000) * 1000
        for key, group in itertools.groupby(reader.lines(), lambda line: name_of(line.path).key):
            if self.wants(key) is None:
                continue
            line = next((one for one in group if limit is None or one.mtime_ns <= limit), None)
            if line is not None and not is_marker(line):
                yield line


@dataclass(frozen=True, slots=True)
class Renaming:
    """Keys of the source below one folder become keys of the target below another."""

    source: str
    target: str

    @classmethod
    def between(cls, source: str, target: str) -> "Renaming":
        """Of two addresses."""
        return cls(folder_of(source), folder_of(target))

    def key(self, key: str) -> str:
        return self.target + key.removeprefix(self.source)

    def back(self, key: str) -> str:
        return self.source + key.removeprefix(self.target)


def bucket_of(url: str) -> str:
    """Where the keys of an address lie."""
    scheme, bucket, _ = split(url)
    return f"{scheme}://{bucket}"
