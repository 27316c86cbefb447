"""Plans a restore of a cluster: which point, which WAL, where to, what stands in the way. Looks at the target, writes nothing."""

import dataclasses
import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from holdfast.model import RecoveryPoint
from holdfast.systems.contract import History, Obstacle, RestorePlan, RestoreRequest
from holdfast.systems.postgres import lsn as positions
from holdfast.systems.postgres.restore.errors import NoRecoveryPoint, NoRoom, NotRestorable
from holdfast.systems.postgres.restore.planning import ground, options
from holdfast.systems.postgres.restore.planning.ground import Tablespace
from holdfast.systems.postgres.restore.planning.history import Base, Holdings
from holdfast.systems.postgres.restore.planning.options import Options
from holdfast.systems.postgres.restore.planning.reach import Reach, choose
from holdfast.systems.postgres.restore.planning.target import Target, from_json
from holdfast.systems.postgres.restore.wal import log_spans
from holdfast.systems.postgres.running.binaries import Account


@dataclass(frozen=True)
class Detail:
    """What ``run`` needs besides the plan's own words."""

    reach: Reach
    target: Target
    options: Options
    tablespaces: tuple[Tablespace, ...]
    segment_size: int
    major: int
    holdings: Holdings
    aside: Path | None = None


def base_of(point: RecoveryPoint) -> Base | None:
    """A point as a base for recovery; None for a logical one, or one whose WAL branch is unknown."""
    if point.method == "logical" or point.logs is None or "lsn" not in point.start or "lsn" not in point.stop:
        return None
    return Base(
        id=point.id,
        branch=point.logs,
        timeline=int(point.stop.get("timeline") or point.start["timeline"]),
        start=positions.parse(point.start["lsn"]),
        stop=positions.parse(point.stop["lsn"]),
        started=_moment(point.start.get("time"), point.started_at),
        stopped=_moment(point.stop.get("time"), point.committed_at),
        committed=point.committed_at,
        label=point.label,
        bytes=point.totals.bytes,
        findings=len(point.findings),
        system_identifier=str(point.facts.get("system_identifier") or point.logs.split("-", 1)[0]),
    )


def _moment(value: Any, otherwise: dt.datetime) -> dt.datetime:
    if isinstance(value, str):
        found = dt.datetime.fromisoformat(value)
        return found if found.tzinfo else found.replace(tzinfo=dt.UTC)
    if isinstance(value, int | float):
        return dt.datetime.fromtimestamp(value, dt.UTC)
    return otherwise


def bases(points: Sequence[RecoveryPoint]) -> tuple[Base, ...]:
    return tuple(base for base in map(base_of, points) if base is not None)


def major_of(points: Sequence[RecoveryPoint]) -> int:
    """The major version of the newest point. Raises NoRecoveryPoint, NotRestorable."""
    fitting = [point for point in points if base_of(point) is not None]
    if not fitting:
        raise NoRecoveryPoint("The vault holds no recovery point of this system.", hint="Take one: holdfast backup")
    point = max(fitting, key=lambda one: one.committed_at)
    return _major(point)


def _major(point: RecoveryPoint) -> int:
    try:
        return int(point.facts["version_num"]) // 10000
    except (KeyError, ValueError) as error:
        raise NotRestorable(f"Point {point.id} does not say which version of PostgreSQL it is of.") from error


def make(
    system: str,
    history: History,
    holdings: Holdings,
    request: RestoreRequest,
    *,
    now: dt.datetime,
    who: Account,
    system_points: Sequence[RecoveryPoint] | None = None,
) -> RestorePlan:
    """Decide. Raises NoRecoveryPoint, TargetUnreachable, TargetAmbiguous, BadOption, BadMapping; everything else becomes an
    obstacle of the plan.
    """
    asked = options.read(request.options)
    target = from_json(request.until)
    points = {point.id: point for point in (system_points if system_points is not None else history.points())}
    reach = choose(holdings, target, now, asked.timeline)
    if reach.stop == "immediate" and asked.role.action == "pause":
        # PostgreSQL notices that it is consistent when it looks at the record after.
        reach = dataclasses.replace(reach, end=max(reach.end, min(reach.limit, reach.end + positions.SEGMENT)))
    point = points.get(reach.base.id)
    if point is None:
        raise NoRecoveryPoint(f"Point {reach.base.id} is no longer in the vault.", hint="Plan the restore again.")
    facts = point.facts
    segment_size = int(facts.get("segment_size") or positions.SEGMENT)
    major = _major(point)
    into = request.into.absolute()
    placed, refused = ground.place_tablespaces(facts.get("tablespaces") or (), into, asked, facts.get("data_directory"))
    obstacles = [*ground.look(into, reach.base.system_identifier, asked, who), *refused]
    spans = log_spans(reach, segment_size)
    log_bytes = sum(span.end - span.start for span in spans)
    free = ground.free_bytes(into)
    needed = point.totals.bytes + _up(log_bytes, segment_size) + (64 << 20 if asked.durable else 0)
    if asked.delta and not ground.is_empty(into):
        needed = max(0, needed - ground.used_bytes(into))
    # Tablespaces mapped to other disks take their share along; counting all of it here errs on the safe side.
    if free is not None and needed > free:
        obstacles.append(
            Obstacle(
                NoRoom.code,
                f"The restore needs about {needed / 2**30:.2f} GiB where {into} lies, and {free / 2**30:.2f} GiB are free.",
                "Make room, or choose a directory on another disk.",
            )
        )
    aside = (
        into.with_name(f"{into.name}.damaged-{now.strftime('%Y%m%dT%H%M%SZ')}") if asked.in_place and not ground.is_empty(into) else None
    )
    detail = Detail(reach, target, asked, tuple(placed), segment_size, major, holdings, aside)
    return RestorePlan(
        system=system,
        kind="postgres",
        point=point,
        until=target.show(),
        place=_place(reach),
        into=into,
        mode="delta" if asked.delta and not ground.is_empty(into) else "in-place" if aside else "new",
        bytes=point.totals.bytes,
        log_bytes=log_bytes,
        logs=spans,
        needed=needed,
        free=free,
        steps=tuple(_steps(detail, point, into, log_bytes)),
        obstacles=tuple(obstacles),
        warnings=reach.warnings,
        options=dict(request.options),
        detail=detail,
    )


def _up(size: int, unit: int) -> int:
    return -(-size // unit) * unit


def _place(reach: Reach) -> Mapping[str, Any]:
    mark = reach.mark
    return {
        "timeline": reach.path.timeline,
        "lsn": positions.show(reach.position),
        "ends": reach.stop,
        "branch": reach.path.branch,
        "commit": {"time": mark.time.isoformat() if mark.time else None, "xid": mark.xid, "lsn": positions.show(mark.lsn)}
        if mark
        else None,
    }


def _steps(detail: Detail, point: RecoveryPoint, into: Path, log_bytes: int) -> list[str]:
    reach = detail.reach
    steps = []
    if detail.aside:
        steps.append(f"move {into} aside to {detail.aside}")
    verb = "repair" if detail.options.delta else "write"
    steps.append(f"{verb} {point.totals.bytes / 2**20:.1f} MiB of point {point.id[:12]} in {into}")
    steps += [f"put tablespace {one.name} into {one.into}" for one in detail.tablespaces]
    steps.append(
        f"put {log_bytes / 2**20:.1f} MiB of WAL in place, from {positions.show(reach.base.start)} to "
        f"{positions.show(reach.end)} on timeline {reach.path.timeline}"
    )
    steps.append("configure it so that it reaches nothing of production; write global/pg_control last; sync everything")
    ends = (
        "at the end of the log"
        if reach.stop == "end-of-log"
        else "as soon as it is consistent"
        if reach.stop == "immediate"
        else f"at {detail.target.show()}"
    )
    if detail.options.role.standby and reach.stop == "end-of-log":
        steps.append("recover as a standby that follows on")
    else:
        steps.append(
            f"recover, ending {ends}, then {detail.options.role.action}" + ("" if detail.options.start else " (when the server is started)")
        )
    return steps
