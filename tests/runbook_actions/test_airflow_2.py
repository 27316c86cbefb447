"""``airflow:`` beside a stand-in for Airflow 2 on loopback: it answers as the published OpenAPI document of its REST API v1 says, refuses
anything else, and pages by one. A real Airflow 2 was not tried.
"""

import base64
import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import pytest

from holdfast.runbooks.actions.airflow import AirflowAction
from holdfast.runbooks.actions.contract import Call
from tests.runbooks.kit import Clock

BASIC = "Basic " + base64.b64encode(b"ops:geheim-42").decode()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self, status, document):
        data = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def do_GET(self):
        path, query = urlsplit(self.path).path, parse_qs(urlsplit(self.path).query)
        if path == "/api/v1/version":
            return self.answer(200, {"version": "2.10.5", "git_version": None})
        if not path.startswith("/api/v1/"):
            return self.answer(404, {"title": "Not Found", "status": 404})
        if self.headers["Authorization"] != BASIC:
            return self.answer(401, {"title": "Unauthorized", "status": 401, "detail": None})
        dags = self.server.dags
        if path == "/api/v1/dags":
            assert set(query) <= {"limit", "offset", "order_by", "only_active"}
            at = int(query["offset"][0])
            rows = [{"dag_id": name, "is_paused": paused, "tags": [{"name": "t"}]} for name, paused in sorted(dags.items())]
            return self.answer(200, {"dags": rows[at : at + 1], "total_entries": len(rows)})
        if tasks := re.fullmatch(r"/api/v1/dags/([\w~]+)/dagRuns/~/taskInstances", path):
            at, limit = int(query["offset"][0]), min(int(query["limit"][0]), 100)
            if at:
                self.server.between_pages()
            rows = [one for one in self.server.tasks if tasks[1] in ("~", one["dag_id"])]
            return self.answer(200, {"task_instances": rows[at : at + limit], "total_entries": len(rows) if self.server.counts else None})
        found = re.fullmatch(r"/api/v1/dags/(\w+)(?:/dagRuns/([\w-]+))?", path)
        if found and found[2] and found[2] in self.server.runs:
            return self.answer(200, {"dag_id": found[1], "dag_run_id": found[2], "state": "success"})
        if found and not found[2] and found[1] in dags:
            return self.answer(200, {"dag_id": found[1], "is_paused": dags[found[1]], "tags": []})
        return self.answer(404, {"title": "Not Found", "status": 404, "detail": "not there"})

    def do_PATCH(self):
        found = re.fullmatch(r"/api/v1/dags/(\w+)\?update_mask=is_paused", self.path)
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        assert found
        assert set(body) == {"is_paused"}
        self.server.dags[found[1]] = body["is_paused"]
        self.answer(200, {"dag_id": found[1], "is_paused": body["is_paused"]})

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        assert set(body) == {"dag_run_id", "conf"}
        if body["dag_run_id"] in self.server.runs:
            return self.answer(409, {"title": "Conflict", "status": 409})
        self.server.runs.append(body["dag_run_id"])
        return self.answer(200, {"dag_run_id": body["dag_run_id"], "state": "queued"})

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    made = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    made.dags, made.runs, made.tasks = {"a": False, "b": True, "c": False}, [], []
    made.between_pages, made.counts = lambda: None, True
    thread = threading.Thread(target=made.serve_forever, daemon=True)
    thread.start()
    yield made
    made.shutdown()
    made.server_close()
    thread.join()


def done(server, folder, noted=None, **spec):
    """(result, what was noted)."""
    kept = dict(noted or {})
    call = Call({}, [], 30.0, Clock(), [], {}, folder, secret=lambda place: place["literal"], note=kept.update, noted=dict(kept))
    login = {"url": f"http://127.0.0.1:{server.server_port}", "user": "ops", "password": {"literal": "geheim-42"}}
    whole = {"wait": True, "conf": {}, "states": ["running", "queued"], **login, **spec}
    return AirflowAction().run(whole, call), kept


def test_paused_and_let_go(server, tmp_path):
    result, noted = done(server, tmp_path, do="pause", dags="*")
    assert (result.outcome, result.document) == ("ok", {"paused": ["a", "c"], "already": ["b"], "dags": ["a", "b", "c"]})
    assert server.dags == {"a": True, "b": True, "c": True}
    assert noted == {"paused": ["a", "c"]}
    result, _ = done(server, tmp_path, noted, do="unpause")
    assert result.outcome == "ok"
    assert server.dags == {"a": False, "b": True, "c": False}


def test_quiet_says_which_tasks_go_on(server, tmp_path):
    assert done(server, tmp_path, do="quiet")[0].answer is True
    server.tasks.append({"dag_id": "a", "dag_run_id": "r", "task_id": "t", "map_index": -1, "state": "running", "start_date": None})
    server.tasks.append({"dag_id": "a", "dag_run_id": "r", "task_id": "over", "map_index": -1, "state": "success", "start_date": None})
    result, _ = done(server, tmp_path, do="quiet", dags="a")
    assert (result.outcome, result.answer) == ("timeout", False)
    assert result.message == "these go on: a.t (running)"
    assert done(server, tmp_path, do="quiet", dags="b")[0].answer is True


def live(dag, number):
    return {"dag_id": dag, "dag_run_id": "r", "task_id": f"t{number}", "map_index": -1, "state": "running", "start_date": None}


def test_a_task_that_moves_up_between_two_pages_is_not_overlooked(server, tmp_path):
    """130 of another DAG, then ours: those of the first page end while the second is asked for."""
    server.tasks[:] = [*(live("c", number) for number in range(130)), live("a", 0)]
    server.between_pages = lambda: server.tasks.__delitem__(slice(0, 60))
    result, _ = done(server, tmp_path, do="quiet", dags="a")
    assert (result.answer, result.message) == (False, "these go on: a.t0 (running)")
    server.tasks[:] = [live("c", number) for number in range(130)]
    assert done(server, tmp_path, do="quiet", dags="a")[0].answer is True


def test_a_listing_that_does_not_say_how_long_it_is_is_read_to_its_end(server, tmp_path):
    server.tasks[:] = [*(live("c", number) for number in range(250)), live("a", 0)]
    server.counts = False
    result, _ = done(server, tmp_path, do="quiet", dags="a")
    assert (result.answer, result.message) == (False, "these go on: a.t0 (running)")


def test_triggered(server, tmp_path):
    result, noted = done(server, tmp_path, do="trigger", dag="a")
    assert (result.outcome, server.runs) == ("ok", ["holdfast-run-step-0"])
    assert done(server, tmp_path, noted, do="trigger", dag="a")[0].outcome == "ok"
    assert server.runs == ["holdfast-run-step-0"]


def test_no_airflow_there(tmp_path, server):
    server.dags = None
    result, _ = done(server, tmp_path, do="list", dags="*", url=f"http://127.0.0.1:{server.server_port}/elsewhere")
    assert "Neither /api/v2 nor /api/v1" in result.message
    assert "geheim-42" not in result.message
