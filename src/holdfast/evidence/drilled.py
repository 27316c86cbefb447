"""What a drill says of itself, in the shape in which its report shows it. Whoever runs a drill fills these and gives ``to_json`` to the
entries ``drill.begin`` (``Begun``) and ``drill.end`` (``Ended``); the journal is where they stand, the report is drawn from there.

Whatever is left None or empty must be named in ``absent`` with a reason: a report's empty field says why it is empty.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

PHASES = ("detect", "declare", "decide", "wait", "prepare", "restore", "replay", "validate", "accept")
"""The clock's parts, in order, from the disaster to the acceptance. ``wait``: for a person. Seconds on the monotonic clock."""

Kind = Literal["tabletop", "restore", "failover", "full"]
State = Literal["passed", "failed", "skipped"]
"""As everywhere: what was skipped was never passed."""


def _plain(one: Any) -> dict[str, Any]:
    return {name: _value(getattr(one, name)) for name in one.__slots__}


def _value(value: Any) -> Any:
    if hasattr(value, "to_json"):
        return value.to_json()
    if isinstance(value, Mapping):
        return {str(key): _value(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_value(one) for one in value]
    return value


@dataclass(frozen=True, slots=True)
class Did:
    """What a person did. ``role``: theirs in the exercise (incident lead, approver, observer); ``did``: in words; ``at``: ISO 8601, UTC.
    ``played_by``: who spoke for them, where nobody of that name was there (a rehearsal without people says so).
    """

    role: str
    name: str
    at: str
    did: str
    step: str | None = None
    played_by: str | None = None

    def to_json(self) -> dict[str, Any]:
        return {key: value for key, value in _plain(self).items() if value is not None}


@dataclass(frozen=True, slots=True)
class Step:
    """``by``: a person's name or ``holdfast``. ``output``: SHA-256 of what it printed and gave, hex. ``deviation``: how it went otherwise
    than written, in words, "" for not at all. ``skipped``: the reason, "" where it was done. ``command``: as somebody would type it.
    """

    step: str
    title: str
    by: str
    start: str
    end: str
    seconds: float
    outcome: str
    output: str
    output_bytes: int = 0
    deviation: str = ""
    skipped: str = ""
    command: str = ""
    phase: str = ""

    def to_json(self) -> dict[str, Any]:
        return _plain(self)


@dataclass(frozen=True, slots=True)
class Check:
    """As checks of a verification: see ``validation.Result``. ``system``: of the plan."""

    name: str
    kind: str
    state: State
    expected: Any
    actual: Any
    detail: str = ""
    seconds: float = 0.0
    system: str = ""

    def to_json(self) -> dict[str, Any]:
        return _plain(self)


@dataclass(frozen=True, slots=True)
class Flow:
    """``state``: closed, replayable, broken. ``records``: how many are to be replayed; ``detail``: which."""

    source: str
    sink: str
    state: Literal["closed", "replayable", "broken"]
    records: int
    detail: str

    def to_json(self) -> dict[str, Any]:
        return {"from": self.source, "to": self.sink, "state": self.state, "records": self.records, "detail": self.detail}


@dataclass(frozen=True, slots=True)
class Finding:
    """``due``: ISO 8601 date. ``closed_by``: the run of the retest that passed, None while it is open."""

    finding: str
    owner: str
    due: str
    severity: str = "medium"
    retest: str = ""
    closed_by: str | None = None

    def to_json(self) -> dict[str, Any]:
        return _plain(self)


@dataclass(frozen=True, slots=True)
class Returned:
    """What became of one system. Seconds; ``rto``: from the declaration to its last check. ``lost_transactions`` None: nothing counts
    them.
    """

    system: str
    point: str
    rto_promised: float | None
    rto_measured: float | None
    rpo_promised: float | None
    rpo_measured: float | None
    lost_transactions: int | None
    newest_recovered: str | None
    counted: str = ""

    def to_json(self) -> dict[str, Any]:
        return _plain(self)


@dataclass(frozen=True, slots=True)
class Begun:
    """``scenario``: ``{"name", "title", "hash", "text"}``; ``objectives``: what is to be reached (``rto``, ``rpo`` in seconds, and in
    words); ``criteria``: by what it is judged, fixed now; ``exclusions``: ``{"name", "reason"}``. ``trigger``: who or what asked for it.
    """

    test_kind: Kind
    scenario: Mapping[str, Any]
    systems: Sequence[str]
    objectives: Mapping[str, Any]
    criteria: Sequence[str]
    exclusions: Sequence[Mapping[str, str]] = ()
    participants: Sequence[Mapping[str, str]] = ()

    def to_json(self) -> dict[str, Any]:
        return _plain(self)


@dataclass(frozen=True, slots=True)
class Ended:
    """``outcome``: ok, failed, cancelled (the run's; ``recorded`` gives it); ``verdict``: passed or failed.

    ``clocks``: seconds by phase (``PHASES``), ``total`` from the declaration to the acceptance. ``rpo``: ``{"lost_seconds",
    "newest_recovered", "newest_committed", "counted"}``. ``isolation``: in words; ``isolation_proof``: what was tried and seen,
    ``[{"name", "expected", "actual"}]``. ``teardown``: the same of what was removed. ``points``: recovery points, by system. ``runs``:
    ids of other runs in this journal that belong to it. ``runbook``: ``{"name", "title", "version", "hash"}``. ``reached``: the moment to
    which it came back. ``phases``: step of the runbook → phase of the clock. ``absent``: path in the
    report (``results.transactions_lost``) → why it is empty.
    """

    verdict: State
    results: Sequence[Check]
    clocks: Mapping[str, float]
    people: Sequence[Did]
    steps: Sequence[Step]
    findings: Sequence[Finding]
    sign_off: Did | None
    isolation: str
    isolation_proof: Sequence[Mapping[str, Any]]
    teardown: Sequence[Mapping[str, Any]]
    torn_down: bool
    flows: Sequence[Flow] = ()
    returned: Sequence[Returned] = ()
    rpo: Mapping[str, Any] = field(default_factory=dict)
    points: Mapping[str, str] = field(default_factory=dict)
    runs: Sequence[str] = ()
    runbook: Mapping[str, Any] | None = None
    incident: Mapping[str, Any] | None = None
    retest: Mapping[str, Any] | None = None
    transactions_lost: int | None = None
    reached: Mapping[str, Any] | None = None
    phases: Mapping[str, str] = field(default_factory=dict)
    absent: Mapping[str, str] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """JSON-ready; for ``recorded(...).add(**…)``."""
        return _plain(self)
