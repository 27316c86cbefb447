"""Tables without a common order of keys, held against each other as multisets: cut by a hash, so that any number of rows fits."""

from collections.abc import Sequence
from typing import Any

from holdfast.systems.postgres.compare.keys import Key, escaped
from holdfast.systems.postgres.compare.ranges import Differing
from holdfast.systems.postgres.digest import Table

_IN_BUCKET = 20_000
_MOST_BUCKETS = 65_536
_BATCH_ROWS = 100_000
"""Rows in memory at a time, of each side, as three hashes each."""

_HASHES = "hashtextextended(r, 0)::text || ' ' || hashtextextended(r, 7)::text"


def differing(here: Any, mine: Table, there: Any, theirs: Table, key: Key | None, limit: int = 5) -> Differing:
    """``key`` None: the whole row is its key; a changed row is one missing and one extra then."""
    found = Differing(limit)
    rows = max(_count(here, mine), _count(there, theirs))
    buckets = 1
    while buckets < _MOST_BUCKETS and buckets * _IN_BUCKET < rows:
        buckets *= 2
    left, right = _sums(here, mine, key, buckets), _sums(there, theirs, key, buckets)
    wrong = sorted(bucket for bucket in left.keys() | right.keys() if left.get(bucket) != right.get(bucket))
    found.ranges = len(wrong)
    group: list[int] = []
    held = 0
    for bucket in wrong:
        size = max(side[bucket][0] for side in (left, right) if bucket in side)
        if group and held + size > _BATCH_ROWS:
            _look(here, mine, there, theirs, key, (buckets, group), found)
            group, held = [], 0
        group, held = [*group, bucket], held + size
    if group:
        _look(here, mine, there, theirs, key, (buckets, group), found)
    return found


def _look(here: Any, mine: Table, there: Any, theirs: Table, key: Key | None, part: tuple[int, Sequence[int]], found: Differing) -> None:
    ours, others = _rows(here, mine, key, part), _rows(there, theirs, key, part)
    for one in sorted(ours.keys() | others.keys()):
        left, right = ours.get(one), others.get(one)
        if left == right:
            continue
        if key is not None:
            found.note(one, "missing" if left is None else "extra" if right is None else "changed")
            continue
        more = (left[0] if left else 0) - (right[0] if right else 0)
        shown = one
        if len(found.examples) < found.limit:
            shown = _text(*((here, mine) if more > 0 else (there, theirs)), one, part)
        found.note(shown, "extra" if more > 0 else "missing", abs(more))


def _count(connection: Any, table: Table) -> int:
    return int(connection.execute(f"select count(*) from only {table.quoted}").fetchone()[0])  # noqa: S608 - quoted


def _source(table: Table, key: Key | None) -> str:
    text = escaped(key.shown) if key is not None else "(t.*)::text"
    return f'(select {text} collate "C" as k, (t.*)::text collate "C" as r from only {escaped(table.quoted)} t offset 0) s'  # noqa: S608


def _sums(connection: Any, table: Table, key: Key | None, buckets: int) -> dict[int, tuple[Any, ...]]:
    query = (
        f"select (hashtextextended(k, 3) & %s)::int, count(*), sum(hashtextextended(r, 0))::text, sum(hashtextextended(r, 7))::text"  # noqa: S608
        f" from {_source(table, key)} group by 1"
    )
    return {bucket: rest for bucket, *rest in connection.execute(query, (buckets - 1,)).fetchall()}


def _rows(connection: Any, table: Table, key: Key | None, part: tuple[int, Sequence[int]]) -> dict[str, tuple[int, str]]:
    """Of some buckets: the key (of a table without one, the row's hashes) → (how often, hashes)."""
    name = "k" if key is not None else _HASHES
    query = (
        f"select {name}, count(*), min({_HASHES}) from {_source(table, key)}"  # noqa: S608 - quoted
        " where (hashtextextended(k, 3) & %s)::int = any(%s) group by 1"
    )
    return {text: (count, hashes) for text, count, hashes in connection.execute(query, (part[0] - 1, list(part[1]))).fetchall()}


def _text(connection: Any, table: Table, hashes: str, part: tuple[int, Sequence[int]]) -> str:
    query = (
        f"select left(r, 300) from {_source(table, None)}"  # noqa: S608 - quoted
        f" where (hashtextextended(k, 3) & %s)::int = any(%s) and {_HASHES} = %s limit 1"
    )
    row = connection.execute(query, (part[0] - 1, list(part[1]), hashes)).fetchone()
    return hashes if row is None else str(row[0])
