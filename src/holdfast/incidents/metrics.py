"""Incidents and their messages in Prometheus' text format, behind those of the systems. Drills have a label of their own."""

import datetime as dt
import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from holdfast.incidents.policy import LEVELS
from holdfast.incidents.promises import elapsed
from holdfast.incidents.record.events import between
from holdfast.incidents.record.state import Incident
from holdfast.model import Clock
from holdfast.protection.prometheus import block

YOUNG = dt.timedelta(days=90)
"""How far back the time to an acknowledgement is looked at."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """Of a channel: messages that wait and that are lost, and since when the oldest of them waits."""

    waiting: int = 0
    lost: int = 0
    oldest: dt.datetime | None = None


def text(found: Sequence[Incident], channels: Mapping[str, Waiting], clock: Clock, ran: dt.datetime | None, limit: float) -> str:
    """``found``: incidents that are open, and the newest of the others. ``ran``: when ``due --run`` did last, None where nobody knows;
    ``limit``: seconds after which that is too long ago.
    """
    now = clock.now()
    asked = [one for one in found if one.state == "declared"]
    answered = [one for one in found if one.rounds[0].acknowledged is not None and now - one.declared.at < YOUNG]
    times = {level: [_answer(one) for one in answered if one.severity == level and not one.drill] for level in LEVELS}
    kinds = (("false", [one for one in asked if not one.drill]), ("true", [one for one in asked if one.drill]))
    blocks = [
        block(
            "holdfast_incidents_open",
            "Incidents that are not resolved.",
            [
                ({"severity": level, "drill": drill}, float(_count(found, level, drill=drill == "true")))
                for level in LEVELS
                for drill in ("false", "true")
            ],
        ),
        block(
            "holdfast_incident_unacknowledged_seconds",
            "Age of the oldest incident that nobody has acknowledged; 0 when there is none.",
            [({"drill": drill}, max((_waits(one, clock) for one in some), default=0.0)) for drill, some in kinds],
        ),
        block(
            "holdfast_incidents_unanswered",
            "Incidents of which everybody was told, and which nobody has acknowledged.",
            [({"drill": drill}, float(sum(one.exhausted for one in some))) for drill, some in kinds],
        ),
        block(
            "holdfast_incident_acknowledge_seconds",
            "From declaration to first acknowledgement in the last 90 days: median and longest.",
            [
                ({"severity": level, "is": name}, math.floor(of(values) * 1000) / 1000)
                for level, values in times.items()
                if values
                for name, of in (("median", statistics.median), ("longest", max))
            ],
        ),
        block(
            "holdfast_outbox_messages",
            "Messages about incidents that wait for their channel, and that it did not take at all.",
            [
                ({"channel": name, "state": state}, float(number))
                for name, one in channels.items()
                for state, number in (("waiting", one.waiting), ("lost", one.lost))
            ],
        ),
        block(
            "holdfast_outbox_oldest_seconds",
            "Age of the oldest message that waits for the channel; 0 when none does.",
            [
                ({"channel": name}, max((now - one.oldest).total_seconds(), 0.0) if one.oldest is not None else 0.0)
                for name, one in channels.items()
            ],
        ),
        block(
            "holdfast_due_last_run_timestamp_seconds",
            "When 'due --run' last ran on any host that is known here; 0 when nobody knows.",
            [({}, ran.timestamp() if ran is not None else 0.0)],
        ),
        block("holdfast_due_late_seconds", "After how long without 'due --run' nobody can be sure to be paged.", [({}, limit)]),
    ]
    return "".join(blocks)


def _count(found: Iterable[Incident], level: str, *, drill: bool) -> int:
    return sum(one.open and one.severity == level and bool(one.drill) is drill for one in found)


def _waits(one: Incident, clock: Clock) -> float:
    return elapsed(one.round.began, clock).total_seconds()


def _answer(one: Incident) -> float:
    first = one.rounds[0]
    assert first.acknowledged is not None
    return between(first.began, first.acknowledged).total_seconds()
