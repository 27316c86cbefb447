"""What the plan says about incidents: how severe, who answers, who is told, who is next. Pure."""

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from holdfast.plan import Plan
from holdfast.plan.shape.incidents import Incidents, SeverityRule
from holdfast.plan.shape.operations import Person

LEVELS = ("P1", "P2", "P3", "P4")
DEFAULT = "P3"
MEANING = {
    "P1": "the business stands still, or data is being lost",
    "P2": "an important system is damaged, or its promise is broken",
    "P3": "something is degraded; a promise is in danger",
    "P4": "to be looked at in working hours",
}
NEVER = dt.timedelta.max


@dataclass(frozen=True, slots=True)
class Step:
    """Who is paged ``after`` so long without an answer. ``last``: everybody; nobody is left to ask."""

    number: int
    after: dt.timedelta
    to: tuple[str, ...]
    reason: str
    last: bool = False


@dataclass(frozen=True)
class Policy:
    """Of a plan, or of none: on an empty machine incidents are declared all the same."""

    platform: str = ""
    rules: Incidents | None = None
    people: Mapping[str, Person] = field(default_factory=dict)
    channels: Sequence[str] = ()
    promises: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    ranks: Mapping[str, str] = field(default_factory=dict)
    public: Mapping[str, str] = field(default_factory=dict)
    secret: Sequence[str] = ()
    mails: Sequence[str] = ()

    @property
    def said(self) -> Incidents:
        """With the defaults, where the plan has no ``incidents:``."""
        return self.rules or Incidents.model_validate({})

    def rule(self, severity: str) -> SeverityRule:
        return next((rule for level, rule in self.said.severities.items() if level == severity), SeverityRule.model_validate({}))

    def meaning(self, severity: str) -> str:
        return self.rule(severity).meaning or MEANING[severity]

    def severity(self, systems: Iterable[str]) -> str:
        """The worst that the tiers of these systems demand."""
        found = [self.ranks.get(str(self.promises.get(name, {}).get("tier")), DEFAULT) for name in systems]
        return min(found, default=DEFAULT)

    def answerable(self, systems: Iterable[str]) -> tuple[str, ...]:
        """The owners of these systems who are among the plan's people; else who is on call. Who comes next to one whom nothing reaches is
        asked at once.
        """
        owners = [str(self.promises.get(name, {}).get("owner")) for name in systems]
        found = list(dict.fromkeys(owner for owner in owners if owner in self.people))
        found = found or ([self.said.on_call] if self.said.on_call in self.people and self.said.on_call else [])
        for name in found:  # grows on the way
            if not self.ways(name):
                chain = sorted(self.people[name].escalate_after.items())
                found += [one for _, one in chain if one in self.people and one not in found][:1]
        return tuple(found)

    def ways(self, name: str) -> tuple[str, ...]:
        """Channels that reach somebody: their own; else mail, where they have an address and the plan a channel of mail."""
        person = self.people.get(name)
        if person is None:
            return ()
        own = tuple(channel for channel in person.channels if channel in self.channels)
        return own or (tuple(self.mails[:1]) if person.email else ())

    def unreached(self, people: Iterable[str]) -> list[str]:
        """Those who are asked and whom no channel reaches."""
        return [name for name in people if name in self.people and not self.ways(name)]

    def steps(self, first: Sequence[str]) -> list[Step]:
        """The whole chain behind those who are paged at once, who are step 0: each ``escalate_after`` from when its person was paged,
        nobody twice; then everybody. Behind one whom no channel reaches the next is paged at once.
        """
        begun: dict[str, dt.timedelta] = dict.fromkeys(first, dt.timedelta(0))
        waiting = list(begun)
        while waiting:
            name = waiting.pop(0)
            person = self.people.get(name)
            chain = sorted(person.escalate_after.items()) if person else []
            vain = chain[0][0] if chain and not self.ways(name) else dt.timedelta(0)
            for after, next_one in chain:
                moment = begun[name] + after - vain
                if next_one in self.people and moment < begun.get(next_one, NEVER) and next_one not in first:
                    begun[next_one] = moment
                    waiting.append(next_one)
        moments: dict[dt.timedelta, list[str]] = {}
        for name, moment in begun.items():
            if name not in first:
                moments.setdefault(moment, []).append(name)
        found = [
            Step(number, moment, tuple(names), "nobody has acknowledged")
            for number, (moment, names) in enumerate(sorted(moments.items()), 1)
        ]
        end = max(begun.values(), default=dt.timedelta(0))
        grace = self.said.acknowledge if begun else dt.timedelta(0)
        why = "nobody of those who were asked has acknowledged" if begun else "the plan names nobody who answers for it"
        return [*found, Step(len(found) + 1, end + grace, tuple(self.people), why, last=True)]

    def reach(self, people: Iterable[str]) -> dict[str, list[str]]:
        """Channel → addresses of mail: how these people are told, and whom the plan wants told of everything."""
        found: dict[str, list[str]] = {name: [] for name in self.said.tell}
        for name in people:
            person = self.people.get(name)
            for channel in self.ways(name):
                addresses = found.setdefault(channel, [])
                addresses += [one for one in (person.email if person else ()) if one not in addresses]
        return {channel: addresses for channel, addresses in found.items() if channel in self.channels}


def policy(plan: Plan | None) -> Policy:
    """What a plan says."""
    if plan is None:
        return Policy()
    document = plan.document
    promises: dict[str, dict[str, Any]] = {}
    for name in plan.systems:
        system = plan.effective(name)
        promises[name] = {
            "kind": system.kind,
            "tier": system.tier,
            "rpo": {place: span.total_seconds() for place, span in system.rpo.items()},
            "rto": None if system.rto is None else system.rto.total_seconds(),
            "mtd": None if system.mtd is None else system.mtd.total_seconds(),
            "owner": system.spec.owner,
        }
    rules = document.incidents
    forever = dt.timedelta.max
    tiers = sorted(document.tiers, key=lambda name: document.tiers[name].rto or forever)
    ranks = {tier: LEVELS[min(number, len(LEVELS) - 1)] for number, tier in enumerate(tiers)}
    if rules is not None:
        ranks |= dict(rules.severity)
    return Policy(
        plan.platform,
        rules,
        document.people,
        tuple(document.channels),
        promises,
        ranks,
        {name: plan.effective(name).labels["public"] for name in plan.systems if "public" in plan.effective(name).labels},
        tuple(_hidden(plan)),
        tuple(name for name, channel in document.channels.items() if channel.kind == "email"),
    )


def _hidden(plan: Plan) -> Iterable[str]:
    """Names that people outside have no business with: systems, locations, hosts and addresses that the plan names."""
    from urllib.parse import urlsplit

    yield from plan.systems
    yield from (location.name for location in plan.document.vault.locations)
    waiting: list[Any] = [plan.merged]
    while waiting:
        value = waiting.pop()
        if isinstance(value, Mapping):
            waiting += value.values()
        elif isinstance(value, list | tuple):
            waiting += value
        elif isinstance(value, str) and "://" in value:
            try:
                parts = urlsplit(value)
            except ValueError:
                continue
            yield from (one for one in (parts.hostname, parts.netloc) if one)
