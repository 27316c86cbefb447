"""Probes that never end keep nobody from undoing, and are given no secret."""

import threading
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from holdfast.assembly.drills import stage as looks
from holdfast.assembly.drills.stage import Asks
from holdfast.drills.contract import Look
from holdfast.drills.engine import probing
from holdfast.drills.engine.probing import Prober
from holdfast.model import SystemClock
from holdfast.validation import Check
from tests.drills.kit import Shop

pytestmark = pytest.mark.timeout(120)
LOST = "drill: lost\ntitle: lost\nsystems: docs\ndisaster: {kind: system-lost}\ncriteria: [sentinel, content, probes]\n"


def asking(command: str, timeout: float | None = None) -> Asks:
    copy = SimpleNamespace(view=SimpleNamespace(connection="nowhere"))
    return Asks("docs: asked", copy, Check("asked", command=command, timeout=timeout), 0.01)


def runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def until(truth) -> None:
    end = time.monotonic() + 100
    while not truth():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_a_command_that_never_ends_is_ended_with_all_that_it_started(tmp_path):
    seen, left = tmp_path / "seen", tmp_path / "left"
    # The first look ends, the second one and what it began do not.
    probe = asking(f"test -e {seen} || exec touch {seen}; sleep 600 & echo $$ $! > {left}.new; mv {left}.new {left}; sleep 600")
    prober = Prober([probe], SystemClock())
    prober.start()
    until(left.exists)
    prober.stop()
    assert [ok for _, ok, _, _ in prober.series[0].seen] == [True], "what was ended says nothing"
    for pid in map(int, left.read_text().split()):
        until(lambda pid=pid: not runs(pid))
    assert probe.look().ok is None, "nothing is begun after the end"


def test_a_look_that_cannot_be_ended_is_left_behind(monkeypatch):
    class Deaf:
        name, every = "deaf", 0.01
        looks = 0

        def __init__(self) -> None:
            self.begun, self.go = threading.Event(), threading.Event()

        def look(self) -> Look:
            self.looks += 1
            if self.looks > 1:
                self.begun.set()
                self.go.wait(600)
            return Look(True)

        def end(self) -> None:
            pass

    monkeypatch.setattr(probing, "PATIENCE", 0.2)
    probe = Deaf()
    prober = Prober([probe], SystemClock())
    prober.start()
    assert probe.begun.wait(100)
    prober.stop()
    assert not probe.go.is_set(), "it is still at it"
    probe.go.set()


def test_a_scenarios_probe_has_a_limit_and_no_secret(tmp_path, monkeypatch):
    shop = Shop(None, tmp_path)
    monkeypatch.setenv("HOLDFAST_KEY", shop.environ["HOLDFAST_KEY"])
    shop.environ["OTHER_KEY"] = shop.environ.pop("HOLDFAST_KEY")
    shop.plan.write_text(shop.plan.read_text().replace("HOLDFAST_KEY", "OTHER_KEY"))
    said = tmp_path / "said"
    done = shop.drill(LOST + f'probes: [{{name: asked, command: "env >> {said}"}}]\n', ("docs",))
    assert done.outcome == "ok"
    assert "HOLDFAST_CONNECTION=" in said.read_text()
    assert not [line for line in said.read_text().splitlines() if line.startswith(("HOLDFAST_KEY=", "OTHER_KEY=", "DB_DSN="))]
    monkeypatch.setattr(looks, "LONGEST", 0.3)
    slow = shop.drill(LOST + "probes: [{name: asked, command: sleep 600}]\n", ("docs",))
    assert slow.outcome == "refused"
    assert slow.torn_down
    assert "longer than" in str(slow.error)
