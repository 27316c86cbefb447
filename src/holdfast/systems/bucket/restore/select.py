"""Which lines of a point are restored, and under which keys."""

import datetime as dt
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from holdfast.connect.objects import Listed, Objects
from holdfast.model import RecoveryPoint
from holdfast.systems.bucket.entries import ROOT, is_marker, name_of
from holdfast.systems.bucket.settings import folder_of, whole_prefixes
from holdfast.systems.contract import PointReader, StoredLine


@dataclass(frozen=True, slots=True)
class Selection:
    """``paths``: keys, or folders of keys; empty: everything. ``as_of``: the version of each key that was current then.

    ``within``: what keys of the source begin with that the point speaks of: of others it knows nothing, and they are let alone.
    """

    paths: tuple[str, ...] = ()
    as_of: dt.datetime | None = None
    within: tuple[str, ...] = ("",)

    @classmethod
    def of(cls, paths: Sequence[str], point: RecoveryPoint, as_of: dt.datetime | None = None) -> "Selection":
        """Keys as they are in the bucket, or as ``ls`` shows them."""
        url, prefixes = str(point.facts.get("url") or ""), point.facts.get("prefixes") or ()
        within = whole_prefixes(url, prefixes) if url else ("",)
        return cls(tuple(sorted({path.removeprefix(ROOT) for path in paths})), as_of, within)

    def wants(self, key: str) -> str | None:
        """Which of the paths names the key; empty where everything is wanted."""
        if not key.startswith(self.within):
            return None
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


def listing(store: Objects, selection: Selection, names: Renaming) -> Iterator[Listed]:
    """What stands in a target where something wanted belongs, in order."""
    for prefix in selection.paths if len(selection.paths) == 1 else selection.within:
        for one in store.list(names.key(prefix)):
            if selection.wants(names.back(one.key)) is not None:
                yield one
