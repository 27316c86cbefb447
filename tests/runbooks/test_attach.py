"""A step outlives the Holdfast that began it: whoever resumes the run waits for its process, and does not begin it a second time."""

import contextlib
import json
import os
import resource
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from holdfast.evidence.procedure import steps_of
from holdfast.journal import Journal
from holdfast.model import SystemClock
from holdfast.runbooks.actions import process, supervisor
from holdfast.runbooks.actions.kept import Keeper, machine
from holdfast.runbooks.actions.output import HEAD, TAIL, Redactor
from holdfast.runbooks.actions.process import marked
from holdfast.runbooks.actions.supervisor import RING
from holdfast.state.process import birth
from tests.cli.running import answer, holdfast
from tests.runbooks.kit import page
from tests.runbooks.test_killed import PATIENCE, PROBE, Run, lines, until

pytestmark = pytest.mark.skipif(not machine(), reason="this machine cannot tell its processes apart")

# It prints before and after: into a pipe that nobody reads any more it would die of the second.
LONG = "echo begun; echo x >> effects; touch reached; until test -e go; do sleep 0.05; done; echo '{\"made\": 7}'; touch over"
STEP = f"id: a\nshell: |\n  {LONG}\n"

SAY = "id: b\nshell: {script: 'touch \"said-$MADE\"', env: {MADE: '${a.made}'}}"


def kinds(run, number):
    return [event["kind"] for event in answer(run("history", number))["events"]]


def finished(run, number):
    return next(event["data"] for event in answer(run("history", number))["events"] if event["kind"] == "finished")


def resumed(run, number):
    """Another process takes the run up, and waits: it is at work."""
    other = run.start("runbook", "resume", number, "--json")
    until(lambda: "resumed" in kinds(run, number) or other.poll() is not None, "it is taken up")
    assert other.poll() is None, (run.folder / "said").read_text()
    return other


def test_a_step_goes_on_and_its_end_is_seen_by_who_resumes(tmp_path):
    """Without a probe and without asking anybody; its output and its values are there, also of what it printed before."""
    run = Run(tmp_path, page(f"{STEP.replace('echo begun; ', '')}outputs: {{made: made}}", SAY))
    run.killed_when("reached")
    number = run.id
    other = resumed(run, number)
    assert not (tmp_path / "over").exists()
    (tmp_path / "go").touch()
    assert other.wait(PATIENCE) == 0, (tmp_path / "said").read_text()
    done = answer(run("history", number))
    assert done["outcome"] == "done"
    assert done["steps"][0]["outputs"] == {"made": 7}
    assert lines(tmp_path / "effects") == 1
    assert (tmp_path / "said-7").exists()
    assert kinds(run, number) == ["begin", "started", "resumed", "finished", "started", "finished", "ended"]
    assert finished(run, number)["attached"] is True
    assert answer(run("history", number))["events"][2]["data"]["attached"] == "a"
    assert "its step a is waited for" in holdfast(tmp_path, "runbook", "history", number).stdout
    [one, _] = steps_of(list(Journal(tmp_path / "state" / "journal", SystemClock()).entries()), number)
    assert (one["outcome"], one["deviation"]) == ("ok", "waited for by who took the run up again after its driver was gone")


def test_killed_again_while_it_waits_and_again_it_is_waited_for(tmp_path):
    run = Run(tmp_path, page(STEP))
    run.killed_when("reached")
    number = run.id
    for _ in range(2):
        other = resumed(run, number)
        other.send_signal(signal.SIGKILL)
        other.wait()
    (tmp_path / "go").touch()
    assert run.resume()["outcome"] == "done"
    assert lines(tmp_path / "effects") == 1
    assert finished(run, number)["streams"]["out"]["text"] == 'begun\n{"made": 7}\n'
    assert not list((tmp_path / "state" / "runbooks").glob("*/*")), "what was kept of it is left behind"


def test_what_failed_while_nobody_looked_has_failed(tmp_path):
    """Its status counts, and what it printed is told; nothing is begun again by itself."""
    run = Run(
        tmp_path,
        page("id: a\nshell: |\n  touch reached; until test -e go; do sleep 0.05; done; echo x >> effects; echo broken >&2; exit 3"),
    )
    run.killed_when("reached")
    number = run.id
    (tmp_path / "go").touch()
    run.quiet(number)
    stopped = run.resume()
    assert (stopped["status"], stopped["why"]) == ("stopped", "it ended with status 3")
    told = finished(run, number)
    assert (told["code"], told["streams"]["err"]["text"]) == (3, "broken\n")
    assert answer(run("resume", number))["waiting_for"]["what"] == "settle"
    assert lines(tmp_path / "effects") == 1


def test_its_time_is_over_although_nobody_drives_the_run(tmp_path):
    run = Run(tmp_path, page("id: a\ntimeout: 15s\nshell: touch reached; sleep 600 & sleep 600"))
    run.killed_when("reached")
    number = run.id
    run.quiet(number)
    stopped = run.resume()
    assert stopped["why"] == "it did not end within 15 s and was stopped"
    assert finished(run, number)["outcome"] == "timeout"


def test_an_abort_ends_what_is_still_at_work_and_asks_what_became_of_it(tmp_path):
    run = Run(tmp_path, page(f"id: a\n{PROBE}\nundo: {{shell: rm effects}}\nshell: |\n  {LONG}\n"))
    run.killed_when("reached")
    number = run.id
    done = answer(run("abort", number, "--reason", "wrong"))
    assert done["outcome"] == "aborted", done
    assert not marked(number)
    assert not (tmp_path / "over").exists()
    assert not (tmp_path / "effects").exists()
    assert kinds(run, number)[-5:] == ["finished", "probed", "undo_started", "undo_finished", "ended"]


def test_interrupted_twice_it_is_not_begun_beside_what_is_being_ended(tmp_path):
    """A second Ctrl-C while the first still ends the step: who resumes waits for that end."""
    script = [
        "exec 9>lock; flock -n 9 || touch twice",
        "if test -e reached; then echo x >> effects; exit; fi",
        "trap 'touch asked' TERM; touch reached",
        "while :; do sleep 0.05 || true; done",
    ]
    run = Run(tmp_path, page(f"id: a\n{PROBE}\nshell: |\n" + "".join(f"  {line}\n" for line in script)))
    assert run("history").returncode == 0  # commands are quick from here on
    process = run.start()
    for reached in ("reached", "asked"):
        until((tmp_path / reached).exists, reached)
        process.send_signal(signal.SIGINT)
    assert process.wait(PATIENCE) == 130
    assert run.resume()["outcome"] == "done"
    assert lines(tmp_path / "effects") == 1
    assert not (tmp_path / "twice").exists()


def test_an_undo_is_waited_for_too(tmp_path):
    undo = "undo: {shell: 'touch undoing; until test -e go; do sleep 0.05; done; rm effects; echo x >> undone'}"
    run = Run(tmp_path, page(f"id: a\nshell: echo x >> effects\n{undo}", "id: h\nkind: human\ndo: this"))
    assert run("run", "./r.md").returncode == 1
    number = run.id
    run.killed_when("undoing", "runbook", "abort", number, "--reason", "wrong", "--json")
    (tmp_path / "go").touch()
    assert run.resume()["outcome"] == "aborted"
    assert lines(tmp_path / "undone") == 1


def test_with_who_watched_over_it_gone_the_probe_decides(tmp_path):
    run = Run(tmp_path, page(f"id: a\n{PROBE}\nshell: |\n  {LONG}\n"))
    run.killed_when("reached")
    number = run.id
    [record] = (tmp_path / "state" / "runbooks").glob("*/*.process")
    known = json.loads(record.read_text())
    os.kill(known["supervisor"], signal.SIGKILL)
    until(lambda: birth(known["supervisor"]) is None, "who watched over it is gone")
    refused = answer(run("resume", number))["error"]
    assert (refused["code"], refused["details"]["processes"]) == ("runbook-step-still-runs", [known["process"]])
    os.killpg(known["process"], signal.SIGKILL)
    run.quiet(number)
    assert run.resume()["outcome"] == "done"
    assert lines(tmp_path / "effects") == 1
    assert "probed" in kinds(run, number)


def test_a_process_of_another_time_is_neither_waited_for_nor_ended(tmp_path):
    """The number was given again: to a process that has nothing to do with it. Also one of before a restart of the machine."""
    stranger = subprocess.Popen(["sleep", "3600"])
    try:
        folder = tmp_path / "run"
        folder.mkdir()
        said = {"version": 1, "machine": machine(), "until": 0.0}
        other = str(int(birth(stranger.pid) or "0") + 1)
        path = folder / "1.process"
        path.write_text(json.dumps({**said, "process": stranger.pid, "born": other, "supervisor": stranger.pid, "supervisor_born": other}))
        keeper = Keeper(folder, 1, attach=True)
        assert not keeper.waits()
        keeper.end(SystemClock())
        assert stranger.poll() is None
        born = birth(stranger.pid)
        right = {**said, "process": stranger.pid, "born": born, "supervisor": stranger.pid, "supervisor_born": born}
        path.write_text(json.dumps(right))
        assert keeper.waits()
        path.write_text(json.dumps({**right, "machine": "an earlier start"}))
        assert not keeper.waits()
        keeper.end(SystemClock())
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def test_what_lies_there_since_an_earlier_version_is_read(tmp_path):
    """A Holdfast may be exchanged while a step is at work: the files as version 1 wrote them."""
    record = {"version": 1, "machine": machine(), "process": 2**22, "born": "17", "supervisor": 2**22 + 1, "supervisor_born": "16"}
    (tmp_path / "3.process").write_text(json.dumps({**record, "until": 4711.5}))
    (tmp_path / "3.ended").write_text((Path(__file__).parent / "golden" / "ended.json").read_text())
    keeper = Keeper(tmp_path, 3, attach=True)
    assert keeper.waits()
    assert keeper.processes() == []
    ended = keeper.run(["x"], environment={}, directory=tmp_path, timeout=1, clock=SystemClock())
    assert (ended.code, ended.late, ended.text, ended.torn, keeper.seconds) == (3, False, "7\n", "", 12.25)
    assert (ended.out.size, ended.err.text) == (2, "broken\n")
    (tmp_path / "3.process").write_text(json.dumps({**record, "version": 2, "until": 4711.5}))
    assert not keeper.waits()


# ------------------------------------------------------------ the process alone

FIXED = {"PATH": os.environ["PATH"]}


def kept(folder: Path, *argv: str, timeout: float = 600.0, **more):
    keeper = Keeper(folder / "run", 1, **{name: more.pop(name) for name in ("printed", "word") if name in more})
    return keeper.run(argv, environment={**FIXED, **more.pop("env", {})}, directory=folder, timeout=timeout, clock=SystemClock(), **more)


def plain(folder: Path, *argv: str, **more):
    return process.run(argv, environment={**FIXED, **more.pop("env", {})}, directory=folder, timeout=600, clock=SystemClock(), **more)


@pytest.mark.parametrize(
    ("argv", "env"),
    [
        (["bash", "-c", "echo out; echo err >&2; exit 5"], {}),
        (["bash", "-c", "kill -9 $$"], {}),
        (["env", "-0"], {"A": "b c\n", "UNI": "müß"}),
        (["printf", "%s\\n", "a b", "\udce4", "müß", ""], {}),
        (["bash", "-c", 'echo "$0"; pwd; ps -o pgid= -o sid= -p $$ | wc -w; test -t 0 || echo no'], {}),
        (["bash", "-c", "printf 'geheim-'; sleep 0.1; printf '4711 und mehr'"], {}),
        (["bash", "-c", "trap | wc -l; grep -E 'Sig(Blk|Ign|Cgt)' /proc/self/status"], {}),
    ],
)
def test_a_kept_process_is_as_any_other(tmp_path, argv, env):
    one, other = kept(tmp_path, *argv, env=env, secrets=["geheim-4711"]), plain(tmp_path, *argv, env=env, secrets=["geheim-4711"])
    assert one == other
    assert "geheim" not in one.out.text


def test_it_is_watched_beside_a_thousand_open_files(tmp_path):
    """A file descriptor above 1023 ended the step with an error of select(2)."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY:
        assert hard > 1200
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 1200), hard))
    try:
        with contextlib.ExitStack() as open_files:
            for _ in range(1100):
                open_files.enter_context(Path(os.devnull).open())
            assert kept(tmp_path, "echo", "seen").out.text.strip() == "seen"
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_what_cannot_be_started_is_said_as_of_any_other(tmp_path):
    for argv in (["no-such-program"], [str(tmp_path)]):
        with pytest.raises(OSError) as one:
            kept(tmp_path, *argv)
        with pytest.raises(OSError) as other:
            plain(tmp_path, *argv)
        assert (one.value.errno, one.value.strerror) == (other.value.errno, other.value.strerror)


def test_no_secret_reaches_the_disk_and_little_of_much_does(tmp_path):
    """What is on the disk while it runs, and what is told of it, has the secrets taken out; 8 MiB take RING on the disk."""
    seen: dict[str, object] = {"sizes": []}

    def printed(_stream: str, text: str) -> None:
        seen["told"] = str(seen.get("told", ""))[-1000:] + text[:1000]
        seen["sizes"].append((tmp_path / "run" / "1.out").stat().st_size)
        for path in (tmp_path / "run").iterdir():
            with contextlib.suppress(FileNotFoundError):  # a file that was made beside has its name by now
                seen["disk"] = seen.get("disk", False) or b"geheim" in path.read_bytes()

    script = f"import os, time\nprint('geheim-4711 is it', flush=True)\nfor _ in range(8): print('x' * {(1 << 20) - 1}, flush=True)\n"
    script += "open('much', 'w')\nwhile not os.path.exists('go'): time.sleep(0.05); print('.' * 9, flush=True)"

    def look(stream: str, text: str) -> None:
        printed(stream, text)
        if (tmp_path / "much").exists():
            (tmp_path / "go").touch()

    ended = kept(tmp_path, sys.executable, "-c", script, secrets=["geheim-4711"], printed=look)
    assert ended.code == 0
    assert ended.out.text.startswith("[secret] is it\n")
    assert ended.out.size >= (8 << 20) + len("[secret] is it\n")
    assert ended.out.cut == ended.out.size - HEAD - TAIL
    assert ended.text is None
    assert seen["told"]
    assert seen["disk"] is False
    assert max(seen["sizes"]) <= RING


def test_nothing_is_begun_when_its_record_cannot_be_written(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("holdfast.runbooks.actions.kept.durable", full)
    with pytest.raises(OSError, match="No space left"):
        kept(tmp_path, "touch", str(tmp_path / "changed"))
    assert not (tmp_path / "changed").exists()


def test_what_nobody_watches_over_any_more_is_ended_before_it_is_told(tmp_path):
    """Its driver lives: it would ask the probe, and begin it again beside itself."""
    record = tmp_path / "run" / "1.process"

    def kill():
        until((tmp_path / "reached").exists, "it is at work")
        os.kill(json.loads(record.read_text())["supervisor"], signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    ended = kept(tmp_path, "bash", "-c", "touch reached; until test -e go; do sleep 0.05; done")
    killer.join()
    known = json.loads(record.read_text())
    lives = birth(known["process"]) == known["born"]
    (tmp_path / "go").touch()
    assert not lives
    assert "nobody saw how it ended" in ended.torn


def test_on_a_full_disk_how_it_ended_takes_the_place_of_what_was_printed(tmp_path, monkeypatch):
    real = supervisor.durable

    def full(path, said):
        if any((tmp_path / f"1.{name}").stat().st_size for name in ("out", "err")):
            raise OSError(28, "No space left on device")
        real(path, said)

    monkeypatch.setattr(supervisor, "durable", full)
    for name in ("out", "err"):
        (tmp_path / f"1.{name}").write_text("printed")
    supervisor.write_down(str(tmp_path / "1"), {"code": 3})
    assert json.loads((tmp_path / "1.ended").read_text()) == {"code": 3}


def test_what_cannot_be_watched_over_is_not_begun(tmp_path):
    (tmp_path / "run" / "1.out").mkdir(parents=True)  # its output cannot be kept
    with pytest.raises(OSError, match="watch over it ended at once"):
        kept(tmp_path, "touch", str(tmp_path / "changed"))
    assert not (tmp_path / "changed").exists()


def test_a_secret_that_is_no_utf_8_is_taken_out(tmp_path):
    """As a variable holds one that was set under an older locale."""
    secret = os.fsdecode(b"geheim-\xe4-4711")
    ended = kept(tmp_path, "bash", "-c", 'echo "with $PW"; touch changed', env={"PW": secret}, secrets=[secret])
    assert (ended.torn, ended.code, ended.out.text) == ("", 0, "with [secret]\n")
    assert Redactor([secret]).text(f"it is {secret}") == "it is [secret]"


def test_where_nobody_says_any_more_that_the_host_drives_it_the_process_is_ended(tmp_path):
    """Before another host may begin the same: also when all of Holdfast is gone from here."""
    ended = kept(tmp_path, "sleep", "600", word=(tmp_path / "word", 0.5))
    assert "nobody there said any more that the host drives the run" in ended.torn
    (tmp_path / "word").write_text(f"{SystemClock().monotonic() + 3600:.3f}")
    ended = kept(tmp_path, "sleep", "1", word=(tmp_path / "word", 0.5))
    assert (ended.code, ended.torn) == (0, "")
