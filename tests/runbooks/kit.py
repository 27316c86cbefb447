"""Runbooks for tests, a clock that stands still until it is moved, a world in which actions have effects, and drivers on real records."""

import datetime as dt
import textwrap
from pathlib import Path

from holdfast.journal import Journal
from holdfast.runbooks.actions.contract import Result
from holdfast.runbooks.engine.driver import Driver, Nobody
from holdfast.runbooks.engine.people import Person
from holdfast.runbooks.engine.record import Records
from holdfast.runbooks.engine.work import Bench
from holdfast.runbooks.format.compile import compile_text
from holdfast.state import State

ANNA = Person("anna", "anna", "ops1")
BEN = Person("ben", "ben", "ops1")
CARLA = Person("carla", "carla", "ops1")

HEAD = """\
---
runbook: {name}
title: A test
{front}---
# A test
"""


def page(*steps: str, name: str = "test", front: str = "") -> str:
    """A runbook of these step blocks."""
    blocks = "\n".join(f"```step\n{textwrap.dedent(step).strip()}\n```\n" for step in steps)
    return HEAD.format(name=name, front=textwrap.dedent(front)) + blocks


class Clock:
    """Moves when told to, and by what is slept."""

    def __init__(self) -> None:
        self.moment = dt.datetime(2026, 11, 21, 10, 0, tzinfo=dt.UTC)
        self.slept = 0.0

    def now(self) -> dt.datetime:
        return self.moment

    def monotonic(self) -> float:
        return self.slept

    def sleep(self, seconds: float) -> None:
        self.moment += dt.timedelta(seconds=seconds)
        self.slept += seconds


def records(folder: Path, clock=None) -> Records:
    clock = clock or Clock()
    return Records(State(folder / "state", clock), Journal(folder / "state" / "journal", clock), clock)


class Scripted:
    """Stands for the bench where what matters is what is written down: results by (step, what), ok where nothing is said."""

    def __init__(self, results=None) -> None:
        self.results = dict(results or {})
        self.done: list[str] = []

    def call(self, _state, step, doing, **_):
        name = doing["action"]["spec"]["argv"][0]
        self.done.append(f"{step}:{name}")
        found = self.results.get((step, name))
        found = found.pop(0) if isinstance(found, list) and found else found
        return found if isinstance(found, Result) else Result("ok", True, "")


def begin(driver: Driver, text: str, *, run: str = "r1", person: Person = ANNA, **parameters):
    snapshot = compile_text(text, "test.md")
    return driver.begin(run, person, snapshot=dict(snapshot.document), hash=snapshot.hash, parameters=parameters, file="test.md", needs=[])


def driver(folder: Path, bench=None, watcher=None, clock=None) -> Driver:
    kept = records(folder, clock)
    return Driver(kept, bench or Scripted(), watcher or Nobody())


def real_bench(folder: Path, clock, *, resolve=None, program=("false",), **environment) -> Bench:
    import os

    return Bench(
        list(program), {"PATH": os.environ["PATH"], **environment}, folder, clock, resolve or (lambda place: environment[place["env"]])
    )
