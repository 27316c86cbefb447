"""Prove a system's recovery: restore into isolation, look at it, compare it with the source, tear it down."""

import contextlib
import dataclasses
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from holdfast.errors import HoldfastError, Refused
from holdfast.model import Clock, Progress
from holdfast.systems.contract import Accountable, Draw, History, Isolated, Recoverable, Sampled
from holdfast.validation import Check, Known, Report, Result, Sampling, against_snapshot, ask, compare, fresh, joined, structure
from holdfast.validation import run as run_checks
from holdfast.validation.sampling import METHOD
from holdfast.validation.sampling import compare as compare_sampled


@dataclass(frozen=True)
class Compared:
    """Whether content was held against the source's. ``how``: exact, sample, snapshot (of a source that moved), no; ``why`` if not."""

    how: str
    why: str = ""
    sampling: Sampling | None = None

    def to_json(self) -> dict[str, Any]:
        """``{"how", "why"}``, with a sample ``"confidence"``, ``"share"`` and ``"method"`` besides."""
        found: dict[str, Any] = {"how": self.how, "why": self.why}
        if self.sampling is not None:
            found |= {"confidence": self.sampling.confidence, "share": self.sampling.share, "method": METHOD}
        return found

    @property
    def sentence(self) -> str:
        """For people."""
        if self.how == "no":
            return f"NOT compared with the source: {self.why}"
        if self.how == "snapshot":
            return "compared with a snapshot of the source, which moved: what differs proves nothing"
        return "compared with the source, " + ("exactly" if self.how == "exact" else "by sample")


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
    compared: Compared = field(default_factory=lambda: Compared("no", "it was not asked for"))

    def to_json(self) -> dict[str, Any]:
        """``{"system", "verdict", "counts", "compared", "sentence", "reached", "exact", "clocks", "torn_down", "results": [{"name", "kind",
        "state", "expected", "actual", "detail", "seconds"}]}``.
        """
        return {
            "system": self.system,
            "verdict": self.report.verdict,
            "counts": self.report.counts,
            "compared": self.compared.to_json(),
            "sentence": self.compared.sentence,
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
    """What the source said, and when: answers by check, digests or samples by table, the moment they belong to (None: it moved)."""

    answers: Mapping[str, Any] = field(default_factory=dict)
    digest: Mapping[str, Any] = field(default_factory=dict)
    sample: Mapping[str, Sampled] = field(default_factory=dict)
    until: Mapping[str, Any] | None = None
    why: str = ""
    on: str | None = None


@dataclass(frozen=True)
class Content:
    """How content is compared: by sample, or exactly. ``on``: with which member; ``seed``: decides what a sample holds, unknown before."""

    sampling: Sampling | None = None
    on: str | None = None
    seed: str = field(default_factory=lambda: secrets.token_hex(16))

    @property
    def draw(self) -> Draw | None:
        return Draw(self.seed, self.sampling.wanted) if self.sampling is not None else None


def verify(
    system: Recoverable,
    history: Callable[[], History],
    checks: Sequence[Check],
    *,
    progress: Progress,
    clock: Clock,
    until: Mapping[str, Any] | None = None,
    content: Content | bool = True,
    known: Known | None = None,
    patience: float = 30.0,
    options: Mapping[str, Any] | None = None,
) -> Verification:
    """``content``: how every table's content is compared with the source's (True: exactly; False: not at all). ``known``: what this host
    saw become durable, and must be there still.

    ``until`` None: the moment at which the source was asked, if it stood still, else the newest. ``patience``: seconds to wait until the
    vault has the log up to that moment. Raises when nothing could be opened.
    """
    how = content if isinstance(content, Content) else Content() if content else None
    return _verify(system, history, checks, progress, clock, until, how, known, patience, options or {})


def _verify(
    system: Recoverable,
    history: Callable[[], History],
    checks: Sequence[Check],
    progress: Progress,
    clock: Clock,
    until: Mapping[str, Any] | None,
    content: Content | None,
    known: Known | None,
    patience: float,
    options: Mapping[str, Any],
) -> Verification:
    clocks: dict[str, float] = {}
    source = _Source(why="another moment than the source's present one was asked for")
    results: list[Result] = []
    # Before the source is read: what cannot be opened at the end need not be begun.
    system.require_room(history(), until or {"kind": "latest"})
    if until is None:
        progress.phase("source")
        results += fresh(history(), known) if known is not None else []
        source = _ask_source(system, checks, content)
        until = source.until
        if until is None and content is not None:
            results += _left_out(system, history)
        if until is not None and not _arrives(system, history, until, clock, patience):
            source = _Source(why=f"the source's newest log did not reach the vault within {patience:g} s")
            until = None
    chosen = until or {"kind": "latest"}
    compared = Compared("no", "it was not asked for" if content is None else source.why)
    with system.isolate(history(), chosen, {"purpose": "verify", "clocks": clocks, **options}, progress) as view:
        began = clock.monotonic()
        progress.phase("validate", None, "checks")
        results += structure(view, clock, progress)
        results += run_checks(checks, view, source.answers, clock, source.why)
        if content is not None:
            found, compared = _content(system, source, view, clock, content)
            results += found
        clocks["validate"] = clock.monotonic() - began
        reached = dict(view.reached)
    return Verification(system.name, joined(results), reached, chosen, source.until is not None, clocks, compared=compared)


def _content(system: Recoverable, source: _Source, view: Isolated, clock: Clock, content: Content) -> tuple[list[Result], Compared]:
    if source.until is None:
        if source.digest:
            return against_snapshot(source.digest, view, clock), Compared("snapshot", source.why)
        return [Result("content", "compare", "skipped", detail=source.why)], Compared("no", source.why)
    draw = content.draw
    if content.sampling is not None and draw is not None:
        return compare_sampled(source.sample, view, draw, content.sampling, clock), Compared("sample", "", content.sampling)
    with contextlib.ExitStack() as stack:
        here = None
        with contextlib.suppress(HoldfastError):
            here = stack.enter_context(system.source(source.on))
        found = compare(source.digest, view, clock, here)
    if any(one.state == "failed" for one in found) and _moved(system, source):
        # Which tables differ was found at rest; which rows, afterwards.
        late = "; rows were looked at as of a later snapshot of the source, which was written to since"
        found = [dataclasses.replace(one, detail=one.detail + late) if one.state == "failed" else one for one in found]
    return found, Compared("exact")


def _left_out(system: Recoverable, history: Callable[[], History]) -> list[Result]:
    """A source that is not as in the newest point moved on, or the capture missed something: where the source can tell, it is asked."""
    if not isinstance(system, Accountable):
        return []
    try:
        found = system.left_out(history())
    except HoldfastError as error:
        return [Result("left out of the point", "compare", "skipped", detail=f"the source could not be asked: {error.message}")]
    if not found.count:
        return []
    more = f" and {found.count - len(found.named)} more" if found.count > len(found.named) else ""
    since = f"{'lies' if found.count == 1 else 'lie'} in the source since before the newest point was begun, and not in it"
    detail = f"{', '.join(found.named)}{more} {since}: the capture missed that, or the source was set back to an older state"
    return [Result("left out of the point", "compare", "failed", 0, found.count, detail)]


def _moved(system: Recoverable, source: _Source) -> bool:
    try:
        return system.at_rest(lambda _: None, source.on)[1] != source.until
    except HoldfastError:
        return True


def _ask_source(system: Recoverable, checks: Sequence[Check], content: Content | None) -> _Source:
    wanted = [check for check in checks if check.compare]
    if not wanted and content is None:
        return _Source(why="nothing is to be compared")
    draw = content.draw if content is not None else None

    def everything(view: Isolated) -> tuple[dict[str, Any], Mapping[str, Any], Mapping[str, Sampled]]:
        answers = {check.name: ask(view, check) for check in wanted}
        return answers, view.digest() if content is not None and draw is None else {}, view.sample(draw) if draw is not None else {}

    places = {check.on for check in wanted if check.on} | ({content.on} if content is not None and content.on else set())
    on = next(iter(places)) if len(places) == 1 else None
    try:
        answer, until = system.at_rest(everything, on)
    except HoldfastError as error:
        return _Source(why=f"the source could not be asked: {error.message} {error.hint}".strip())
    if until is None:
        why = "the source was written to while it was asked: no moment that its answers belong to"
        return _Source(digest=answer[1] if answer else {}, why=why)
    answers, digest, sample = answer
    return _Source(answers, digest, sample, until, on=on)


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
