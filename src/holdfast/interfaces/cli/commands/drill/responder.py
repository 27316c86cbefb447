"""Incidents of a drill, by the command that opens any: each is marked as a drill."""

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence

from holdfast.drills.contract import Responder
from holdfast.errors import FoundWrong
from holdfast.interfaces.cli.context import Session
from holdfast.interfaces.cli.grammar.loading import there
from holdfast.interfaces.cli.registry import COMMANDS, Group


class IncidentNotOpened(FoundWrong):
    """The command that opens a drill's incident failed; the drill goes on."""

    code = "drill-incident-failed"


class Nobody:
    """Where the plan tells nobody of incidents."""

    def declare(self, run: str, title: str, systems: Sequence[str]) -> str | None:
        del run, title, systems
        return None

    def note(self, incident: str, text: str) -> None:
        pass

    def close(self, incident: str, text: str) -> None:
        pass


def responder(session: Session, environ: Mapping[str, str]) -> Responder:
    """By ``holdfast incident`` where this version has it and the plan speaks of incidents."""
    group = COMMANDS["incident"]
    has = isinstance(group, Group) and "declare" in group.entries and there(group.entries["declare"])
    if not has or getattr(session.plan.document, "incidents", None) is None:
        return Nobody()
    program = [sys.executable, "-m", "holdfast.interfaces.cli.main", "--plan", str(session.plan_path.absolute())]
    return ByCommand([*program, *(word for one in session.settings.set for word in ("--set", one))], environ)


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

    def close(self, incident: str, text: str) -> None:
        self._call(["incident", "close", incident, "--drill-over", text])

    def _call(self, words: Sequence[str]) -> dict[str, object]:
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
        if done.returncode:
            said = (found.get("error") or {}).get("message") or done.stderr.strip()[-300:]
            raise IncidentNotOpened(f"'holdfast {' '.join(words[:2])}' failed: {said}")
        return dict(found)
