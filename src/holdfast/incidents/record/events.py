"""One thing that happened to an incident: a journal entry of the kind ``incident.WORD``.

Its payload is ``{"incident", "by": {"name", "login", "host"}, "cites": [[chain, n, hash], …], "data": {…}}`` and, where the same thing
may be tried twice, ``"key"``. ``cites`` are the newest entries of the incident that the writer knew: so entries of several hosts have an
order that no clock decides. docs/incident-format.md lists words and data.
"""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from holdfast.incidents.errors import IncidentRecordBroken
from holdfast.journal import Record
from holdfast.runbooks.engine.people import Person

PREFIX = "incident."

Id = tuple[str, int]
"""Chain and number of a journal entry."""


@dataclass(frozen=True, slots=True)
class Event:
    """``at``: the wall clock of the host that wrote it; ``boot`` and ``mono``: its monotonic clock, seconds."""

    chain: str
    n: int
    hash: str
    incident: str
    kind: str
    at: dt.datetime
    by: Person
    cites: tuple[tuple[str, int, str], ...] = ()
    data: Mapping[str, Any] = field(default_factory=dict)
    key: str = ""
    boot: str = ""
    mono: float = 0.0

    @property
    def id(self) -> Id:
        return self.chain, self.n

    @property
    def name(self) -> str:
        """For keys of messages: unique, and the same on every host."""
        return f"{self.chain}:{self.n}"


def event(chain: str, record: Record) -> Event:
    """Raises IncidentRecordBroken."""
    payload = record.payload
    try:
        clock = payload.get("clock", {})
        for each in payload["data"].get("tell", ()):
            str(each["channel"]), list(each["to"])
        return Event(
            chain,
            record.n,
            record.hash,
            str(payload["incident"]),
            record.kind.removeprefix(PREFIX),
            record.at,
            Person.of(payload["by"]),
            tuple((str(tag), int(n), str(digest)) for tag, n, digest in payload.get("cites", ())),
            payload["data"],
            str(payload.get("key", "")),
            str(clock.get("boot", "")),
            float(clock.get("mono", 0.0)),
        )
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise IncidentRecordBroken(
            f"Entry {record.n} of the journal {chain} ({record.kind}) is not what an entry of an incident looks like: {error!r}.",
            hint="Was it written by a newer Holdfast? Use that one.",
            chain=chain,
            entry=record.n,
        ) from error


def between(first: Event, last: Event) -> dt.timedelta:
    """From one event to a later one: by the monotonic clock where both were written in one boot of one host, else by the wall clocks, and
    never below zero (clocks that disagree are told by ``order.disagreements``).
    """
    if first.chain == last.chain and first.boot and first.boot == last.boot:
        return dt.timedelta(seconds=max(last.mono - first.mono, 0.0))
    return max(last.at - first.at, dt.timedelta(0))
