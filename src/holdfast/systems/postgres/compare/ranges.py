"""Tables held against each other by ranges of their key: hashed inside both servers, and what differs is halved down to the rows.

Each statement reads one range by the key's index, so neither server is asked anything long, and what is in memory here is bounded.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from holdfast.systems.postgres.compare.keys import Key, casts, escaped
from holdfast.systems.postgres.digest import Table
from holdfast.systems.postgres.identifiers import quoted

CHUNK = 50_000
"""Rows of a range that is hashed at a time."""
LEAF = 512
"""Rows of a range that is not halved any more: its rows are looked at one by one."""
DENSE = 8192
"""The same where both halves differ: halving on would read each row again and again."""
_SHOWN = 200

Bound = tuple[str, ...] | None
Range = tuple[Bound, Bound]
"""Keys as text behind the first, up to and with the second; None: no end."""
Sums = tuple[int, int, int]
"""Rows, and their hashes summed under two seeds."""


@dataclass(frozen=True, slots=True)
class Side:
    """One server's table. ``pace`` is told the bytes that each statement has read, and takes its time."""

    connection: Any
    table: Table
    key: Key
    pace: Callable[[int], None] | None = None

    def sums(self, part: Range) -> "Sums":
        text, given = self._where(part)
        query = (
            "select count(*), coalesce(sum(hashtextextended(r, 0)), 0)::text, coalesce(sum(hashtextextended(r, 7)), 0)::text,"  # noqa: S608
            " coalesce(sum(octet_length(r)), 0)::bigint"
            f' from (select (t.*)::text collate "C" as r from only {escaped(self.table.quoted)} t{text} offset 0) s'
        )
        count, first, second, size = self.connection.execute(query, given).fetchone()
        if self.pace is not None:
            self.pace(int(size))
        return int(count), int(first), int(second)

    def bound(self, part: Range, at: int) -> Bound:
        """The key of the row ``at`` (from 0) of the range; None when it has fewer."""
        text, given = self._where(part)
        shown = ", ".join(f"t.{escaped(quoted(one))}::text" for one in self.key.columns)
        query = (
            f"select {shown} from only {escaped(self.table.quoted)} t{text}"  # noqa: S608 - names are quoted
            f" order by {escaped(self.key.listed)} offset {int(at)} limit 1"
        )
        row = self.connection.execute(query, given).fetchone()
        return None if row is None else tuple(row)

    def rows(self, part: Range) -> dict[str, tuple[str, str]]:
        """Key as text → the row's two hashes."""
        text, given = self._where(part)
        query = (
            "select k, hashtextextended(r, 0)::text, hashtextextended(r, 7)::text"  # noqa: S608 - names are quoted
            f' from (select {escaped(self.key.shown)} as k, (t.*)::text collate "C" as r'
            f" from only {escaped(self.table.quoted)} t{text} offset 0) s"
        )
        return {key: (first, second) for key, first, second in self.connection.execute(query, given).fetchall()}

    def _where(self, part: Range) -> tuple[str, tuple[str, ...]]:
        # One column alone is no row: then the index is used by versions that cannot otherwise.
        listed, cast = escaped(self.key.listed), casts(self.key.types)
        if len(self.key.columns) > 1:
            listed, cast = f"({listed})", f"({cast})"
        low, high = part
        said = [f"{listed} > {cast}"] if low is not None else []
        said += [f"{listed} <= {cast}"] if high is not None else []
        return (" where " + " and ".join(said) if said else ""), (*(low or ()), *(high or ()))


@dataclass(slots=True)
class Differing:
    """Rows that differ: missing (only there), extra (only here), changed; up to ``limit`` examples."""

    limit: int = 5
    missing: int = 0
    extra: int = 0
    changed: int = 0
    ranges: int = 0
    examples: list[dict[str, str]] = field(default_factory=list)

    def note(self, key: str, kind: str, count: int = 1) -> None:
        setattr(self, kind, getattr(self, kind) + count)
        if len(self.examples) < self.limit:
            self.examples.append({"key": key if len(key) <= _SHOWN else key[:_SHOWN] + "…", "difference": kind})

    def to_json(self, key: Key | None) -> dict[str, Any]:
        """``{"missing", "extra", "changed", "key", "examples": [{"key", "difference"}]}``."""
        columns = list(key.columns) if key is not None else []
        return {"missing": self.missing, "extra": self.extra, "changed": self.changed, "key": columns, "examples": self.examples}


def differing(here: Side, there: Side, limit: int = 5, *, chunk: int = CHUNK) -> Differing:
    """Every row that differs. Both sides have the same key in the same order (``keys.in_ranges``)."""
    found = Differing(limit)
    for part in chunks(there, chunk):
        _narrow(here, there, part, found)
    return found


def chunks(side: Side, rows: int = CHUNK) -> Iterator[Range]:
    """Ranges of ``rows`` rows, that together hold every key there could be."""
    low: Bound = None
    while True:
        high = side.bound((low, None), rows - 1)
        yield (low, high)
        if high is None:
            return
        low = high


def _narrow(here: Side, there: Side, part: Range, found: Differing) -> None:
    waiting: list[tuple[Range, Sums, Sums]] = []
    mine, theirs = here.sums(part), there.sums(part)
    if mine != theirs:
        waiting.append((part, mine, theirs))
    while waiting:
        (low, high), mine, theirs = waiting.pop()
        found.ranges += 1
        most = max(mine[0], theirs[0])
        larger = here if mine[0] > theirs[0] else there
        # The last range has no end, and one side may hold any number of rows in it.
        middle = larger.bound((low, high), most // 2 - 1) if most > LEAF else None
        if middle is None or middle == high:
            _leaf(here, there, (low, high), found)
            continue
        left, right = here.sums((low, middle)), there.sums((low, middle))
        # What is not in the one half is in the other: nothing needs to be read for that.
        halves = [((middle, high), _less(mine, left), _less(theirs, right)), ((low, middle), left, right)]
        bad = [one for one in halves if one[1] != one[2]]
        if len(bad) == 2 and most <= DENSE:
            for half, _, _ in reversed(bad):
                _leaf(here, there, half, found)
            continue
        waiting += bad


def _less(whole: Sums, part: Sums) -> Sums:
    return whole[0] - part[0], whole[1] - part[1], whole[2] - part[2]


def _leaf(here: Side, there: Side, part: Range, found: Differing) -> None:
    ours, others = here.rows(part), there.rows(part)
    for key in [*others, *(one for one in ours if one not in others)]:
        if ours.get(key) != others.get(key):
            found.note(key, "missing" if key not in ours else "extra" if key not in others else "changed")
