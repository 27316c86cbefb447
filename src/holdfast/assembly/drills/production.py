"""Is it production? Whatever the plan protects and does not name as a target of drills is."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from holdfast.drills.errors import DrillProduction, DrillUsage
from holdfast.errors import HoldfastError
from holdfast.plan.errors import did_you_mean

if TYPE_CHECKING:
    from holdfast.assembly.platform import Platform
    from holdfast.plan.shape.drills import DrillTarget


@dataclass(frozen=True, slots=True)
class Server:
    """Which PostgreSQL server answers: the same cluster (a clone has the same) and the same start, in microseconds."""

    cluster: str
    started: str


def server(dsn: str) -> Server:
    """Raises the faults of connecting."""
    from holdfast.systems.postgres.link import connection

    with connection.connect(dsn, application="holdfast drill") as session:
        row = session.execute(
            "select (select system_identifier from pg_control_system()), extract(epoch from pg_postmaster_start_time())"
        ).fetchone()
    assert row is not None
    return Server(str(row[0]), str(row[1]))


def target_of(platform: "Platform", name: str) -> "DrillTarget":
    """A target of the plan, by its name. Raises DrillProduction for what the plan protects, DrillUsage for what nobody knows."""
    plan = platform.plan
    targets = plan.document.drills.targets
    if name in targets:
        return targets[name]
    hint = "A drill works on throw-away copies, or on what drills: targets: names, which must be there for drills alone."
    if name in plan.systems:
        raise DrillProduction(
            f"{name} is a system that the plan protects: it is production, and no drill breaks it.", hint=hint, target=name
        )
    if name in {one.name for one in plan.document.vault.locations}:
        raise DrillProduction(f"{name} is a location of the vault: it is production, and no drill attacks it.", hint=hint, target=name)
    if "://" in name or "=" in name:
        raise DrillProduction("An address is no target: whether it is production cannot be told.", hint=hint)
    word = did_you_mean(name, targets)
    raise DrillUsage(f"The plan names no target '{name}' for drills.", hint=word[:1].upper() + word[1:], target=name)


def refuse_server(platform: "Platform", name: str, target: "DrillTarget") -> str:
    """The address to break things at. Raises DrillProduction where that server protects, or may be, another system of the plan."""
    from holdfast.connect.secrets import resolve

    assert target.system is not None
    own = platform.plan.effective(target.system)
    if own.kind != "postgres":
        raise DrillUsage(f"The target {name} is of kind {own.kind}: tables are corrupted in PostgreSQL, or in copies.", target=name)
    connect = platform.postgres_recovery(target.system).connect
    assert connect is not None
    dsn = resolve(target.dsn, base=platform.plan.path.parent, environ=platform.environ) if target.dsn is not None else connect("primary")
    there = server(dsn)
    if server(connect("primary")) != there:
        raise DrillProduction(
            f"The dsn of target {name} leads to another server than the system {target.system}, which is there for drills.",
            hint="Correct drills: targets: in the plan.",
            target=name,
        )
    meant = {one.system for one in platform.plan.document.drills.targets.values()}
    for other in platform.plan.systems:
        if other in meant or platform.plan.effective(other).kind != "postgres":
            continue
        _refuse_same(platform, name, there, other)
    return dsn


def _refuse_same(platform: "Platform", name: str, there: Server, other: str) -> None:
    connect = platform.postgres_recovery(other).connect
    assert connect is not None
    try:
        production = server(connect("primary"))
    except HoldfastError as error:
        if there.cluster not in _clusters(platform, other):
            return
        raise DrillProduction(
            f"The target {name} is of the same cluster as {other}, which cannot be asked whether it is the same server: {error.message}",
            hint=f"Start {other}, or make the target a cluster of its own (initdb).",
            target=name,
            system=other,
        ) from error
    if production == there:
        raise DrillProduction(
            f"The target {name} leads to the server of {other}: that is production, and no drill breaks it.",
            hint="Name a server that exists for drills under drills: targets: in the plan.",
            target=name,
            system=other,
        )


def _clusters(platform: "Platform", system: str) -> set[str]:
    """Identifiers of the clusters that a system's points are of; where nobody knows, whatever it is may be the same."""
    try:
        points = platform.vault(system).points(system)
    except HoldfastError:
        return {""}
    said: list[Any] = [dict(point.facts).get("system_identifier") or dict(point.start).get("system_identifier") for point in points]
    return {str(one) for one in said if one}


def refuse_place(platform: "Platform", name: str, url: str) -> None:
    """Raises DrillProduction where a place is a location of the vault, lies in one, or holds one; or is a protected bucket or folder."""
    for location in platform.plan.document.vault.locations:
        if _overlap(url, location.url):
            raise DrillProduction(
                f"The target {name} ({url}) overlaps the vault's location {location.name} ({location.url}): that is production.",
                hint="Give drills a bucket, or a prefix, of their own.",
                target=name,
                location=location.name,
            )
    for system in platform.plan.systems:
        own = getattr(platform.plan.effective(system).spec, "url", None)
        if isinstance(own, str) and _overlap(url, own):
            raise DrillProduction(
                f"The target {name} ({url}) overlaps the system {system} ({own}): that is production.",
                hint="Give drills a bucket, or a prefix, of their own.",
                target=name,
                system=system,
            )


def _overlap(one: str, other: str) -> bool:
    left, right = urlsplit(one), urlsplit(other)
    if (left.scheme, left.netloc) != (right.scheme, right.netloc):
        return False
    mine, theirs = left.path.strip("/") + "/", right.path.strip("/") + "/"
    return mine.startswith(theirs) or theirs.startswith(mine) or "/" in (mine, theirs)
