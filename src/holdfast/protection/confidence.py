"""How sure it is that a promise holds, from how often it was kept: few successes prove little, and the number says how little."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

CONFIDENCE = 0.95
METHOD = "Clopper and Pearson 1934, one-sided lower bound"


@dataclass(frozen=True, slots=True)
class Kept:
    """``kept`` of ``samples`` were within ``promised`` seconds. ``at_least``: with 95 % confidence the promise holds in at least this share
    of cases like these; None without a sample. ``trend``: seconds by which the median of the newer half exceeds that of the older half.
    """

    promised: float
    samples: int
    kept: int
    at_least: float | None
    median: float | None
    worst: float | None
    trend: float | None

    def to_json(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "promised_seconds": self.promised,
            "samples": self.samples,
            "kept": self.kept,
            "at_least": self.at_least,
            "confidence": CONFIDENCE,
            "method": METHOD,
            "median_seconds": self.median,
            "worst_seconds": self.worst,
            "trend_seconds": self.trend,
        }

    @property
    def sentence(self) -> str:
        """For people; '' without a sample."""
        if self.at_least is None:
            return ""
        return f"kept in {self.kept} of {self.samples}: holds in at least {self.at_least:.0%} of cases, with {CONFIDENCE:.0%} confidence"


def kept(seconds: Sequence[float | None], promised: float) -> Kept:
    """``seconds``: what each try took, oldest first; None for one that failed, which kept no promise."""
    times = [one for one in seconds if one is not None]
    good = sum(1 for one in times if one <= promised)
    half = len(times) // 2
    trend = round(_median(times[-half:]) - _median(times[:half]), 3) if half else None
    return Kept(
        promised,
        len(seconds),
        good,
        round(at_least(good, len(seconds)), 4) if seconds else None,
        round(_median(times), 3) if times else None,
        round(max(times), 3) if times else None,
        trend,
    )


def at_least(good: int, of: int, confidence: float = CONFIDENCE) -> float:
    """The share p for which ``good`` or more of ``of`` would be seen with probability 1 - ``confidence`` only.

    Clopper and Pearson, "The use of confidence or fiducial limits illustrated in the case of the binomial", Biometrika 26 (1934). It is
    exact, so it never says more than the sample proves: 3 of 3 give 0.37, 59 of 59 give 0.95.
    """
    if not 0 <= good <= of or of < 1:
        raise ValueError(f"{good} of {of} is no count")
    if good == 0:
        return 0.0
    low, high = 0.0, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        if _or_more(good, of, middle) < 1 - confidence:
            low = middle
        else:
            high = middle
    return low


def _or_more(good: int, of: int, p: float) -> float:
    """The probability of ``good`` or more successes in ``of`` tries."""
    if p <= 0:
        return 0.0
    if p >= 1:
        return 1.0
    whole = math.lgamma(of + 1)
    terms = (
        math.exp(whole - math.lgamma(i + 1) - math.lgamma(of - i + 1) + i * math.log(p) + (of - i) * math.log1p(-p))
        for i in range(good, of + 1)
    )
    return math.fsum(terms)


def _median(times: Sequence[float]) -> float:
    ordered = sorted(times)
    middle = len(ordered) // 2
    return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2
