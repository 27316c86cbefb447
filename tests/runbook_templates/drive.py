"""Follows a runbook to its end although every process that drives it is killed, and says what happened at each step."""

import datetime as dt
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.cli.running import environment

PATIENCE = 300
MODULE = [sys.executable, "-m", "holdfast.interfaces.cli.main"]
ROOT = Path(__file__).resolve().parents[2]


@dataclass
class Line:
    """One kill: ``outcome`` says how the next process found the step, ``seconds`` from the kill until the step was over."""

    step: str
    moment: str
    outcome: str
    seconds: float


@dataclass
class Followed:
    run: str
    document: Mapping[str, Any]
    events: list[dict[str, Any]]
    lines: list[Line]
    seconds: float = 0.0


@dataclass
class Follower:
    """``folder`` holds the plan; ``answers``: what a person says at a step, by its id (further words of ``runbook approve``), and
    ``do``: what that person does first.
    """

    folder: Path
    env: Mapping[str, str]
    answers: Mapping[str, list[str]] = field(default_factory=dict)
    do: Mapping[str, Callable[[], None]] = field(default_factory=dict)

    def holdfast(self, *words: str, status: int | None = 0, doom: Path | None = None) -> subprocess.CompletedProcess[str]:
        program = MODULE if doom is None else [sys.executable, "-m", "tests.runbook_templates.doomed", str(doom)]
        done = subprocess.run(
            [*program, *words, "--json"],
            cwd=self.folder,
            env={**environment(self.folder, **self.env), "PYTHONPATH": f"{ROOT}:{ROOT / 'src'}"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        assert status is None or done.returncode == status, f"{words}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        assert "Traceback" not in done.stderr, done.stderr
        return done

    def answer(self, *words: str, status: int | None = 0) -> Any:
        return json.loads(self.holdfast(*words, status=status).stdout)

    def follow(
        self, runbook: str, parameters: Mapping[str, str], places: Iterable[tuple[str, str]] = (), awaited: Mapping[str, str] | None = None
    ) -> Followed:
        """Begins a run, is killed at each of the places once, and goes on until it has ended. ``awaited``: for ``dead``, by step, a path
        (with wildcards in its name) that must be there before the end comes.
        """
        began = time.monotonic()
        plan, fired = self.folder / "doom.json", self.folder / f"fired-{runbook}"
        fired.unlink(missing_ok=True)
        plan.write_text(json.dumps({"fired": str(fired), "places": list(places), "awaited": dict(awaited or {})}))
        words = [
            "runbook",
            "run",
            runbook,
            "--as",
            "anna",
            *(word for name, value in parameters.items() for word in ("--param", f"{name}={value}")),
        ]
        kills: list[tuple[str, str, dt.datetime]] = []
        run = ""
        did: set[str] = set()
        for _ in range(1000):
            done = self.holdfast(*words, status=None, doom=plan)
            if done.returncode == -9:
                kills.append((*json.loads(fired.read_text().splitlines()[-1]), dt.datetime.now(dt.UTC)))
                if not run:
                    # Killed before the first event there is none yet.
                    runs = self.answer("runbook", "history")["runs"]
                    run = next((one["run"] for one in runs if one["runbook"] == runbook), "")
                words = ["runbook", "resume", run, "--as", "anna"] if run else words
                continue
            found = json.loads(done.stdout)
            if "error" in found:
                assert found["error"]["code"] == "runbook-step-still-runs", done.stdout + done.stderr
                words = ["runbook", "resume", run, "--as", "anna"]
                time.sleep(0.1)
                continue
            run = found["run"]
            if found["status"] == "ended":
                return self._followed(run, found, kills, time.monotonic() - began)
            asked = found["waiting_for"]
            assert found["status"] == "waiting", f"{found['status']}: {found['why']}\n{done.stderr}"
            step, what = asked["step"], asked["what"]
            assert what in ("confirm", "choose", "approve"), f"{step} asks to {what}: {asked['text']}\n{done.stderr}"
            if step in self.do and step not in did:
                did.add(step)
                self.do[step]()
            who = "ben" if what == "approve" else "anna"
            default = ["--note", f"{step} is done"] if what == "confirm" else []
            # Somebody else answers and goes on with it.
            words = ["runbook", "approve", run, step, "--as", who, *self.answers.get(step, default), "--resume"]
        raise AssertionError("it never ended")

    def _followed(self, run: str, document: Mapping[str, Any], kills: list[tuple[str, str, dt.datetime]], seconds: float) -> Followed:
        events = self.answer("runbook", "history", run)["events"]
        lines = [Line(step, moment, _outcome(events, step), _took(events, step, at)) for step, moment, at in kills]
        return Followed(run, document, events, lines, seconds)


def _took(events: list[dict[str, Any]], step: str, killed: dt.datetime) -> float:
    """Seconds from a kill until its step was over."""
    over = ("finished", "confirmed", "chosen", "approved", "probed")
    ends = [dt.datetime.fromisoformat(one["at"]) for one in events if one["data"].get("step") == step and one["kind"] in over]
    return round(max(0.0, (max(ends) - killed).total_seconds()), 1) if ends else 0.0


def _outcome(events: list[dict[str, Any]], step: str) -> str:
    """How the step went, by what was written down of it."""
    own = [event for event in events if event["data"].get("step") == step]
    said = []
    for event in own:
        if event["kind"] == "started":
            said.append(f"begun ({event['data']['attempt']})")
        elif event["kind"] == "probed":
            said.append(f"happened? {event['data']['answer']}")
        elif event["kind"] == "finished":
            said.append(event["data"]["outcome"])
        else:
            said.append(event["kind"])
    return ", ".join(said)
