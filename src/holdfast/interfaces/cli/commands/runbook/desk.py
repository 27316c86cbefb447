"""What the commands of runbooks work with: the plan where there is one, the library, the records. An empty machine has no plan yet."""

import os
import shutil
import sys
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit
from zoneinfo import ZoneInfo

from holdfast.assembly.host import host_state
from holdfast.connect.secrets import resolve
from holdfast.interfaces.cli.context import Session
from holdfast.journal import Journal
from holdfast.plan import Plan, SecretRef
from holdfast.runbooks.engine.record import Records
from holdfast.runbooks.engine.work import SHORTEST_SECRET, Bench
from holdfast.runbooks.format.library import FOLDER, Library
from holdfast.runbooks.format.lint import Promised
from holdfast.state import directory, shared


class Desk:
    """Made of a session; reads the plan only where its file is there."""

    def __init__(self, session: Session) -> None:
        self.session = session

    @cached_property
    def plan(self) -> Plan | None:
        """None without a plan's file, unless one was asked for by name. Raises PlanInvalid, PlanMissing."""
        named = self.session.settings.plan or os.environ.get("HOLDFAST_PLAN")
        return self.session.plan if named or self.session.plan_path.exists() else None

    @property
    def directory(self) -> Path:
        """Where steps start: beside the plan, else here."""
        return self.session.plan_path.parent.absolute() if self.plan else Path.cwd()

    @cached_property
    def library(self) -> Library:
        if self.plan is None:
            return Library(Path.cwd() / FOLDER)
        return Library(self.plan.resolve(self.plan.document.runbooks or FOLDER))

    @property
    def zone(self) -> ZoneInfo:
        return self.plan.zone if self.plan else ZoneInfo("UTC")

    @property
    def systems(self) -> tuple[str, ...] | None:
        return self.plan.systems if self.plan else None

    def promised(self) -> list[Promised]:
        """The plan's systems and how soon they are promised back."""
        return [Promised(name, self.plan.effective(name).rto) for name in self.plan.systems] if self.plan else []

    @cached_property
    def records(self) -> Records:
        place = directory(os.environ)
        return Records(
            host_state(self.plan, os.environ, self.session.clock), Journal(place / "journal", self.session.clock), self.session.clock
        )

    @cached_property
    def bench(self) -> Bench:
        program = [sys.executable, "-m", "holdfast.interfaces.cli.main"]
        if self.plan is not None:
            program += ["--plan", str(self.session.plan_path.absolute())]
            program += [word for setting in self.session.settings.set for word in ("--set", setting)]
        return Bench(program, _environment(), self.directory, self.session.clock, self._secret, hidden=tuple(self._secrets_of_plan()))

    def _secret(self, place: Any) -> str:
        return resolve(SecretRef.model_validate(dict(place)), base=self.directory, environ=os.environ)

    def _secrets_of_plan(self) -> Iterator[str]:
        """What the plan says is a secret and lies in the environment or in a file: a step could print it. Commands are not run for that."""
        if dsn := shared(os.environ):
            yield from [dsn, *(unquote(text) for text in [urlsplit(dsn).password or ""] if len(text) >= SHORTEST_SECRET)]
        waiting: list[Any] = [self.plan.merged] if self.plan else []
        while waiting:
            value = waiting.pop()
            if isinstance(value, dict):
                waiting += value.values()
                if set(value) == {"env"} and isinstance(value["env"], str) and len(os.environ.get(value["env"], "")) >= SHORTEST_SECRET:
                    yield os.environ[value["env"]]
                elif set(value) == {"file"} and isinstance(value["file"], str) and self.plan:
                    yield from _text_of(self.plan.resolve(value["file"]))
            elif isinstance(value, list | tuple):
                waiting += value


def _environment() -> dict[str, str]:
    """What steps inherit. Scripts find the program by its name also where it was started by its path."""
    found = dict(os.environ)
    beside = Path(sys.executable).parent
    if shutil.which("holdfast", path=found.get("PATH")) is None and (beside / "holdfast").is_file():
        found["PATH"] = os.pathsep.join([*filter(None, [found.get("PATH")]), str(beside)])
    return found


def _text_of(path: Path) -> Iterator[str]:
    try:
        text = path.read_text(encoding="utf-8").strip() if path.is_file() and path.stat().st_size < 1 << 16 else ""
    except (OSError, UnicodeDecodeError):
        return
    if len(text) >= SHORTEST_SECRET:
        yield text
