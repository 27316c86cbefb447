"""Searches a system's history for the last good moment and the first bad one, by opening isolated copies."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from holdfast.errors import HoldfastError
from holdfast.model import Clock, Progress
from holdfast.systems.contract import History, Isolated, Moment, Moments, Searchable, Walker
from holdfast.validation import Check, ask, same


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
    """Good while the check's answer is the expected one; a statement that fails (its table is gone) is bad."""

    def judge(view: Isolated) -> tuple[bool, Any]:
        try:
            seen = ask(view, check)
        except HoldfastError as error:
            return False, error.message
        return same(check.expect, seen), seen

    return judge


def by_presence(question: Callable[[Isolated], bool]) -> Judge:
    def judge(view: Isolated) -> tuple[bool, Any]:
        there = question(view)
        return there, there

    return judge


def search(system: Searchable, history: History, judge: Judge, *, options: Mapping[str, Any], progress: Progress, clock: Clock) -> Found:
    """Bisect. Takes the content to be good first and bad from some moment on; where it changed to and fro, one such change is found."""
    began = clock.monotonic()
    progress.phase("reading the log")
    moments = system.moments(history, timeline=options.get("timeline"))
    if not moments.found:
        return Found("nothing", seconds=clock.monotonic() - began)
    with system.walk(history, options, progress) as walker:
        probe = _Probe(walker, judge, progress)
        first, last = moments.found[0], moments.found[-1]
        good, seen = probe(first)
        if not good:
            return Found("never-good", None, first, {"first": seen}, probe.opened, len(moments.found), clock.monotonic() - began)
        walker.keep(first)
        answers = {"good": seen}
        if last is not first:
            good, seen = probe(last)
        if good or last is first:
            return Found("never-bad", last, None, {"last": seen}, probe.opened, len(moments.found), clock.monotonic() - began)
        answers["bad"] = seen
        total = len(moments.found)
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
