"""One message on its way to one channel."""

import datetime as dt
import json
from dataclasses import dataclass
from typing import Any, Literal

from holdfast.connect.channels import Message, Reference
from holdfast.state.times import from_text, maybe, to_text

Standing = Literal["waiting", "sent", "lost", "dropped"]


@dataclass(frozen=True, slots=True)
class Line:
    """``standing``: waiting; sent; lost (refused by the channel, or not taken within its time: somebody must look); dropped by a person.

    ``due``: when it is tried next. ``waited``: seconds spent waiting for the channel. ``again``: an attempt may have arrived although
    its answer is not known. ``error``: why it was not taken the last time. ``reference``: what the channel calls the incident. ``late``:
    something that was said later reached the channel before it.
    """

    id: int
    channel: str
    message: Message
    standing: Standing
    queued: dt.datetime
    due: dt.datetime
    attempts: int
    waited: float
    tried: dt.datetime | None
    ended: dt.datetime | None
    again: bool
    interrupted: bool
    error: str
    reference: Reference | None = None
    late: bool = False

    def to_json(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "channel": self.channel,
            "incident": self.message.incident,
            "message": self.message.key,
            "kind": self.message.kind,
            "title": self.message.headline,
            "drill": self.message.drill,
            "state": self.standing,
            "queued": to_text(self.queued),
            "due": to_text(self.due) if self.standing == "waiting" else None,
            "attempts": self.attempts,
            "tried": to_text(self.tried) if self.tried else None,
            "ended": to_text(self.ended) if self.ended else None,
            "maybe_arrived": self.again and self.standing != "sent",
            "error": self.error,
            "reference": self.reference.to_json() if self.reference else None,
        }


def line_of(row: Any) -> Line:
    """A row of the table joined with its reference and with ``late``."""
    return Line(
        row["id"],
        row["channel"],
        Message.from_json(json.loads(row["message"])),
        row["standing"],
        from_text(row["queued"]),
        from_text(row["due"]),
        row["attempts"],
        row["waited"],
        maybe(row["tried"]),
        maybe(row["ended"]),
        bool(row["maybe"]) or row["trying"] is not None,
        row["trying"] is not None,
        row["error"],
        Reference.from_json(json.loads(row["reference"])) if row["reference"] else None,
        bool(row["late"]),
    )
