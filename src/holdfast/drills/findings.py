"""Findings: opened by what a drill missed or by a person, closed by a passed retest alone. They are entries of the journal.

``finding.opened``: ``finding`` (id), ``text``, ``about``, ``owner``, ``due`` (a date), ``scenario``, ``run``, ``systems``, ``limit``.
``finding.closed``: ``finding``, ``run`` (of the retest), ``by``.
"""

import datetime as dt
import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from holdfast.drills.errors import FindingUnknown
from holdfast.journal import Journal, Record
from holdfast.model import Clock

OPENED, CLOSED = "finding.opened", "finding.closed"
BY_HAND = "*/by hand/"


@dataclass(frozen=True, slots=True)
class Finding:
    """``about``: system, kind and name of the check, or BY_HAND and the words. ``limit``: the promise that was missed, in seconds.
    ``closed_by``: the run of the retest.
    """

    id: str
    text: str
    about: str
    owner: str
    due: dt.date
    scenario: str
    run: str
    opened: dt.datetime
    systems: Sequence[str] = ()
    limit: float | None = None
    closed_by: str | None = None
    closed: dt.datetime | None = None

    def overdue(self, today: dt.date) -> bool:
        return self.closed_by is None and self.due < today

    def to_json(self) -> dict[str, Any]:
        return {
            "finding": self.id,
            "text": self.text,
            "about": self.about,
            "owner": self.owner,
            "due": self.due.isoformat(),
            "scenario": self.scenario,
            "run": self.run,
            "opened": self.opened.isoformat(),
            "systems": list(self.systems),
            "limit": self.limit,
            "closed_by": self.closed_by,
            "closed": self.closed.isoformat() if self.closed else None,
        }


def fold(records: Iterable[Record]) -> list[Finding]:
    """Every finding, in the order in which they were opened."""
    found: dict[str, Finding] = {}
    for record in records:
        said = record.payload
        if record.kind == OPENED:
            found.setdefault(str(said["finding"]), _of(said, record.at))
        elif record.kind == CLOSED and (one := found.get(str(said["finding"]))) is not None and one.closed_by is None:
            found[one.id] = replace(one, closed_by=str(said["run"]), closed=record.at)
    return list(found.values())


class Book:
    """The findings of this host."""

    def __init__(self, journal: Journal, clock: Clock) -> None:
        self._journal, self._clock = journal, clock

    def all(self) -> list[Finding]:
        return fold(self._journal.mentioning('"kind":"finding.'))

    def open(
        self,
        text: str,
        about: str,
        *,
        owner: str,
        due: dt.date,
        scenario: str,
        run: str,
        systems: Sequence[str] = (),
        limit: float | None = None,
    ) -> Finding:
        """A new one; or the one that is open about the same in the same scenario, which is not opened twice."""
        for one in self.all():
            if one.closed_by is None and (one.about, one.scenario) == (about, scenario):
                return one
        name = f"F{self._clock.now():%y%m%d}-{secrets.token_hex(3)}"
        record = self._journal.record(
            OPENED,
            finding=name,
            text=text,
            about=about,
            owner=owner,
            due=due.isoformat(),
            scenario=scenario,
            run=run,
            systems=list(systems),
            limit=limit,
            drill=True,
        )
        return _of(record.payload, record.at)

    def close(self, finding: Finding, run: str, by: str) -> None:
        """Only ``retest`` calls this, with the run that passed."""
        self._journal.record(CLOSED, finding=finding.id, run=run, by=by, drill=True)

    def find(self, begin: str) -> Finding:
        """The one whose id begins so. Raises FindingUnknown."""
        matching = [one for one in self.all() if one.id.lower().startswith(begin.lower())]
        exact = [one for one in matching if one.id == begin] or matching
        if len(exact) != 1 or not begin:
            what = "no finding" if not exact else f"{len(exact)} findings"
            raise FindingUnknown(f"There is {what} beginning with '{begin}'.", hint="See: holdfast drill findings --all", finding=begin)
        return exact[0]


def _of(said: Mapping[str, Any], at: dt.datetime) -> Finding:
    return Finding(
        str(said["finding"]),
        str(said["text"]),
        str(said["about"]),
        str(said["owner"]),
        dt.date.fromisoformat(str(said["due"])),
        str(said["scenario"]),
        str(said["run"]),
        at,
        tuple(said.get("systems") or ()),
        said.get("limit"),
    )
