"""A plan, joined with the vault, the systems, the state and the journal it speaks of."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from holdfast.assembly.systems import bucket, delta, files
from holdfast.assembly.systems.postgres import PostgresSystems
from holdfast.model import Progress, RecoveryPoint

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from holdfast.protection.backup import Wish
    from holdfast.protection.history import Past
    from holdfast.systems.bucket.recovery import BucketRecovery
    from holdfast.systems.bucket.system import BucketSystem
    from holdfast.systems.contract import Exported
    from holdfast.systems.delta.recovery import DeltaRecovery
    from holdfast.systems.delta.system import DeltaSystem
    from holdfast.systems.files.images import Pushed
    from holdfast.systems.files.recovery import FilesRecovery
    from holdfast.systems.files.system import FilesSystem
    from holdfast.systems.postgres.recovery import PostgresRecovery
    from holdfast.systems.postgres.system import PostgresSystem
    from holdfast.vault.prune import Pruned, PrunePlan


class Platform(PostgresSystems):
    """Everything is made when it is first asked for. Close it when done."""

    def system(self, name: str) -> "PostgresSystem | FilesSystem | DeltaSystem | BucketSystem":
        """The protected system of that name. Raises UnknownSystem, KindNotThereYet."""
        kind = self._kind(name)
        if kind == "delta":
            return delta.system(self, name)
        if kind == "bucket":
            return bucket.system(self, name)
        return files.system(self, name) if kind == "files" else self.postgres(name)

    def recovery(self, name: str) -> "PostgresRecovery | FilesRecovery | DeltaRecovery | BucketRecovery":
        """The same system, as one that can be returned to a moment of its history."""
        kind = self._kind(name)
        if kind == "delta":
            return delta.recovery(self, name)
        if kind == "bucket":
            return bucket.recovery(self, name)
        return files.recovery(self, name) if kind == "files" else self.postgres_recovery(name)

    def searchable(self, name: str) -> "PostgresRecovery | DeltaRecovery":
        """The same system, as one whose history can be searched. Raises KindLacks."""
        return delta.recovery(self, name) if self._kind(name) == "delta" else self.postgres_recovery(name)

    def push_images(
        self, name: str, until: "Mapping[str, Any]", url: str, only: "Sequence[str]", progress: Progress
    ) -> "tuple[RecoveryPoint, Pushed]":
        """A point's container images into a registry; see ``files.push_images``."""
        return files.push_images(self, name, until, url, only, progress)

    def ranges(self, system: str) -> list[dict[str, Any]]:
        """The stretches of its history that a system can be returned to, besides its points; see the system's own ``ranges``."""
        return self.postgres_ranges(system) if self._kind(system) == "postgres" else []

    def export(self, point: str, folder: Path, *, all_wal: bool, progress: Progress, owner: str | None = None) -> "Exported":
        """A recovery point (its id, how it begins, or its label) in portable form; see the kind's own export."""
        found = self.vault().point(point).point
        if found.kind == "files":
            from holdfast.systems.files.export import export

            return export(found, self.history(found.system), folder, files.parts_of_points(self), clock=self.clock, progress=progress)
        if found.kind == "delta":
            from holdfast.systems.delta.export import export as export_tables

            return export_tables(found, self.history(found.system), folder, delta.of_points(self, found.system), progress)
        if found.kind == "bucket":
            from holdfast.assembly.systems.postgres import KindLacks

            raise KindLacks(
                f"{found.system} is a bucket: its objects are exported by restoring them into a folder.",
                hint=f"holdfast restore {found.system} --into /new/folder --to {found.id[:14]}",
                system=found.system,
            )
        return self.export_postgres(found, folder, all_wal=all_wal, progress=progress, owner=owner)

    def _kind(self, name: str) -> str:
        effective = self.plan.effective(name)
        effective.require_available()
        return effective.kind

    def backup(self, system: str, progress: Progress, wish: "Wish | None" = None) -> RecoveryPoint:
        """One recovery point of one system, recorded; see ``protection.backup``."""
        import socket

        effective = self.plan.effective(system)
        # First: while it derives the key, what else is needed is imported (``ahead``).
        vault = self.vault(system)
        from holdfast.protection.backup import backup

        several = len(effective.locations) > 1
        if wish is not None:
            self.limits = (wish.rate, wish.workers)
        return backup(
            self.system(system),
            vault,
            self.state,
            self.journal,
            self.clock,
            progress,
            wish,
            host=socket.gethostname(),
            copies=effective.min_copies,
            complete=(lambda urls, watch: self.complete(system, watch, urls)) if several else None,
        )

    def prune_plan(self) -> "PrunePlan":
        """What retention says, over all systems and locations of the plan. Nothing is changed. Raises what ``vault.prune.make`` raises."""
        from holdfast.systems.postgres.lsn import replay_begins
        from holdfast.vault.points.retention import Keep
        from holdfast.vault.prune import make

        policies: dict[str, Keep] = {}
        proved: set[str] = set()
        for name in self.plan.systems:
            given = self.plan.effective(name).keep.model_dump(exclude_none=True)
            if given:
                policies[name] = Keep(**given)
            proved |= {proof.point for proof in self.state.proofs.recent(name) if proof.ok and proof.point}
        return make(self.vault(), policies, zone=self.plan.zone, proved=proved, begins=replay_begins)

    def prune(self, plan: "PrunePlan", *, most: float, progress: Progress) -> "Pruned":
        """Carry it out, recorded."""
        from holdfast.protection.recorded import recorded
        from holdfast.vault.prune import run

        with recorded(self.state, self.journal, self.clock, "prune", None, drop=list(plan.drop)) as work:
            self._compact_logs(plan, progress)
            done = run(self.vault(), plan, most=most, progress=work.watch(progress))
            work.add(points=done.points, packs=done.packs, logs=done.logs, bytes=done.bytes)
        return done

    def _compact_logs(self, plan: "PrunePlan", progress: Progress) -> None:
        """Many small log increments become few large ones, in the locations that answered; what they double goes a day later."""
        from holdfast.systems.postgres.follow.meta import merge
        from holdfast.vault.logs.compact import compact_system

        for name in self.plan.systems:
            if self.plan.effective(name).kind == "postgres":
                vault = self.vault(name)
                storages = [storage for storage in vault.locations.storages if storage.url not in plan.silent]
                if storages:
                    progress.phase(f"joining log increments of {name}")
                    compact_system(storages, vault.notary, self.clock, system=name, merge=merge)

    def past(self, name: str) -> "Past":
        """What is known of a system's past; what a location or the vault does not tell is unknown in it, and not raised."""
        from holdfast.errors import HoldfastError

        places = [place.name for place in self.locations(name)]
        try:
            # First: while it derives the key, what else is needed is imported (``ahead``).
            vault = self.vault(name)
            from holdfast.protection.collect import collect

            found = collect(name, vault, dict(zip(places, vault.locations.storages, strict=True)), self.state)
        except HoldfastError as error:
            from holdfast.protection.collect import unknown

            found = unknown(name, places, self.state, error)
        return self._rehearsed(found, name)

    def _rehearsed(self, past: "Past", name: str) -> "Past":
        """With what the journal says of drills."""
        from dataclasses import replace

        from holdfast.drills.findings import Book
        from holdfast.drills.history import drills
        from holdfast.protection.history import Overdue

        # A tabletop rehearses people; that a system comes back is shown by those in which it did.
        ran = [
            one.ended for one in drills(self.journal) if name in one.systems and one.kind != "tabletop" and one.outcome in ("ok", "failed")
        ]
        today = self.plan.local(self.clock.now()).date()
        first = next(iter(self.plan.systems))
        late = [
            Overdue(one.id, one.text, one.owner, one.due)
            for one in Book(self.journal, self.clock).all()
            if one.overdue(today) and (name in one.systems or (not one.systems and name == first))
        ]
        return replace(past, drilled=max((at for at in ran if at is not None), default=None), overdue=late)
