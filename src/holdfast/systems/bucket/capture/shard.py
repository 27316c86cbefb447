"""What a process of a pool does for a capture of a bucket."""

from collections.abc import Iterator, Mapping
from typing import Any

from holdfast.connect.objects import Job, Listed, in_order
from holdfast.model import Progress
from holdfast.systems.bucket.capture.groups import AHEAD
from holdfast.systems.bucket.capture.run import BucketCapture
from holdfast.systems.bucket.listing import BUDGET
from holdfast.systems.bucket.settings import BucketSettings
from holdfast.systems.contract import CaptureWriter


class _Runs(BucketCapture):
    def take(self, runs: list[list[Listed]]) -> list[int]:
        """Fetch each run's objects; how many entries each made."""
        stored: list[int] = []
        before = 0
        for job in in_order(self._marked(runs), threads=self.settings.threads, budget=BUDGET, most=AHEAD):
            if job.what is not None:
                self._take(job)
                continue
            self._end_part()
            made = sum(self._counts[name] for name in ("objects", "older", "markers"))
            stored.append(made - before)
            before = made
        self._bulk.flush()
        self.writer.flush()
        return stored

    def _marked(self, runs: list[list[Listed]]) -> Iterator[Job[Any]]:
        for run in runs:
            yield from self._jobs((listed, None) for listed in run)
            yield Job(None)

    def report(self, stored: list[int]) -> dict[str, Any]:
        told = {"counts": dict(self._counts), "get": self._asked, "tags": self._tagged}
        return {"stored": stored, **told, "ledger": self.ledger.to_json()}


def store(settings: BucketSettings, shard: Mapping[str, Any], writer: CaptureWriter, progress: Progress) -> dict[str, Any]:
    """The objects of a shard's runs, in their order. ``stored``: how many entries each run made."""
    objects = settings.open(settings.url)
    try:
        work = _Runs(settings, objects, writer, progress)
        return work.report(work.take([[Listed(*one) for one in run] for run in shard["runs"]]))
    finally:
        objects.close()
