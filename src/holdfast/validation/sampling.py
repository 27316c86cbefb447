"""How large a sample must be, and what it proves when nothing in it differs.

A unit that differs is in a random sample of n with chance p if a share p of all units does: none is seen with chance (1 - p)^n. With
confidence C fewer than p = 1 - (1 - C)^(1/n) of them differ (Clopper and Pearson 1934, one-sided, for no failures; for C = 95 % nearly 3/n,
the rule of three: Hanley and Lippman-Hand 1983). Without replacement, as here, it is surer still.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from holdfast.errors import Usage
from holdfast.model import Clock
from holdfast.systems.contract import Draw, Isolated, Sampled
from holdfast.validation.results import Result

METHOD = "Clopper and Pearson 1934, one-sided upper bound for no failures"
_NAMED = 5


class SampleUsage(Usage):
    """A confidence, or a share, that no sample can have."""

    code = "sample-usage"


@dataclass(frozen=True, slots=True)
class Sampling:
    """``confidence`` and ``share`` as fractions: so sure it is to be that fewer than this share of the units differ."""

    confidence: float = 0.95
    share: float = 0.001

    @property
    def wanted(self) -> int:
        """Units to compare of each table, bucket or path."""
        return math.ceil(math.log(1 - self.confidence) / math.log(1 - self.share))

    @classmethod
    def parse(cls, text: str) -> "Sampling":
        """``95``, ``99%`` or ``99:0.5``: confidence and, behind a colon, the share, in percent. Raises SampleUsage."""
        first, _, second = text.replace("%", "").replace(" ", "").partition(":")
        try:
            return cls.of(float(first), float(second) if second else None)
        except ValueError as error:
            raise SampleUsage(f"{text!r} is no confidence.", hint="In percent: 95, or with the share of units: 99:0.5") from error

    @classmethod
    def of(cls, confidence: float, share: float | None = None) -> "Sampling":
        """Both in percent. Raises SampleUsage."""
        share = 0.1 if share is None else share
        if not 50 <= confidence <= 99.9999:
            raise SampleUsage(
                f"A confidence of {confidence:g} % is none to be stated.", hint="Between 50 and 99.9999; for all of it: --exact"
            )
        if not 0.0001 <= share <= 50:
            raise SampleUsage(f"A share of {share:g} % is none to be stated.", hint="Between 0.0001 and 50 percent.")
        return cls(confidence / 100, share / 100)


def bound(confidence: float, compared: int) -> float:
    """The share of units that may differ at most, when none of ``compared`` did."""
    return 1.0 if not compared else 1 - (1 - confidence) ** (1 / compared)


def compare(expected: Mapping[str, Sampled], view: Isolated, draw: Draw, sampling: Sampling, clock: Clock) -> list[Result]:
    """The source's sample against the same units of the copy, one result a thing. What compared nothing of something failed."""
    if not expected:
        return [Result("content", "compare", "failed", detail="the source has nothing to compare")]
    began = clock.monotonic()
    actual = view.sample(Draw(draw.seed, draw.wanted, {name: one.one_in for name, one in expected.items()}))
    found = []
    for name in sorted(expected.keys() | actual.keys()):
        now = clock.monotonic()
        found.append(_result(name, expected.get(name), actual.get(name), sampling, now - began))
        began = now
    if not any(one.total for name, one in expected.items() if "#" not in name):
        found.append(Result("content", "compare", "skipped", detail="the source is empty: nothing was compared"))
    return found


def _result(name: str, left: Sampled | None, right: Sampled | None, sampling: Sampling, seconds: float) -> Result:
    if left is None or right is None:
        detail = "missing in the copy" if right is None else "not in the source"
        return Result(name, "compare", "failed", _told(left), _told(right), detail, seconds)
    wrong = sorted(key for key in left.drawn.keys() | right.drawn.keys() if left.drawn.get(key) != right.drawn.get(key))
    said = _told(left), _told(right)
    if left.total != right.total:
        detail = f"{right.total} {left.unit} instead of {left.total}"
        return Result(name, "compare", "failed", *said, detail + (f"; {_examples(left, right, wrong)}" if wrong else ""), seconds)
    if wrong:
        of = f"of {len(left.drawn)} {left.unit} compared ({left.total} in all) {len(wrong)} differ" if left.one_in else "differs"
        return Result(name, "compare", "failed", *said, f"{of}: {_examples(left, right, wrong)}" if left.one_in else of, seconds)
    if left.total and not left.drawn:
        return Result(name, "compare", "failed", *said, f"nothing was drawn of {left.total} {left.unit}", seconds)
    if left.one_in in (0, 1):
        return Result(name, "compare", "passed", *said, f"all {left.total} {left.unit} compared, none differed", seconds)
    most = bound(sampling.confidence, len(left.drawn))
    sure = f"with {sampling.confidence * 100:.6g} % confidence fewer than {most * 100:.2g} % differ"
    detail = f"{len(left.drawn)} {left.unit} of {left.total} compared, none differed: {sure}"
    return Result(name, "compare", "passed", *said, detail, seconds)


def _told(one: Sampled | None) -> dict[str, object] | None:
    return None if one is None else {"unit": one.unit, "total": one.total, "compared": one.total if not one.one_in else len(one.drawn)}


def _examples(left: Sampled, right: Sampled, wrong: list[str]) -> str:
    kinds = ((key, "missing" if key not in right.drawn else "extra" if key not in left.drawn else "changed") for key in wrong[:_NAMED])
    return "for example " + ", ".join(f"{key[:200]} ({kind})" for key, kind in kinds)
