"""What a restore of tables would do: decided before anything is written."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from holdfast.errors import HoldfastError
from holdfast.model import Clock
from holdfast.systems.contract import History, Obstacle, RestorePlan, RestoreRequest
from holdfast.systems.delta.errors import NoVersion, RestoreUsage, TargetTaken
from holdfast.systems.delta.held import Held, Lake
from holdfast.systems.delta.restore.place import address, parent, same
from holdfast.systems.delta.restore.rewind import Rewind, look
from holdfast.systems.delta.restore.streams import StreamBack, going_with
from holdfast.systems.delta.settings import DeltaSettings
from holdfast.systems.delta.store import Store
from holdfast.systems.delta.tables import is_table, prefix

_TOPS = ("s3:/", "gs:/", "az:/")
"""What would be above a bucket as a whole."""


@dataclass
class TableBack:
    """``name`` as the lake knows it; ``folder`` where it goes below ``Detail.url``, with its slash or empty."""

    name: str
    folder: str
    held: Held | None = None
    rewind: Rewind | None = None


@dataclass
class Detail:
    """Goes from the plan to the restore."""

    url: str
    tables: list[TableBack] = field(default_factory=list)
    streams: list[tuple[StreamBack, str, str]] = field(default_factory=list)
    """(checkpoint, address of the folder above, name there)."""
    asides: list[tuple[str, str, str]] = field(default_factory=list)
    """(address, old name, new name) of what is moved aside before anything is written."""


def make(system: str, kind: str, settings: DeltaSettings, history: History, request: RestoreRequest, clock: Clock) -> RestorePlan:
    """Raises NoVersion, LogBroken, RestoreUsage."""
    options = request.options
    wrong = sorted(set(options) - {"in_place", "rewind", "tables", "streams"})
    if wrong:
        raise RestoreUsage(f"--{wrong[0].replace('_', '-')} does not go with Delta tables.", hint="See: holdfast restore --help")
    mode = "rewind" if options.get("rewind") else "in-place" if options.get("in_place") else "new"
    if options.get("rewind") and options.get("in_place"):
        raise RestoreUsage("--rewind and --in-place do not go together.", hint="The one commits to the table, the other moves it aside.")
    url = address(str(request.into))
    only: Sequence[str] = [one.strip("/") for one in options.get("tables", ())]
    lake = Lake(system, history)
    if mode == "rewind":
        detail, tables, words, obstacles, warnings = look(settings, lake, request.until, only, url)
        backs = [TableBack(one.name, prefix(one.name), rewind=one) for one in detail]
        made = Detail(settings.url, backs)
        point = tables[0].point if tables else lake.points[-1]
    else:
        tables, words = lake.chosen(request.until, only)
        single = len(tables) == 1 and bool(only)
        obstacles, warnings = [], []
        made = Detail(url)
        point = max((one.point for one in tables), key=lambda one: one.committed_at)
        stamp = clock.now().strftime("%Y%m%dT%H%M%SZ")
        for held in tables:
            back = TableBack(held.name, "" if single else prefix(held.name), held)
            if mode == "in-place":
                _aside(settings, url, back, made, stamp)
            made.tables.append(back)
            _lacking(held, obstacles, warnings)
        if mode == "new":
            _free(settings.open(url), made, obstacles)
    steps = _steps(made, mode)
    _streams(settings, lake, made, mode, tables, options, warnings, steps, clock)
    size = sum(one.held.size for one in made.tables if one.held) + sum(one.rewind.bytes for one in made.tables if one.rewind)
    versions = {one.name: (one.held.version if one.held else one.rewind.version if one.rewind else 0) for one in made.tables}
    return RestorePlan(
        system,
        kind,
        point,
        words,
        {"versions": versions, "time": _time(tables), "point": point.id, **_differs(made)},
        Path(request.into),
        mode,
        size,
        0,
        needed=size,
        steps=tuple(steps),
        obstacles=tuple(obstacles),
        warnings=tuple(warnings),
        options=dict(options),
        detail=made,
    )


def _differs(made: Detail) -> dict[str, int]:
    """Of a rewind: how much of the live table differs from what it is to be, missing files counted."""
    found = [one.rewind for one in made.tables if one.rewind is not None]
    return {"differs": sum(one.differs + len(one.back) for one in found)} if found else {}


def _time(tables: Sequence[Held]) -> str | None:
    times = [one.pinned.time for one in tables if one.pinned.time]
    return max(times).isoformat() if times else None


def _lacking(held: Held, obstacles: list[Obstacle], warnings: list[str]) -> None:
    if held.lacking:
        some = ", ".join(one.key or one.address or "" for one in held.lacking[:3])
        obstacles.append(
            Obstacle(NoVersion.code, f"{len(held.lacking)} files of {held.name} at version {held.version} lie in no point: {some}.", "")
        )
    lost = [
        one for one in held.point.findings if one.code in ("delta-file-lost", "delta-file-broken") and one.where.get("table") == held.name
    ]
    warnings += [f"As it was captured: {one.message}" for one in lost]


def _aside(settings: DeltaSettings, url: str, back: TableBack, made: Detail, stamp: str) -> None:
    own = f"{settings.url.rstrip('/')}/{back.name}".rstrip("/")
    if not same(url, settings.url) and not same(url, own):
        raise RestoreUsage(
            f"--in-place moves the lake's own table aside: --into is {settings.url} then, not {url}.",
            hint="Without --in-place a new place is filled.",
        )
    made.url = settings.url
    back.folder = prefix(back.name)
    above, name = parent(own)
    if above in _TOPS or not name:
        raise RestoreUsage(
            f"{own} is all of its place: nothing is beside it where the damaged table could be moved to.",
            hint="Say --rewind, or restore into a new place, or move the table away yourself first.",
        )
    made.asides.append((above, name, f"{name}.damaged-{stamp}"))


def _free(store: Store, made: Detail, obstacles: list[Obstacle]) -> None:
    for back in made.tables:
        outer = next((one for one in _outer(back.folder) if is_table(store, one)), None)
        if outer is not None:
            message = (
                f"{store.url}/{back.folder} lies inside of a table, {f'{store.url}/{outer}'.rstrip('/')}, whose next vacuum would empty it."
            )
            obstacles.append(Obstacle(TargetTaken.code, message, "Name a place beside that table."))
            continue
        there = next(iter(store.things(back.folder)), None)
        if there is not None:
            obstacles.append(
                Obstacle(
                    TargetTaken.code,
                    f"{store.url}/{back.folder} holds something already: {there.key}.",
                    "Name a new place, or --in-place for the lake itself.",
                )
            )


def _outer(folder: str) -> list[str]:
    """The folders around one, the store's root first."""
    parts = folder.strip("/").split("/") if folder else []
    return ["/".join(parts[:count]) for count in range(len(parts))]


def _steps(made: Detail, mode: str) -> list[str]:
    steps = [f"move {above}/{old} to {new}" for above, old, new in made.asides]
    for one in made.tables:
        if one.rewind is not None:
            steps += one.rewind.steps()
        elif one.held is not None:
            steps.append(
                f"write {len(one.held.files)} files of {one.name or made.url} at version {one.held.version} below"
                f" {made.url}/{one.folder}, then its log"
            )
    if mode != "rewind":
        steps.append("replay the new logs and compare every file with what they say")
    return steps


def _streams(
    settings: DeltaSettings,
    lake: Lake,
    made: Detail,
    mode: str,
    tables: Sequence[Held],
    options: Mapping[str, Any],
    warnings: list[str],
    steps: list[str],
    clock: Clock,
) -> None:
    from holdfast.systems.delta.capture.run import stream_place

    del options
    if not tables:
        return
    # The newest point knows the queries best; what it lacks of older batches an older one may still hold.
    point = max((one.point for one in tables), key=lambda one: one.committed_at)
    at = [one for one in made.tables if one.held is not None and not one.folder]
    stamp = clock.now().strftime("%Y%m%dT%H%M%SZ")
    for back in going_with(point, lake.reader(point), tables):
        if back.why:
            warnings.append(f"The stream {back.name} cannot be put back: {back.why}. Started as it is, it skips or repeats rows.")
            continue
        if mode == "new":
            if at and made.url:
                warnings.append(
                    f"The stream {back.name} writes this table; restore without --table, or in place, to get its checkpoint, too."
                )
                continue
            made.streams.append((back, made.url, back.name))
            steps.append(f"write the checkpoint {back.name} as of batch {back.batch}")
            continue
        given = next((one for one in settings.streams if _is(stream_place(settings, settings.open(settings.url), one), back)), None)
        if given is None:
            warnings.append(f"The stream {back.name} is not in the plan any more: its checkpoint is left as it is.")
            continue
        whole = given.rstrip("/") if "://" in given or given.startswith("/") else f"{settings.url.rstrip('/')}/{given.strip('/')}"
        above, name = parent(whole)
        made.asides.append((above, name, f"{name}.before-{stamp}"))
        made.streams.append((back, above, name))
        steps.append(f"move the checkpoint {whole} aside and write it as of batch {back.batch}: the query must be stopped")


def _is(place: tuple[str, Store, str], back: StreamBack) -> bool:
    """Whether a checkpoint of the plan is the one that was captured; points of before had other names for what lies outside of the lake."""
    name, store, inner = place
    return name == back.name or f"{store.url}/{inner}" == back.url


def require_possible(plan: RestorePlan) -> None:
    """Raises the plan's first obstacle."""
    from holdfast.systems.delta import errors

    kinds: dict[str, type[HoldfastError]] = {
        one.code: one for one in vars(errors).values() if isinstance(one, type) and issubclass(one, HoldfastError)
    }
    for obstacle in plan.obstacles:
        raise kinds.get(obstacle.code, NoVersion)(obstacle.message, hint=obstacle.hint)
