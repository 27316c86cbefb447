"""Delta tables as a system that can be returned to an earlier state: satisfies ``systems.contract.Recoverable`` and ``Searchable``."""

import datetime as dt
import random
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from holdfast.errors import HoldfastError
from holdfast.model import Clock, Extracted, Progress, SystemClock
from holdfast.systems.contract import History, Isolated, Moments, Restored, RestorePlan, RestoreRequest, Spot, Walker
from holdfast.systems.delta import target
from holdfast.systems.delta.errors import TargetTaken
from holdfast.systems.delta.held import Lake
from holdfast.systems.delta.restore import copy, planning, rewind
from holdfast.systems.delta.restore.planning import Detail
from holdfast.systems.delta.settings import DeltaSettings
from holdfast.systems.delta.store import Store
from holdfast.systems.shared import boxes
from holdfast.systems.shared import spot as spots
from holdfast.systems.shared.claims import Allowance


@dataclass
class DeltaRecovery:
    """``sandbox``: where isolated copies live; without it, below the folder for temporary files."""

    name: str
    settings: DeltaSettings
    clock: Clock = field(default_factory=SystemClock)
    sandbox: Path | None = None
    history: Callable[[], History] | None = None
    kind: str = "delta"
    allowed: Allowance = field(default_factory=Allowance)
    """What isolated copies may take together."""

    def target(self, text: str | None, now: dt.datetime, zone: dt.tzinfo) -> Mapping[str, Any]:
        return target.parse(text, now, zone)

    def plan_restore(self, history: History, request: RestoreRequest) -> RestorePlan:
        return planning.make(self.name, self.kind, self.settings, history, request, self.clock)

    def restore(self, history: History, plan: RestorePlan, progress: Progress) -> Restored:
        """Raises the plan's first obstacle, TableMoved, PointNonsense, StoreFault."""
        del history
        planning.require_possible(plan)
        began = self.clock.monotonic()
        detail: Detail = plan.detail
        progress.phase("restore", plan.bytes)
        notes: list[str] = []
        for above, old, new in detail.asides:
            self._aside(above, old, new, notes)
        try:
            return self._write(plan, progress, notes, began)
        except HoldfastError as error:
            if notes:
                error.hint = " ".join([error.hint, *notes]).strip()
            raise

    def _write(self, plan: RestorePlan, progress: Progress, notes: list[str], began: float) -> Restored:
        detail: Detail = plan.detail
        store = self.settings.open(detail.url)
        done = Extracted()
        reached: dict[str, Any] = {**plan.place, "versions": {}}
        for one in detail.tables:
            if one.rewind is not None:
                done = _sum(done, self._rewind(store, one.rewind, progress, notes, reached))
            elif one.held is not None:
                # Looked at again: the plan may be old, and two tables in one place are none.
                there = next(iter(store.things(one.folder)), None)
                if there is not None:
                    raise TargetTaken(
                        f"{detail.url}/{one.folder} holds something already: {there.key}.",
                        hint="Who writes there? Stop it, and run this again.",
                    )
                done = _sum(done, copy.table(store, one.held, one.folder, progress))
                reached["versions"][one.name] = one.held.version
        for back, above, name in detail.streams:
            place = self.settings.open(above)
            if next(iter(place.things(f"{name}/")), None) is not None:
                raise TargetTaken(f"{above}/{name} holds something already.", hint="Move it away: a checkpoint is not mixed with another.")
            done = _sum(done, copy.write(place, ((back.reader, stored, f"{name}/{key}") for key, stored in back.files), progress))
            place.settle()
            notes.append(f"The query {back.query} goes on behind batch {back.batch} with the checkpoint {above}/{name}.")
        store.settle()
        return Restored(plan.into, reached, {"restore": self.clock.monotonic() - began}, done, notes=tuple(notes))

    def _aside(self, above: str, old: str, new: str, notes: list[str]) -> None:
        store = self.settings.open(above)
        if next(iter(store.things(f"{old}/")), None) is None:
            return
        base, number = new, 1
        while next(iter(store.things(f"{new}/")), None) is not None:
            # A try that was killed within the same second moved something there.
            number += 1
            new = f"{base}-{number}"
        store.move(f"{old}/", f"{new}/")
        notes.append(f"What was in {above}/{old} is in {above}/{new} now.")

    def _rewind(self, store: Store, made: rewind.Rewind, progress: Progress, notes: list[str], reached: dict[str, Any]) -> Extracted:
        done = copy.write(store, ((reader, stored, wanted.key) for wanted, reader, stored in made.back), progress)
        store.settle()
        version = rewind.run(store, made, self.clock)
        reached["versions"][made.name] = made.version
        notes.append(f"Version {version} of {made.name or self.name} is what version {made.version} was.")
        notes += [f"The application {app} stands at {then} again, not at {now}." for app, (now, then) in made.txns().items()]
        return done

    # ------------------------------------------------------------ isolated copies, the source

    def require_room(self, history: History, until: Mapping[str, Any]) -> None:
        boxes.room(self.sandbox, self._needed(history, until, {}), self.allowed)

    def _needed(self, history: History, until: Mapping[str, Any], given: Mapping[str, Any]) -> int:
        """0 where workers scan what is in the vault, and nothing is copied."""
        if self.settings.sharing is not None and self.settings.sharing.verify:
            return 0
        return self.plan_restore(history, RestoreRequest(Path("/nonexistent/holdfast"), until, given)).needed

    @contextmanager
    def isolate(self, history: History, until: Mapping[str, Any], options: Mapping[str, Any], progress: Progress) -> Iterator[Isolated]:
        """A restored copy in a folder of its own, removed on leaving; after a kill by the next use."""
        from holdfast.systems.delta.data.view import restored_view

        clocks: dict[str, float] = options.get("clocks", {})
        given = {name: value for name, value in options.items() if name not in ("purpose", "clocks")}
        # Planned before the sandbox is made: what does not fit is told, and nothing is begun.
        needed = self._needed(history, until, given)
        with boxes.open_box(self.sandbox, "delta", needed, self.allowed) as folder:
            plan = self.plan_restore(history, RestoreRequest(folder / "lake", until, given))
            began = self.clock.monotonic()
            if self.settings.sharing is not None and self.settings.sharing.verify:
                from holdfast.systems.delta.data.sharing import shared_point_view

                with shared_point_view(self.settings.sharing, plan, folder, progress) as shared:
                    yield shared
                return
            self.restore(history, plan, progress)
            clocks["restore"] = self.clock.monotonic() - began
            reached = {**plan.place, "place": dict(plan.place), "bytes": plan.bytes, "log_bytes": 0}
            helds = [one.held for one in plan.detail.tables if one.held is not None]
            with restored_view(plan.into, helds, reached, folder) as view:
                yield view

    @contextmanager
    def source(self, on: str | None = None) -> Iterator[Isolated]:
        """The lake's own tables, at the versions of the newest point, so that a copy of that point can be compared with them."""
        del on
        with boxes.open_box(self.sandbox, "delta") as folder, self._source(self._newest_versions(), folder) as view:
            yield view

    @contextmanager
    def _source(self, versions: Mapping[str, int] | None, folder: Path) -> Iterator[Isolated]:
        from holdfast.systems.delta.data.sharing import shared_scan
        from holdfast.systems.delta.data.view import source_view

        with (
            shared_scan(self.settings.sharing, lambda _: {"side": "source"}) as scan,
            source_view(self.settings, versions, folder, scan) as view,
        ):
            yield view

    def scan(self, shard: Mapping[str, Any], history: History) -> Mapping[str, Any]:
        """See ``systems.contract.Shared``."""
        from holdfast.systems.delta.data.shard import scan

        with boxes.open_box(self.sandbox, "delta") as folder:
            return scan(self.settings, Lake(self.name, history), folder, shard)

    def at_rest(self, ask: Callable[[Isolated], Any], on: str | None = None) -> tuple[Any, Mapping[str, Any] | None]:
        """What the source says at the versions of the newest point: a table can be asked of its past. None where it is gone already."""
        del on
        versions = self._newest_versions()
        point = Lake(self.name, self.history()).points[-1] if versions and self.history is not None else None
        with boxes.open_box(self.sandbox, "delta") as folder, self._source(versions, folder) as view:
            answer = ask(view)
        return answer, {"kind": "point", "point": point.id} if point is not None else None

    def _newest_versions(self) -> dict[str, int] | None:
        lake = Lake(self.name, self.history()) if self.history is not None else None
        if lake is None or not lake.points:
            return None
        return {name: int(told["version"]) for name, told in (lake.points[-1].facts.get("tables") or {}).items()}

    # ------------------------------------------------------------ by hand

    def spot(self, history: History, point: str, draw: random.Random, nonce: str) -> Spot:
        line = spots.choose(history.open(point), draw, lambda one: one.path.endswith(".parquet"))
        restore = (f"holdfast restore {self.name} --into /NEW/FOLDER --to {point}",)
        name = line.path.rpartition("/")[2]
        prove = spots.by_shell(nonce, f"$(find /NEW/FOLDER -name {shlex.quote(name)})")
        return Spot(line.path, line.size, "docs/guide-delta.md", restore, prove, {"path": line.path})

    def spot_hash(self, history: History, point: str, how: Mapping[str, Any], nonce: str) -> str:
        return spots.hashed(history.open(point), str(how["path"]), nonce)

    def sweep(self) -> Sequence[str]:
        return boxes.sweep(self.sandbox, "delta")

    # ------------------------------------------------------------ search

    def moments(self, history: History, after: int | None = None, before: int | None = None, timeline: str | None = None) -> Moments:
        from holdfast.systems.delta.data.search import moments

        del timeline
        found = moments(self.settings, Lake(self.name, history))
        inside = [one for one in found if (after is None or one.position > after) and (before is None or one.position < before)]
        return Moments(tuple(inside), all=True)

    @contextmanager
    def walk(self, history: History, options: Mapping[str, Any], progress: Progress) -> Iterator[Walker]:
        from holdfast.systems.delta.data.search import LakeWalker

        del options, progress
        with boxes.open_box(self.sandbox, "delta") as folder:
            yield LakeWalker(self.settings, Lake(self.name, history), folder)

    def presence(self, name: str) -> tuple[str, Callable[[Isolated], bool]]:
        def there(view: Isolated) -> bool:
            try:
                return name in view.digest((name,))
            except HoldfastError:
                return False

        return f"table {name} is there", there


def _sum(one: Extracted, other: Extracted) -> Extracted:
    return Extracted(one.files + other.files, one.written + other.written, one.kept + other.kept, one.fetched + other.fetched)
