"""``spark:`` on a real standalone master: an application is submitted, stopped by its name, and submitted again by the undo.

The master has no workers: an application registers and waits, which is all that is asked of it here.
"""

import contextlib
import os
import signal

import pytest

from tests.cli.running import answer
from tests.runbook_actions.kit import Run, until
from tests.runbook_actions.proxy import Proxy
from tests.runbooks.kit import page
from tests.servers import need
from tests.servers.spark import SparkCluster, environment, one_at_a_time, spark_installed

pytestmark = pytest.mark.timeout(1800)

APPLICATION = """
import os, pathlib, sys, time
from pyspark import SparkContext
pathlib.Path(sys.argv[1]).joinpath(f"driver-{os.getpid()}").touch()
spark = SparkContext()
while not spark._jsc.sc().isStopped():
    time.sleep(0.2)
"""


@pytest.fixture(scope="module")
def cluster():
    with need(), one_at_a_time(), SparkCluster(workers=0, memory="512m") as made:
        yield made


@pytest.fixture
def started(tmp_path, cluster):
    """Makes a run whose steps find Spark; what it left running is ended."""
    given = environment(tmp_path)
    submit = spark_installed() / "python" / "pyspark" / "bin" / "spark-submit"
    (tmp_path / "stream.py").write_text(APPLICATION)
    conf = "{spark.driver.host: 127.0.0.1, spark.driver.bindAddress: 127.0.0.1, spark.ui.enabled: false, spark.driver.memory: 512m}"
    words = f"do: submit, wait: false, program: {submit}, master: '{cluster.master}', name: payments-stream, application: stream.py"

    def made(*steps):
        return Run(tmp_path, page(*steps), **{key: value for key, value in given.items() if key.startswith(("SPARK", "JAVA", "PY"))})

    made.submit = f"{words}, arguments: ['{tmp_path}'], conf: {conf}"
    yield made
    for mark in tmp_path.glob("driver-*"):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(os.getpgid(int(mark.name.removeprefix("driver-"))), signal.SIGKILL)


def test_submitted_stopped_by_name_and_back_by_the_undo(tmp_path, cluster, started):
    at = f"http://127.0.0.1:{cluster.page}"
    with Proxy(at) as proxy:
        proxy.hold = lambda method, _path: method == "POST"
        begin = f"id: begin\nspark: {{page: '{at}', {started.submit}}}\noutputs: {{id: id}}"
        stop = f"id: stop\nspark: {{page: '{proxy.url}', do: stop, apps: 'payments-*'}}\noutputs: {{id: 'stopped[0].id'}}\n"
        stop += f"undo: {{spark: {{page: '{at}', {started.submit}}}}}"
        look = f"id: look\nspark: {{page: '{at}', do: list, apps: 'payments-*'}}\nexpect: {{count: 0}}"
        run = started(begin, stop, look, "id: h\nkind: human\ndo: this")
        process = run.start()
        until(lambda: proxy.held.is_set() or process.poll() is not None, "it is stopped")
        assert process.poll() is None, (tmp_path / "said").read_text()
        process.send_signal(signal.SIGKILL)
        process.wait()
        proxy.hold = None
        waiting = run.resume()
        assert waiting["waiting_for"]["step"] == "h", waiting
        first = waiting["steps"][0]["outputs"]["id"]
        assert waiting["steps"][1]["outputs"] == {"id": first}
        done = answer(run("abort", run.id, "--reason", "enough"))
        assert (done["outcome"], done["steps"][1]["undo"]) == ("aborted", "undone"), done
    (tmp_path / "after").mkdir()
    beside = Run(
        tmp_path / "after", page(f"id: l\nspark: {{page: '{at}', do: list, apps: payments-stream}}\noutputs: {{id: 'running[0].id'}}")
    )
    again = answer(beside("run", "./r.md"))["steps"][0]["outputs"]["id"]
    assert again != first
    assert len(list(tmp_path.glob("driver-*"))) == 2


def test_what_cannot_be(tmp_path, cluster, started):
    at = f"http://127.0.0.1:{cluster.page}"
    run = started(f"id: a\nspark: {{page: '{at}', do: stop, apps: nobody-*}}")
    assert "No application fits nobody-*" in answer(run("run", "./r.md"))["why"]
    (tmp_path / "r.md").write_text(page(f"id: a\nspark: {{page: '{at}', {started.submit[:-1]}, spark.hadoop.fs.s3a.secret.key: x}}}}"))
    refused = run("lint", "./r.md")
    assert refused.returncode == 2
    assert "would stand in the process list" in refused.stdout
