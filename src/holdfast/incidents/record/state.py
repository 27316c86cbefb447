"""What an incident is, as its entries say. JSON-ready by ``document``."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from holdfast.incidents.record.events import Event

OPEN = ("declared", "acknowledged", "mitigated")
"""States in which somebody still has to do something about it."""
STATES = (*OPEN, "resolved", "closed")


@dataclass
class Affected:
    """A system and its promise as the plan had it when it was named. Durations in seconds. ``recovered``: when somebody said that it is
    back; ``lost``: seconds of data that were lost then, None where nobody said.
    """

    system: str
    since: Event
    promise: Mapping[str, Any]
    recovered: Event | None = None
    lost: float | None = None


@dataclass
class Action:
    """What is to be done so that it does not happen again. Open until ``closed``, which names its evidence."""

    id: str
    text: str
    owner: str = ""
    due: str = ""
    since: Event | None = None
    closed: Event | None = None
    evidence: str = ""

    def document(self) -> dict[str, Any]:
        return {
            "action": self.id,
            "text": self.text,
            "owner": self.owner or None,
            "due": self.due or None,
            "closed_at": self.closed.at if self.closed else None,
            "evidence": self.evidence or None,
        }


@dataclass
class Round:
    """From a declaration (or being opened again) to a resolution."""

    began: Event
    acknowledged: Event | None = None
    mitigated: Event | None = None
    resolved: Event | None = None


@dataclass
class Page:
    """Somebody who was told to answer. ``to``: names of the plan's people; ``step`` counts from 0 in each round."""

    event: Event
    step: int
    to: tuple[str, ...]
    reason: str
    last: bool = False


@dataclass
class Incident:
    """``events`` in their order. ``references``: what others call it: ``ticket``, ``bridge``, ``channel`` or a channel's name → text or the
    ids that the channel gave. ``dropped``: keys of messages that a person gave up. ``ignored``: entries that came too late to change the
    state (two people at once), ``repeated``: those whose key was there already; by name.
    """

    id: str
    events: list[Event]
    title: str
    description: str
    severity: str
    source: Mapping[str, Any]
    key: str
    drill: str
    detected: dt.datetime
    state: str = "declared"
    rounds: list[Round] = field(default_factory=list)
    roles: dict[str, str] = field(default_factory=dict)
    affected: dict[str, Affected] = field(default_factory=dict)
    responders: list[str] = field(default_factory=list)
    references: dict[str, Any] = field(default_factory=dict)
    runs: dict[str, Event] = field(default_factory=dict)
    pages: list[Page] = field(default_factory=list)
    actions: dict[str, Action] = field(default_factory=dict)
    seen: int = 1
    sections: dict[str, str] = field(default_factory=dict)
    finished: Event | None = None
    outcome: str = ""
    update: Event | None = None
    delivered: dict[str, Event] = field(default_factory=dict)
    dropped: set[str] = field(default_factory=set)
    ignored: set[str] = field(default_factory=set)
    repeated: set[str] = field(default_factory=set)
    keys: set[str] = field(default_factory=set)

    @property
    def declared(self) -> Event:
        return self.rounds[0].began

    @property
    def round(self) -> Round:
        """The one that counts now."""
        return self.rounds[-1]

    @property
    def open(self) -> bool:
        return self.state in OPEN

    @property
    def exhausted(self) -> bool:
        """Everybody was told, and nobody has answered."""
        # Of this round: who was told before it was opened again has answered then.
        begun = next((number for number, page in enumerate(self.pages) if page.event is self.round.began), 0)
        return self.state == "declared" and any(page.last for page in self.pages[begun:])

    @property
    def resolved(self) -> Event | None:
        """When it was resolved for the last time; None while it is open."""
        return self.round.resolved

    @property
    def open_actions(self) -> list[Action]:
        return [action for action in self.actions.values() if action.closed is None]
