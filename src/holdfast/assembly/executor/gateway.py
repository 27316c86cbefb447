"""Starting and ending Spark's own process. Its output goes to a file: what this process prints belongs to commands."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping
from typing import IO, Any
from urllib.parse import urlsplit

from holdfast.assembly.executor.errors import ExecutorUnreachable
from holdfast.errors import MissingExtra

_ANSWER = 10.0
_END = 30.0


def require_answer(master: str) -> None:
    """Spark itself tries for a minute before it says that nobody is there. Raises ExecutorUnreachable."""
    if not master.startswith("spark://"):
        return
    why = "it names no host and port"
    for place in master.removeprefix("spark://").split(","):
        with contextlib.suppress(ValueError):
            parts = urlsplit(f"spark://{place}")
            if parts.hostname and parts.port:
                try:
                    socket.create_connection((parts.hostname, parts.port), timeout=_ANSWER).close()
                except OSError as error:
                    why = error.strerror or str(error) or "no answer"
                else:
                    return
    raise ExecutorUnreachable(
        f"The master {master} does not answer: {why}.", hint="Is it running, and is the address right? Its page shows it as spark://…"
    )


def begin(settings: Mapping[str, str], python: str | None, log: IO[bytes]) -> Any:
    """A SparkContext of our own. ``python``: the workers'; None: PYSPARK_PYTHON, else the path of this one.

    Raises MissingExtra, ExecutorUnreachable.
    """
    try:
        from py4j.protocol import Py4JError
        from pyspark import SparkConf, SparkContext
        from pyspark.java_gateway import launch_gateway
    except ImportError as error:
        raise MissingExtra("spark", "An executor") from error
    conf = SparkConf(loadDefaults=False)
    for name, value in settings.items():
        conf.set(name, value)
    before = signal.getsignal(signal.SIGINT)
    try:
        made = launch_gateway(conf, {"stdout": log, "stderr": subprocess.STDOUT})
    except (OSError, RuntimeError) as error:
        log.seek(0)
        said = log.read()[-500:].decode(errors="replace").strip()
        raise ExecutorUnreachable(
            f"Spark cannot be started here: {str(error).splitlines()[0]} {said}".strip(),
            hint="It needs Java 17 or 21: name it by JAVA_HOME, or put java into the PATH.",
        ) from error
    try:
        context = SparkContext(gateway=made, conf=conf)
    except (Py4JError, ValueError, OSError, RuntimeError) as error:
        _end_gateway(made)
        said = next((line.strip() for line in str(error).splitlines() if "Exception:" in line), str(error).splitlines()[0])
        raise ExecutorUnreachable(
            f"{settings['spark.master']} does not take work: {said}", hint="Look at the master's page, and at options in the plan."
        ) from error
    context.pythonExec = python or os.environ.get("PYSPARK_PYTHON") or sys.executable
    if threading.current_thread() is threading.main_thread():
        # Spark puts a handler of its own for Ctrl-C, and would leave it there.
        signal.signal(signal.SIGINT, before)
    return context


def end(context: Any) -> None:
    """The application, and Spark's process with it. Never raises: what matters was done by then, or was not."""
    from pyspark import SparkContext

    gateway = context._gateway  # noqa: SLF001 - pyspark never ends it before the process does
    with contextlib.suppress(Exception):
        context.cancelAllJobs()
    with contextlib.suppress(Exception):
        context.stop()
    SparkContext._gateway = None  # noqa: SLF001
    SparkContext._jvm = None  # noqa: SLF001
    _end_gateway(gateway)


def _end_gateway(gateway: Any) -> None:
    process: subprocess.Popen[bytes] | None = getattr(gateway, "proc", None)
    with contextlib.suppress(Exception):
        gateway.shutdown()
    if process is None:
        return
    # It ends when its input does.
    with contextlib.suppress(OSError):
        if process.stdin is not None:
            process.stdin.close()
    try:
        process.wait(_END)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
