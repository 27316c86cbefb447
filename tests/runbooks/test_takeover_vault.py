"""Without a shared state: a run is taken over from what lies in the vault, by who says that the other host is off."""

import socket

import pytest

from holdfast.runbooks.actions.process import marked
from tests.cli.running import answer, holdfast
from tests.runbooks.kit import page
from tests.runbooks.test_killed import Run, lines, until
from tests.runbooks.test_takeover import SECOND, STEP, ended

pytestmark = pytest.mark.timeout(900)
KEY = "correct horse battery staple"


@pytest.fixture
def hosts(tmp_path):
    (tmp_path / "r.md").write_text(page(STEP, SECOND))
    made = []
    for name in ("a", "b"):
        home = tmp_path / name
        home.mkdir()
        run = Run(tmp_path, page(STEP, SECOND), HOME=str(home), HOLDFAST_STATE=str(home / "state"), HOLDFAST_KEY=KEY)
        run.env["HOLDFAST_CACHE"] = str(home / "cache")
        made.append(run)
    done = holdfast(tmp_path, "init", "--yes", "--location", str(tmp_path / "vault"), **made[0].env)
    assert done.returncode == 0, done.stderr
    return made


def killed_once_it_is_copied(folder, a, b) -> str:
    """The run: killed inside its first step, of which the vault holds that it was begun, without any other command."""
    process = a.start()
    until(lambda: (folder / "reached").exists() or process.poll() is not None, "the step is at work")
    run = a.id
    until(lambda: "Step a was begun there" in b("takeover", run).stderr or process.poll() is not None, "the vault has it")
    process.kill()
    process.wait()
    return run


def test_from_the_copy_in_the_vault(tmp_path, hosts):
    a, b = hosts
    run = killed_once_it_is_copied(tmp_path, a, b)
    known = answer(b("takeover", run[:15]))
    assert known["error"]["code"] == "not-confirmed"
    assert "must be off" in known["error"]["message"]
    here = socket.gethostname()
    assert answer(b("takeover", run, "--off", "elsewhere"))["error"]["code"] == "runbook-not-allowed"
    assert answer(b("resume", run))["error"]["code"] == "runbook-run-unknown"
    ended(run)
    (tmp_path / "go").touch()
    taken = answer(b("takeover", run, "--off", here))
    assert taken["from"] == here
    assert answer(b("takeover", run, "--off", here))["error"]["code"] == "runbook-not-there"
    assert answer(b("resume", run))["outcome"] == "done"
    assert (lines(tmp_path / "effects"), lines(tmp_path / "second")) == (1, 1)
    kinds = [event["kind"] for event in answer(b("history", run))["events"]]
    assert kinds[0] == "begin"
    assert kinds.index("taken") < kinds.index("resumed") < kinds.index("ended")


def test_what_two_hosts_went_on_with_is_told(tmp_path, hosts):
    """The first was not off after all: who takes it over a second time learns it."""
    a, b = hosts
    run = killed_once_it_is_copied(tmp_path, a, b)
    assert answer(b("takeover", run, "--off", socket.gethostname()))["from"] == socket.gethostname()
    ended(run)
    (tmp_path / "go").touch()
    assert answer(a("resume", run))["outcome"] == "done"
    third = Run(tmp_path, page(STEP, SECOND), **{**a.env, "HOME": str(tmp_path / "c"), "HOLDFAST_STATE": str(tmp_path / "c" / "state")})
    assert answer(b("resume", run))["outcome"] == "done"
    assert answer(third("takeover", run, "--off", "x"))["error"]["code"] == "runbook-record-broken"
    assert not marked(run)
    assert (tmp_path / "effects").exists()
