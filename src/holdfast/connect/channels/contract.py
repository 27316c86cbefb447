"""What a channel of messages promises: Slack, PagerDuty, Jira … look the same from above.

A message belongs to an incident. What the far side calls that incident (a thread, an alert, a ticket) is kept in a ``Reference``, which
whoever sends hands back with the next message, so that it lands in the same place.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Protocol, get_args

from holdfast.errors import Unreachable

Kind = Literal["declared", "acknowledged", "updated", "escalated", "resolved", "reminder", "test"]
Severity = Literal["P1", "P2", "P3", "P4"]

KINDS: tuple[Kind, ...] = get_args(Kind)
SEVERITIES: tuple[Severity, ...] = get_args(Severity)

DRILL = "[DRILL]"
"""Stands before the title of everything that a drill sends."""
TEST = "[TEST]"


@dataclass(frozen=True, slots=True)
class Link:
    title: str
    url: str


@dataclass(frozen=True, slots=True)
class Message:
    """One thing to say about an incident.

    ``incident``: its id, unique for the platform and never reused. ``key``: the id of this very message, the same whenever it is sent
    again: what the far side recognises a repetition by. ``title``: one line, without a mark of its own. ``text``: plain lines.
    ``platform``: the plan's name, told to people who run several. ``by``: who did what is told. ``to``: whom it is for, beside those
    that the plan gives to the channel (addresses of mail; others ignore it). ``facts``: short names and values, shown as a list.
    """

    incident: str
    key: str
    kind: Kind
    title: str
    text: str = ""
    severity: Severity = "P3"
    drill: bool = False
    platform: str = ""
    by: str = ""
    at: str = ""
    """When it was said: ISO 8601 with its zone."""
    links: tuple[Link, ...] = ()
    facts: Mapping[str, str] = field(default_factory=dict)
    to: tuple[str, ...] = ()
    over: bool = False
    """The incident had ended when it was said (a reminder, a last word): nobody is woken up for it."""
    round: int = 1
    """Counts the times that the incident was opened: 1, and one more each time that it was opened again. A ticket is opened again, and an
    alert made anew, by the first message of a round that arrives; ``Reference.round`` says which one that was."""

    @property
    def marks(self) -> str:
        """``[DRILL] ``, ``[TEST] `` or nothing."""
        return (f"{DRILL} " if self.drill else "") + (f"{TEST} " if self.kind == "test" else "")

    @property
    def headline(self) -> str:
        """The marks, the severity and the title in one line: what is read on a lock screen."""
        line = " ".join(self.title.split())
        return f"{self.marks}{self.severity} {line}"

    def to_json(self) -> dict[str, Any]:
        """For a queue or a record."""
        return {
            "incident": self.incident,
            "key": self.key,
            "kind": self.kind,
            "title": self.title,
            "text": self.text,
            "severity": self.severity,
            "drill": self.drill,
            "platform": self.platform,
            "by": self.by,
            "at": self.at,
            "links": [[link.title, link.url] for link in self.links],
            "facts": dict(self.facts),
            "to": list(self.to),
            **({"over": True} if self.over else {}),
            **({"round": self.round} if self.round > 1 else {}),
        }

    @classmethod
    def from_json(cls, found: Mapping[str, Any]) -> "Message":
        """What ``to_json`` gave, also an older version's. Raises KeyError, TypeError or ValueError for something else."""
        if found["kind"] not in KINDS or found.get("severity", "P3") not in SEVERITIES:
            raise ValueError("no message of a channel")
        names = ("severity", "drill", "platform", "by", "at", "facts", "text", "over", "round")
        known = {name: found[name] for name in names if name in found}
        links = tuple(Link(str(title), str(url)) for title, url in found.get("links", ()))
        whom = tuple(str(one) for one in found.get("to", ()))
        return cls(found["incident"], found["key"], found["kind"], found["title"], links=links, to=whom, **known)


@dataclass(frozen=True, slots=True)
class Reference:
    """What the far side calls an incident. ``ids`` by the service's own names (``channel``, ``ts``; ``dedup_key``; ``key``; ``sys_id``,
    ``number``; ``message_id``); ``url``: where a person opens it, empty when the service does not say.

    Holds no secret: it is shown, journaled and stored.
    """

    ids: Mapping[str, str] = field(default_factory=dict)
    url: str = ""

    def also(self, **ids: str) -> "Reference":
        return replace(self, ids={**self.ids, **ids})

    @property
    def round(self) -> int:
        """The newest round of the incident that the service knows of; 1 where nothing else was noted."""
        said = self.ids.get("round", "")
        return int(said) if said.isascii() and said.isdigit() else 1

    def __str__(self) -> str:
        """The one id that people use."""
        return next((self.ids[name] for name in ("number", "key", "ts", "dedup_key", "message_id") if name in self.ids), "")

    def to_json(self) -> dict[str, Any]:
        return {"ids": dict(self.ids), **({"url": self.url} if self.url else {})}

    @classmethod
    def from_json(cls, found: Mapping[str, Any]) -> "Reference":
        return cls({str(name): str(value) for name, value in found.get("ids", {}).items()}, str(found.get("url", "")))


class ChannelFailed(Unreachable):
    """A message could not be delivered.

    ``so_far``: what was done already (a ticket was made, its state not yet set; mail went to some): to be handed over with the next
    attempt.
    """

    code = "channel-failed"

    def __init__(self, message: str, *, hint: str = "", so_far: Reference | None = None, **details: Any) -> None:
        super().__init__(message, hint=hint, **details)
        self.so_far = so_far


class ChannelDown(ChannelFailed):
    """A channel did not take a message now; later it may.

    ``after``: seconds that the service asks to wait. ``maybe``: the message may have arrived all the same (the answer was lost).
    """

    code = "channel-down"

    def __init__(
        self,
        message: str,
        *,
        hint: str = "",
        after: float | None = None,
        maybe: bool = False,
        so_far: Reference | None = None,
        **details: Any,
    ) -> None:
        super().__init__(message, hint=hint, so_far=so_far, **details)
        self.after = after
        self.maybe = maybe


class ChannelRejected(ChannelFailed):
    """A channel refused a message for good: a wrong token, a project or room that is not there. Somebody must change something."""

    code = "channel-rejected"


class Channel(Protocol):
    """One way to reach people. Safe to be used by one thread at a time; nothing is connected before it is asked for."""

    @property
    def name(self) -> str:
        """The plan's name of it."""
        ...

    @property
    def kind(self) -> str: ...

    @property
    def repeats(self) -> str:
        """What keeps a message from being told twice when the sender died between sending and noting it; how it could happen all the
        same.
        """
        ...

    @property
    def settles(self) -> float:
        """Seconds after which what was just made is found by a look-up; 0 where at once, or where nothing is looked up."""
        ...

    def send(self, message: Message, reference: Reference | None = None, *, again: bool = False) -> Reference:
        """Deliver one message; the reference to hand over with the incident's next one.

        ``reference``: what the incident's earlier messages returned, None for the first. ``again``: an earlier attempt with the same
        ``message.key`` may have arrived, so it is looked for where the service has no key of its own for that. Raises ChannelDown and
        ChannelRejected, whose texts hold no token and no secret address.
        """
        ...

    def check(self) -> str:
        """Whether it answers and takes our credentials, without telling anybody anything: one line. Raises like ``send``."""
        ...
