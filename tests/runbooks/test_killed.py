"""kill -9 of the real process in every kind of step, then a resume by another one: what changed something happened once."""

import contextlib
import json
import os
import signal
import subprocess
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from holdfast.runbooks.actions.process import marked
from holdfast.state.process import birth
from tests.cli.running import PROGRAM, answer, environment, holdfast
from tests.runbooks.kit import page
from tests.servers import need

PATIENCE = 120


def until(condition, what):
    """Waits for a condition, never for a time."""
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, f"never: {what}"
        time.sleep(0.02)


class Run:
    """A runbook in a folder, driven by processes that can be killed."""

    def __init__(self, folder: Path, text: str, **env: str) -> None:
        self.folder = folder
        self.env = env
        (folder / "r.md").write_text(text)

    def start(self, *words: str) -> subprocess.Popen:
        with (self.folder / "said").open("ab") as said:
            return subprocess.Popen(
                [*PROGRAM, *(words or ("runbook", "run", "./r.md", "--json"))],
                cwd=self.folder,
                env=environment(self.folder, **self.env),
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
            )

    def killed_when(self, path: str, *words: str) -> None:
        process = self.start(*words)
        until(lambda: (self.folder / path).exists() or process.poll() is not None, path)
        assert process.poll() is None, (self.folder / "said").read_text()
        process.send_signal(signal.SIGKILL)
        process.wait()

    @property
    def id(self) -> str:
        return answer(self("history"))["runs"][0]["run"]

    def __call__(self, *words: str) -> subprocess.CompletedProcess:
        return holdfast(self.folder, "runbook", *words, "--json", **self.env)

    def resume(self) -> dict:
        return answer(self("resume", self.id))

    def quiet(self, run: str) -> None:
        until(lambda: not marked(run), "what the run started ends")

    def end_what_it_started(self, run: str) -> None:
        for number in marked(run):
            with contextlib.suppress(ProcessLookupError):
                os.kill(number, signal.SIGKILL)
        self.quiet(run)


PROBE = "probe: {shell: 'test -e effects'}"


def lines(path: Path) -> int:
    return len(path.read_text().splitlines()) if path.exists() else 0


def test_in_a_shell_step_that_goes_on_alone(tmp_path):
    """Its process lives on, to its end while nobody drives the run: how it ended was kept, and the probe need not be asked."""
    step = f"id: a\n{PROBE}\nshell: |\n  touch reached\n  until test -e go; do sleep 0.05; done\n  echo x >> effects"
    run = Run(tmp_path, page(step))
    run.killed_when("reached")
    number = run.id
    (tmp_path / "go").touch()
    run.quiet(number)
    assert run.resume()["outcome"] == "done"
    assert lines(tmp_path / "effects") == 1
    kinds = [event["kind"] for event in answer(run("history", number))["events"]]
    assert kinds == ["begin", "started", "resumed", "finished", "ended"]


def test_in_a_shell_step_that_dies_before_its_effect(tmp_path):
    step = f"id: a\n{PROBE}\nshell: |\n  touch reached\n  until test -e go; do sleep 0.05; done\n  echo x >> effects"
    run = Run(tmp_path, page(step))
    run.killed_when("reached")
    run.end_what_it_started(run.id)
    (tmp_path / "go").touch()
    assert run.resume()["outcome"] == "done"
    assert lines(tmp_path / "effects") == 1


def test_a_server_that_a_step_started_may_go_on(tmp_path):
    """Only the process of the step itself counts as the step at work."""
    step = f"id: a\n{PROBE}\nshell: |\n  setsid sleep 600 &\n  echo $! > server\n  echo x >> effects\n  touch reached\n  sleep 600"
    run = Run(tmp_path, page(step))
    run.killed_when("reached")
    server = int((tmp_path / "server").read_text())
    [record] = (tmp_path / "state" / "runbooks").glob("*/*.process")
    known = json.loads(record.read_text())
    try:
        os.kill(known["supervisor"], signal.SIGKILL)
        os.killpg(known["process"], signal.SIGKILL)
        until(lambda: birth(known["process"]) is None and birth(known["supervisor"]) is None, "the step is no longer at work")
        assert run.resume()["outcome"] == "done"
        os.kill(server, 0)
    finally:
        os.kill(server, signal.SIGKILL)
    assert lines(tmp_path / "effects") == 1


def test_in_a_command_without_a_probe_a_person_is_asked(tmp_path):
    script = tmp_path / "act"
    script.write_text("#!/bin/bash\necho x >> effects\ntouch reached\nuntil test -e go; do sleep 0.05; done\n")
    script.chmod(0o755)
    run = Run(tmp_path, page("id: a\ncommand: [./act]"))
    run.killed_when("reached")
    number = run.id
    run.end_what_it_started(number)
    waiting = run("resume", number)
    assert waiting.returncode == 1
    assert answer(waiting)["waiting_for"]["what"] == "settle"
    assert run("approve", number, "a").returncode == 2
    assert run("approve", number, "a", "--happened", "--note", "I looked").returncode == 0
    assert run.resume()["outcome"] == "done"
    assert lines(tmp_path / "effects") == 1


def test_in_a_wait(tmp_path):
    run = Run(tmp_path, page("id: w\nkind: wait\nuntil: {shell: 'touch reached; test -e go'}\nevery: 100ms\ntimeout: 5m"))
    run.killed_when("reached")
    run.end_what_it_started(run.id)
    (tmp_path / "go").touch()
    assert run.resume()["outcome"] == "done"


def test_in_a_command_of_holdfast(tmp_path):
    """Its own command runs another runbook, whose step is held: killed inside both."""
    (tmp_path / "inner.md").write_text(page("id: i\nshell: touch reached; until test -e go; do sleep 0.05; done", name="inner"))
    run = Run(tmp_path, page(f"id: a\n{PROBE}\nholdfast: [runbook, run, ./inner.md]\noutputs: {{x: outcome}}"))
    run.killed_when("reached")
    outer = next(each["run"] for each in answer(run("history"))["runs"] if each["runbook"] == "test")
    run.end_what_it_started(outer)
    (tmp_path / "effects").touch()
    (tmp_path / "go").touch()
    done = answer(run("resume", outer))
    assert done["outcome"] == "done"


class Slow(BaseHTTPRequestHandler):
    """Counts POSTs, then holds the answer until it is let go."""

    protocol_version = "HTTP/1.1"

    def do_POST(self):
        self.server.posts += 1
        self.server.reached.touch()
        self.server.go.wait(PATIENCE)
        with contextlib.suppress(OSError):
            self._answer(201)

    def do_GET(self):
        self._answer(200 if self.server.posts else 404)

    def _answer(self, status):
        self.send_response(status)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_):
        pass


def test_in_an_http_request(tmp_path):
    server = ThreadingHTTPServer(("127.0.0.1", 0), Slow)
    server.posts, server.reached, server.go = 0, tmp_path / "reached", threading.Event()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        url = f"http://127.0.0.1:{server.server_port}/"
        run = Run(tmp_path, page(f"id: a\nhttp: {{method: POST, url: '{url}', json: {{a: 1}}}}\nprobe: {{http: '{url}'}}"))
        run.killed_when("reached")
        server.go.set()
        assert run.resume()["outcome"] == "done"
        assert server.posts == 1
    finally:
        server.go.set()
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.mark.postgres
def test_in_a_statement(tmp_path, pg15):
    """What was not committed is rolled back by the server; the probe says so, and it runs again."""
    import psycopg

    with need():
        dsn = pg15.dsn
    table = f"effects_{os.getpid()}"
    with psycopg.connect(dsn, autocommit=True) as db:
        db.execute(f"create table {table} (who text)")
        step = (
            f'id: a\nsql:\n  dsn: {{env: TEST_DSN}}\n  query: "insert into {table} select %(who)s from pg_advisory_lock(4711)"\n'
            '  parameters: {who: "${who}"}\n'
            f"probe: {{sql: {{dsn: {{env: TEST_DSN}}, query: 'select count(*) = 1 from {table}'}}}}"
        )  # fmt: skip
        evil = "'; drop table x; --"
        run = Run(tmp_path, page(step, front="parameters: {who: {}}\n"), TEST_DSN=dsn)
        db.execute("select pg_advisory_lock(4711)")
        process = run.start("runbook", "run", "./r.md", "--json", "--param", f"who={evil}")
        waits = "select count(*) from pg_locks where locktype = 'advisory' and not granted"
        until(lambda: db.execute(waits).fetchone()[0] == 1 or process.poll() is not None, "the statement waits")
        process.send_signal(signal.SIGKILL)
        process.wait()
        db.execute("select pg_terminate_backend(pid) from pg_locks where locktype = 'advisory' and not granted")
        until(lambda: db.execute(waits).fetchone()[0] == 0, "the server has seen the end")
        db.execute("select pg_advisory_unlock(4711)")
        assert run.resume()["outcome"] == "done"
        assert db.execute(f"select * from {table}").fetchall() == [(evil,)]
        db.execute(f"drop table {table}")


def test_while_people_are_asked(tmp_path):
    """Human step, decision and approval at a terminal: killed while each asks, the run asks again where it stood."""
    text = page(
        "id: a\nshell: echo x >> effects\nprobe: {shell: test -e effects}",
        "id: h\nkind: human\ndo: this",
        "id: d\nkind: decision\nask: which\nchoose: {one: a, two: b}",
        "id: p\nkind: approval\nask: may I\nby: approver",
        front="accounts: shared\nroles: {approver: [ben]}\n",
    )
    run = Run(tmp_path, text)
    answers = [("h", []), ("d", ["--choose", "one"]), ("p", ["--as", "ben"])]
    words: tuple[str, ...] = ("runbook", "run", "./r.md", "--as", "anna")
    for step, how in answers:
        ours, theirs = os.openpty()
        process = subprocess.Popen(
            [*PROGRAM, *words], cwd=tmp_path, env=environment(tmp_path), stdin=theirs, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        os.close(theirs)
        until(lambda step=step, process=process: _waits_at(run, step) or process.poll() is not None, f"asks at {step}")
        assert process.poll() is None
        process.send_signal(signal.SIGKILL)
        process.wait()
        os.close(ours)
        assert answer(run("resume", run.id, "--as", "anna"))["waiting_for"]["step"] == step
        assert run("approve", run.id, step, *how).returncode == 0
        words = ("runbook", "resume", run.id, "--as", "anna")
    assert answer(run("resume", run.id, "--as", "anna"))["outcome"] == "done"
    assert lines(tmp_path / "effects") == 1


def _waits_at(run: Run, step: str) -> bool:
    found = answer(run("history"))["runs"]
    return bool(found) and found[0]["waiting"].endswith(f" {step}")


def test_in_an_undo(tmp_path):
    undo = "undo: {shell: 'touch undoing; until test -e go; do sleep 0.05; done; rm effects; echo x >> undone'}"
    run = Run(tmp_path, page(f"id: a\nshell: echo x >> effects\n{PROBE}\n{undo}", "id: h\nkind: human\ndo: this"))
    assert run("run", "./r.md").returncode == 1
    number = run.id
    run.killed_when("undoing", "runbook", "abort", number, "--reason", "wrong", "--json")
    run.end_what_it_started(number)
    (tmp_path / "go").touch()
    done = run.resume()
    assert (done["outcome"], done["steps"][0]["undo"]) == ("aborted", "undone")
    assert not (tmp_path / "effects").exists()
    assert lines(tmp_path / "undone") == 1


def test_the_file_may_change_or_go_in_mid_run(tmp_path):
    run = Run(tmp_path, page("id: h\nkind: human\ndo: this", "id: a\nshell: echo old >> effects\nrepeatable: true"))
    assert run("run", "./r.md").returncode == 1
    (tmp_path / "r.md").write_text(page("id: h\nkind: human\ndo: other", "id: a\nshell: echo new >> effects\nrepeatable: true"))
    run("approve", run.id, "h")
    assert run.resume()["outcome"] == "done"
    assert (tmp_path / "effects").read_text() == "old\n"
