"""Everything that runs is in the state while it runs, and in the journal for ever."""

import contextlib
import threading
from collections.abc import Iterator
from typing import Any

from holdfast.errors import FoundWrong, HoldfastError
from holdfast.journal import Journal
from holdfast.model import Clock, Progress, Silent
from holdfast.state import State

EVERY = 1.0
"""Seconds between two looks at the state: it is told of progress, and asked whether somebody wants the run to stop."""


class Cancelled(FoundWrong):
    """Somebody asked for the run to stop, and it did at a safe point."""

    code = "cancelled"


class Recorded:
    """One run at work. ``facts`` given to ``add`` stand in the record of its end."""

    def __init__(self, state: State, clock: Clock, run: str) -> None:
        self.run = run
        self.facts: dict[str, Any] = {}
        self._state, self._clock = state, clock
        self._began = clock.monotonic()

    @property
    def seconds(self) -> float:
        """Since the beginning."""
        return self._clock.monotonic() - self._began

    def add(self, **facts: Any) -> None:
        """Facts of the outcome, JSON-ready."""
        self.facts |= facts

    def watch(self, progress: Progress | None = None) -> Progress:
        """A progress that passes on to ``progress``, tells ``holdfast jobs``, and raises Cancelled when somebody asked for that."""
        return _Watch(self._state, self._clock, self.run, progress or Silent())


@contextlib.contextmanager
def recorded(state: State, journal: Journal, clock: Clock, verb: str, system: str | None, **facts: Any) -> Iterator[Recorded]:
    """Round a piece of work: ``VERB.start`` and ``VERB.end`` in the journal, a run in the state; what the work raises goes on upwards.

    An end is recorded too when the work fails or is interrupted; after kill -9 the state calls the run lost, and the journal has no end.
    """
    run = state.runs.begin(verb, system, **facts)
    journal.record(f"{verb}.start", run=run, system=system, **facts)
    work = Recorded(state, clock, run)
    try:
        yield work
    except BaseException as error:
        stopped = isinstance(error, (KeyboardInterrupt, Cancelled))
        said = {"code": error.code, "message": error.message} if isinstance(error, HoldfastError) else {"message": type(error).__name__}
        outcome = "cancelled" if stopped else "failed"
        # The state first: when the journal cannot be written, at least nobody waits for this run.
        state.runs.end(run, outcome, **said, **work.facts)
        journal.record(f"{verb}.end", run=run, system=system, outcome=outcome, seconds=round(work.seconds, 3), **said, **work.facts)
        raise
    seconds = round(work.seconds, 3)
    state.runs.end(run, "ok", **work.facts)
    journal.record(f"{verb}.end", run=run, system=system, outcome="ok", seconds=seconds, **work.facts)


class _Watch:
    """Satisfies Progress; called from any thread."""

    def __init__(self, state: State, clock: Clock, run: str, inner: Progress) -> None:
        self._state, self._clock, self._run, self._inner = state, clock, run, inner
        self._lock = threading.Lock()
        self._name, self._unit, self._total, self._done = "", "B", None, 0
        self._looked = clock.monotonic() - EVERY

    _total: int | None

    def phase(self, name: str, total: int | None = None, unit: str = "B") -> None:
        with self._lock:
            self._name, self._total, self._unit, self._done = name, total, unit, 0
        self._inner.phase(name, total, unit)
        self._look()

    def advance(self, amount: int) -> None:
        with self._lock:
            self._done += amount
        self._inner.advance(amount)
        self._look()

    def note(self, text: str) -> None:
        self._inner.note(text)

    def _look(self) -> None:
        with self._lock:
            now = self._clock.monotonic()
            if now - self._looked < EVERY:
                return
            self._looked = now
            seen = {"phase": self._name, "done": self._done, "total": self._total, "unit": self._unit}
        self._state.runs.progress(self._run, **seen)
        if self._state.runs.cancelled(self._run):
            raise Cancelled("The run was cancelled.", hint="What was finished is kept; run it again to go on.", run=self._run)
