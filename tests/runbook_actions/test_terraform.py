"""``terraform:`` with the real program, on resources that need no provider from elsewhere."""

import json
import shutil
import signal
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.cli.running import answer
from tests.runbook_actions.kit import Run, until
from tests.runbooks.kit import page

PROGRAM = next((name for name in ("terraform", "tofu") if shutil.which(name)), None)
# No package registry has it, so `make services` cannot get it: where it is missing, that is seen as a skip.
pytestmark = [pytest.mark.skipif(PROGRAM is None, reason="neither terraform nor tofu is on this machine"), pytest.mark.timeout(1800)]

MAIN = """
variable "size" {
  type = number
}
variable "password" {
  type      = string
  default   = "geheim-dflt"
  sensitive = true
}
resource "terraform_data" "standby" {
  input            = var.size
  triggers_replace = []
}
output "size" {
  value = terraform_data.standby.output
}
output "password" {
  value     = var.password
  sensitive = true
}
"""


@pytest.fixture
def infra(tmp_path):
    folder = tmp_path / "infra"
    folder.mkdir()
    (folder / "main.tf").write_text(MAIN)
    return folder


FRONT = "parameters: {size: {type: integer, default: 3}, pw: {type: secret, from: {env: DB_PASSWORD}}}\n"


def plan(more="", size='"${size}"'):
    spec = f'{{do: plan, directory: infra, variables: {{size: {size}, password: "${{pw}}"}}{more}}}'
    return f"id: plan\nterraform: {spec}\noutputs: {{plan: plan, sha256: sha256, add: add, destroy: destroy}}"


def apply(more="", size='"${size}"'):
    given = f'directory: infra, plan: "${{plan.plan}}", sha256: "${{plan.sha256}}", variables: {{size: {size}, password: "${{pw}}"}}'
    return f"id: apply\nterraform: {{do: apply, {given}{more}}}"


ASK = "id: agree\nkind: human\ndo: 'apply ${plan.sha256}?'"
OUTPUTS = "id: out\nterraform: {do: outputs, directory: infra}\noutputs: {size: size, password: password}"


def started(folder, *steps) -> Run:
    return Run(folder, page(*steps, front=FRONT), DB_PASSWORD="hunter22-secret")


def again(folder, run, *steps) -> Run:
    """Another runbook beside it."""
    there = folder / f"more{len(list(folder.glob('more*')))}"
    there.mkdir()
    (there / "infra").symlink_to(folder / "infra")
    return Run(there, page(*steps, front=FRONT), **run.env)


def test_what_was_shown_is_what_is_applied(tmp_path, infra):
    run = started(tmp_path, plan(), ASK, apply(), OUTPUTS)
    waiting = answer(run("run", "./r.md"))
    shown = waiting["steps"][0]["outputs"]
    assert (shown["add"], shown["destroy"]) == (["terraform_data.standby"], [])
    assert shown["sha256"] in waiting["waiting_for"]["text"]
    assert (tmp_path / shown["plan"]).stat().st_mode & 0o077 == 0
    assert not (infra / "terraform.tfstate").exists()
    assert run("approve", run.id, "agree").returncode == 0
    done = run.resume()
    assert done["outcome"] == "done", done
    assert done["steps"][3]["outputs"] == {"size": 3, "password": "[sensitive]"}
    assert json.loads((infra / "terraform.tfstate").read_text())["outputs"]["password"]["value"] == "hunter22-secret"
    recorded = "".join(path.read_text(errors="replace") for path in (tmp_path / "state").rglob("*") if path.is_file())
    assert "hunter22-secret" not in recorded + (tmp_path / "r.md").read_text()


def test_another_plan_is_not_applied(tmp_path, infra):
    run = started(tmp_path, plan(), ASK, apply())
    saved = answer(run("run", "./r.md"))["steps"][0]["outputs"]["plan"]
    with (tmp_path / saved).open("ab") as file:
        file.write(b"x")
    assert run("approve", run.id, "agree").returncode == 0
    assert "it is not the one that was shown; nothing was applied" in json.dumps(run.resume())
    assert not (infra / "terraform.tfstate").exists()


def test_a_plan_that_destroys_is_refused_unless_that_is_meant(tmp_path, infra):
    run = started(tmp_path, plan(), apply())
    assert answer(run("run", "./r.md"))["outcome"] == "done"
    (infra / "main.tf").write_text(MAIN.replace("triggers_replace = []", 'triggers_replace = ["x"]'))
    refused = answer(again(tmp_path, run, plan(), apply())("run", "./r.md"))
    assert "the plan destroys terraform_data.standby: refused" in refused["why"]
    assert not list((infra / ".terraform").glob("*.tfplan"))
    meant = again(tmp_path, run, plan(", may_destroy: true"), apply())
    assert "the plan destroys" in answer(meant("run", "./r.md"))["why"]  # the apply looks itself
    meant = again(tmp_path, run, plan(", may_destroy: true"), apply(", may_destroy: true"))
    assert answer(meant("run", "./r.md"))["outcome"] == "done"


HELD = '  provisioner "local-exec" {\n    command = "touch reached; until test -e go; do sleep 0.1; done; echo x >> effects"\n  }\n'


def killed_in_the_apply(tmp_path, infra, more="") -> Run:
    (infra / "main.tf").write_text(more + MAIN.replace("  triggers_replace", HELD + "  triggers_replace"))
    run = started(tmp_path, plan(), apply())
    process = run.start()
    until(lambda: (infra / "reached").exists() or process.poll() is not None, "it is applied")
    process.send_signal(signal.SIGKILL)
    process.wait()
    return run


def left(infra) -> list[str]:
    return [path.name for path in (infra / ".terraform").iterdir() if path.name.startswith("holdfast-")]


def test_killed_in_the_apply(tmp_path, infra):
    """The program goes on, and who resumes waits for its end; plans and copies of them, with the secrets in them, are gone then."""
    run = killed_in_the_apply(tmp_path, infra)
    # Meanwhile the state is locked: whoever else plans is told, and what to do if nobody is there.
    locked = answer(again(tmp_path, run, plan())("run", "./r.md"))["why"]
    assert "Error acquiring the state lock" in locked
    assert "force-unlock" in locked
    assert left(infra)
    resumed = run.start("runbook", "resume", run.id, "--json")
    until(lambda: '"resumed"' in run("history", run.id).stdout or resumed.poll() is not None, "it is taken up")
    assert resumed.poll() is None, (tmp_path / "said").read_text()
    (infra / "go").touch()
    assert resumed.wait(1200) == 0, (tmp_path / "said").read_text()
    assert (infra / "effects").read_text() == "x\n"
    told = [event["data"] for event in answer(run("history", run.id))["events"] if event["kind"] == "finished"]
    assert (told[-1]["step"], told[-1]["outcome"], told[-1]["attached"]) == ("apply", "ok", True)
    assert not left(infra)


def test_killed_before_it_happened_a_person_is_asked(tmp_path, infra):
    run = killed_in_the_apply(tmp_path, infra)
    run.end_what_it_started(run.id)
    assert [name for name in left(infra) if name.endswith(".apply")]
    waiting = answer(run("resume", run.id))
    assert waiting["waiting_for"]["what"] == "settle", waiting
    assert not [name for name in left(infra) if name.endswith(".apply")]


class Remote(BaseHTTPRequestHandler):
    """A state by HTTP with a lock, as terraform's own page of its ``http`` backend says."""

    protocol_version = "HTTP/1.1"

    def answer(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        kept, status, data = self.server.kept, 200, b""
        if self.command == "LOCK":
            status, data = (423, kept["lock"]) if kept.get("lock") else (200, b"")
            kept.setdefault("lock", body)
        elif self.command == "UNLOCK":
            kept.pop("lock", None)
        elif self.command == "GET":
            status, data = (200, kept["state"]) if "state" in kept else (404, b"")
        else:
            kept["state"] = body
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    do_LOCK = do_UNLOCK = do_GET = do_POST = answer  # noqa: N815 - names of the library

    def log_message(self, *_):
        pass


def test_a_lock_that_a_killed_apply_left_is_told_with_its_way_out(tmp_path, infra):
    """Where the state lies elsewhere, nobody else takes the lock back: it is not broken from here, but named."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Remote)
    server.kept = {}
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        url = f"http://127.0.0.1:{server.server_port}/"
        places = "".join(f'    {name} = "{url}"\n' for name in ("address", "lock_address", "unlock_address"))
        backend = f'terraform {{\n  backend "http" {{\n{places}  }}\n}}\n'
        run = killed_in_the_apply(tmp_path, infra, backend)
        run.end_what_it_started(run.id)
        number = json.loads(server.kept["lock"])["ID"]
        waiting = answer(run("resume", run.id))
        assert waiting["waiting_for"]["what"] == "settle", waiting
        [probed] = [event["data"] for event in answer(run("history", run.id))["events"] if event["kind"] == "probed"]
        assert f"force-unlock {number}" in probed["message"]
        assert json.loads(server.kept["lock"])["ID"] == number, "a lock is broken by people alone"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
