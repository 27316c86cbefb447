"""Work done ahead by many threads, its results in the order of the jobs: how many objects are read at once while one thread orders them."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

T = TypeVar("T")


@dataclass(slots=True)
class Job(Generic[T]):
    """``what`` belongs to the caller. ``run`` None: nothing to be done, it only keeps its place. ``cost``: bytes its result holds."""

    what: Any
    run: Callable[[], T] | None = None
    cost: int = 0
    future: "Future[T] | None" = None

    def result(self) -> T:
        """Waits; raises what ``run`` raised."""
        assert self.future is not None
        return self.future.result()


def in_order(jobs: Iterable[Job[T]], *, threads: int = 16, budget: int = 64 << 20, most: int = 4096) -> Iterator[Job[T]]:
    """Each job in order, started at least; as many run ahead as ``threads`` allow, holding at most ``budget`` bytes and ``most`` jobs.

    A job may be larger than the budget: then it runs alone. Leaving the iterator early waits for the running ones and drops the others.
    """
    waiting: deque[Job[T]] = deque()
    held = 0
    pool = ThreadPoolExecutor(threads, thread_name_prefix="objects")
    try:
        for job in jobs:
            while waiting and (held + job.cost > budget or len(waiting) >= most or _ready(waiting[0])):
                first = waiting.popleft()
                yield first
                held -= first.cost
            if job.run is not None:
                job.future = pool.submit(job.run)
            held += job.cost
            waiting.append(job)
        while waiting:
            yield waiting.popleft()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _ready(job: Job[Any]) -> bool:
    return job.future is None or job.future.done()
