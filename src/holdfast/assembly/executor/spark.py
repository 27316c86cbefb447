"""Spark's workers as a pool. The only file that knows pyspark, and only when a pool is opened."""

import contextlib
import json
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from concurrent.futures import TimeoutError as NotYet
from typing import IO, Any

from holdfast import __version__
from holdfast.assembly.executor import gateway
from holdfast.assembly.executor.errors import ExecutorFailed, ExecutorUnreachable
from holdfast.assembly.executor.order import Order, differs
from holdfast.assembly.executor.pools import TextPool
from holdfast.model import Clock, Progress
from holdfast.plan.shape.systems.executor import Executor

PATIENCE = 120.0
"""Seconds without any worker before a pool gives up."""
_LOOK = 2.0


class Cluster:
    """A Spark application of ours. Used by many threads; ``close`` ends it."""

    def __init__(self, context: Any, log: IO[bytes], clock: Clock, patience: float) -> None:
        self._context, self._log, self._clock, self._patience = context, log, clock, patience
        self._task = _task()
        self._local = str(context.master).startswith("local")

    def run(self, text: str) -> str:
        """An order's answer, out of some worker. Raises ExecutorFailed."""
        return str(self._collect([text])[0])

    def hosts(self) -> dict[str, str]:
        """By host of a worker: its version of Holdfast, in words where there is none. Not all need be among them."""
        count = 4 * max(2, self.cores)
        return dict(json.loads(one) for one in self._collect([""] * count))

    @property
    def cores(self) -> int:
        return int(self._context.defaultParallelism)

    @property
    def executors(self) -> int:
        if self._local:
            return 1
        try:
            # The driver is counted among them.
            return len(self._context._jsc.sc().statusTracker().getExecutorInfos()) - 1  # noqa: SLF001 - pyspark shows it nowhere else
        except Exception:  # noqa: BLE001 - an application that has ended has none; whoever waits hears of that by its answer
            return 0

    def wait(self, future: "Future[Any]", progress: Progress) -> Any:
        """Its result. Raises ExecutorUnreachable when no worker was there for too long: Spark itself would wait for ever. ``progress`` is
        called now and then, for it may raise.
        """
        since = self._clock.monotonic()
        while True:
            try:
                return future.result(timeout=_LOOK)
            except NotYet:
                if future.done():
                    raise
            progress.advance(0)
            now = self._clock.monotonic()
            if self.executors > 0:
                since = now
            elif now - since > self._patience:
                raise ExecutorUnreachable(
                    f"{self._context.master} has given no worker for {self._patience:.0f} s.",
                    hint="Are workers registered there, with free cores, and as much memory as spark.executor.memory asks for?",
                )

    def _collect(self, texts: list[str]) -> list[Any]:
        from py4j.protocol import Py4JError, Py4JNetworkError

        try:
            return list(self._context.parallelize(texts, len(texts)).map(self._task).collect())
        except (Py4JError, Py4JNetworkError, OSError) as error:
            raise failed(str(error), self._tail()) from error

    def _tail(self) -> str:
        self._log.flush()
        self._log.seek(0)
        return self._log.read()[-20000:].decode(errors="replace")

    def close(self) -> None:
        gateway.end(self._context)


def _task() -> Callable[[str], str]:
    """Sent to the workers as it stands, with nothing of Holdfast around it: so it can say that there is none."""

    def task(text: str) -> str:
        import json
        import socket

        try:
            import holdfast
        except ImportError:
            version = None
        else:
            version = holdfast.__version__
        if not text:
            return json.dumps([socket.gethostname(), version or "nowhere that its Python finds it"])
        if version != json.loads(text)["version"]:
            return json.dumps({"host": socket.gethostname(), "differs": version or "nowhere that its Python finds it"})
        from holdfast.assembly.executor.work import run

        return run(text)

    return task


def failed(text: str, log: str) -> ExecutorFailed:
    """What Spark says of a job that it gave up, in a sentence."""
    lines = [line.strip() for line in text.splitlines()]
    raised = [line for line in lines if line and not line.startswith(("at ", "File ", "...", "Driver stacktrace"))]
    python = [line for line in raised if ": " in line and line.split(":")[0].rpartition(".")[2].endswith(("Error", "Exception"))]
    said = next((line for line in python if "Py4J" not in line and "SparkException" not in line), "")
    aborted = next(
        (line for line in raised if "Job aborted" in line or "cancelled" in line), raised[0] if raised else "no reason was given"
    )
    return ExecutorFailed(
        f"Spark gave a shard up: {said or aborted}"[:1000],
        hint="Nothing was committed; what was stored is reused by the next run. Spark's page and the workers' logs say more.",
        spark=aborted[:2000],
        log=log[-2000:],
    )


@contextlib.contextmanager
def cluster(spec: Executor, name: str, clock: Clock, patience: float = PATIENCE) -> Iterator[Cluster]:
    """Raises MissingExtra, ExecutorUnreachable."""
    gateway.require_answer(spec.spark)
    with tempfile.TemporaryFile() as log:
        context = gateway.begin(settings(spec, name), spec.python, log)
        made = Cluster(context, log, clock, patience)
        try:
            yield made
        finally:
            made.close()


def settings(spec: Executor, name: str) -> Mapping[str, str]:
    """Of the application. No secret is among them: Spark shows them to whoever asks."""
    return {
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.log.level": "WARN",
        # Where the number of cores is given, all of them are waited for (30 s at most).
        "spark.scheduler.minRegisteredResourcesRatio": "1.0",
        **spec.options,
        "spark.master": spec.spark,
        "spark.app.name": f"holdfast {name}",
    }


@contextlib.contextmanager
def spark_pool(
    spec: Executor, order: Order, scan: Order | None, clock: Clock, progress: Progress, patience: float = PATIENCE
) -> Iterator[TextPool]:
    """Raises MissingExtra, ExecutorUnreachable, ExecutorDiffers."""
    progress.phase(f"asking {spec.spark} for workers")
    with cluster(spec, order.system, clock, patience) as found:
        require_same(in_time(found, found.hosts, progress))
        yield TextPool(order, scan, found.run, lambda: found.cores, lambda answer: str(found.wait(answer, progress)))


def in_time(found: Cluster, ask: Callable[[], Any], progress: Progress) -> Any:
    """What ``ask`` returns, in a thread of its own: a cluster without workers never answers. Raises ExecutorUnreachable."""
    future: Future[Any] = Future()

    def run() -> None:
        try:
            future.set_result(ask())
        except BaseException as error:  # noqa: BLE001 - raised to who waits
            future.set_exception(error)

    threading.Thread(target=run, name="spark", daemon=True).start()
    return found.wait(future, progress)


def require_same(hosts: Mapping[str, str]) -> None:
    """Raises ExecutorDiffers."""
    for host, version in sorted(hosts.items()):
        if version != __version__:
            raise differs(f"{version} ({host})", __version__)
