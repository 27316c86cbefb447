"""A pool in this process: what Spark's does, without Spark."""

import contextlib
from collections.abc import Iterator

from holdfast.assembly.executor.order import Order
from holdfast.assembly.executor.pools import TextPool
from holdfast.assembly.executor.work import run


@contextlib.contextmanager
def local_pool(order: Order, scan: Order | None = None, width: int = 2) -> Iterator[TextPool]:
    """Shards are done by threads of this process, each by a session of its own."""
    yield TextPool(order, scan, run, lambda: width)
