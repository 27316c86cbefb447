"""``airflow:`` on a real Airflow 3: paused and let go, waited for, triggered; killed in between, each happened once."""

import json
import signal

import pytest

from holdfast.connect.airflow import Airflow, Login
from holdfast.model import SystemClock
from tests.cli.running import answer
from tests.runbook_actions.kit import Run, until
from tests.runbook_actions.proxy import Proxy
from tests.runbooks.kit import page
from tests.servers import need
from tests.servers.airflow import AirflowServer

pytestmark = [pytest.mark.postgres, pytest.mark.timeout(1800)]

DAGS = """
import datetime as dt
import time

from airflow.sdk import dag, task

def make(name, tags, work):
    @dag(dag_id=name, schedule=None, tags=tags, start_date=dt.datetime(2026, 1, 1))
    def made():
        @task
        def work_it():
            work()
        work_it()
    made()

def wait():
    # Where a task runs, what its file imported is not always there.
    import os
    import time
    while not os.path.exists({gate!r}):
        time.sleep(0.1)

def fail():
    raise ValueError("as it should")

make("fin_loads", ["finance"], wait)
make("fin_sums", ["finance"], lambda: None)
make("fin_fails", ["finance", "broken"], fail)
make("web_clicks", ["web"], lambda: None)

@dag(dag_id="web_many", schedule=None, tags=["many"], start_date=dt.datetime(2026, 1, 1))
def many():
    @task
    def nothing():
        pass
    for number in range(130):
        nothing.override(task_id=f"part_{{number}}")()
many()
"""
FINANCE = {"fin_loads", "fin_sums", "fin_fails"}


@pytest.fixture(scope="module")
def airflow(pg15, tmp_path_factory):
    gate = tmp_path_factory.mktemp("gate") / "open"
    with need():
        server = AirflowServer(pg15)
    with server:
        server.gate = gate
        server.dag("platform", DAGS.format(gate=str(gate)))
        server.read_dags()
        yield server


@pytest.fixture
def awake(airflow):
    """Every DAG but fin_sums runs."""
    for dag in (*FINANCE, "web_clicks", "web_many"):
        airflow.ask("PATCH", f"dags/{dag}", {"is_paused": dag == "fin_sums"})
    return airflow


def paused(airflow) -> set[str]:
    return {dag["dag_id"] for dag in airflow.ask("GET", "dags?limit=100")["dags"] if dag["is_paused"]}


def step(airflow, do: str, more: str = "", *, url: str = "", id_: str = "a", rest: str = "") -> str:
    login = f"url: '{url or airflow.url}', user: admin, password: {{env: AIRFLOW_PASSWORD}}"
    return f"id: {id_}\nairflow: {{{login}, do: {do}{more}}}\n{rest}"


def run_of(tmp_path, airflow, *steps: str) -> Run:
    return Run(tmp_path, page(*steps), AIRFLOW_PASSWORD=airflow.password)


def test_what_was_paused_already_stays_paused(tmp_path, awake):
    undo = f"undo: {{airflow: {{url: '{awake.url}', user: admin, password: {{env: AIRFLOW_PASSWORD}}, do: unpause}}}}"
    stop = step(awake, "pause", ", tags: finance", id_="stop", rest=f"outputs: {{paused: paused, already: already}}\n{undo}")
    look = step(awake, "list", ", dags: 'fin_*'", id_="look", rest="expect: {paused: true, running: 0}")
    run = run_of(tmp_path, awake, stop, look, "id: h\nkind: human\ndo: this")
    waiting = answer(run("run", "./r.md"))
    assert waiting["waiting_for"]["step"] == "h"
    assert waiting["steps"][0]["outputs"] == {"paused": ["fin_fails", "fin_loads"], "already": ["fin_sums"]}
    assert paused(awake) == FINANCE
    done = answer(run("abort", run.id, "--reason", "enough"))
    assert (done["outcome"], done["steps"][0]["undo"]) == ("aborted", "undone")
    assert paused(awake) == {"fin_sums"}
    everything = "\n".join(path.read_text(errors="replace") for path in tmp_path.rglob("*") if path.is_file())
    assert awake.password not in everything


def test_a_later_step_lets_go_what_an_earlier_one_paused(tmp_path, awake):
    stop = step(awake, "pause", ", tags: [finance]", id_="stop", rest="outputs: {paused: paused}")
    go = step(awake, "unpause", ', dags: "${stop.paused}"', id_="go")
    run = run_of(tmp_path, awake, stop, go)
    assert answer(run("run", "./r.md"))["outcome"] == "done"
    assert paused(awake) == {"fin_sums"}


@pytest.mark.parametrize("then", ["resume", "abort"])
def test_killed_between_two_dags(tmp_path, awake, then):
    with Proxy(awake.url) as proxy:
        undo = f"undo: {{airflow: {{url: '{awake.url}', user: admin, password: {{env: AIRFLOW_PASSWORD}}, do: unpause}}}}"
        stop = step(awake, "pause", ", dags: 'fin_*'", url=proxy.url, rest=f"outputs: {{paused: paused}}\n{undo}")
        proxy.hold = lambda method, _path: method == "PATCH"
        run = run_of(tmp_path, awake, stop, "id: h\nkind: human\ndo: this")
        process = run.start()
        until(lambda: proxy.held.is_set() or process.poll() is not None, "a DAG is paused")
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert len(paused(awake)) == 2  # the one that was, and the first of ours
        proxy.hold = None
        if then == "abort":
            done = answer(run("abort", run.id, "--reason", "enough"))
            assert (done["outcome"], done["steps"][0]["undo"]) == ("aborted", "undone")
            assert paused(awake) == {"fin_sums"}
        else:
            assert run.resume()["steps"][0]["outputs"] == {"paused": ["fin_fails", "fin_loads"]}
            assert paused(awake) == FINANCE


@pytest.mark.parametrize(
    ("do", "said"),
    [
        (", do: pause, dags: [fin_sums, fin_lods]", "No DAG fits fin_lods; 5 were looked through"),
        (", do: pause, tags: finanzen", "None of 5 DAGs carries a tag of finanzen"),
        (", do: unpause, dags: 'x_*'", "No DAG fits x_*"),
        (", do: unpause", "names no DAG, and has paused none itself"),
        (", do: trigger, dag: nope", "There is no DAG nope"),
        (", do: trigger, dag: fin_sums", "fin_sums is paused: its run would wait for ever"),
        (", do: mark, dag: fin_sums, dag_run: nope, state: failed", "was answered with 404"),
    ],
)
def test_nothing_matched_is_a_failure(tmp_path, awake, do, said):
    run = run_of(tmp_path, awake, f"id: a\nairflow: {{url: '{awake.url}', user: admin, password: {{env: AIRFLOW_PASSWORD}}{do}}}")
    stopped = answer(run("run", "./r.md"))
    assert stopped["status"] == "stopped"
    assert said in stopped["why"]
    assert paused(awake) == {"fin_sums"}


def test_a_wrong_password_and_a_token(tmp_path, awake):
    run = Run(tmp_path, page(step(awake, "list", ", dags: '*'")), AIRFLOW_PASSWORD="not-this-one")
    assert "gave admin no token: 401" in answer(run("run", "./r.md"))["why"]
    token = awake.token()
    run.folder = tmp_path = tmp_path / "by-token"
    tmp_path.mkdir()
    text = f"id: a\nairflow: {{url: '{awake.url}', token: {{env: T}}, do: list, dags: '*'}}\nexpect: {{'dags[0].dag_id': fin_fails}}"
    (tmp_path / "r.md").write_text(page(text))
    run.env = {"T": token}
    assert answer(run("run", "./r.md"))["outcome"] == "done"
    text = text.replace("{env: T}", json.dumps(token))
    (tmp_path / "r.md").write_text(page(text))
    refused = run("lint", "./r.md")
    assert refused.returncode == 2
    assert "a literal stands where a secret belongs" in refused.stdout
    assert token not in refused.stdout + refused.stderr


def test_among_more_live_tasks_than_a_page_holds_none_is_overlooked(awake):
    """While the second page is asked for, tasks of the first end, and the last one moves up past what was read. Real rows, real pages."""

    def sql(query):
        return awake.metastore.execute(query, dbname=awake.database)

    def runs(dag):
        awake.ask("PATCH", f"dags/{dag}", {"is_paused": True})
        awake.ask("POST", f"dags/{dag}/dagRuns", {"dag_run_id": f"paged-{dag}", "logical_date": None})
        until(lambda: sql(f"select count(*) from task_instance where run_id = 'paged-{dag}'") != [(0,)], "its tasks are there")
        sql(f"update task_instance set state = 'running' where run_id = 'paged-{dag}'")

    def between(_method, path):
        if "/~/dagRuns/~/taskInstances" in path and "offset=0" in path:
            some = "select id from task_instance where run_id = 'paged-web_many' order by id limit 60"
            sql(f"update task_instance set state = 'success' where id in ({some})")
        return False

    try:
        runs("web_many")
        runs("fin_sums")
        with Proxy(awake.url) as proxy:
            proxy.hold = between
            client = Airflow(proxy.url, Login(user=awake.user, password=awake.password), clock=SystemClock(), timeout=1200)
            assert [one["task_id"] for one in client.tasks(dags={"fin_sums"})] == ["work_it"]
            assert any("/dags/fin_sums/dagRuns/~/taskInstances" in seen for seen in proxy.seen), proxy.seen
    finally:
        sql("update task_instance set state = 'success' where run_id like 'paged-%'")
        for dag in ("web_many", "fin_sums"):
            awake.ask("PATCH", f"dags/{dag}/dagRuns/paged-{dag}", {"state": "success"})


def test_a_run_is_triggered_once_and_waited_for(tmp_path, awake):
    """Killed when Airflow has begun the run and the answer is lost; meanwhile what goes on is told, then waited for."""
    awake.schedule()
    with Proxy(awake.url) as proxy:
        proxy.hold = lambda method, path: method == "POST" and path.endswith("/dagRuns")
        start = step(awake, "trigger", ", dag: fin_loads, conf: {day: 5}", url=proxy.url, id_="load", rest="outputs: {run: dag_run}")
        run = run_of(tmp_path, awake, start)
        process = run.start()
        until(lambda: proxy.held.is_set() or process.poll() is not None, "the run is triggered")
        process.send_signal(signal.SIGKILL)
        process.wait()
        proxy.hold = None

        def live():
            return awake.ask("GET", "dags/fin_loads/dagRuns/~/taskInstances?state=running")["total_entries"]

        until(lambda: live() == 1, "its task runs")
        (tmp_path / "busy").mkdir()
        busy = run_of(tmp_path / "busy", awake, step(awake, "quiet", ", tags: finance", rest="timeout: 20s"))
        stopped = answer(busy("run", "./r.md"))
        assert "these go on: fin_loads.work_it (running)" in str(stopped["why"]), stopped
        awake.gate.touch()
        done = run.resume()
        assert done["outcome"] == "done", (done, awake.log_text())
        assert answer(busy("resume", busy.id))["outcome"] == "done"
    runs = awake.ask("GET", "dags/fin_loads/dagRuns")["dag_runs"]
    assert [(one["dag_run_id"], one["state"], one["conf"]) for one in runs] == [(done["steps"][0]["outputs"]["run"], "success", {"day": 5})]


def test_a_run_that_failed_is_a_failure_and_is_tried_anew_as_another(tmp_path, awake):
    awake.schedule()
    run = run_of(tmp_path, awake, step(awake, "trigger", ", dag: fin_fails"))
    stopped = answer(run("run", "./r.md"))
    assert "of fin_fails ended: failed" in stopped["why"]
    assert "ended: failed" in run.resume()["why"]
    runs = awake.ask("GET", "dags/fin_fails/dagRuns")["dag_runs"]
    assert len({one["dag_run_id"] for one in runs}) == 2
    one = runs[0]["dag_run_id"]
    (tmp_path / "mark").mkdir()
    task = step(awake, "mark", f", dag: fin_fails, dag_run: '{one}', task: work_it, state: success", id_="task")
    whole = step(awake, "mark", f", dag: fin_fails, dag_run: '{one}', state: success", id_="whole")
    run = run_of(tmp_path / "mark", awake, task, whole)
    assert answer(run("run", "./r.md"))["outcome"] == "done"
    assert answer(run("run", "./r.md"))["outcome"] == "done"  # it is so already
    assert awake.ask("GET", f"dags/fin_fails/dagRuns/{one}")["state"] == "success"
