"""What the commands of incidents work with, and how an incident is shown. A plan is used where there is one; incidents need none."""

import os
from collections.abc import Callable, Iterable
from functools import cached_property
from typing import Annotated, Any

from holdfast.assembly.incidents import Incidents
from holdfast.errors import HoldfastError
from holdfast.incidents.errors import IncidentStands, IncidentUsage, PostmortemLacks
from holdfast.incidents.record.state import Incident
from holdfast.incidents.room import Room
from holdfast.incidents.timeline import runs
from holdfast.incidents.view import document
from holdfast.interfaces.cli.commands.incident.schedule import APART
from holdfast.interfaces.cli.commands.incident.shown import show
from holdfast.interfaces.cli.commands.runbook.desk import Desk as Bench
from holdfast.interfaces.cli.commands.runbook.runs.person import person
from holdfast.interfaces.cli.context import Session
from holdfast.interfaces.cli.grammar.command import Argument, Option
from holdfast.interfaces.cli.grammar.parser import WrongUsage
from holdfast.plan.errors import PlanInvalid, PlanMissing
from holdfast.plan.values.units import parse_duration
from holdfast.runbooks.actions.contract import RUN_MARK, STEP_MARK
from holdfast.runbooks.engine.people import Person

INSIDE = "HOLDFAST_INCIDENT"
"""In the environment: the incident that commands belong to."""

Id = Annotated[str, Argument("an incident's id or its beginning; 'current': the one in $HOLDFAST_INCIDENT, else the only open one", "ID")]
As = Annotated[str | None, Option("who you are (your account's name by default)", "--as", metavar="NAME")]
Lost = Annotated[tuple[str, ...], Option("data that was lost; may be repeated", "--lost", metavar="SYSTEM=DURATION")]


class Desk:
    """Made of a session."""

    def __init__(self, session: Session, name: str | None = None, *, plan_needed: bool = True) -> None:
        """``plan_needed`` False: a plan that cannot be read is told, and what is done is done without one."""
        self.session = session
        self.bench = Bench(session)
        self.person: Person = person(name)
        self.unread: str | None = None
        if not plan_needed:
            self._without_plan()

    def _without_plan(self) -> None:
        try:
            _ = self.bench.plan
        except (PlanInvalid, PlanMissing) as error:
            self.bench.plan = None
            self.unread = error.message
            self.session.out.warn(f"Done without the plan, so nobody is asked or told before it can be read again: {error.message}")

    @cached_property
    def incidents(self) -> Incidents:
        if self.bench.plan is None:
            return Incidents(None, self.session.clock, os.environ)
        # Its journal goes into the vault when the command ends.
        platform = self.session.platform
        return Incidents(self.bench.plan, self.session.clock, os.environ, journal=platform.journal, state=platform.state)

    @property
    def room(self) -> Room:
        return self.incidents.room

    def find(self, text: str) -> str:
        """The id that a person means. One that is not known here is looked for in the vault. Raises IncidentUnknown."""
        if text == "current":
            return self._current()
        try:
            return self.incidents.log.find(text)
        except HoldfastError:
            if not self.pull():
                raise
            return self.incidents.log.find(text)

    def _current(self) -> str:
        if named := os.environ.get(INSIDE):
            return self.find(named) if named != "current" else named
        found = [one for one in self.incidents.log.all() if one.open]
        if len(found) != 1:
            said = ", ".join(one.id for one in found) or "none"
            raise WrongUsage(f"No single incident is open ({said}).", hint=f"Name one, or set {INSIDE}.")
        return found[0].id

    def act(self, what: Callable[[], Incident]) -> Incident:
        """Do it. What is refused by what is known here is tried once more with what other hosts wrote meanwhile."""
        try:
            return what()
        except (IncidentStands, IncidentUsage, PostmortemLacks):
            if not self.pull():
                raise
            return what()

    # ------------------------------------------------------------ after something was done

    def done(self, found: Incident, **more: Any) -> int:
        """Tell people, copy to other hosts, show it. What was done is in the journal already."""
        out = self.session.out
        self.session.kept = f"It is written down: {found.id} is {found.state}. What people are to be told is queued."
        self._link(found)
        try:
            self.incidents.tell([self.incidents.log.load(found.id)], patience=2.0)
        except HoldfastError as error:
            out.warn(f"It is written down, and nobody was told yet: {error.message} {error.hint} The next command tries again.")
        if self.incidents.apart:
            out.warn(APART.format(self.incidents.apart))
        self.pull()
        found = self.incidents.log.load(found.id)
        shown = {**self.document(found), **more, **self.without}
        out.result(shown, lambda: show(self.session, found, shown, self.bench.zone, brief=True))
        return 0

    def document(self, found: Incident) -> dict[str, Any]:
        """All of an incident, for --json."""
        kept = self.incidents
        self.doubt()
        lines = [line.to_json() for line in kept.lines(found.id)]
        return document(found, kept.policy, self.session.clock, runs(found, kept.log), lines)

    @property
    def without(self) -> dict[str, str]:
        """For --json: why the plan was not used; nothing where it was, or where there is none."""
        return {"plan_unread": self.unread} if self.unread else {}

    def pull(self) -> bool:
        """What other hosts wrote, out of the vault, which then also gets what was written here; whether the vault could be asked."""
        if self.bench.plan is None:
            return False
        try:
            self.incidents.pull(self.session.platform.vault(), self.session.out.warn)
        except HoldfastError as error:
            self.session.out.warn(f"Other hosts do not know of this yet, nor this one of theirs: {error.message}")
            return False
        return True

    def doubt(self) -> None:
        """Tell which entries are not believed."""
        for text in self.incidents.log.doubts.values():
            self.session.out.warn(f"{text} It was passed over: holdfast log")
        self.incidents.log.doubts.clear()

    def _link(self, found: Incident) -> None:
        """What is done inside a runbook's run makes that run part of the incident."""
        run = os.environ.get(RUN_MARK)
        if run and run not in found.runs:
            self.room.link(found.id, self.person, run, os.environ.get(STEP_MARK, ""))


def losses(texts: Iterable[str]) -> dict[str, float]:
    """``SYSTEM=30s`` → seconds. Raises WrongUsage."""
    found: dict[str, float] = {}
    for text in texts:
        name, equals, span = text.partition("=")
        if not equals:
            raise WrongUsage("--lost takes SYSTEM=DURATION.", hint="For example: --lost orders-db=30s; nothing: --lost orders-db=0")
        try:
            found[name] = parse_duration(span).total_seconds()
        except ValueError as error:
            raise WrongUsage(f"'{span}' is no duration.", hint="Write 30s, 5m, 2h, or 0.") from error
    return found


def pairs(texts: Iterable[str], option: str) -> dict[str, str]:
    """``NAME=VALUE``. Raises WrongUsage."""
    found = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise WrongUsage(f"{option} takes NAME=VALUE.")
        found[name] = value
    return found
