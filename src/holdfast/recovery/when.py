"""Searches a system's history for the last good moment and the first bad one, by opening isolated copies."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from holdfast.errors import HoldfastError, MissingExtra
from holdfast.model import Clock, Progress
from holdfast.systems.contract import History, Isolated, Moment, Moments, Searchable, Walker
from holdfast.validation import Check, SuiteBroke, ask, same


@dataclass(frozen=True)
class Found:
    """``state``: found, never-bad (good at the newest moment), never-good (bad at the oldest), nothing (no moment at all).

    ``good`` and ``bad`` are neighbours when ``state`` is found: between them nothing was committed. ``answers``: what was seen there.
    """

    state: str
    good: Moment | None = None
    bad: Moment | None = None
    answers: Mapping[str, Any] = field(default_factory=dict)
    opened: int = 0
    candidates: int = 0
    seconds: float = 0.0

    def to_json(self) -> dict[str, Any]:
        """``{"state", "last_good": {"lsn", "time", "xid"} | null, "first_bad": …, "restore_to", "answers", "opened",
        "candidates", "seconds"}``.
        """
        return {
            "state": self.state,
            "last_good": dict(self.good.shown) if self.good else None,
            "first_bad": dict(self.bad.shown) if self.bad else None,
            "restore_to": dict(self.good.until) if self.good else None,
            "answers": dict(self.answers),
            "opened": self.opened,
            "candidates": self.candidates,
            "seconds": round(self.seconds, 3),
        }


Judge = Callable[[Isolated], tuple[bool, Any]]
"""(good?, the answer seen)."""


def by_check(check: Check) -> Judge:
    """Good while the check's answer is the expected one; a statement that fails (its table is gone) is bad.

    Raises MissingExtra, SuiteBroke: what could not be judged is neither.
    """

    def judge(view: Isolated) -> tuple[bool, Any]:
        try:
            seen = ask(view, check)
        except (MissingExtra, SuiteBroke):
            raise
        except HoldfastError as error:
            return False, error.message
        return same(check.expect, seen), seen

    return judge


def by_presence(question: Callable[[Isolated], bool]) -> Judge:
    def judge(view: Isolated) -> tuple[bool, Any]:
        there = question(view)
        return there, there

    return judge


def search(
    system: Searchable,
    history: History,
    judge: Judge,
    *,
    options: Mapping[str, Any],
    progress: Progress,
    clock: Clock,
    grown: bool = False,
) -> Found:
    """Bisect. Takes the content to be good first and bad from some moment on; where it changed to and fro, one such change is found.

    ``grown``: it may have become good only (a table that grew): where the oldest moment is bad, a good one is looked for from the newest
    back, in steps that double.
    """
    began = clock.monotonic()
    progress.phase("reading the log")
    moments = system.moments(history, timeline=options.get("timeline"))
    if not moments.found:
        return Found("nothing", seconds=clock.monotonic() - began)
    with system.walk(history, options, progress) as walker:
        probe = _Probe(walker, judge, progress)
        first, last = moments.found[0], moments.found[-1]
        good, seen = probe(first)
        total = len(moments.found)
        if good:
            walker.keep(first)
            answers = {"good": seen}
            good, answers["bad"] = (good, seen) if last is first else probe(last)
        else:
            span, answers = _backwards(moments, probe) if grown else (None, {})
            if span is None:
                return Found("never-good", None, first, {"first": seen}, probe.opened, total, clock.monotonic() - began)
            moments, good = span, span.found == (last,)
            walker.keep(span.found[0])
        if good:
            return Found("never-bad", last, None, {"last": answers["bad"]}, probe.opened, total, clock.monotonic() - began)
        while True:
            before, after, answers = _bisect(moments, probe, walker, answers)
            if moments.all:
                break
            finer = system.moments(history, before.position, after.position, options.get("timeline"))
            if not finer.found:
                break
            total += len(finer.found)
            moments = Moments((before, *finer.found, after), finer.all)
    return Found("found", before, after, answers, probe.opened, total, clock.monotonic() - began)


def _backwards(moments: Moments, probe: "_Probe") -> tuple[Moments | None, dict[str, Any]]:
    """(from a good moment to a bad one behind it, or the newest alone where that is good; None where none looked at is good; answers)."""
    found, step = moments.found, 1
    index = high = len(found) - 1
    answers: dict[str, Any] = {}
    while index > 0:
        good, seen = probe(found[index])
        if good:
            return Moments(found[index : high + 1], moments.all), {"bad": seen, **answers, "good": seen}
        answers["bad"], high = seen, index
        index, step = index - step, step * 2
    return None, answers


def _bisect(moments: Moments, probe: "_Probe", walker: Walker, answers: dict[str, Any]) -> tuple[Moment, Moment, dict[str, Any]]:
    low, high = 0, len(moments.found) - 1
    while high - low > 1:
        middle = (low + high) // 2
        good, seen = probe(moments.found[middle])
        if good:
            low = middle
            answers["good"] = seen
            walker.keep(moments.found[middle])
        else:
            high = middle
            answers["bad"] = seen
    return moments.found[low], moments.found[high], answers


class _Probe:
    def __init__(self, walker: Walker, judge: Judge, progress: Progress) -> None:
        self._walker, self._judge, self._progress = walker, judge, progress
        self.opened = 0

    def __call__(self, moment: Moment) -> tuple[bool, Any]:
        self.opened += 1
        with self._walker.at(moment) as view:
            good, seen = self._judge(view)
        shown = " ".join(f"{name} {value}" for name, value in moment.shown.items() if value is not None)
        self._progress.note(f"{shown}: {'good' if good else 'bad'}")
        return good, seen
