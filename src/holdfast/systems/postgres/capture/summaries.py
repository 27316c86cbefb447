"""Which blocks changed since a base backup, by the server's WAL summaries (17 and newer, ``summarize_wal = on``).

Rules, from the server's own src/backend/backup/basebackup_incremental.c and walsummary.c:
- The summaries must cover, without a gap, from the base's start LSN to the new backup's start LSN, along the timelines between them.
- ``is_limit_block``: the fork was truncated (or made) there; every block from it on may differ.
- relfilenode 0: the whole database, in that tablespace, was made by file copy or dropped.
- The FSM fork is not logged and never appears. It, all that is no relation, and what the base lacks is read whole.
Whatever cannot be proved is answered with None: read everything.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from holdfast.errors import HoldfastError
from holdfast.model import Clock, Progress
from holdfast.systems.postgres import lsn
from holdfast.systems.postgres.layout import FORKS, Relation
from holdfast.systems.postgres.link import connection

if TYPE_CHECKING:
    from holdfast.systems.postgres.link.connection import Connection

Fork = tuple[int, int, int, int]
"""(tablespace oid, database oid, relfilenode, fork number)"""


@dataclass(frozen=True, slots=True)
class Summary:
    """One summary file: WAL from ``start`` to ``end`` of ``timeline``."""

    timeline: int
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Stretch:
    """WAL of one timeline that has to be covered."""

    timeline: int
    start: int
    end: int


def route(history: Sequence[tuple[int, int]], timeline: int, base: Stretch, start: int) -> list[Stretch] | None:
    """The stretches from the base's start to ``start`` on ``timeline``; None when the base does not lie on its history.

    ``history``: (ancestor, position where it was left) of ``timeline``, oldest first. ``base`` spans the base backup's own start and stop:
    what it read between them must lie before its timeline was left, or it holds pages of an abandoned history.
    """
    if timeline == base.timeline:
        return [Stretch(timeline, base.start, start)] if base.start <= base.end <= start else None
    places = [index for index, (ancestor, _) in enumerate(history) if ancestor == base.timeline]
    if not places or base.end > history[places[0]][1]:
        return None
    found, begin = [], base.start
    for ancestor, left in history[places[0] :]:
        found.append(Stretch(ancestor, begin, left))
        begin = left
    if begin > start:
        return None
    found.append(Stretch(timeline, begin, start))
    return found


def cover(stretch: Stretch, summaries: Iterable[Summary]) -> list[Summary] | int:
    """The summaries that cover ``stretch`` without a gap, or the position from which one is missing."""
    at = stretch.start
    chosen: list[Summary] = []
    if at >= stretch.end:
        return chosen
    for one in sorted((one for one in summaries if one.timeline == stretch.timeline), key=lambda one: (one.start, one.end)):
        if one.end <= at or one.start >= stretch.end:
            continue
        if one.start > at:
            return at
        chosen.append(one)
        at = one.end
        if at >= stretch.end:
            return chosen
    return at


@dataclass(slots=True)
class Changes:
    """What the WAL touched: blocks by fork, the lowest limit block by fork, and databases to read whole (tablespace, database).

    Blocks are kept as arrays, eight bytes each: millions of them are ordinary.
    """

    limits: dict[Fork, int] = field(default_factory=dict)
    databases: set[tuple[int, int]] = field(default_factory=set)
    _blocks: dict[Fork, list[Any]] = field(default_factory=dict)

    def note_limit(self, fork: Fork, block: int) -> None:
        """The fork was truncated to ``block`` blocks, or made; relfilenode 0 speaks of its database."""
        if fork[2] == 0:
            self.databases.add(fork[:2])
        else:
            self.limits[fork] = min(block, self.limits.get(fork, block))

    def note_blocks(self, fork: Fork, packed: bytes) -> None:
        """Blocks that changed, as the server's int8send packs them: 8 bytes each, big-endian, in any order, repeated or not."""
        import numpy as np

        if fork[2] == 0:
            self.databases.add(fork[:2])
        else:
            self._blocks.setdefault(fork, []).append(np.unique(np.frombuffer(packed, ">i8").astype(np.int64)))

    def blocks(self, fork: Fork) -> Any:
        """The changed blocks of a fork, sorted, as an array of int64."""
        import numpy as np

        found = self._blocks.get(fork, [])
        if len(found) != 1:
            found = self._blocks[fork] = [np.unique(np.concatenate(found)) if found else np.empty(0, np.int64)]
        return found[0]

    def ranges(self, relation: Relation, size: int, base_size: int, page: int, segment_pages: int) -> list[tuple[int, int]] | None:
        """Byte ranges of one file that may differ from the base's, sorted and apart; None: read it whole.

        ``size`` and ``base_size`` in bytes, now and in the base. What lies beyond the base's file is always among them.
        """
        import numpy as np

        whole_database = (relation.tablespace, relation.database) in self.databases
        if relation.fork == "fsm" or size < base_size or size % page or base_size % page or whole_database:
            return None
        fork = (relation.tablespace, relation.database, relation.node, FORKS[relation.fork])
        first = relation.segment * segment_pages
        count = size // page
        limit = min(self.limits.get(fork, 1 << 62) - first, base_size // page)
        if limit <= 0 and size:
            return None
        touched = self.blocks(fork)
        low, high = np.searchsorted(touched, (first, first + min(count, limit)))
        touched = touched[low:high] - first
        if limit < count:
            touched = np.append(touched, np.arange(limit, count))
        if not len(touched):
            return []
        breaks = np.flatnonzero(np.diff(touched) != 1)
        starts = touched[np.concatenate(([0], breaks + 1))] * page
        ends = (touched[np.concatenate((breaks, [len(touched) - 1]))] + 1) * page
        return list(zip(starts.tolist(), ends.tolist(), strict=True))


def changes(
    session: "Connection",
    *,
    base_start: Mapping[str, Any],
    base_stop: Mapping[str, Any],
    timeline: int,
    start: int,
    history: Sequence[tuple[int, int]],
    clock: Clock,
    progress: Progress,
    patience: float,
) -> Changes | None:
    """Everything that changed from the base to ``start``; None, with a note of the reason, when the summaries cannot prove it."""
    try:
        if session.info.server_version < 170000:
            return None
        if str(connection.rows(session, "SHOW summarize_wal")[0]["summarize_wal"]) != "on":
            progress.note("summarize_wal is off: all data is read and compared.")
            return None
        base = Stretch(int(base_start["timeline"]), lsn.parse(base_start["lsn"]), lsn.parse(base_stop["lsn"]))
        stretches = route(history, timeline, base, start) if base_start["timeline"] == base_stop["timeline"] else None
        if stretches is None:
            progress.note("The base does not lie on this timeline's history: all data is read and compared.")
            return None
        chosen = _wait(session, stretches, clock, patience)
        if isinstance(chosen, str):
            progress.note(f"{chosen}: all data is read and compared.")
            return None
        return _read(session, chosen)
    except (HoldfastError, KeyError, ValueError) as error:
        progress.note(f"WAL summaries cannot be used ({error}): all data is read and compared.")
        return None


def _wait(session: "Connection", stretches: Sequence[Stretch], clock: Clock, patience: float) -> list[Summary] | str:
    """The covering summaries; the summarizer may still be on its way to the start position. Or why there is no cover."""
    seen, since = -1, clock.monotonic()
    while True:
        listed = connection.rows(
            session,
            "SELECT tli::int8 AS tli, start_lsn::text AS first, end_lsn::text AS last FROM pg_catalog.pg_available_wal_summaries()",
            what="Listing WAL summaries",
        )
        available = [Summary(int(one["tli"]), lsn.parse(one["first"]), lsn.parse(one["last"])) for one in listed]
        chosen: list[Summary] = []
        missing: tuple[Stretch, int] | None = None
        for stretch in stretches:
            found = cover(stretch, available)
            if isinstance(found, int):
                missing = (stretch, found)
                break
            chosen.extend(found)
        if missing is None:
            return chosen
        stretch, at = missing
        text = f"WAL summaries are missing from {lsn.show(at)} to {lsn.show(stretch.end)} on timeline {stretch.timeline}"
        if any(one.timeline > stretch.timeline or (one.timeline == stretch.timeline and one.start > at) for one in available):
            # Later ones exist: the gap will not be filled any more.
            return text
        if at != seen:
            seen, since = at, clock.monotonic()
        if clock.monotonic() - since > patience:
            return f"{text} after waiting {patience:g} s"
        clock.sleep(0.1)


def _read(session: "Connection", chosen: Sequence[Summary]) -> Changes:
    """The server gathers each fork's blocks into one value: a row for each block would be large and slow."""
    found = Changes()
    query = """
        SELECT reltablespace::int8 AS tablespace, reldatabase::int8 AS database, relfilenode::int8 AS node, relforknumber::int4 AS fork,
               is_limit_block AS is_limit, min(relblocknumber) AS lowest,
               CASE WHEN NOT is_limit_block THEN string_agg(int8send(relblocknumber), ''::bytea) END AS blocks
          FROM pg_catalog.pg_wal_summary_contents(%s, %s, %s)
         GROUP BY 1, 2, 3, 4, 5
    """
    for one in chosen:
        parameters = (one.timeline, lsn.show(one.start), lsn.show(one.end))
        for row in connection.rows(session, query, parameters, what="Reading a WAL summary"):
            fork = (row["tablespace"], row["database"], row["node"], row["fork"])
            if row["is_limit"]:
                found.note_limit(fork, row["lowest"])
            else:
                found.note_blocks(fork, bytes(row["blocks"]))
    return found
