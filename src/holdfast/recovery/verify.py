"""Prove a system's recovery: restore into isolation, look at it, compare it with the source, tear it down."""

import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from holdfast.errors import HoldfastError, Refused
from holdfast.model import Clock, Progress
from holdfast.systems.contract import History, Isolated, Recoverable
from holdfast.validation import Check, Report, Result, ask, compare, joined, structure
from holdfast.validation import run as run_checks


@dataclass(frozen=True)
class Verification:
    """``until``: the moment that was opened; ``exact``: the source stood still at that moment, so that content could be compared."""

    system: str
    report: Report
    reached: Mapping[str, Any]
    until: Mapping[str, Any]
    exact: bool
    clocks: Mapping[str, float] = field(default_factory=dict)
    torn_down: bool = True

    def to_json(self) -> dict[str, Any]:
        """``{"system", "verdict", "counts", "reached", "exact", "clocks", "torn_down", "results": [{"name", "kind", "state",
        "expected", "actual",
        "detail", "seconds"}]}``.
        """
        return {
            "system": self.system,
            "verdict": self.report.verdict,
            "counts": self.report.counts,
            "reached": dict(self.reached),
            "exact": self.exact,
            "clocks": {name: round(seconds, 3) for name, seconds in self.clocks.items()},
            "torn_down": self.torn_down,
            "results": [
                {
                    "name": one.name,
                    "kind": one.kind,
                    "state": one.state,
                    "expected": one.expected,
                    "actual": one.actual,
                    "detail": one.detail,
                    "seconds": round(one.seconds, 3),
                }
                for one in self.report.results
            ],
        }


@dataclass(frozen=True)
class _Source:
    """What the source said, and when: answers by check, digests by table, the moment they belong to."""

    answers: Mapping[str, Any] = field(default_factory=dict)
    digest: Mapping[str, Any] = field(default_factory=dict)
    until: Mapping[str, Any] | None = None
    why: str = ""


def verify(
    system: Recoverable,
    history: Callable[[], History],
    checks: Sequence[Check],
    *,
    progress: Progress,
    clock: Clock,
    until: Mapping[str, Any] | None = None,
    content: bool = True,
    patience: float = 30.0,
    options: Mapping[str, Any] | None = None,
) -> Verification:
    """``until`` None: the moment at which the source was asked, if it stood still, else the newest. ``patience``: seconds to
    wait until the vault
    has the log up to that moment. ``content``: compare every table's content with the source's. Raises when nothing could be opened.
    """
    clocks: dict[str, float] = {}
    source = _Source(why="another moment than the source's present one was asked for")
    if until is None:
        progress.phase("source")
        source = _ask_source(system, checks, content=content)
        until = source.until
        if until is not None and not _arrives(system, history, until, clock, patience):
            source = _Source(why=f"the source's newest log did not reach the vault within {patience:g} s")
            until = None
    chosen = until or {"kind": "latest"}
    results: list[Result] = []
    with system.isolate(history(), chosen, {"purpose": "verify", "clocks": clocks, **(options or {})}, progress) as view:
        began = clock.monotonic()
        progress.phase("validate", None, "checks")
        results += structure(view, clock, progress)
        results += run_checks(checks, view, source.answers, clock, source.why)
        if content:
            results += _content(system, source, view, clock)
        clocks["validate"] = clock.monotonic() - began
        reached = dict(view.reached)
    return Verification(system.name, joined(results), reached, chosen, source.until is not None, clocks)


def _content(system: Recoverable, source: _Source, view: Isolated, clock: Clock) -> list[Result]:
    if source.until is None:
        return [Result("content", "compare", "skipped", detail=source.why)]
    with contextlib.ExitStack() as stack:
        here = None
        with contextlib.suppress(HoldfastError):
            here = stack.enter_context(system.source())
        return compare(source.digest, view, clock, here)


def _ask_source(system: Recoverable, checks: Sequence[Check], *, content: bool) -> _Source:
    wanted = [check for check in checks if check.compare]
    if not wanted and not content:
        return _Source(why="nothing is to be compared")

    def everything(view: Isolated) -> tuple[dict[str, Any], Mapping[str, Any]]:
        return {check.name: ask(view, check) for check in wanted}, view.digest() if content else {}

    places = {check.on for check in wanted if check.on}
    try:
        (answers, digest), until = system.at_rest(everything, next(iter(places)) if len(places) == 1 else None)
    except HoldfastError as error:
        return _Source(why=f"the source could not be asked: {error.message} {error.hint}".strip())
    if until is None:
        return _Source(why="the source was written to while it was asked: no moment that its answers belong to")
    return _Source(answers, digest, until)


def _arrives(system: Recoverable, history: Callable[[], History], until: Mapping[str, Any], clock: Clock, patience: float) -> bool:
    from pathlib import Path

    from holdfast.systems.contract import RestoreRequest

    end = clock.monotonic() + patience
    while True:
        try:
            system.plan_restore(history(), RestoreRequest(Path("/nonexistent/holdfast"), until))
        except Refused:
            if clock.monotonic() >= end:
                return False
            clock.sleep(0.5)
            continue
        return True
