"""What people do with an incident. Everything is an entry of the journal; who is to be told by it is fixed in the entry."""

import datetime as dt
import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from holdfast.incidents.errors import IncidentStands, IncidentUnknown, IncidentUsage
from holdfast.incidents.policy import LEVELS, Policy
from holdfast.incidents.record.events import Event
from holdfast.incidents.record.log import MARK, Log
from holdfast.incidents.record.state import Incident
from holdfast.runbooks.engine.people import Person

RUN = re.compile(r"\d{8}T\d{6}-[0-9a-f]{6}")
QUIET = dt.timedelta(hours=24)
"""What is met again so soon after its incident was resolved, and was not well in between, is taken for the same."""


@dataclass(frozen=True)
class Declaration:
    """``key``: names what was missed, so that it is declared once; '' for what a person declares. ``since``: when it began, if that is
    known. ``drill``: the id of the drill, '' in earnest. ``quiet``: nobody is told.
    """

    title: str
    systems: Sequence[str] = ()
    severity: str | None = None
    description: str = ""
    source: Mapping[str, Any] = field(default_factory=lambda: {"kind": "person"})
    key: str = ""
    drill: str = ""
    detected: dt.datetime | None = None
    since: dt.datetime | None = None
    roles: Mapping[str, str] = field(default_factory=dict)
    references: Mapping[str, str] = field(default_factory=dict)
    quiet: bool = False


class Room:
    """Acts for one person at a time (``by``)."""

    def __init__(self, log: Log, policy: Policy) -> None:
        self.log = log
        self.policy = policy

    # ------------------------------------------------------------ declare

    def declare(self, what: Declaration, by: Person) -> tuple[Incident, bool]:
        """The incident, and whether it is new. What has a key and an open incident is that incident."""
        before = self._with_key(what.key) if what.key else None
        if before is not None and (before.open or self._same(before, what)):
            if before.open and what.source.get("fingerprint"):
                seen = f"seen/{what.source['fingerprint']}"
                before, _ = self.log.append(before.id, "seen", by, {"source": dict(what.source)}, key=seen)
            return before, False
        severity = what.severity or self.policy.severity(what.systems)
        check_severity(severity)
        page = self.policy.answerable(what.systems)
        roles = {**self.policy.said.roles, **what.roles}
        data = {
            "title": " ".join(what.title.split()),
            "severity": severity,
            "description": what.description,
            "source": dict(what.source),
            "key": what.key,
            "drill": what.drill,
            "detected": what.detected.isoformat() if what.detected else None,
            "systems": {name: dict(self.policy.promises.get(name, {})) for name in what.systems},
            "roles": roles,
            "references": dict(what.references),
            "page": [] if what.quiet else list(page),
            "tell": [] if what.quiet else self._tell(page),
            **self._unreached([] if what.quiet else page),
            **({"quiet": True} if what.quiet else {}),
        }
        found, new = self.log.declare(self._id(what.key, before), by, data)
        return found, new

    def _with_key(self, key: str) -> Incident | None:
        """The newest incident that was declared for the same thing."""
        return next((one for one in self.log.all() if one.key == key), None)

    def _same(self, before: Incident, what: Declaration) -> bool:
        """Whether what is met is what the resolved incident was about: it has not been well since, for a while. What is still not well
        after that was resolved or closed by mistake. A drill that failed stays what it was: it is over.
        """
        if self._kept_elsewhere(before):
            return True
        ended = before.resolved
        if ended is None or (what.since is not None and what.since >= ended.at):
            return False
        once = what.source.get("kind") == "drill" and what.since is not None
        return once or self.log.clock.now() - ended.at < QUIET

    def _kept_elsewhere(self, before: Incident) -> bool:
        """Whether it was closed as a duplicate of one that is open."""
        if before.outcome != "duplicate":
            return False
        why = next((str(one.data.get("why")) for one in reversed(before.events) if one.kind == "closed"), "")
        try:
            return self.log.load(why).open
        except IncidentUnknown:
            return False

    def _id(self, key: str, before: Incident | None) -> str:
        """The same on every host that meets the same thing and knows the same past."""
        if not key:
            return self.log.new_id()
        said = "\0".join((self.policy.platform, key, before.id if before else ""))
        return MARK + hashlib.sha256(said.encode()).hexdigest()[:8]

    # ------------------------------------------------------------ the way to the end

    def acknowledge(self, incident: str, by: Person, note: str = "") -> Incident:
        """Somebody has it. Who comes second is written down as taking part."""

        def check(found: Incident) -> None:
            if not found.open:
                raise stands(found, "acknowledged", "Open it again: holdfast incident reopen")

        key = f"acknowledged/{self.log.load(incident).round.began.name}/{by.name}"
        return self._do(incident, "acknowledged", by, {"note": note}, check, key=key)

    def mitigate(self, incident: str, by: Person, note: str = "", lost: Mapping[str, float] | None = None) -> Incident:
        """The harm is stopped; what is left can wait for daylight."""

        def check(found: Incident) -> None:
            if found.state not in ("declared", "acknowledged"):
                raise stands(found, "mitigated")
            self._named(found, lost or {})

        return self._do(incident, "mitigated", by, {"note": note, "lost": dict(lost or {})}, check)

    def resolve(self, incident: str, by: Person, note: str = "", cause: str = "", lost: Mapping[str, float] | None = None) -> Incident:
        """It is over. The clock of the post-mortem begins."""

        def check(found: Incident) -> None:
            if not found.open:
                raise stands(found, "resolved")
            self._named(found, lost or {})

        return self._do(incident, "resolved", by, {"note": note, "cause": cause, "lost": dict(lost or {})}, check)

    def reopen(self, incident: str, by: Person, why: str, systems: Sequence[str] = ()) -> Incident:
        """It is not over: somebody has to answer anew."""

        def check(found: Incident) -> None:
            if found.state in ("declared", "acknowledged"):
                raise stands(found, "opened again")
            self._named(found, systems)

        found = self.log.load(incident)
        page = self.policy.answerable(systems or found.affected)
        more = {"systems": list(systems)} if systems else {}
        return self._do(incident, "reopened", by, {"why": why, "page": list(page), **self._unreached(page), **more}, check, page)

    def close(self, incident: str, by: Person, *, outcome: str = "learnt", why: str = "") -> Incident:
        """``outcome``: learnt (needs a finished post-mortem); false alarm, duplicate, drill (need a reason). Raises PostmortemLacks,
        and IncidentUsage for a duplicate of what was itself closed as one: in a circle nobody would write what was learnt.
        """
        from holdfast.incidents.postmortem.rules import check_closing

        def check(found: Incident) -> None:
            check_closing(found, outcome, why)
            if outcome == "duplicate":
                self._check_kept(why)

        data = {"outcome": outcome, "why": why} if outcome != "learnt" else {}
        return self._do(incident, "closed", by, data, check)

    def _check_kept(self, other: str) -> None:
        try:
            kept = self.log.load(other)
        except IncidentUnknown:
            return  # words, or an incident of a host that is not known here
        if kept.state == "closed" and kept.outcome == "duplicate":
            why = str(next((one.data.get("why") for one in reversed(kept.events) if one.kind == "closed"), ""))
            raise IncidentUsage(
                f"{kept.id} was itself closed as a duplicate of {why}.",
                hint=f"Name the one whose post-mortem is written, or first: holdfast incident reopen {kept.id}",
            )

    # ------------------------------------------------------------ what is said on the way

    def note(self, incident: str, by: Person, text: str) -> Incident:
        """A line of the timeline. May be written in any state."""
        if not text.strip():
            raise IncidentUsage("A note needs a text.")
        return self._do(incident, "note", by, {"text": text.strip()})

    def assign(self, incident: str, by: Person, role: str, person: str | None) -> Incident:
        return self._do(incident, "assigned", by, {"role": role, "person": person})

    def change_severity(self, incident: str, by: Person, to: str, why: str) -> Incident:
        check_severity(to)
        found = self.log.load(incident)
        if found.severity == to:
            return found
        return self._do(incident, "severity", by, {"from": found.severity, "to": to, "why": why})

    def systems(
        self,
        incident: str,
        by: Person,
        *,
        add: Sequence[str] = (),
        remove: Sequence[str] = (),
        recovered: Sequence[str] = (),
        lost: Mapping[str, float] | None = None,
    ) -> Incident:
        """What is affected, and what is back."""

        def check(found: Incident) -> None:
            self._named(found, [*remove, *recovered, *(lost or {})], add)

        data = {
            "add": {name: dict(self.policy.promises.get(name, {})) for name in add},
            "remove": list(remove),
            "recovered": list(recovered),
            "lost": dict(lost or {}),
        }
        return self._do(incident, "systems", by, data, check)

    def refer(self, incident: str, by: Person, references: Mapping[str, str]) -> Incident:
        """A ticket, a bridge, a channel: where else it is kept."""
        return self._do(incident, "referred", by, {"references": dict(references)})

    def link(self, incident: str, by: Person, run: str, what: str = "") -> Incident:
        """A run that belongs to it, whenever it ran. Raises IncidentUsage for what is no whole id: it would stand for many runs."""
        if RUN.fullmatch(run) is None:
            raise IncidentUsage(f"'{run}' is no id of a run.", hint="It looks like 20261231T235959-0a1b2c. See: holdfast log")
        return self._do(incident, "linked", by, {"run": run, "what": what}, key=f"linked/{run}")

    def update(self, incident: str, by: Person, state: str, internal: str, public: str) -> Incident:
        """Where it stands, in words for colleagues and for people outside. Raises IncidentUsage for words that must not go outside."""
        from holdfast.incidents.page import check_public

        check_public(public, self.policy, self.log.load(incident).affected)
        return self._do(incident, "updated", by, {"state": state, "internal": internal, "public": public})

    def action(self, incident: str, by: Person, action: str, **data: Any) -> Incident:
        """A new item of what is to be done, or a change of one: ``text``, ``owner``, ``due``; ``evidence`` closes it, ``open`` opens it."""
        return self._do(incident, "action", by, {"action": action, **data})

    # ------------------------------------------------------------ below

    def _do(
        self,
        incident: str,
        kind: str,
        by: Person,
        data: Mapping[str, Any],
        check: Any = None,
        page: Iterable[str] = (),
        *,
        key: str = "",
    ) -> Incident:
        more: dict[str, Any] = {}
        before = self.log.load(incident)
        # Who was asked for help hears also that it was a false alarm; what is resolved was told.
        if kind in TOLD or (kind == "closed" and before.open):
            so_far = told(before.events)
            # Nobody hears how something ends of which nobody was to hear; who opens it again wants an answer.
            if so_far or not before.declared.data.get("quiet") or kind == "reopened":
                more["tell"] = self._tell(page, so_far)
        found, _ = self.log.append(incident, kind, by, {**data, **more}, key=key, check=check)
        return found

    def _tell(self, people: Iterable[str], so_far: Mapping[str, Sequence[str]] | None = None) -> list[dict[str, Any]]:
        reach = {name: list(addresses) for name, addresses in (so_far or {}).items()}
        for name, addresses in self.policy.reach(people).items():
            known = reach.setdefault(name, [])
            known += [one for one in addresses if one not in known]
        return [{"channel": name, "to": addresses} for name, addresses in reach.items()]

    def _unreached(self, people: Iterable[str]) -> dict[str, list[str]]:
        found = self.policy.unreached(people)
        return {"unreached": found} if found else {}

    def _named(self, found: Incident, systems: Iterable[str], add: Iterable[str] = ()) -> None:
        known = {*found.affected, *add}
        about = ", ".join(found.affected) or "no system"
        for name in systems:
            if name not in known:
                raise IncidentUsage(
                    f"{found.id} is not about the system '{name}'.",
                    hint=f"It is about {about}. Add one: holdfast incident systems {found.id} --add {name}",
                )


TOLD = frozenset({"acknowledged", "mitigated", "resolved", "reopened", "severity", "updated"})
"""Besides the declaration and escalations: entries that people hear of."""


def told(events: Iterable[Event]) -> dict[str, list[str]]:
    """Channel → addresses: who has heard of it so far."""
    found: dict[str, list[str]] = {}
    for one in events:
        for each in one.data.get("tell", ()):
            known = found.setdefault(str(each["channel"]), [])
            known += [address for address in each["to"] if address not in known]
    return found


def check_severity(text: str) -> None:
    """Raises IncidentUsage."""
    if text not in LEVELS:
        raise IncidentUsage(f"'{text}' is no severity.", hint="P1 (SEV1) is the worst; P2, P3, P4 follow.")


def severity(text: str) -> str:
    """As people write it: P1, p1, SEV1, 1. Raises IncidentUsage."""
    found = "P" + text.strip().upper().removeprefix("SEV").removeprefix("P").strip("- ")
    check_severity(found)
    return found


def stands(found: Incident, wanted: str, hint: str = "") -> IncidentStands:
    """Why something cannot be done now."""
    last = found.events[-1]
    return IncidentStands(
        f"{found.id} is {found.state}, so it cannot be {wanted} now (last: {last.kind} by {last.by.name}).",
        hint=hint or f"See: holdfast incident show {found.id}",
        incident=found.id,
        state=found.state,
    )
