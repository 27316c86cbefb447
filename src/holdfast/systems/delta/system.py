"""Delta tables as a system that Holdfast protects."""

from collections.abc import Mapping, Sequence
from typing import Any

from holdfast.errors import HoldfastError
from holdfast.model import Clock, Progress, RecoveryPoint, SystemClock
from holdfast.systems.contract import Capabilities, CaptureWriter, LogStore, Probe
from holdfast.systems.delta.capture.pin import pin
from holdfast.systems.delta.capture.run import Capture, stream_place
from holdfast.systems.delta.capture.streams import look
from holdfast.systems.delta.settings import DeltaSettings
from holdfast.systems.delta.tables import find, prefix
from holdfast.systems.delta.vacuum import safety


class DeltaSystem:
    """Tables below one address. Satisfies ``systems.contract.System``."""

    kind = "delta"
    # Files never change under their name, and are written in one go: large chunks cost less and lose nothing.
    capabilities = Capabilities(isolated_restore=True, point_in_time=True, builds_on_findings=True, chunk_size=1 << 20)

    def __init__(self, name: str, settings: DeltaSettings, *, clock: Clock | None = None) -> None:
        self.name = name
        self.settings = settings
        self.clock = clock or SystemClock()

    def probe(self) -> Sequence[Probe]:
        try:
            store = (self.settings.probing or self.settings.open)(self.settings.url)
            names = find(store, self.settings.tables)
        except HoldfastError as error:
            return [Probe(f"lake {self.settings.url}", "fail", error.message, error.hint)]
        if not names:
            return [Probe(f"lake {self.settings.url}", "fail", "holds no Delta table", "Look at url and tables in the plan.")]
        found = []
        for name in names:
            label = f"table {name or self.settings.url}"
            try:
                one = pin(store, name)
            except HoldfastError as error:
                found.append(Probe(label, "fail", error.message, error.hint))
                continue
            state = one.snapshot
            using = f"; {', '.join(sorted(state.features))}" if state.features else ""
            detail = f"version {state.version}, {len(state.files)} files, {state.size} bytes{using}"
            if state.damaged:
                found.append(Probe(label, "warn", " ".join([detail, *state.damaged]), "Write a new checkpoint of the table."))
            else:
                found.append(Probe(label, "ok", detail))
            found += safety(name or self.settings.url, state, self.settings)
        for given in self.settings.streams:
            _, place, folder = stream_place(self.settings, store, given)
            try:
                stream = look(given, place, folder)
            except HoldfastError as error:
                found.append(Probe(f"stream {given}", "fail", error.message, error.hint))
                continue
            if stream is None:
                found.append(Probe(f"stream {given}", "warn", "holds no checkpoint of a query", "Look at the address in the plan."))
            else:
                found.append(Probe(f"stream {given}", "ok", f"query {stream.id}, batch {stream.before}"))
        if self.settings.sharing is not None:
            found += self.settings.sharing.probe()
        return found

    def coordinate(self) -> Mapping[str, Any]:
        from holdfast.systems.delta.log.listing import StoredLog, listing

        store = self.settings.open(self.settings.url)
        names = find(store, self.settings.tables)
        return {
            "time": self.clock.now().isoformat(),
            "versions": {name: listing(StoredLog(store, prefix(name))).newest for name in names},
        }

    def capture(self, writer: CaptureWriter, progress: Progress, *, logs: LogStore | None = None) -> RecoveryPoint:
        """Raises TableMissing, NothingFound, LogBroken, FeatureUnknown, RaceLost; nothing is committed then."""
        del logs
        store = self.settings.open(self.settings.url)
        return Capture(self.settings, store, writer, progress, self.clock, self.name).run(self.kind)

    def store(self, shard: Mapping[str, Any], writer: CaptureWriter, progress: Progress) -> Mapping[str, Any]:
        """See ``systems.contract.Shared``."""
        from holdfast.systems.delta.capture import shard as shards

        return shards.store(self.settings, shard, writer, progress)
