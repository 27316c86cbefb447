"""What a validation found, each with expected and actual; what was skipped is never counted as passed."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

State = Literal["passed", "failed", "skipped"]
Verdict = Literal["passed", "failed", "inconclusive"]


@dataclass(frozen=True, slots=True)
class Result:
    """One check. ``kind``: fresh, structure, check, expectation, compare. ``expected``, ``actual`` are JSON-ready; ``seconds``: it took."""

    name: str
    kind: str
    state: State
    expected: Any = None
    actual: Any = None
    detail: str = ""
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Report:
    """All results of one validation."""

    results: tuple[Result, ...] = field(default=())

    @property
    def counts(self) -> dict[str, int]:
        return {state: sum(1 for one in self.results if one.state == state) for state in ("passed", "failed", "skipped")}

    @property
    def verdict(self) -> Verdict:
        """Failed when anything failed; inconclusive when nothing passed: a validation that looked at nothing proves nothing."""
        counts = self.counts
        return "failed" if counts["failed"] else "passed" if counts["passed"] else "inconclusive"


def joined(*parts: Sequence[Result]) -> Report:
    return Report(tuple(one for part in parts for one in part))
