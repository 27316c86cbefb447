"""What every kind of drill is made of: what was asked, what came of it, and phases that are written down before and after."""

import abc
import contextlib
import datetime as dt
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from holdfast.drills.contract import Answer, Control, People, Reporter, Responder, Restorer
from holdfast.drills.engine import judge
from holdfast.drills.engine.parts import Cast
from holdfast.drills.engine.probing import Prober
from holdfast.drills.engine.record import DrillRecord
from holdfast.drills.scenario.read import Snapshot
from holdfast.errors import HoldfastError
from holdfast.evidence.drilled import Begun, Check, Did, Returned, Step
from holdfast.journal import canonical
from holdfast.model import Clock

DETECT = 120.0
"""Seconds in which a probe must become red."""


@dataclass(frozen=True)
class Asked:
    """``controls``: those that are fed this time. ``by``: who asked. ``retest``: the finding that this run is to close."""

    snapshot: Snapshot
    systems: Sequence[str]
    by: str
    controls: Sequence[Control] = ()
    target: str | None = None
    retest: str | None = None
    detect: float = DETECT


@dataclass
class Played:
    """What came of it, as it comes."""

    checks: list[Check] = field(default_factory=list)
    clocks: dict[str, float] = field(default_factory=dict)
    steps: list[Step] = field(default_factory=list)
    returned: list[Returned] = field(default_factory=list)
    points: dict[str, str] = field(default_factory=dict)
    isolation: list[Mapping[str, Any]] = field(default_factory=list)
    lost: dict[str, judge.Lost] = field(default_factory=dict)
    controls: list[str] = field(default_factory=list)
    runs: list[str] = field(default_factory=list)
    """Of runbooks that were followed."""
    phases: dict[str, str] = field(default_factory=dict)
    """Step of such a runbook → phase."""
    injected: str = ""
    incident: str | None = None
    sign_off: Did | None = None
    unsigned: str = "the drill did not come to its acceptance"
    """Why nobody signed it off, where nobody did."""

    def add(self, name: str, kind: str, *, ok: bool, expected: Any, actual: Any, detail: str = "", system: str = "") -> Check:
        one = Check(name, kind, "passed" if ok else "failed", expected, actual, detail, 0.0, system)
        self.checks.append(one)
        return one

    def sign(self, did: Did, answer: Answer, red: int) -> None:
        """Whoever refused signs nothing off; nor does an answer that nobody gave in sight of something red."""
        if answer.refused:
            self.unsigned = f"{answer.name} did not accept it: {answer.text or 'refused'}"
        elif red and did.played_by:
            self.unsigned = f"{did.played_by}: nobody accepted it in sight of {red} red checks"
        else:
            self.sign_off = did

    def clock(self, name: str, seconds: float) -> None:
        self.clocks[name] = self.clocks.get(name, 0.0) + seconds


class Course(abc.ABC):
    """A drill's way. ``isolation``: how production was kept out of it, in words. ``run`` may leave copies in ``standing``: whoever
    called it closes that, whatever it raised.
    """

    isolation = "throw-away copies in places of their own; of production nothing was changed but marks, which were removed"

    def __init__(self, asked: Asked, record: DrillRecord, people: People, reporter: Reporter, responder: Responder, clock: Clock) -> None:
        self.asked, self.record = asked, record
        self.scenario = asked.snapshot.scenario
        self.reporter, self.responder, self.clock = reporter, responder, clock
        self.cast = Cast(self.scenario.roles, people, record, clock)
        self.played = Played()
        self.standing = contextlib.ExitStack()
        self.prober: Prober | None = None
        self.restorers: Sequence[Restorer] = ()
        self.returning: Sequence[Restorer] = ()
        self.objectives: dict[str, dict[str, float]] = {}
        self.began = clock.monotonic()

    @abc.abstractmethod
    def refuse(self) -> None:
        """Whatever must not or cannot be: nothing has been written yet."""

    @abc.abstractmethod
    def begun(self) -> Begun:
        """What is fixed from here on."""

    @abc.abstractmethod
    def run(self) -> None:
        """All phases up to the acceptance and the controls."""

    @contextlib.contextmanager
    def phase(self, name: str, title: str, clock: str | None = None) -> Iterator[dict[str, Any]]:
        facts: dict[str, Any] = {}
        self.record.write("phase", name=name, state="begun", title=title)
        self.reporter.phase(name, "begun")
        start, began = self.clock.now(), self.clock.monotonic()
        outcome = "ok"
        try:
            yield facts
        except BaseException as error:
            outcome = "interrupted" if isinstance(error, KeyboardInterrupt) else "failed"
            facts["why"] = f"{error.code}: {error.message}" if isinstance(error, HoldfastError) else type(error).__name__
            raise
        finally:
            seconds = round(self.clock.monotonic() - began, 3)
            if clock is not None:
                self.played.clock(clock, seconds)
            self.record.write("phase", name=name, state="ended", seconds=seconds, outcome=outcome, facts=facts)
            self.played.steps.append(_step(name, title, start, self.clock.now(), seconds, outcome, facts))
            self.reporter.phase(name, "ended")


def _step(name: str, title: str, start: dt.datetime, end: dt.datetime, seconds: float, outcome: str, facts: Mapping[str, Any]) -> Step:
    data = canonical(facts)
    by = str(facts.get("by") or "holdfast") if name in ("declare", "decide", "accept") else "holdfast"
    deviation = str(facts.get("why") or "")
    digest = hashlib.sha256(data).hexdigest()
    return Step(name, title, by, _iso(start), _iso(end), seconds, outcome, digest, len(data), deviation, "", "", name)


def _iso(moment: dt.datetime) -> str:
    return moment.astimezone(dt.UTC).isoformat(timespec="microseconds")
