"""A person at a real terminal: answers, sizes, a line that hangs or ends, programs that say something meanwhile."""

import os
import signal
import termios

import pytest

from tests.cli.running import answer, holdfast
from tests.runbooks.kit import page
from tests.view.terminal import Terminal

PAGE = page(
    "id: first\nshell: for n in $(seq 1 200); do echo line $n; done; printf '\\033]0;evil\\007'\nrepeatable: true",
    "id: way\nkind: decision\nask: Which way?\nchoose: {one: the quick way, two: the slow way}",
    "id: tell\nkind: human\ndo: Tell the shops.\nnote: true",
    "id: last\nshell: touch acted\nrepeatable: true",
    front="rto: 15m\n",
)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "r.md").write_text(PAGE)
    return tmp_path


def run(folder, **more):
    return Terminal(folder, "runbook", "run", "./r.md", "--view", "--as", "anna", **more)


def events(folder):
    [found] = answer(holdfast(folder, "runbook", "history", "--json"))["runs"]
    return holdfast(folder, "runbook", "history", found["run"]).stdout, found


def test_a_run_from_the_first_step_to_the_last(folder):
    with run(folder) as terminal:
        shown = terminal.see("A test", "RTO 15:00:", "left", "✓", "line 200", "Which way?", "one: the quick way")
        assert "0;evil" not in bytes(terminal.raw).decode(errors="replace").replace("\N{REPLACEMENT CHARACTER}]0;evil", "")
        assert "1/4 steps" in shown
        terminal.type("three\r")
        terminal.see("'three' is no choice of way")
        terminal.type("\t")
        terminal.see("> one")
        terminal.type("\t")
        terminal.see("> two")
        terminal.type("\r")
        terminal.see("Tell the shops.", "anna chose two")
        terminal.type("\x1bOQ\r")
        terminal.see("asks for a note")
        terminal.type("done all tol\x7fld")
        terminal.see("> done all told")
        terminal.type("\r")
        assert terminal.ended() == 0
        assert termios.tcgetattr(terminal.theirs) == terminal.before
        # What happened stays above the prompt, and the answer of the command with it.
        terminal.left("way: anna chose two", ": done.")
    said, found = events(folder)
    assert found["status"] == "done"
    assert "confirmed by anna: all told" in said
    assert (folder / "acted").exists()


def test_what_is_typed_ahead_answers_nothing(folder):
    """Enter pressed twice, or too early, never confirms what was not on the screen."""
    (folder / "r.md").write_text(
        page(
            "id: slow\nshell: touch begun; while [ ! -e go ]; do sleep 0.05; done\nrepeatable: true",
            "id: a\nkind: human\ndo: Do A.",
            "id: b\nkind: human\ndo: Do B.",
        )
    )
    with run(folder) as terminal:
        terminal.see("at work; nothing to answer", "▶")
        terminal.wait(lambda _: (folder / "begun").exists())
        terminal.type("done\r")
        (folder / "go").touch()
        terminal.see("Do A.")
        terminal.type("done\rdone\r")
        terminal.see("Do B.", "Not used, since the question changed: done")
        terminal.type("leave\r")
        assert terminal.ended() == 1
    said, found = events(folder)
    assert found["waiting"]
    assert said.count("confirmed by anna") == 1


def test_it_fits_any_size_and_follows_a_change_of_it(folder):
    with run(folder, columns=100, lines=30) as terminal:
        terminal.see("Which way?")
        for columns, lines in ((40, 12), (200, 60), (20, 5), (10, 3), (80, 24)):
            terminal.resize(columns, lines)
            terminal.wait(lambda shown: "> " in shown, f"{columns}x{lines}")
            widest = max(len(line) for line in terminal.screen.splitlines())
            assert widest <= columns
        terminal.type("one\r")
        terminal.see("Tell the shops.")


def test_the_output_is_seen_whole_and_scrolled(folder):
    with run(folder) as terminal:
        shown = terminal.see("line 200", "Which way?")
        assert "line 170" not in shown
        terminal.type("\x1b[15~")
        terminal.see("line 190", "line 185", "Which way?")
        for _ in range(30):
            terminal.type("\x1b[5~")
        terminal.see("── first", "line 1\n")
        terminal.type("\x0f")
        terminal.see("Which way?", "✓")


def test_a_line_that_hangs_holds_up_no_step(folder):
    """The screen is not read for a while: steps go on, and when it is read again it shows how things are."""
    (folder / "r.md").write_text(
        page(
            *[
                f"id: s{number}\nshell: for n in $(seq 1 3000); do echo step {number} line $n of much; done\nrepeatable: true"
                for number in range(6)
            ],
            "id: end\nkind: human\ndo: All of it is done.",
        )
    )
    with run(folder, columns=200, lines=60) as terminal:
        terminal.see("A test")
        terminal.go.clear()
        while not (waiting := answer(holdfast(folder, "runbook", "history", "--json"))["runs"]) or not waiting[0]["waiting"]:
            assert terminal.process.poll() is None
        terminal.go.set()
        terminal.see("All of it is done.", "6/7 steps")
        terminal.type("done\r")
        assert terminal.ended() == 0


def test_an_answer_from_elsewhere_is_shown_and_a_half_typed_line_does_not_answer_the_next(folder):
    with run(folder) as terminal:
        terminal.see("Which way?")
        terminal.type("tw")
        terminal.see("> tw")
        [found] = answer(holdfast(folder, "runbook", "history", "--json"))["runs"]
        assert holdfast(folder, "runbook", "approve", found["run"], "way", "--choose", "one", "--as", "ben").returncode == 0
        terminal.see("Tell the shops.", "Not used, since the question changed: tw")
        terminal.wait(lambda shown: "> tw" not in shown)
        terminal.type("done it is told\r")
        assert terminal.ended() == 0


def test_ctrl_c_in_a_step_gives_the_terminal_back_and_the_run_is_kept(folder):
    (folder / "r.md").write_text(page("id: slow\nshell: touch begun; sleep 600\nrepeatable: true"))
    with run(folder) as terminal:
        terminal.wait(lambda _: (folder / "begun").exists())
        terminal.see("at work")
        terminal.type("\x03")
        assert terminal.ended() != 0
        assert termios.tcgetattr(terminal.theirs) == terminal.before
        terminal.left("runbook resume")


def test_a_terminal_that_is_gone_leaves_the_run_to_be_resumed(folder):
    with run(folder) as terminal:
        terminal.see("Which way?")
        os.kill(terminal.process.pid, signal.SIGHUP)
        terminal.process.wait(240)
    _, found = events(folder)
    assert found["waiting"]
    with Terminal(folder, "runbook", "resume", found["run"], "--view", "--as", "anna") as terminal:
        terminal.see("Which way?", "1/4 steps", "✓")
        terminal.type("one\r")
        terminal.see("Tell the shops.")
        terminal.type("skip nobody is awake\r")
        assert terminal.ended() == 0
    assert "nobody is awake" in events(folder)[0]


def test_without_a_terminal_it_is_refused_before_anything_begins(folder):
    done = holdfast(folder, "runbook", "run", "./r.md", "--view")
    assert done.returncode == 2
    assert "--view needs a terminal" in done.stderr
    assert answer(holdfast(folder, "runbook", "history", "--json"))["runs"] == []
