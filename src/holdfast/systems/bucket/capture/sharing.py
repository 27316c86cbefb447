"""A capture whose objects are fetched by other processes: the listing is cut into stretches, and put together in its order."""

import itertools
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from holdfast.systems.bucket.capture.run import BucketCapture, Pair
from holdfast.systems.bucket.entries import name_of
from holdfast.systems.bucket.errors import SharedOdd, SharedUnseen
from holdfast.systems.contract import Done

LARGEST = 256 << 20
"""Bytes of a stretch's objects that are fetched, unless one has more: what a lost process costs at most."""
MOST = 10_000
"""Objects of a stretch that are fetched."""
_PAIRS = 50_000
_REQUEST = 16 << 10
"""What a request costs, told in bytes: many small objects are worth sharing, too."""


@dataclass(frozen=True)
class Stretch:
    """``pairs`` in the order of the listing. ``cost``: bytes to be fetched, and what the requests for them cost."""

    pairs: list[Pair]
    cost: int

    def runs(self) -> Iterator[tuple[bool, list[Pair]]]:
        """Neighbours that are alike: (whether they are fetched, they)."""
        for fresh, some in itertools.groupby(self.pairs, lambda pair: pair[1] is None):
            yield fresh, list(some)


def stretches(pairs: Iterable[Pair]) -> Iterator[Stretch]:
    """The same for the same listing over the same base."""
    held: list[Pair] = []
    size = fresh = 0
    for pair in pairs:
        cost = pair[0].size + _REQUEST if pair[1] is None else 0
        if held and (len(held) >= _PAIRS or (cost and (fresh >= MOST or size + cost > LARGEST))):
            yield Stretch(held, size)
            held, size, fresh = [], 0, 0
        held.append(pair)
        size += cost
        fresh += bool(cost)
    if held:
        yield Stretch(held, size)


class SharedCapture(BucketCapture):
    """One run, as its base class; ``settings.sharing`` is there. Raises SharedOdd, SharedUnseen besides, and what the pool does."""

    def _objects(self) -> None:
        sharing = self.settings.sharing
        assert sharing is not None
        cut = stretches(self._pairs())
        for stretch in cut:
            if not stretch.cost or stretch.cost < sharing.least:
                self._here(stretch.pairs)
                continue
            with sharing.open(self.progress) as pool:
                self.progress.phase("objects")
                waiting: deque[Stretch] = deque()
                for done in pool.store(_asked(itertools.chain((stretch,), cut), waiting)):
                    self._merge(waiting.popleft(), done)

    def _merge(self, stretch: Stretch, done: Done) -> None:
        """A stretch into the point, in its order."""
        if not stretch.cost:
            self._here(stretch.pairs)
            return
        counts = [int(one) for one in done.report["stored"]]
        self._require_asked(stretch, done, counts)
        at = number = 0
        for fresh, pairs in stretch.runs():
            if not fresh:
                self._here(pairs)
                continue
            self._bulk.flush()
            self.writer.adopt(done.shard, range(at, at + counts[number]))
            at, number = at + counts[number], number + 1
        for name, value in done.report["counts"].items():
            self._counts[name] += int(value)
        self._asked += int(done.report["get"])
        self._tagged += int(done.report["tags"])
        self.ledger.add(done.report["ledger"])
        self.progress.advance(int(done.report["counts"]["bytes"]) + int(done.report["counts"]["older_bytes"]))

    def _require_asked(self, stretch: Stretch, done: Done, counts: list[int]) -> None:
        """That the worker handed over objects it was asked for, in their order, and that those it did not find are not there."""
        asked = [[listed.key for listed, _ in pairs] for fresh, pairs in stretch.runs() if fresh]
        keys = iter([name_of(path).key for path in done.shard.paths()])
        told = [list(itertools.islice(keys, count)) for count in counts]
        if len(told) != len(asked) or next(keys, None) is not None or not all(map(_within, told, asked)):
            raise SharedOdd(
                f"A worker was asked for {sum(map(len, asked))} objects, and handed over others.",
                hint="Nothing was committed. Who else can write with the workers' key?",
            )
        gone = set(done.report["ledger"]["keys"])
        for listed, _ in stretch.pairs if gone else ():
            if listed.key in gone:
                now = self.store.describe(listed.key, listed.version)
                if now is not None and now.etag == listed.etag:
                    raise SharedUnseen(
                        f"A worker found no {listed.key!r} in {self.settings.url}, and it is there, unchanged.",
                        hint="A folder must be mounted on all workers under the same path.",
                    )


def _asked(cut: Iterable[Stretch], waiting: deque[Stretch]) -> Iterator[Mapping[str, Any] | None]:
    for stretch in cut:
        waiting.append(stretch)
        runs = [[list(listed) for listed, _ in pairs] for fresh, pairs in stretch.runs() if fresh]
        yield {"runs": runs} if runs else None


def _within(told: list[str], asked: list[str]) -> bool:
    """Whether ``asked`` holds all of ``told``, in order."""
    left = iter(asked)
    return all(any(one == other for other in left) for one in told)
