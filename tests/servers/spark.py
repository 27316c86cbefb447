"""A real Spark with Delta Lake, in processes of its own: a local session, or a standalone master with workers. On loopback alone."""

import atexit
import contextlib
import fcntl
import json
import os
import re
import select
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
import weakref
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, Self

from tests.servers.account import server_folder
from tests.servers.need import ServerMissing
from tests.servers.ports import free_port
from tests.servers.versions import services_folder

SPARK = "4.0.1"
# Maven artifacts and their SHA-256.
JARS = {
    "io.delta:delta-spark_2.13:4.0.0": "538511702aae0ef6973a6a70af3d4543c9009f8edbed786a00737e2d3cd7f04e",
    "io.delta:delta-storage:4.0.0": "9bdb9fb450f1e119eba53feb427f331b0d09072d26485b8273883ad72c9a2e1d",
}

_live: "weakref.WeakSet[_Processes]" = weakref.WeakSet()


class SparkError(RuntimeError):
    """What Spark answered to a request that failed."""


def spark_folder() -> Path:
    """Where ``make services`` puts Spark: ``python`` holds the packages, ``jars`` Delta's jars."""
    return services_folder() / f"spark-{SPARK}"


@cache
def java_home() -> Path | None:
    """A Java that this Spark runs on (17 or 21), or None. HOLDFAST_JAVA_HOME names one."""
    override = os.environ.get("HOLDFAST_JAVA_HOME")
    places = [Path(override)] if override else [*sorted(Path("/usr/lib/jvm").glob("*17*")), *sorted(Path("/usr/lib/jvm").glob("*21*"))]
    found = shutil.which("java")
    if found and not override:
        places.append(Path(found).resolve().parent.parent)
    for place in places:
        with contextlib.suppress(OSError, subprocess.SubprocessError):
            told = subprocess.run([place / "bin" / "java", "-version"], capture_output=True, text=True, check=True, timeout=60).stderr
            if re.search(r'version "(17|21)[."]', told):
                return place
    return None


def spark_installed() -> Path:
    """The folder; raises ServerMissing."""
    folder = spark_folder()
    if not (folder / "python" / "pyspark").exists():
        raise ServerMissing("Spark is not on this machine; `make services` gets it")
    if java_home() is None:
        raise ServerMissing("Spark needs Java 17 or 21; `make services` gets it")
    return folder


def s3a_folder() -> Path:
    """Where ``make services`` puts Hadoop's client for S3: jars."""
    return services_folder() / "s3a-3.4.1"


def s3a(home: Path, endpoint: str, access: str, secret: str) -> dict[str, str]:
    """More settings of a session that reads and writes s3a://. Raises ServerMissing."""
    if not s3a_folder().exists():
        raise ServerMissing("Hadoop's client for S3 is not on this machine; `make services` gets it")
    jars = ":".join(str(jar) for folder in (spark_installed() / "jars", s3a_folder()) for jar in sorted(folder.glob("*.jar")))
    return {
        "spark.driver.extraClassPath": jars,
        "spark.executor.extraClassPath": jars,
        "spark.hadoop.fs.s3a.endpoint": endpoint,
        "spark.hadoop.fs.s3a.endpoint.region": "us-east-1",
        "spark.hadoop.fs.s3a.access.key": access,
        "spark.hadoop.fs.s3a.secret.key": secret,
        "spark.hadoop.fs.s3a.aws.credentials.provider": "org.apache.hadoop.fs.s3a.SimpleAWSCredentialsProvider",
        "spark.hadoop.fs.s3a.path.style.access": "true",
        "spark.hadoop.fs.s3a.connection.ssl.enabled": "false",
        "spark.hadoop.fs.s3a.buffer.dir": str(home),
    }


def environment(home: Path) -> dict[str, str]:
    """A small, predictable environment for every process of Spark."""
    folder = spark_installed()
    return {
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "HOME": str(home),
        "LC_ALL": "C.UTF-8",
        "TZ": "UTC",
        "JAVA_HOME": str(java_home()),
        "SPARK_HOME": str(folder / "python" / "pyspark"),
        "SPARK_LOCAL_IP": "127.0.0.1",
        "SPARK_LOCAL_HOSTNAME": "127.0.0.1",
        "SPARK_LOCAL_DIRS": str(home / "local"),
        "PYSPARK_PYTHON": sys.executable,
        "PYTHONPATH": str(folder / "python"),
        "PYTHONDONTWRITEBYTECODE": "1",
    }


def settings(home: Path, master: str, heap: str) -> dict[str, str]:
    """What a session runs with: small, without a page of its own, times in UTC."""
    jars = ":".join(str(jar) for jar in sorted((spark_installed() / "jars").glob("*.jar")))
    return {
        "spark.master": master,
        "spark.driver.memory": heap,
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.host": "127.0.0.1",
        # Short-lived: compiled quickly rather than well.
        "spark.driver.extraJavaOptions": f"-XX:+UseSerialGC -XX:TieredStopAtLevel=1 -Duser.timezone=UTC -Dderby.system.home={home}",
        "spark.driver.extraClassPath": jars,
        "spark.executor.extraClassPath": jars,
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.sql.warehouse.dir": str(home / "warehouse"),
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.shuffle.partitions": "2",
        "spark.default.parallelism": "2",
        # Of the size of these tables: nothing is compiled for a dozen rows, and a vacuum lists in two tasks instead of 10,000.
        "spark.sql.codegen.wholeStage": "false",
        "spark.sql.codegen.factoryMode": "NO_CODEGEN",
        "spark.sql.adaptive.enabled": "false",
        "spark.sql.sources.parallelPartitionDiscovery.parallelism": "2",
        "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
        "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
        "spark.databricks.delta.snapshotPartitions": "2",
        "spark.databricks.delta.retentionDurationCheck.enabled": "false",
    }


class _Processes:
    """Processes in a folder of their own, each in a group that is ended as a whole."""

    def __init__(self) -> None:
        self.folder = server_folder("spark", keep=True)
        (self.folder / "local").mkdir()
        self.processes: list[subprocess.Popen[str]] = []
        _live.add(self)

    def launch(self, command: list[str | Path], log: str, **options: Any) -> subprocess.Popen[str]:
        given = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, **options}
        with (self.folder / log).open("ab") as errors:
            if given["stdout"] == subprocess.DEVNULL:
                given["stdout"] = errors
            process: subprocess.Popen[str] = subprocess.Popen(
                command, stderr=errors, cwd=self.folder, env=environment(self.folder), start_new_session=True, text=True, **given
            )
        self.processes.append(process)
        return process

    def end(self, process: subprocess.Popen[str]) -> None:
        """Kills it with what it started (a session's Java lives in its group)."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(30)
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()

    def remove(self) -> None:
        for process in self.processes:
            self.end(process)
        _live.discard(self)
        shutil.rmtree(self.folder, ignore_errors=True)

    def log_text(self, log: str = "log") -> str:
        with contextlib.suppress(OSError):
            return (self.folder / log).read_text(errors="replace")[-6000:]
        return ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.remove()


class SparkSession(_Processes):
    """One session. ``sql`` runs a statement, ``rows`` reads a Delta table at a version, ``python`` runs code where ``spark`` is defined."""

    def __init__(self, *, master: str = "local[2]", heap: str = "1g", extra: Mapping[str, str] | None = None, timeout: float = 240) -> None:
        super().__init__()
        try:
            program = Path(__file__).with_name("spark_session.py")
            # Its own bare interpreter: nothing of the checkout is imported, so nothing of it can shadow Spark's packages.
            self.process = self.launch([sys.executable, program], "log", stdin=subprocess.PIPE, stdout=subprocess.PIPE)
            self.version = self._ask({**settings(self.folder, master, heap), **(extra or {})}, timeout)
        except BaseException:
            self.remove()
            raise

    def sql(self, text: str, *, timeout: float = 240) -> list[dict[str, Any]]:
        """Rows by column name. Raises SparkError."""
        return self._ask({"op": "sql", "text": text}, timeout)

    def rows(self, path: Path | str, version: int | None = None, *, timeout: float = 240) -> dict[str, list[Any]]:
        """``{"columns": […], "rows": […]}`` of a Delta table, rows sorted by their text. Raises SparkError."""
        return self._ask({"op": "rows", "path": str(path), "version": version}, timeout)

    def python(self, code: str, *, timeout: float = 240, **given: Any) -> Any:
        """What the code left in ``result``. ``given`` are names it finds; names it makes stay. Raises SparkError."""
        return self._ask({"op": "python", "code": code, "given": given}, timeout)

    def forget(self) -> None:
        """What it remembers of tables: after one was put in another's place, as a session that is started anew."""
        self.python("spark._jvm.org.apache.spark.sql.delta.DeltaLog.clearCache()")

    def kill9(self) -> None:
        self.end(self.process)

    def _ask(self, request: dict[str, Any], timeout: float) -> Any:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        try:
            self.process.stdin.write(json.dumps(request) + "\n")
            self.process.stdin.flush()
            ready, _, _ = select.select([self.process.stdout], [], [], timeout)
        except OSError as error:
            raise RuntimeError(f"Spark's process is gone: {error}\n{self.log_text()}") from error
        if not ready:
            raise TimeoutError(f"Spark gave no answer in {timeout} s:\n{self.log_text()}")
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"Spark's process ended:\n{self.log_text()}")
        answer = json.loads(line)
        if "error" in answer:
            raise SparkError(answer["error"])
        return answer["ok"]


class SparkCluster(_Processes):
    """A standalone master (``master``: its URL) with workers, each a process of its own with one core."""

    def __init__(self, workers: int = 2, *, memory: str = "1g", timeout: float = 240) -> None:
        super().__init__()
        try:
            self._spark_class = spark_installed() / "python" / "pyspark" / "bin" / "spark-class"
            port, self.page = free_port(), free_port()
            self.master = f"spark://127.0.0.1:{port}"
            where = ["--host", "127.0.0.1", "--port", str(port), "--webui-port", str(self.page)]
            self.launch([self._spark_class, "org.apache.spark.deploy.master.Master", *where], "master.log")
            self._until(lambda state: state["status"] == "ALIVE", timeout)
            self.workers = [self.add_worker(number, memory) for number in range(workers)]
            self._until(lambda state: state["aliveworkers"] == workers, timeout)
        except BaseException:
            self.remove()
            raise

    def add_worker(self, number: int, memory: str = "1g") -> subprocess.Popen[str]:
        words = ["--host", "127.0.0.1", "--port", str(free_port()), "--webui-port", str(free_port()), "--cores", "1", "--memory", memory]
        words += ["--work-dir", str(self.folder / f"work-{number}"), self.master]
        return self.launch([self._spark_class, "org.apache.spark.deploy.worker.Worker", *words], f"worker-{number}.log")

    def _until(self, wanted: Any, timeout: float) -> None:
        end = time.monotonic() + timeout
        state: Any = None
        while time.monotonic() < end:
            with contextlib.suppress(OSError, ValueError):
                with urllib.request.urlopen(f"http://127.0.0.1:{self.page}/json/", timeout=5) as answer:
                    state = json.load(answer)
                if wanted(state):
                    return
            time.sleep(0.1)
        raise TimeoutError(f"Spark's master says {state} after {timeout} s:\n{self.log_text('master.log')}")


_starts = 0
"""Of this process, which are under way: it does not wait for itself."""


@contextlib.contextmanager
def one_at_a_time(patience: float = 120) -> Iterator[None]:
    """Test processes start Spark one after the other, to spare memory. That is a courtesy: after ``patience`` seconds they go on beside."""
    global _starts  # noqa: PLW0603
    with Path("/tmp" if os.access("/tmp", os.W_OK) else ".", f"hf-spark-{os.getuid()}.lock").open("w") as lock:
        end = time.monotonic() + patience
        while not _starts:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > end:
                    break
                time.sleep(0.2)
        _starts += 1
        try:
            yield
        finally:
            _starts -= 1


@atexit.register
def _remove_all() -> None:
    for one in list(_live):
        with contextlib.suppress(Exception):
            one.remove()
