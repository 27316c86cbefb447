"""Incidents of a drill, by the command that opens any: each is marked as a drill."""

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence

from holdfast.drills.contract import Responder
from holdfast.errors import FoundWrong
from holdfast.plan import Plan


class IncidentNotOpened(FoundWrong):
    """The command that opens a drill's incident failed; the drill goes on."""

    code = "drill-incident-failed"


def responder(plan: Plan, settings: Sequence[str], environ: Mapping[str, str]) -> Responder:
    """By ``holdfast incident`` where the plan speaks of incidents; else none is declared, and what a runbook's steps declared is closed."""
    program = [sys.executable, "-m", "holdfast.interfaces.cli.main", "--plan", str(plan.path.absolute())]
    program += [word for one in settings for word in ("--set", one)]
    return (Quiet if plan.document.incidents is None else ByCommand)(program, environ)


class ByCommand:
    """A process for each message, so that what hangs there does not hang the drill for longer than ``PATIENCE``."""

    PATIENCE = 120.0

    def __init__(self, program: Sequence[str], environ: Mapping[str, str]) -> None:
        self._program, self._environ = program, environ

    def declare(self, run: str, title: str, systems: Sequence[str]) -> str | None:
        words = ["incident", "declare", title, "--drill", run, *(word for name in systems for word in ("--system", name))]
        found = self._call(words)
        return str(found.get("incident") or "") or None

    def note(self, incident: str, text: str) -> None:
        self._call(["incident", "note", incident, text])

    def open(self, run: str) -> Sequence[str]:
        found = self._call(["incident", "list", "--limit", "1000"], (0, 1))["incidents"]
        assert isinstance(found, list)
        return [str(one["incident"]) for one in found if one["drill"] == run and one["state"] != "closed"]

    def close(self, incident: str, text: str) -> None:
        self._call(["incident", "close", incident, "--drill-over", text])

    def _call(self, words: Sequence[str], good: Sequence[int] = (0,)) -> dict[str, object]:
        try:
            done = subprocess.run(
                [*self._program, *words, "--json"],
                env=dict(self._environ),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                check=False,
                timeout=self.PATIENCE,
            )
        except subprocess.TimeoutExpired as error:
            raise IncidentNotOpened(f"'holdfast {' '.join(words[:2])}' took longer than {self.PATIENCE:g} s.") from error
        try:
            found = json.loads(done.stdout)
        except ValueError:
            found = {}
        if done.returncode not in good or "error" in found:
            said = (found.get("error") or {}).get("message") or done.stderr.strip()[-300:]
            raise IncidentNotOpened(f"'holdfast {' '.join(words[:2])}' failed: {said}")
        return dict(found)


class Quiet(ByCommand):
    """Where the plan tells nobody of incidents, none is declared for a drill."""

    def declare(self, run: str, title: str, systems: Sequence[str]) -> str | None:
        del run, title, systems
        return None
