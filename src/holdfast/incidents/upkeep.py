"""What has to happen to incidents while nobody looks: the next person is paged, everybody is when nobody is left, messages are queued.

Every step has a key, so that a process that was killed between two of them, or another host, does none of them twice.
"""

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from holdfast.connect.channels import Message, Reference
from holdfast.incidents.messages import keys_of, messages
from holdfast.incidents.policy import Policy, Step
from holdfast.incidents.postmortem.rules import due_at
from holdfast.incidents.promises import elapsed
from holdfast.incidents.record.events import Event
from holdfast.incidents.record.log import Log
from holdfast.incidents.record.state import Incident
from holdfast.runbooks.engine.people import Person

OTHERS_GRACE = dt.timedelta(minutes=15)
"""What another host was to tell is told by this one when it was not so long after."""

OVERTAKEN = "It is not sent any more: what was said of this incident after it has been told already."


@dataclass(frozen=True, slots=True)
class DueStep:
    """One thing that is due for an incident. ``what``: escalate, postmortem, action, update."""

    incident: str
    what: str
    since: dt.datetime
    text: str
    step: Step | None = None

    def document(self) -> dict[str, Any]:
        return {"incident": self.incident, "what": self.what, "since": self.since.isoformat(), "text": self.text}


def due(found: Iterable[Incident], policy: Policy, log: Log) -> list[DueStep]:
    """What is due now, for all of these incidents."""
    now = log.clock.now()
    made: list[DueStep] = []
    for one in found:
        made += [_escalation(one, step) for step in steps_due(one, policy, log)]
        made += _reminders(one, policy, now)
    return made


def steps_due(one: Incident, policy: Policy, log: Log) -> list[Step]:
    """Who has to be paged now: all whose time has come, so that nobody is passed over by a schedule that stood still."""
    if one.state != "declared" or not policy.rule(one.severity).escalate or not policy.people:
        return []
    began = one.round.began
    if began.data.get("quiet"):
        return []
    pages = [page for page in one.pages if page.event is began or _follows(one, page.event, began)]
    reached = max((page.step for page in pages), default=0)
    first = pages[0].to if pages and pages[0].event is began else ()
    waited = elapsed(began, log.clock)
    chain = policy.steps([name for name in first if name in policy.people])
    ahead = [step for step in chain if step.number > reached and step.after <= waited]
    everybody = [page.step for page in pages if page.last]
    if everybody:
        return _again(policy, chain[-1], min(everybody), reached, waited)
    # A plan that changed meanwhile may have fewer steps than were taken: everybody is told all the same, once.
    if not ahead and chain[-1].after <= waited:
        return [replace(chain[-1], number=reached + 1)]
    return ahead


def _again(policy: Policy, last: Step, first: int, reached: int, waited: dt.timedelta) -> list[Step]:
    """Everybody again, where the plan says so: once for any number of times that nobody looked."""
    if policy.said.repeat is None:
        return []
    times = int((waited - last.after) / policy.said.repeat)
    number = first + times
    if times < 1 or number <= reached:
        return []
    return [Step(number, last.after + times * policy.said.repeat, last.to, "still nobody has acknowledged", last=True)]


def _follows(one: Incident, event: Event, began: Event) -> bool:
    order = {each.name: number for number, each in enumerate(one.events)}
    return order[event.name] > order[began.name]


def _escalation(one: Incident, step: Step) -> DueStep:
    whom = "everybody" if step.last else ", ".join(step.to)
    return DueStep(one.id, "escalate", one.round.began.at + step.after, f"{step.reason}: {whom} is told", step)


def _reminders(one: Incident, policy: Policy, now: dt.datetime) -> list[DueStep]:
    made: list[DueStep] = []
    moment = due_at(one, policy.said.postmortem)
    if moment is not None:
        late = moment <= now
        made.append(DueStep(one.id, "postmortem", moment, f"the post-mortem {'was' if late else 'is'} due {moment.isoformat()[:16]}"))
    for action in one.open_actions:
        if action.due and action.due[:10] <= now.date().isoformat():
            day = dt.datetime.fromisoformat(action.due[:10]).replace(tzinfo=dt.UTC)
            made.append(DueStep(one.id, "action", day, f"action {action.id} of {action.owner or 'nobody'}: {action.text}"))
    every = policy.rule(one.severity).update
    last = one.update or one.round.began
    if every is not None and one.open and now - last.at >= every:
        made.append(DueStep(one.id, "update", last.at + every, "people outside were to be told where it stands"))
    return made


def escalate(one: Incident, policy: Policy, log: Log, by: Person) -> list[Event]:
    """Page whoever is due. Each step is one entry with a key: a step that is there already is not written again."""
    from holdfast.incidents.room import told

    made: list[Event] = []
    for step in steps_due(one, policy, log):
        reach = policy.reach(step.to)
        if step.last:
            # Everybody: by every way that there is.
            reach = {name: reach.get(name, []) for name in policy.channels}
        so_far = told(one.events)
        tell = [{"channel": name, "to": sorted({*addresses, *so_far.get(name, ())})} for name, addresses in reach.items()]
        data: dict[str, Any] = {"step": step.number, "page": list(step.to), "reason": step.reason, "last": step.last, "tell": tell}
        if not step.last and (unreached := policy.unreached(step.to)):
            data["unreached"] = unreached
        key = f"escalated/{one.round.began.name}/{step.number}"

        def check(found: Incident, began: Event = one.round.began) -> None:
            if found.state != "declared" or found.round.began.name != began.name:
                raise _Answered

        try:
            one, event = log.append(one.id, "escalated", by, data, key=key, check=check)
        except _Answered:
            return made
        if event is not None:
            made.append(event)
    return made


class _Answered(Exception):
    """Somebody acknowledged in the meantime."""


def remind(one: Incident, policy: Policy, log: Log, by: Person) -> Incident:
    """Those who answer for an incident hear once that its post-mortem is overdue."""
    moment = due_at(one, policy.said.postmortem)
    if moment is None or moment > log.clock.now() or one.resolved is None:
        return one
    from holdfast.incidents.room import told

    tell = [{"channel": name, "to": addresses} for name, addresses in told(one.events).items()]
    data = {"what": "postmortem", "due": moment.isoformat(), "tell": tell}
    return log.append(one.id, "reminded", by, data, key=f"reminded/postmortem/{one.resolved.name}")[0]


class Queue(Protocol):
    """What keeps messages until a channel takes them: ``state.outbox.Outbox``."""

    @property
    def shared(self) -> bool:
        """Whether other hosts put into it, and send from it, too."""
        ...

    def put(self, channels: Iterable[str], message: Message, *, doubt: bool = False) -> object:
        """Each key is taken once. ``doubt``: another host may have sent it."""
        ...

    def give_up(self, channel: str, message: Message, why: str) -> None:
        """It is not to be sent (any more)."""
        ...

    def arrange(self, incident: str, keys: Mapping[str, Sequence[str]]) -> None:
        """By channel, in which order what waits is sent."""
        ...

    def remember(self, channel: str, incident: str, reference: Reference) -> None:
        """What the channel calls the incident."""
        ...


def queue(one: Incident, policy: Policy, log: Log, box: Queue, waiting: Iterable[tuple[str, str]] = ()) -> int:
    """Everything that is to be told and was not yet, into the outbox, which takes each key once: what was told stands in the journal, so
    that neither a lost queue nor a kill in between loses or repeats a message.

    ``waiting``: (channel, key) of this incident's messages that the outbox holds. What another host told meanwhile is taken out of it, and
    what was overtaken by something that was said later is not sent any more, whoever sent that. What another host was to tell is left to it
    for a while, unless both send from one outbox.
    """
    own = set(log.journal.chains())
    now = log.clock.now()
    held = set(waiting)
    known = [
        (event, channel, message, next((one.delivered[key] for key in keys_of(event, channel) if key in one.delivered), None))
        for event, channel, message in messages(one, policy)
    ]
    last = {channel: number for number, (_, channel, _, told) in enumerate(known) if told is not None}
    made = 0
    line: dict[str, list[str]] = {}
    fresh = set[str]()
    stray = False
    for number, (event, channel, message, told) in enumerate(known):
        here = (channel, message.key) in held
        if told is not None or any(key in one.dropped for key in keys_of(event, channel)):
            if here and told is not None:
                # By this host: from its own outbox, while the one for all that holds it still could not be used.
                who = "This host" if told.chain in own else "Another host"
                box.give_up(channel, message, f"{who} has told it at {told.at.isoformat(timespec='seconds')}.")
            continue
        foreign = event.chain not in own
        if foreign and not here and now - event.at < OTHERS_GRACE:
            continue
        if number < last.get(channel, 0):
            box.give_up(channel, message, OVERTAKEN)
            continue
        reference = one.references.get(channel)
        if channel not in line and isinstance(reference, dict):
            box.remember(channel, one.id, Reference.from_json(reference))
        line.setdefault(channel, []).append(message.key)
        # Something that waits already is to be told after something that comes only now.
        stray = stray or (here and channel in fresh)
        if not here:
            fresh.add(channel)
            box.put([channel], message, doubt=foreign and not box.shared)
        made += 1
    if stray:
        box.arrange(one.id, line)
    return made
