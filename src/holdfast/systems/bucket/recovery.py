"""A bucket as a system that can be returned to an earlier state: satisfies ``systems.contract.Recoverable``."""

import datetime as dt
import random
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from holdfast.connect.objects import OnlyNew
from holdfast.connect.pace import Pace
from holdfast.model import Clock, Progress, SystemClock
from holdfast.systems.bucket.entries import is_marker, name_of
from holdfast.systems.bucket.errors import BucketUsage, NotVersioned, PrefixTaken
from holdfast.systems.bucket.restore import plan as planning
from holdfast.systems.bucket.restore import target as targets
from holdfast.systems.bucket.restore.run import BucketRestore
from holdfast.systems.bucket.restore.select import Selection
from holdfast.systems.bucket.restore.uploads import Uploads
from holdfast.systems.bucket.settings import BucketSettings, folder_of
from holdfast.systems.contract import History, Isolated, LeftOut, Restored, RestorePlan, RestoreRequest, Spot
from holdfast.systems.shared import boxes
from holdfast.systems.shared import spot as spots
from holdfast.systems.shared.claims import Allowance


@dataclass
class BucketRecovery:
    """``history``: the vault's points, to tell whether the bucket still is as the newest of them. ``sandbox``: where throw-away copies
    live; without it, below the folder for temporary files.
    """

    name: str
    settings: BucketSettings
    clock: Clock = field(default_factory=SystemClock)
    history: Callable[[], History] | None = None
    sandbox: Path | None = None
    kind: str = "bucket"
    allowed: Allowance = field(default_factory=Allowance)
    """What isolated copies may take together."""

    def target(self, text: str | None, now: dt.datetime, zone: dt.tzinfo) -> Mapping[str, Any]:
        return targets.parse(text, now, zone)

    def plan_restore(self, history: History, request: RestoreRequest) -> RestorePlan:
        return planning.make(self.name, self.settings, history, request)

    def restore(self, history: History, plan: RestorePlan, progress: Progress) -> Restored:
        for obstacle in plan.obstacles:
            kind = NotVersioned if obstacle.code == NotVersioned.code else PrefixTaken
            raise kind(obstacle.message, hint=obstacle.hint)
        began = self.clock.monotonic()
        uploads = Uploads(self.settings.uploads) if self.settings.uploads is not None else None
        told = uploads.sweep(self.settings.open) if uploads is not None else ()
        store = self.settings.open(plan.detail.address)
        # Of the store itself: what is wrapped round it hands calls on, and no attributes.
        if plan.mode == "new" and isinstance(store, OnlyNew):
            store.only_new = True
        try:
            with uploads.watched(plan.detail.address, store) if uploads is not None else nullcontext(store) as watched:
                # A folder is no load for anybody's store.
                pace = None if plan.detail.address.startswith("file://") else Pace(self.settings.rate, self.clock)
                work = BucketRestore(history.open(plan.point.id), plan, watched, self.settings.threads, progress, pace)
                done = work.run()
        finally:
            store.close()
        clocks = {"restore": self.clock.monotonic() - began}
        return Restored(plan.into, dict(plan.place), clocks, done, notes=(*told, *work.notes))

    # ------------------------------------------------------------ proof

    def require_room(self, history: History, until: Mapping[str, Any]) -> None:
        """A point is read out of the vault, and takes no room."""
        del history, until

    @contextmanager
    def isolate(self, history: History, until: Mapping[str, Any], options: Mapping[str, Any], progress: Progress) -> Iterator[Isolated]:
        """The point itself, read out of the vault as a restore reads it; with the option ``against`` the objects at that address.

        A copy in a folder is made for whoever asks for ``connection``, and removed on leaving; after a kill by the next use.
        """
        from holdfast.systems.bucket.proof.against import AgainstView
        from holdfast.systems.bucket.proof.view import PointView

        chosen = targets.choose(self.name, history.points(), until)
        reader = history.open(chosen.point.id)
        place = {"point": chosen.point.id, "time": chosen.as_of.isoformat() if chosen.as_of else chosen.point.stop.get("time")}
        reached = {**place, "place": dict(place), "bytes": chosen.point.totals.bytes, "log_bytes": 0}
        selection = Selection.of(tuple(options.get("paths") or ()), chosen.point, chosen.as_of)
        source = str(chosen.point.facts.get("url") or self.settings.url)
        against = options.get("against")
        if not against:
            with ExitStack() as stack:

                def copy() -> str:
                    size = chosen.point.totals.bytes
                    box = stack.enter_context(boxes.open_box(self.sandbox, "bucket", size, self.allowed))
                    wanted = {"paths": options.get("paths") or ()}
                    plan = self.plan_restore(history, RestoreRequest(box / "objects", until, wanted))
                    return str(self.restore(history, plan, progress).into)

                yield PointView(reader, selection, source, reached, progress, copy)
            return
        store = self.settings.open(str(against))
        try:
            yield AgainstView(
                reader, selection, source, str(against), store, reached, self.settings.threads, quick=bool(options.get("quick"))
            )
        finally:
            store.close()

    @contextmanager
    def source(self, on: str | None = None) -> Iterator[Isolated]:
        from holdfast.systems.bucket.proof.view import SourceView

        if on:
            raise BucketUsage(f"A bucket has no member {on!r}.", hint="Leave it out.")
        store = self.settings.open(self.settings.url)
        try:
            yield SourceView(self.settings, store, {"time": self.clock.now().isoformat()})
        finally:
            store.close()

    def at_rest(self, ask: Callable[[Isolated], Any], on: str | None = None) -> tuple[Any, Mapping[str, Any] | None]:
        """What the bucket says, and the point whose state it is in: none when something was changed since the newest point."""
        from holdfast.systems.bucket.proof.against import newest_matching

        history = self.history() if self.history is not None else None
        with self.source(on) as view:
            before = newest_matching(self.settings, history)
            # Nothing is read of a bucket that is elsewhere by now: there is no moment to compare at.
            answer = ask(view) if before is not None else None
            after = newest_matching(self.settings, history) if before is not None else None
        return answer, {"kind": "point", "point": before} if before is not None and before == after else None

    def left_out(self, history: History) -> LeftOut:
        from holdfast.systems.bucket.proof.missed import left_out

        return left_out(self.settings, history)

    # ------------------------------------------------------------ by hand

    def spot(self, history: History, point: str, draw: random.Random, nonce: str) -> Spot:
        line = spots.choose(history.open(point), draw, lambda one: not is_marker(one))
        key = name_of(line.path).key
        restore = (f"holdfast restore {self.name} --into /NEW/FOLDER --to {point} --path {shlex.quote(key)}",)
        prove = spots.by_shell(nonce, shlex.quote(f"/NEW/FOLDER/{key.removeprefix(folder_of(self.settings.url))}"))
        return Spot(key, line.size, "docs/guide-buckets.md", restore, prove, {"path": line.path})

    def spot_hash(self, history: History, point: str, how: Mapping[str, Any], nonce: str) -> str:
        return spots.hashed(history.open(point), str(how["path"]), nonce)

    def sweep(self) -> Sequence[str]:
        return boxes.sweep(self.sandbox, "bucket")
