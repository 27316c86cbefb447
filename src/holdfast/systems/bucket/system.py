"""A bucket as a system that Holdfast protects."""

from collections.abc import Mapping, Sequence
from typing import Any

from holdfast.model import Clock, Progress, RecoveryPoint, SystemClock
from holdfast.systems.bucket.capture.run import BucketCapture
from holdfast.systems.bucket.capture.sharing import SharedCapture
from holdfast.systems.bucket.probe import probe
from holdfast.systems.bucket.settings import BucketSettings
from holdfast.systems.contract import Capabilities, CaptureWriter, LogStore, Probe


class BucketSystem:
    """Satisfies ``systems.contract.System``."""

    kind = "bucket"
    capabilities = Capabilities(isolated_restore=True, delta_restore=True, builds_on_findings=True)

    def __init__(self, name: str, settings: BucketSettings, *, clock: Clock | None = None) -> None:
        self.name = name
        self.settings = settings
        self.clock = clock or SystemClock()

    def probe(self) -> Sequence[Probe]:
        sharing = self.settings.sharing
        return [*probe(self.settings, self.clock), *(sharing.probe() if sharing is not None else ())]

    def coordinate(self) -> Mapping[str, Any]:
        return {"time": self.clock.now().isoformat()}

    def capture(self, writer: CaptureWriter, progress: Progress, *, logs: LogStore | None = None) -> RecoveryPoint:
        """One recovery point. Objects that could not be read are named in its findings; ``facts.incomplete`` counts them.

        Raises BucketEmptied, ListingUnordered, StoreDenied, StoreThrottled, StoreUnreachable; then nothing is committed.
        """
        del logs
        start = self.coordinate()
        store = self.settings.open(self.settings.url)
        try:
            shared = self.settings.sharing is not None
            work = (SharedCapture if shared else BucketCapture)(self.settings, store, writer, progress)
            facts = work.run()
        finally:
            store.close()
        gone = work.ledger.vanished
        if gone:
            progress.note(f"{self.name}: {gone} objects were gone when it was their turn, and are not in the point.")
        told = {"url": self.settings.url, "prefixes": list(self.settings.prefixes), "versions": self.settings.versions}
        return writer.commit(kind=self.kind, start=start, stop=self.coordinate(), facts={**told, **facts}, findings=work.ledger.findings())

    def store(self, shard: Mapping[str, Any], writer: CaptureWriter, progress: Progress) -> Mapping[str, Any]:
        """See ``systems.contract.Shared``."""
        from holdfast.systems.bucket.capture import shard as shards

        return shards.store(self.settings, shard, writer, progress)
