"""What a drill proved: pure. From checks, clocks and marks to results, each with expected and actual."""

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from holdfast.drills.contract import RED_BY, Control, Mark
from holdfast.errors import Damaged, HoldfastError
from holdfast.evidence.drilled import Check
from holdfast.validation import Result

KINDS: Mapping[str, tuple[str, ...]] = {
    "sentinel": ("sentinel",),
    "structure": ("structure",),
    "checks": ("check", "expectation", "suite"),
    "content": ("compare",),
    "probes": ("probe",),
}
"""Which kinds of results belong to a criterion."""


OWN_POINT = "counted from a backup taken for this drill: it says nothing about how often the plan takes one"


def check(result: Result, system: str) -> Check:
    """A result of a validation, as one of the drill's."""
    return Check(result.name, result.kind, result.state, result.expected, result.actual, result.detail, round(result.seconds, 3), system)


def sentinel(system: str, nonce: str, written: Sequence[Mark], came: Sequence[Mark]) -> Check:
    """The nonce of this drill must be in what came back. That the newest marks lack is loss, and judged by the RPO."""
    found = [mark.n for mark in came if mark.nonce == nonce]
    wanted = [mark.n for mark in written]
    ok = bool(wanted) and wanted[0] in found
    detail = "" if ok else "what came back is older than this drill, or comes from elsewhere" if wanted else "no mark was written"
    return Check("sentinel", "sentinel", "passed" if ok else "failed", f"mark {wanted[:1]} of {nonce}", found, detail, 0.0, system)


@dataclass(frozen=True, slots=True)
class Lost:
    """``seconds``: from the newest mark that came back to the last one written; ``marks``: how many of ``written`` did not come
    back. They say how old what came back is; transactions of the source they do not count.
    """

    seconds: float | None
    marks: int | None
    newest_recovered: str | None
    newest_committed: str | None
    how: str = ""
    written: int = 0
    own_point: bool = False
    """Counted from a point that was taken for this drill."""

    @property
    def counted(self) -> str:
        told = f"; {self.marks} of {self.written} marks did not come back" if self.written else ""
        if self.seconds is None:
            return f"not measured: no mark came back, and the data says no time of itself{told}"
        how = self.how or f"from the newest mark that came back to the last one committed in the source before the disaster{told}"
        return f"{how}; {OWN_POINT}" if self.own_point else how


def lost(written: Sequence[Mark], came: Sequence[Mark]) -> Lost:
    """In recovered data."""
    if not written:
        return Lost(None, None, None, None)
    last = max(written, key=lambda mark: mark.n)
    back = [mark for mark in written if mark.n in {one.n for one in came if one.nonce == mark.nonce}]
    if not back:
        return Lost(None, len(written), None, last.at.isoformat(), written=len(written))
    newest = max(back, key=lambda mark: mark.n)
    seconds = max((last.at - newest.at).total_seconds(), 0.0)
    return Lost(seconds, len(written) - len(back), newest.at.isoformat(), last.at.isoformat(), written=len(written))


def by_time(reached: Mapping[str, Any], disaster: dt.datetime) -> Lost:
    """From the newest moment that the recovered data says of itself to the disaster: at most so much was lost."""
    said = reached.get("commit_time") or reached.get("time") or (reached.get("place") or {}).get("time")
    try:
        newest = dt.datetime.fromisoformat(str(said)) if said else None
        seconds = max((disaster - newest).total_seconds(), 0.0) if newest else None
    except (ValueError, TypeError):
        return Lost(None, None, None, None)
    how = "from the newest moment that the recovered data says of itself to the disaster; an idle source lost less"
    return Lost(seconds, None, newest.isoformat() if newest else None, None, how if newest else "")


def objective(name: str, system: str, promised: float | None, measured: float | None, how: str) -> Check | None:
    """None where nothing was promised. What could not be measured was not kept."""
    if promised is None:
        return None
    ok = measured is not None and measured <= promised
    actual = None if measured is None else round(measured, 3)
    detail = how if measured is not None else "not measured"
    return Check(name, "objective", "passed" if ok else "failed", f"at most {promised:g} s", actual, detail, 0.0, system)


def criterion(name: str, system: str, results: Iterable[Check]) -> Check | None:
    """A check of the criterion itself, where its results did not fail and did not pass either: what looked at nothing proves nothing."""
    mine = [one for one in results if one.system == system and one.kind in KINDS.get(name, ())]
    if any(one.state in ("passed", "failed") for one in mine):
        return None
    why = "; ".join(one.detail for one in mine if one.detail) or "nothing was looked at"
    return Check(name, "criterion", "failed", "at least one check", len(mine), why, 0.0, system)


@dataclass(frozen=True, slots=True)
class Fed:
    """What came of a control. ``error``: recovery or validation raised it; ``red``: checks that failed."""

    control: Control
    system: str
    red: Sequence[Check] = ()
    error: HoldfastError | None = None
    passed: int = 0
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def right(self) -> bool:
        """Red, and for its reason."""
        if self.control == "truncated":
            return isinstance(self.error, Damaged)
        if self.error is not None:
            return False
        wanted = "sentinel" if self.control == "stale" else "compare"
        return any(one.kind == wanted for one in self.red)

    @property
    def got(self) -> str:
        """In words."""
        if self.error is not None:
            return f"error {self.error.code}: {self.error.message.partition(chr(10))[0][:300]}"
        if self.red:
            names = list(dict.fromkeys(f"{one.kind} {one.name}" if one.kind != one.name else one.name for one in self.red))
            return f"red by {', '.join(names[:5])}"
        return f"green: {self.passed} checks passed"

    @property
    def code(self) -> str | None:
        return self.error.code if self.error is not None else None

    def check(self) -> Check:
        why = "" if self.right else "it was not seen" if not self.red and self.error is None else "it was red for another reason"
        return Check(
            f"control {self.control}",
            "control",
            "passed" if self.right else "failed",
            f"red by {RED_BY[self.control]}",
            self.got,
            why,
            0.0,
            self.system,
        )


def about(one: Check) -> str:
    """What a finding is about: the same in a later run of the same scenario."""
    return f"{one.system or '*'}/{one.kind}/{one.name}"


def sentence(one: Check) -> str:
    """A failed check as a finding says it."""
    where = f"{one.system}: " if one.system else ""
    actual = "nothing" if one.actual is None else one.actual
    detail = f" ({one.detail})" if one.detail else ""
    return f"{where}{one.name}: expected {one.expected}, got {actual}{detail}"[:1000]
