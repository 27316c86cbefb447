"""An application that was submitted and that the master does not list yet is not submitted again."""

import json
import os
import signal
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from holdfast.model import SystemClock
from holdfast.runbooks.actions.contract import Call
from holdfast.runbooks.actions.spark import Spark
from tests.runbook_actions.kit import until


@pytest.fixture
def master():
    """The page of a master that lists what ``apps`` holds."""
    apps = []

    class Page(BaseHTTPRequestHandler):
        def do_GET(self):
            body = json.dumps({"status": "ALIVE", "activeapps": apps, "activedrivers": []}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Page)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    server.apps = apps
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


# It goes on when the run has ended: that nobody waits for its process is meant.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning", "ignore::ResourceWarning")
def test_what_registers_still_is_waited_for(tmp_path, master):
    program = tmp_path / "submit"
    program.write_text("#!/bin/sh\necho $$ >> begun\nexec sleep 600\n")
    program.chmod(0o755)
    spec = {
        "do": "submit",
        "page": f"http://127.0.0.1:{master.server_port}",
        "program": str(program),
        "master": "spark://x",
        "name": "stream",
        "application": "x.py",
        "wait": False,
    }
    noted = {}

    def doing(seconds):
        call = Call({}, (), seconds, SystemClock(), (), dict(os.environ), tmp_path, note=noted.update, noted=dict(noted))
        return Spark().run(spec, call)

    def begun():
        return [int(line) for line in (tmp_path / "begun").read_text().split()]

    try:
        late = doing(4.0)
        assert late.outcome == "timeout", late
        until((tmp_path / "begun").exists, "it is begun")
        threading.Timer(2, lambda: master.apps.append({"id": "app-1", "name": "stream", "state": "WAITING"})).start()
        again = doing(60.0)
        assert (again.outcome, again.document["id"]) == ("ok", "app-1"), again
        assert len(begun()) == 1
        # One that ended without ever being listed is submitted anew.
        master.apps.clear()
        os.killpg(begun()[0], signal.SIGKILL)
        assert doing(4.0).outcome == "timeout"
        until(lambda: len(begun()) == 2, "it is begun anew")
    finally:
        for number in begun()[-1:]:
            os.killpg(number, signal.SIGKILL)
