"""Files as a system that can be returned to an earlier state: satisfies ``systems.contract.Recoverable``."""

import datetime as dt
import random
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from holdfast.errors import Damaged
from holdfast.model import Clock, Extracted, Progress, SystemClock
from holdfast.systems.contract import (
    History,
    Isolated,
    Lack,
    LeftOut,
    Restored,
    RestorePlan,
    RestoreRequest,
    Spot,
    restored_partly,
    write_list,
)
from holdfast.systems.files.errors import MountInTheWay, TargetTaken, TargetTooSmall
from holdfast.systems.files.parts import Part
from holdfast.systems.files.plain import EntryUnexpected
from holdfast.systems.files.restore import plan as planning
from holdfast.systems.files.restore import target as targets
from holdfast.systems.files.restore.owner import Owners
from holdfast.systems.files.restore.run import FolderRestore
from holdfast.systems.files.settings import ROOT, FilesSettings, outside
from holdfast.systems.shared import boxes
from holdfast.systems.shared import spot as spots
from holdfast.systems.shared.claims import Allowance

_HEAL = "Heal the vault where another location has it (holdfast vault check --read all --heal)"
_GO_ON = f"{_HEAL}, then run the same restore with --delta; or look for it in another point: holdfast points"


@dataclass
class FilesRecovery:
    """``sandbox``: where isolated copies live; without it, below the folder for temporary files."""

    name: str
    settings: FilesSettings = field(default_factory=FilesSettings)
    parts: Sequence[Part] = ()
    clock: Clock = field(default_factory=SystemClock)
    sandbox: Path | None = None
    history: Callable[[], History] | None = None
    kind: str = "files"
    allowed: Allowance = field(default_factory=Allowance)
    """What isolated copies may take together."""

    def target(self, text: str | None, now: dt.datetime, zone: dt.tzinfo) -> Mapping[str, Any]:
        return targets.parse(text, now, zone)

    def plan_restore(self, history: History, request: RestoreRequest) -> RestorePlan:
        return planning.make(self.name, self.settings, self.kind, history, request, [part.name for part in self.parts])

    def restore(self, history: History, plan: RestorePlan, progress: Progress) -> Restored:
        """Raises RestoredPartly, when everything else is there and durable, for what the vault has lost."""
        done, lacks = self._restore(history, plan, progress)
        if lacks:
            listed = write_list(lacks, plan.into, self.clock.now())
            raise restored_partly(lacks, plan.into, listed, _GO_ON, files=done.extracted.files, written=done.extracted.written)
        return done

    def _restore(self, history: History, plan: RestorePlan, progress: Progress) -> tuple[Restored, Sequence[Lack]]:
        for obstacle in plan.obstacles:
            kinds = {one.code: one for one in (TargetTooSmall, MountInTheWay)}
            raise kinds.get(obstacle.code, TargetTaken)(obstacle.message, hint=obstacle.hint)
        began = self.clock.monotonic()
        reader = history.open(plan.point.id)
        facts = plan.point.facts
        by_name = bool(plan.options.get("owner_names"))
        owners = Owners.by_name(facts.get("users", {}), facts.get("groups", {})) if by_name else Owners()
        work = FolderRestore(reader, plan, owners, progress, self.clock)
        detail = plan.detail
        done = Extracted()
        if detail.units or detail.selection.globs:
            done = work.run()
        notes = [*work.notes, *owners.notes()]
        for part in self.parts:
            if part.name in detail.parts:
                inner = [path for path in detail.selection.wanted if path == part.name or path.startswith(part.name + "/")]
                try:
                    notes += part.restore(reader, plan.into / part.name, inner, progress, work.lacking.add)
                except EntryUnexpected:  # somebody's making, no damage
                    raise
                except Damaged as error:
                    work.lacking.add(part.name, error)
        clocks = {"restore": self.clock.monotonic() - began}
        return Restored(plan.into, dict(plan.place), clocks, done, notes=tuple(notes)), work.lacking.found

    # ------------------------------------------------------------ isolated copies, the source

    def require_room(self, history: History, until: Mapping[str, Any]) -> None:
        boxes.room(self.sandbox, self._needed(history, until), self.allowed)

    def _needed(self, history: History, until: Mapping[str, Any]) -> int:
        """By the point's own figures: to add up what its list says would be to read the list once more."""
        return targets.choose(self.name, history.points(), until)[0].totals.bytes

    @contextmanager
    def isolate(self, history: History, until: Mapping[str, Any], options: Mapping[str, Any], progress: Progress) -> Iterator[Isolated]:
        """A restored copy in a folder of its own, removed on leaving; after a kill by the next use."""
        from holdfast.systems.files.view import RestoredView

        clocks: dict[str, float] = options.get("clocks", {})
        given = {name: value for name, value in options.items() if name not in ("purpose", "clocks")}
        # Planned before the sandbox is made: what does not fit is told, and nothing is begun.
        needed = self._needed(history, until)
        with boxes.open_box(self.sandbox, "files", needed, self.allowed) as box:
            plan = self.plan_restore(history, RestoreRequest(box / "tree", until, given))
            began = self.clock.monotonic()
            _, lacks = self._restore(history, plan, progress)
            if lacks:
                raise restored_partly(lacks, plan.into, None, f"That was an isolated copy. {_HEAL}.")
            clocks["restore"] = self.clock.monotonic() - began
            reached = {**plan.place, "place": dict(plan.place), "bytes": plan.bytes, "log_bytes": 0}
            parts = [part for part in self.parts if part.name in plan.detail.parts]
            yield RestoredView(plan.into, history.open(plan.point.id), plan.point, reached, parts)

    @contextmanager
    def source(self, on: str | None = None) -> Iterator[Isolated]:
        from holdfast.systems.files.view import SourceView

        del on
        yield SourceView(self.settings, self.clock)

    def at_rest(self, ask: Callable[[Isolated], Any], on: str | None = None) -> tuple[Any, Mapping[str, Any] | None]:
        """What the source says, and the point whose state it is in: none when something was changed since the newest point."""
        from holdfast.systems.files.compare import newest_matching
        from holdfast.systems.files.view import SourceView

        view = SourceView(self.settings, self.clock)
        del on
        # Without folders there is no content here to be compared: repositories and images are proved by their own means.
        history = self.history() if self.history is not None and self.settings.paths else None
        before = newest_matching(self.settings, history)
        answer = ask(view)
        after = newest_matching(self.settings, history)
        return answer, {"kind": "point", "point": before} if before is not None and before == after else None

    def left_out(self, history: History) -> LeftOut:
        from holdfast.systems.files.missed import left_out

        return left_out(self.settings, history) if self.settings.paths else LeftOut()

    # ------------------------------------------------------------ by hand

    def spot(self, history: History, point: str, draw: random.Random, nonce: str) -> Spot:
        line = spots.choose(history.open(point), draw, lambda one: one.path.startswith(ROOT + "/"))
        path = outside(line.path)
        restore = (f"holdfast restore {self.name} --into /NEW/FOLDER --to {point} --path {shlex.quote(path)}",)
        prove = spots.by_shell(nonce, shlex.quote(f"/NEW/FOLDER{path}"))
        return Spot(path, line.size, "docs/guide-files.md", restore, prove, {"path": line.path})

    def spot_hash(self, history: History, point: str, how: Mapping[str, Any], nonce: str) -> str:
        return spots.hashed(history.open(point), str(how["path"]), nonce)

    def sweep(self) -> Sequence[str]:
        return boxes.sweep(self.sandbox, "files")
