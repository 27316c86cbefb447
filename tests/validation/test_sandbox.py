"""Where isolated copies live: too small is said before, as many as the plan allows and no more, removed also after a kill."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from holdfast.systems.postgres.running.isolate import Sandboxes
from holdfast.systems.shared import boxes
from holdfast.systems.shared.claims import Allowance, SandboxesTaken, SandboxTooSmall, SandboxUnfit
from tests.cli.running import answer, holdfast

PLAN = """
platform: acme
vault:
  key: {{env: HOLDFAST_KEY}}
  locations:
    - {{name: onsite, url: "file://{here}/vault", failure_domain: here}}
sandbox: {{directory: "{boxes}", size: {size}, max: {most}}}
systems:
  app: {{kind: files, paths: ["{here}/source"], backup: daily, rpo: 1d, keep: {{last: 3}}}}
"""

HOLD = """
import sys
from pathlib import Path
from holdfast.systems.shared import boxes
from holdfast.systems.shared.claims import Allowance, SandboxesTaken
folder, limit = Path(sys.argv[1]), int(sys.argv[2])
sys.stdin.readline()
try:
    with boxes.open_box(folder, "files", 10, Allowance(limit, 1000)) as box:
        (box / "copy").write_text("x")
        print("in", flush=True)
        sys.stdin.readline()
except SandboxesTaken:
    print("taken", flush=True)
"""


def holder(folder: Path, limit: int) -> "subprocess.Popen[str]":
    return subprocess.Popen([sys.executable, "-c", HOLD, str(folder), str(limit)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def say(process: "subprocess.Popen[str]") -> None:
    assert process.stdin is not None
    process.stdin.write("go\n")
    process.stdin.flush()


def heard(process: "subprocess.Popen[str]") -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def test_no_more_copies_than_the_plan_allows_however_many_come_at_once(tmp_path):
    processes = [holder(tmp_path, 2) for _ in range(6)]
    try:
        for process in processes:
            say(process)
        said = [heard(process) for process in processes]
        assert sorted(said) == ["in"] * 2 + ["taken"] * 4
        # One of them is killed: whoever comes next removes what it left, and has its place.
        inside = [process for process, word in zip(processes, said, strict=True) if word == "in"]
        inside[0].kill()
        inside[0].wait()
        assert len(list(tmp_path.glob("hf-files-*/copy"))) == 2
        with boxes.open_box(tmp_path, "files", 10, Allowance(2, 1000)):
            assert len(list(tmp_path.glob("hf-files-*/copy"))) == 1
            with pytest.raises(SandboxesTaken, match="2 isolated copies run"), boxes.open_box(tmp_path, "files", 1, Allowance(2)):
                pass
            # A working folder is no copy.
            with boxes.open_box(tmp_path, "files"):
                pass
        say(inside[1])
        assert inside[1].wait(60) == 0
    finally:
        for process in processes:
            process.kill()
            process.wait()
            for pipe in (process.stdin, process.stdout):
                assert pipe is not None
                pipe.close()
    assert list(tmp_path.iterdir()) == []


def test_copies_share_what_the_plan_gives_them(tmp_path):
    allowed = Allowance(None, 100)
    with pytest.raises(SandboxTooSmall, match="sandbox"), boxes.open_box(tmp_path, "files", 101, allowed):
        pass
    with boxes.open_box(tmp_path, "files", 60, allowed):
        with pytest.raises(SandboxesTaken, match="more are needed"), boxes.open_box(tmp_path, "delta", 41, allowed):
            pass
        with boxes.open_box(tmp_path, "delta", 40, allowed):
            pass
    (tmp_path / "file").write_text("")
    with pytest.raises(SandboxUnfit, match="cannot be made"), boxes.open_box(tmp_path / "file", "files"):
        pass


@pytest.fixture
def run(tmp_path):
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "large").write_bytes(os.urandom(3 << 20))

    def holdfast_here(*words, boxes="boxes", size="10MiB", most=1):
        text = PLAN.format(here=tmp_path, boxes=tmp_path / boxes, size=size, most=most)
        (tmp_path / "holdfast.yaml").write_text(text)
        return holdfast(tmp_path, *words, HOLDFAST_KEY="k")

    assert holdfast_here("init", "--yes").returncode == 0
    assert holdfast_here("backup", "app").returncode == 0
    return holdfast_here


def test_verify_says_before_it_begins_that_a_copy_would_not_fit(run, tmp_path):
    # Nobody can read the source then: had it been asked first, that would be what is told.
    (tmp_path / "source" / "large").unlink()
    done = run("verify", "app", "--json", size="2MiB")
    [system] = answer(done)["systems"]
    assert (done.returncode, system["verdict"], system["code"]) == (1, "error", "sandbox-too-small")
    assert "needs about 3.0 MiB" in system["message"]
    assert "2.0 MiB" in system["message"]
    assert not list((tmp_path / "boxes").glob("hf-files-*"))
    (tmp_path / "occupied").write_text("")
    [system] = answer(run("verify", "app", "--json", boxes="occupied"))["systems"]
    assert (system["verdict"], system["code"]) == ("error", "sandbox-unfit")
    # What failed to begin proved nothing, and is remembered as a failure.
    assert answer(run("status", "app", "--json"))["systems"][0]["proofs"]["restore"]["ok"] is False


def test_what_a_killed_verify_left_is_gone_by_the_next_one(run, tmp_path):
    folder = tmp_path / "boxes"
    process = holder(folder, 5)
    folder.mkdir()
    say(process)
    assert heard(process) == "in"
    done = run("verify", "app", "--json", most=1)
    assert answer(done)["systems"][0]["code"] == "sandboxes-taken"
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert len(list(folder.glob("hf-files-*"))) == 2
    # By what runs from cron as well, though no proof is due.
    assert run("due", "--run").returncode == 0
    assert not list(folder.glob("hf-files-*"))
    assert run("verify", "app", most=1).returncode == 0
    assert not list(folder.glob("hf-files-*"))


@pytest.mark.skipif(os.geteuid() != 0, reason="needs a second account")
@pytest.mark.parametrize("sweep", [lambda folder: boxes.sweep(folder, "box"), lambda folder: Sandboxes(folder).sweep()])
def test_copies_of_another_account_are_left_to_it(sweep):
    """Both name the same folder in their plans: what one runs is in nobody's way."""
    folder = Path(tempfile.mkdtemp(prefix="hf-two-"))
    try:
        folder.chmod(0o777)
        lock = folder / "hf-box-0.lock"
        lock.touch(mode=0o600)
        os.seteuid(65534)
        try:
            assert sweep(folder) == []
        finally:
            os.seteuid(0)
        assert lock.exists()
    finally:
        shutil.rmtree(folder)
