"""What is said of a Spark that is not there, or that gave up; without one."""

import io
import sys

import pytest

from holdfast import __version__
from holdfast.assembly.executor import errors, gateway
from holdfast.assembly.executor.errors import ExecutorDiffers, ExecutorFailed, ExecutorUnreachable
from holdfast.assembly.executor.spark import _task, failed, require_same
from holdfast.connect.secrets import SecretUnavailable
from holdfast.errors import HoldfastError, MissingExtra
from tests.servers import free_port


def test_without_pyspark_its_extra_is_named(monkeypatch):
    for name in ("pyspark", "py4j", "py4j.protocol"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(MissingExtra, match="'spark'"):
        gateway.begin({}, None, io.BytesIO())


def test_a_master_that_is_not_there_is_told_at_once():
    gone = f"spark://127.0.0.1:{free_port()}"
    for master in (gone, f"{gone},127.0.0.1:{free_port()}", "spark://", "spark://host:notaport"):
        with pytest.raises(ExecutorUnreachable, match="does not answer"):
            gateway.require_answer(master)
    gateway.require_answer("local[2]")


TRACE = """An error occurred while calling z:org.apache.spark.api.python.PythonRDD.collectAndServe.
: org.apache.spark.SparkException: Job aborted due to stage failure: Task 0 in stage 3.0 failed 4 times, most recent failure: Lost task 0.3
(TID 8) (127.0.0.1 executor 1): org.apache.spark.api.python.PythonException: Traceback (most recent call last):
  File "/opt/holdfast/site-packages/holdfast/vault/capture/workers/engine.py", line 90, in check
    raise error
OSError: [Errno 28] No space left on device
\tat org.apache.spark.api.python.BasePythonRunner$ReaderIterator.handlePythonException(PythonRunner.scala:581)
Driver stacktrace:
"""


def test_what_a_worker_met_is_said_and_not_what_java_met():
    error = failed(TRACE, "log")
    assert error.message == "Spark gave a shard up: OSError: [Errno 28] No space left on device"
    assert "Job aborted" in error.details["spark"]
    assert "cancelled" in failed("Job 3 cancelled as part of cancellation of all jobs", "").message
    assert failed("", "").message.endswith("no reason was given")


def test_an_error_comes_back_as_what_it_was():
    told = errors.to_json(SecretUnavailable("The secret cannot be read.", hint="Put it there.", reference="file x"))
    back = errors.from_json(told, "worker7")
    assert isinstance(back, SecretUnavailable)
    assert (back.message, back.hint, back.status) == ("On the worker worker7: The secret cannot be read.", "Put it there.", 2)
    assert back.details == {"reference": "file x", "worker": "worker7"}
    assert isinstance(errors.from_json({**told, "code": "of-the-future"}, "w"), ExecutorFailed)
    assert type(errors.from_json({**told, "code": "error"}, "w")) is HoldfastError


def test_workers_say_which_holdfast_they_have(monkeypatch):
    task = _task()
    assert f'"{__version__}"' in task("")
    assert '"differs"' in task('{"version": "0.0.9"}')
    monkeypatch.setitem(sys.modules, "holdfast", None)
    assert "nowhere" in task("")
    assert "nowhere" in task('{"version": "0.0.9"}')
    require_same({"a": __version__})
    with pytest.raises(ExecutorDiffers, match=r"0\.0\.9 \(b\)"):
        require_same({"a": __version__, "b": "0.0.9"})
