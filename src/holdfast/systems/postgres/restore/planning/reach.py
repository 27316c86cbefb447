"""Which base backup and which timeline lead to a target. Pure: no file, no server, no clock."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from holdfast.systems.postgres import lsn as positions
from holdfast.systems.postgres.restore.errors import NoRecoveryPoint, TargetAmbiguous, TargetUnreachable
from holdfast.systems.postgres.restore.planning.history import Base, Cover, Holdings, Mark
from holdfast.systems.postgres.restore.planning.target import Target
from holdfast.systems.postgres.restore.planning.timelines import Line

Stop = Literal["immediate", "time", "lsn", "xid", "name", "end-of-log"]


@dataclass(frozen=True, slots=True)
class Reach:
    """One way to a target: recover ``base`` along ``path`` with WAL up to ``end`` (bytes), ending as ``stop`` says.

    ``position`` is where the recovered state lies (the mark's record, the requested LSN, or the log's end): two ways with the same place
    on a shared piece of history give the same data. ``limit``: WAL is there up to here.
    """

    base: Base
    path: Line
    stop: Stop
    end: int
    position: int
    mark: Mark | None = None
    warnings: tuple[str, ...] = field(default=())
    limit: int = 0

    @property
    def place(self) -> tuple[str, int]:
        return self.path.at(self.position - 1).branch, self.position


@dataclass(frozen=True, slots=True)
class Miss:
    """Why one base on one line does not lead there. ``missing``: the WAL that would have been needed, if that is the reason."""

    base: Base
    path: Line
    reason: str
    missing: tuple[int, int] | None = None


def choose(holdings: Holdings, target: Target, now: dt.datetime, timeline: str | int | None = None) -> Reach:
    """The way to take. Raises NoRecoveryPoint, TargetUnreachable, TargetAmbiguous."""
    if not holdings.bases:
        raise NoRecoveryPoint("The vault holds no recovery point of this system.", hint="Take one: holdfast backup")
    if target.kind == "time" and target.time is not None and target.time > now:
        raise TargetUnreachable(
            f"{target.show()} lies in the future (now is {target.clock(now)}).",
            hint="Use --to latest for the newest that can be reached.",
            nearest=_nearest(holdings, target),
        )
    if target.kind in ("immediate", "point"):
        return _of_point(holdings, target, timeline)
    lines = _lines(holdings, timeline)
    ways: list[Reach] = []
    misses: list[Miss] = []
    for path in lines:
        for base in sorted(
            (one for one in holdings.bases if path.passes(one.branch, one.stop)), key=lambda one: (one.stop, one.committed), reverse=True
        ):
            answer = _try(holdings, base, path, target)
            if isinstance(answer, Reach):
                ways.append(answer)
                break
            misses.append(answer)
    if not ways:
        raise _unreachable(holdings, target, misses)
    return _single(holdings, _newest_cluster(ways) if target.kind == "latest" and timeline is None else ways, target)


def _lines(holdings: Holdings, timeline: str | int | None) -> Sequence[Line]:
    lines = holdings.lines()
    if timeline is None or str(timeline) == "latest":
        return lines
    wanted = [path for path in lines if str(path.timeline) == str(timeline) or path.branch == str(timeline)]
    if not wanted:
        raise TargetUnreachable(
            f"The vault holds no WAL of timeline {timeline}.",
            hint="There is WAL of: " + ", ".join(sorted({f"timeline {path.timeline} ({path.branch})" for path in lines})),
        )
    return wanted


def _of_point(holdings: Holdings, target: Target, timeline: str | int | None) -> Reach:
    bases = sorted(holdings.bases, key=lambda one: one.committed, reverse=True)
    if timeline is not None:
        bases = [one for one in bases if str(one.timeline) == str(timeline) or one.branch == str(timeline)]
    if target.point is not None:
        wanted = [one for one in bases if target.point in (one.id, one.label)]
        wanted = wanted or [one for one in bases if len(target.point) >= 4 and one.id.startswith(target.point)]
        if not wanted:
            raise NoRecoveryPoint(
                f"No recovery point of this system has the id or label {target.point!r}.",
                hint="`holdfast points` lists them. A time is written 2026-11-21T14:03:05+01:00 or '10m ago'.",
            )
        bases = wanted
    misses = []
    for base in bases:
        log = holdings.logs.get(base.branch)
        if log is None:
            misses.append(
                Miss(base, Line(base.branch, base.timeline, ()), f"no WAL of its branch {base.branch} is there", (base.start, base.stop))
            )
            continue
        path = holdings.line(log)
        cover = holdings.cover(base, path)
        if cover.end >= base.stop:
            return Reach(base, path, "immediate", base.stop, base.stop, warnings=_base_warnings(base), limit=cover.end)
        misses.append(_unusable(base, path, cover))
    raise _unreachable(holdings, target, misses)


def _unusable(base: Base, path: Line, cover: Cover) -> Miss:
    missing = (cover.end, min(base.stop, cover.gap[1]) if cover.gap else base.stop)
    return Miss(base, path, f"point {base.id[:12]} is not consistent before {positions.show(base.stop)}", missing)


def _base_warnings(base: Base) -> tuple[str, ...]:
    return (
        (f"Point {base.id[:12]} is marked: {base.findings} finding(s) while it was taken, see `holdfast show {base.id[:12]}`.",)
        if base.findings
        else ()
    )


def _search(holdings: Holdings, base: Base, path: Line, end: int, target: Target) -> Mark | None:
    for piece in path.pieces:
        log = holdings.logs.get(piece.branch)
        low, high = max(piece.start, base.start), min(end, piece.end if piece.end is not None else end)
        if log is None or low >= high:
            continue
        found: Mark | None = None
        if target.time is not None:
            found = log.landmarks.first_after(target.time, low, high, inclusive=target.inclusive)
        elif target.xid is not None:
            found = log.landmarks.commit(target.xid, low, high)
        elif target.name is not None:
            found = log.landmarks.named(target.name, low, high)
        if found is not None:
            return found
    return None


def _last_commit(holdings: Holdings, path: Line, start: int, end: int) -> Mark | None:
    for piece in reversed(path.pieces):
        log = holdings.logs.get(piece.branch)
        low, high = max(piece.start, start), min(end, piece.end if piece.end is not None else end)
        if log is not None and low < high and (found := log.landmarks.last(low, high)) is not None:
            return found
    return None


def _try(holdings: Holdings, base: Base, path: Line, target: Target) -> Reach | Miss:
    cover = holdings.cover(base, path)
    if cover.end < base.stop:
        return _unusable(base, path, cover)
    warnings = _base_warnings(base)
    short = base.id[:12]
    if target.kind == "latest":
        if cover.gap:
            warnings += (
                (
                    f"WAL is missing from {positions.show(cover.gap[0])} to {positions.show(cover.gap[1])}: what "
                    "was logged behind it cannot be reached."
                ),
            )
        return Reach(base, path, "end-of-log", cover.end, cover.end, _last_commit(holdings, path, base.start, cover.end), warnings)
    if target.kind == "lsn":
        assert target.lsn is not None
        if target.lsn < base.stop:
            return Miss(base, path, f"point {short} is consistent only from {positions.show(base.stop)} on")
        if target.lsn > cover.end:
            return Miss(
                base,
                path,
                f"the WAL behind point {short} ends at {positions.show(cover.end)}",
                (cover.end, cover.gap[1] if cover.gap else target.lsn),
            )
        stop: Stop = "lsn" if target.lsn < cover.end else "end-of-log"
        return Reach(base, path, stop, cover.end, target.lsn, warnings=warnings)
    mark = _search(holdings, base, path, cover.end, target)
    if target.kind == "time":
        return _try_time(holdings, base, path, cover, target, mark, warnings)
    if mark is None or mark.end > cover.end:
        return Miss(base, path, f"no {target.show()} between {positions.show(base.start)} and {positions.show(cover.end)}", cover.gap)
    if mark.lsn < base.stop:
        return Miss(base, path, f"point {short} is consistent only behind it, from {positions.show(base.stop)} on")
    return Reach(base, path, target.kind, _past(mark, cover), mark.end if target.inclusive else mark.lsn, mark, warnings)  # type: ignore[arg-type]


def _past(mark: Mark, cover: Cover) -> int:
    return min(cover.end, max(mark.end, mark.lsn + 1))


def _try_time(
    holdings: Holdings, base: Base, path: Line, cover: Cover, target: Target, mark: Mark | None, warnings: tuple[str, ...]
) -> Reach | Miss:
    assert target.time is not None
    short = base.id[:12]
    if target.time < base.started:
        return Miss(base, path, f"point {short} was begun only at {target.clock(base.started)}")
    if mark is not None and mark.end > cover.end:
        # Its record is cut off: it will not be replayed, and everything before it is there.
        return Reach(base, path, "end-of-log", cover.end, cover.end, _last_commit(holdings, path, base.start, cover.end), warnings)
    if mark is not None:
        if mark.lsn < base.stop:
            return Miss(base, path, f"point {short} was finished only at {target.clock(base.stopped)}")
        return Reach(base, path, "time", _past(mark, cover), mark.lsn, mark, warnings)
    # Nothing was committed after the target in what is there: right only if what is there reaches as far as the target.
    last = _last_commit(holdings, path, base.start, cover.end)
    log = holdings.logs.get(cover.branch)
    known = [base.stopped]
    if last is not None and last.time is not None:
        known.append(last.time)
    if log is not None and log.covered_until is not None and cover.complete and cover.gap is None:
        known.append(log.covered_until)
    if target.time <= max(known):
        return Reach(base, path, "end-of-log", cover.end, cover.end, last, warnings)
    return Miss(
        base, path, f"the WAL behind point {short} is known only until {target.clock(max(known))} ({positions.show(cover.end)})", cover.gap
    )


def _newest_cluster(ways: Sequence[Reach]) -> list[Reach]:
    newest = max(ways, key=lambda way: way.base.committed).base.system_identifier
    return [way for way in ways if way.base.system_identifier == newest]


def _diverged(holdings: Holdings, older: Reach, newer: Reach) -> Mark | None:
    """A commit on ``older``'s own history behind the fork, within the target, that ``newer`` lacks."""
    fork = newer.path.fork_from(older.path)
    if fork is None:
        return None
    log = holdings.logs.get(older.path.branch)
    end = older.position if older.stop in ("end-of-log", "lsn", "time") else older.end
    return log.landmarks.last(fork, end) if log and fork < end else None


def _single(holdings: Holdings, ways: Sequence[Reach], target: Target) -> Reach:
    # Shortest history first: where several pass through the same place, the first needs the least.
    distinct: dict[tuple[str, int], Reach] = {}
    for way in sorted(ways, key=lambda one: len(one.path.pieces)):
        distinct.setdefault(way.place, way)
    left = list(distinct.values())
    kept = []
    for way in left:
        newer = [other for other in left if other is not way and other.path.extends(way.path)]
        if any(target.kind == "latest" or _diverged(holdings, way, other) is None for other in newer):
            continue
        kept.append(way)
    if len(kept) == 1:
        way = kept[0]
        lost = [
            (other, mark)
            for other in left
            if target.kind == "latest"
            and other is not way
            and way.path.extends(other.path)
            and (mark := _diverged(holdings, other, way)) is not None
        ]
        extra = tuple(
            f"Timeline {other.path.timeline} went on to {positions.show(mark.end)} after it was left; that is "
            f"not in this. To get it: --timeline {other.path.timeline}"
            for other, mark in lost
        )
        return Reach(way.base, way.path, way.stop, way.end, way.position, way.mark, way.warnings + extra)
    choices = sorted({f"{way.path.timeline} ({way.path.branch}, to {positions.show(way.position)})" for way in kept})
    raise TargetAmbiguous(
        f"{len(kept)} timelines reach {target.show()}, with different data: {'; '.join(choices)}.",
        hint="Say which with --timeline: a number, or the branch name where numbers are equal.",
        timelines=[
            {"timeline": way.path.timeline, "branch": way.path.branch, "lsn": positions.show(way.position), "point": way.base.id}
            for way in kept
        ],
    )


@dataclass(frozen=True, slots=True)
class Range:
    """From ``start`` to ``end`` (bytes) every position on ``path`` can be reached from ``base``; ``known_until`` is the newest moment."""

    base: Base
    path: Line
    start: int
    end: int
    known_until: dt.datetime


def ranges(holdings: Holdings) -> list[Range]:
    """Everything that can be reached, one entry a base and line, in order of time."""
    found = []
    for path in holdings.lines():
        for base in holdings.bases:
            if not path.passes(base.branch, base.stop):
                continue
            cover = holdings.cover(base, path)
            if cover.end < base.stop:
                continue
            last = _last_commit(holdings, path, base.start, cover.end)
            log = holdings.logs.get(cover.branch)
            moments = [base.stopped] + ([last.time] if last and last.time else [])
            if log and log.covered_until and cover.complete and cover.gap is None:
                moments.append(log.covered_until)
            found.append(Range(base, path, base.stop, cover.end, max(moments)))
    return sorted(found, key=lambda one: (one.base.stopped, one.end))


def _nearest(holdings: Holdings, target: Target) -> list[dict[str, str]]:
    """The nearest reachable places before and after a target, as texts."""
    found: dict[str, tuple[float, dict[str, str]]] = {}

    def offer(side: str, rank: float, one: Range, time: dt.datetime, position: int) -> None:
        if side not in found or rank > found[side][0]:
            place = {"time": target.clock(time), "lsn": positions.show(position), "timeline": str(one.path.timeline), "point": one.base.id}
            found[side] = (rank, {"side": side, **place})

    for one in ranges(holdings):
        ends = one.end <= target.lsn if target.lsn is not None else target.time is None or one.known_until <= target.time
        if ends:
            offer("before", float(one.end) if target.lsn is not None else one.known_until.timestamp(), one, one.known_until, one.end)
        else:
            offer("after", -float(one.start) if target.lsn is not None else -one.base.stopped.timestamp(), one, one.base.stopped, one.start)
    return [found[side][1] for side in ("before", "after") if side in found]


def _unreachable(holdings: Holdings, target: Target, misses: Sequence[Miss]) -> TargetUnreachable:
    nearest = _nearest(holdings, target)
    best = misses[0] if misses else None
    gaps = [miss for miss in misses if miss.missing is not None]
    if gaps and target.kind != "time":
        best = gaps[0]
    elif target.time is not None:
        # The newest base that was begun before the target says best what stands in the way.
        fitting = [miss for miss in misses if miss.base.started <= target.time]
        best = max(fitting, key=lambda miss: miss.base.stop) if fitting else best
    reason = f": {best.reason}" if best else ""
    missing = ""
    details: dict[str, object] = {"target": target.to_json(), "nearest": nearest}
    if best and best.missing:
        low, high = best.missing
        line = best.path.at(low).timeline if best.path.pieces else best.base.timeline
        missing = f" WAL is missing from {positions.show(low)} to {positions.show(high)} (timeline {line})."
        details["missing"] = {"from": positions.show(low), "to": positions.show(high), "bytes": high - low}
    places = "; ".join(f"{place['side']} it {place['time']} (lsn {place['lsn']}, timeline {place['timeline']})" for place in nearest)
    return TargetUnreachable(
        f"{target.show()} cannot be reached{reason}.{missing}",
        hint=f"Nearest that can be reached: {places}." if places else "Nothing can be reached: take a backup.",
        **details,
    )
