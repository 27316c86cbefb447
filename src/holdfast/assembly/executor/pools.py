"""What all pools do alike: texts out, answers in, in order and a bounded number ahead."""

import json
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from holdfast import __version__
from holdfast.assembly.executor.errors import ExecutorNonsense, from_json
from holdfast.assembly.executor.order import Order, differs
from holdfast.systems.contract import Done
from holdfast.vault.capture.shard import Shard

_MOST = 64
"""Shards that are asked for at once, however many workers there are: each is a thread here, and an answer that waits."""


_NOTHING: "Future[str]" = Future()
_NOTHING.set_result('{"host": "", "report": {}}')


class TextPool:
    """Satisfies ``systems.contract.Pool``. ``run`` brings an order's text to some process and returns its answer; called by many threads.

    ``wait`` waits for an answer, and raises where none will come.
    """

    def __init__(
        self,
        order: Order,
        scan: Order | None,
        run: Callable[[str], str],
        width: Callable[[], int],
        wait: "Callable[[Future[str]], str]" = lambda future: future.result(),
    ) -> None:
        self._order, self._scan, self._run, self._width, self._wait = order, scan, run, width, wait

    @property
    def width(self) -> int:
        return max(1, self._width())

    def store(self, shards: Iterable[Mapping[str, Any] | None]) -> Iterator[Done]:
        return self._map("store", self._order, shards)

    def scan(self, shards: Iterable[Mapping[str, Any] | None]) -> Iterator[Done]:
        assert self._scan is not None, "nothing was said of scans"
        return self._map("scan", self._scan, shards)

    def _map(self, work: str, order: Order, shards: Iterable[Mapping[str, Any] | None]) -> Iterator[Done]:
        waiting: deque[Future[str]] = deque()
        threads = ThreadPoolExecutor(_MOST, thread_name_prefix="shards")
        try:
            for shard in shards:
                # Twice as many as workers: who is done early finds the next one, and a cluster may grow.
                while len(waiting) >= min(_MOST, 2 * self.width):
                    yield _done(self._wait(waiting.popleft()))
                waiting.append(_NOTHING if shard is None else threads.submit(self._run, order.to_text(work, shard)))
            while waiting:
                yield _done(self._wait(waiting.popleft()))
        finally:
            threads.shutdown(wait=False, cancel_futures=True)


def _done(text: str) -> Done:
    """Raises what the worker raised, and ExecutorNonsense."""
    try:
        document = json.loads(text)
        host = str(document["host"])
        if "differs" in document:
            raise differs(f"{document['differs']} ({host})", __version__)
        if "error" in document:
            raise from_json(document["error"], host)
        stored = document.get("shard")
        return Done(document["report"], None if stored is None else Shard.from_json(stored))
    except (ValueError, KeyError, TypeError) as error:
        raise ExecutorNonsense(
            f"A worker's answer is none: {type(error).__name__}: {error}.", hint="Is Holdfast the same on all workers?"
        ) from error
