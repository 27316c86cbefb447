"""``holdfast backup``: JSON ``{"points": [RecoveryPoint…], "failed": [{"system", "code", "message", "hint"}]}``."""

from typing import TYPE_CHECKING, Annotated, Any

from holdfast.errors import HoldfastError
from holdfast.interfaces.cli.context import Session
from holdfast.interfaces.cli.grammar.command import DryRun, Option, Systems
from holdfast.model import RecoveryPoint
from holdfast.plan import human_size, parse_rate

if TYPE_CHECKING:
    from holdfast.protection.backup import Wish


def command(
    session: Session,
    systems: Systems = (),
    *,
    label: Annotated[str | None, Option("a name for the points")] = None,
    note: Annotated[str | None, Option("why they are taken", metavar="TEXT")] = None,
    keep_until: Annotated[str | None, Option("whatever retention says", metavar="TIME")] = None,
    full: Annotated[bool, Option("build on no earlier point: read everything")] = False,
    rate: Annotated[str | None, Option("read at most this much a second, as 80MiB/s; by default the plan's limit")] = None,
    workers: Annotated[int | None, Option("threads; by default the plan's limit, or as many as the machine has cores")] = None,
    dry_run: DryRun = False,
) -> int:
    """Take a recovery point of each system named, or of every system of the plan.

    A point is reported when it is durable in every location of its tier. A killed backup is resumed by running it again:
    what was stored is not stored twice. Exit status 1 when a point is incomplete: files could not be read.
    """
    limit = session.plan.document.limits.at(session.plan.local(session.clock.now()))
    until = session.time(keep_until) if keep_until else None
    most = parse_rate(rate) if rate else limit.rate
    names = session.select(systems)
    for name in names if systems else ():
        session.plan.effective(name).require_available()
    if dry_run:
        return _dry(session, names, full=full)
    session.import_ahead(names, "backup")

    def wish() -> "Wish":
        from holdfast.protection.backup import Wish

        return Wish(label=label, note=note, keep_until=until, full=full, rate=most, workers=workers or limit.workers or 0)

    points: list[RecoveryPoint] = []
    failed: list[tuple[str, HoldfastError]] = []
    with session.progress() as progress:
        for name in names:
            session.kept = f"What was stored of {name} is kept and reused. Go on with: holdfast backup {name}"
            try:
                # First: while it derives the key, what else is needed is imported.
                session.platform.vault(name)
                points.append(session.platform.backup(name, progress, wish()))
            except HoldfastError as error:
                if len(names) == 1:
                    raise
                failed.append((name, error))
                session.out.warn(f"{name}: {error.message} {error.hint}".strip())
    document = {"points": points, "failed": [_failure(name, error) for name, error in failed]}
    session.out.result(document, lambda: _show(session, points))
    incomplete = any(point.facts.get("incomplete") for point in points)
    return max((error.status for _, error in failed), default=1 if incomplete else 0)


def _failure(name: str, error: HoldfastError) -> dict[str, Any]:
    return {"system": name, "code": error.code, "message": error.message, "hint": error.hint}


def _dry(session: Session, names: tuple[str, ...], *, full: bool) -> int:
    found: list[dict[str, Any]] = []
    for name in names:
        newest = None if full else max(session.platform.history(name).points(), key=lambda point: point.committed_at, default=None)
        found.append(
            {"system": name, "base": newest and newest.id, "locations": [place.name for place in session.platform.locations(name)]}
        )

    def human() -> None:
        for one in found:
            base = f"on {str(one['base'])[:14]}" if one["base"] else "reading everything"
            session.out.say(f"would back up {one['system']} {base} into {', '.join(one['locations'])}")

    session.out.result({"would": found}, human)
    return 0


def _show(session: Session, points: list[RecoveryPoint]) -> None:
    for point in points:
        totals = point.totals
        seconds = max((point.committed_at - point.started_at).total_seconds(), 0.001)
        session.out.say(
            f"{point.system}: {point.method} point {point.id[:14]} of {human_size(totals.bytes)} in {seconds:.1f} s"
            f" ({human_size(int(totals.bytes / seconds))}/s), {human_size(totals.stored)} stored"
        )
        for finding in point.findings:
            session.out.warn(finding.message)
