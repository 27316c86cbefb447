"""What a step prints is seen while it is at work, without its secrets; and people approve at the screen, but not what they asked for."""

import signal
import sys
import threading
from types import SimpleNamespace

from holdfast.interfaces.cli.view.watcher import FullScreen
from tests.cli.running import answer, holdfast
from tests.runbooks.kit import BEN, page
from tests.view.terminal import Terminal

SECRET = "hunter22-secret"
LIVE = page(
    "id: slow\nrepeatable: true\nshell:\n  env: {PW: '${pw}'}\n  script: |\n"
    '    for n in $(seq 1 300); do echo "part $n"; done; echo "with $PW"; echo trouble >&2; printf \'10%%\\r90%%\'; touch begun\n'
    "    until test -e go; do sleep 0.05; done\n    echo; echo all over",
    "id: h\nkind: human\ndo: Look at it.",
    front="parameters: {pw: {type: secret, from: {env: TEST_PW}}}\n",
)
APPROVAL = page(
    "id: plan\nkind: approval\nask: May the copy go?\nby: approver\nbreak_glass: chief",
    "id: act\nshell: touch acted\nrepeatable: true",
    front="accounts: {accounts}\nroles: {{approver: [anna, ben, carla], chief: [anna]}}\n",
)


def approval(accounts: str) -> str:
    return APPROVAL.replace("{accounts}", accounts).replace("{{", "{").replace("}}", "}")


def events(folder, kind):
    [found] = answer(holdfast(folder, "runbook", "history", "--json"))["runs"]
    told = answer(holdfast(folder, "runbook", "history", found["run"], "--json"))
    return [event["data"] for event in told["events"] if event["kind"] == kind]


def test_output_is_seen_while_the_step_is_at_work(tmp_path):
    (tmp_path / "r.md").write_text(LIVE)
    with Terminal(tmp_path, "runbook", "run", "./r.md", "--view", "--as", "anna", TEST_PW=SECRET) as terminal:
        shown = terminal.see("at work; nothing to answer", "part 300", "with [secret]", "! trouble", "90%")
        assert "10%" not in shown
        assert not (tmp_path / "go").exists()
        # Who reads further up stays there; F5 shows nothing but the output.
        terminal.type("\x1b[15~")
        terminal.see("part 290")
        for _ in range(40):
            terminal.type("\x1b[5~")
        terminal.see("── slow, at work", "part 1\n")
        terminal.type("\x0f")
        (tmp_path / "go").touch()
        terminal.see("Look at it.", "all over")
        assert "at work" not in terminal.screen
        terminal.type("done\r")
        assert terminal.ended() == 0
        assert SECRET.encode() not in bytes(terminal.raw)


def test_who_takes_a_run_up_again_sees_what_its_step_prints(tmp_path):
    """The screen of a killed Holdfast and its terminal are gone; the step is not."""
    (tmp_path / "r.md").write_text(LIVE)
    with Terminal(tmp_path, "runbook", "run", "./r.md", "--view", "--as", "anna", TEST_PW=SECRET) as terminal:
        terminal.see("part 300", "90%")
        terminal.process.send_signal(signal.SIGKILL)
        terminal.process.wait()
    [found] = answer(holdfast(tmp_path, "runbook", "history", "--json"))["runs"]
    with Terminal(tmp_path, "runbook", "resume", found["run"], "--view", "--as", "ben", TEST_PW=SECRET) as terminal:
        terminal.see("▶", "part 300", "with [secret]", "90%")
        (tmp_path / "go").touch()
        terminal.see("Look at it.", "all over", "begun before the run was taken up again")
        terminal.type("done\r")
        assert terminal.ended() == 0
    assert [told["attached"] for told in events(tmp_path, "finished")] == [True]


def test_a_terminal_that_nobody_draws_on_any_more_holds_up_no_step(monkeypatch):
    """It hangs, or is gone: however much is printed, the driver is done with telling it."""
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(fileno=lambda: 0))
    monkeypatch.setattr(sys, "stderr", SimpleNamespace(fileno=lambda: 2))
    view = FullScreen(SimpleNamespace(out=SimpleNamespace(stderr=None)), BEN)

    def much():
        for _ in range((1 << 16) + 2):  # more than a pipe holds
            view.printed("a", "out", ".")

    driver = threading.Thread(target=much, daemon=True)
    driver.start()
    driver.join(120)
    assert not driver.is_alive()


def test_who_asked_does_not_approve_at_the_screen(tmp_path):
    """By name, by another name from the same account; another person of the role does, where accounts are shared."""
    (tmp_path / "r.md").write_text(approval("personal"))
    with Terminal(tmp_path, "runbook", "run", "./r.md", "--view", "--as", "anna", columns=160) as terminal:
        terminal.see("May the copy go?", "approve [NOTE]")
        terminal.type("yes\r")
        terminal.see("type approve or reject")
        terminal.type("approve\r")
        terminal.see("anna asked for this, so somebody else has to approve it")
        terminal.type("as ben approve\r")
        terminal.see("ben asked for this (the account")
        terminal.type("break-glass\r")
        terminal.see("not broken without a reason")
        assert not (tmp_path / "acted").exists()
        terminal.type("break-glass nobody answers\r")
        assert terminal.ended() == 0
    [given] = events(tmp_path, "approved")
    assert (given["break_glass"], given["by"]["name"], given["note"]) == (True, "anna", "nobody answers")
    assert (tmp_path / "acted").exists()


def test_another_person_approves_or_rejects_at_the_screen(tmp_path):
    (tmp_path / "r.md").write_text(approval("shared"))
    with Terminal(tmp_path, "runbook", "run", "./r.md", "--view", "--as", "anna", columns=160) as terminal:
        terminal.see("May the copy go?")
        terminal.type("as dora approve\r")
        terminal.see("dora may not approve plan")
        terminal.type("as ben reject not before noon\r")
        assert terminal.ended() == 1
    assert not (tmp_path / "acted").exists()
    [found] = answer(holdfast(tmp_path, "runbook", "history", "--json"))["runs"]
    assert events(tmp_path, "rejected")[0]["by"]["name"] == "ben"
    # Carla takes it up, which asks for the approval anew: she asked for it now, and is refused; ben agrees beside her.
    with Terminal(tmp_path, "runbook", "resume", found["run"], "--view", "--as", "carla", columns=160) as terminal:
        terminal.see("May the copy go?")
        terminal.type("approve\r")
        terminal.see("carla asked for this")
        terminal.type("as ben approve it is noon\r")
        assert terminal.ended() == 0
    [given] = events(tmp_path, "approved")
    assert (given["by"]["name"], given["note"], given["break_glass"]) == ("ben", "it is noon", False)
    assert (tmp_path / "acted").exists()


def test_who_did_not_ask_approves_at_an_own_screen(tmp_path):
    """Asked for by anna, whose process waits for nobody; ben takes the run up and approves."""
    (tmp_path / "r.md").write_text(approval("shared"))
    assert holdfast(tmp_path, "runbook", "run", "./r.md", "--as", "anna", "--json").returncode == 1
    [found] = answer(holdfast(tmp_path, "runbook", "history", "--json"))["runs"]
    with Terminal(tmp_path, "runbook", "resume", found["run"], "--view", "--as", "ben", columns=160) as terminal:
        terminal.see("May the copy go?")
        terminal.type("\x1bOQ\r")
        assert terminal.ended() == 0
    assert events(tmp_path, "approved")[0]["by"]["name"] == "ben"
