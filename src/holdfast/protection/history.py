"""What is known of a system's past: the input of everything pure in this room."""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from holdfast.state import Estimate, Heartbeat, Pause, Proof
from holdfast.vault.copy.behind import Behind


@dataclass(frozen=True, slots=True)
class PointSeen:
    """A committed point. ``as_of``: the moment whose data it holds. ``locations``: the names of those that hold all of it.

    ``usable`` False: it is known to be damaged in the vault, and does not count as protection. ``findings``: what was wrong with the source
    when it was captured (a page with a bad checksum, say): the point restores, and restores that too.
    """

    id: str
    started_at: dt.datetime
    committed_at: dt.datetime
    as_of: dt.datetime
    locations: frozenset[str]
    usable: bool = True
    findings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Failure:
    """A run of ``verb`` that failed at ``at``, since when none of the kind succeeded."""

    verb: str
    at: dt.datetime
    said: str = ""


@dataclass(frozen=True, slots=True)
class Overdue:
    """A finding of a drill that nobody has proved to be put right by its date (in the plan's zone)."""

    finding: str
    text: str
    owner: str
    due: dt.date


@dataclass(frozen=True, slots=True)
class Past:
    """Of one system. ``points`` and ``proofs`` in any order; ``failures`` only those after the last success of their verb.

    ``unreachable``: locations that could not be asked, with the reason: what they hold is unknown, not nothing. ``pruned_at``: the last
    prune. ``running``: verbs at work now and since when. ``restore``: how long restores were measured to take. ``log_as_of``: by location,
    the moment up to which the log there is known to be complete, from the vault itself (heartbeats say it sooner). ``behind``: by location,
    what a copy would bring there. ``returns``: seconds that each restore and restore into isolation took, oldest first, None for one that
    failed; ``losses``: seconds of data that each would have lost at the most, None where that is not known. ``drilled``: the end of the
    last drill that it took part in.
    """

    points: Sequence[PointSeen] = ()
    beats: Sequence[Heartbeat] = ()
    proofs: Sequence[Proof] = ()
    failures: Sequence[Failure] = ()
    pause: Pause | None = None
    running: Mapping[str, dt.datetime] = field(default_factory=dict)
    pruned_at: dt.datetime | None = None
    restore: Estimate | None = None
    unreachable: Mapping[str, str] = field(default_factory=dict)
    log_as_of: Mapping[str, dt.datetime] = field(default_factory=dict)
    behind: Mapping[str, Behind] = field(default_factory=dict)
    returns: Sequence[float | None] = ()
    losses: Sequence[float | None] = ()
    drilled: dt.datetime | None = None
    overdue: Sequence[Overdue] = ()
