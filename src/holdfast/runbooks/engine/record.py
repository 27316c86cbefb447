"""Where a run's events rest: in the state for a quick look, in the journal for good. Either may lack what the other has.

Where several hosts share the state, the journal of each host that drove a run holds all its events; those of another name it (``of``).

An event gets its number in the state first and is then chained in the journal; only after both is anything done or reported. So a number is
never given twice, an event that a kill kept from the journal is chained when the run is looked at next, and a lost state is filled again
from the journal.
"""

import contextlib
import datetime as dt
import fcntl
import json
import os
import secrets
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from holdfast.journal import Journal
from holdfast.model import Clock
from holdfast.runbooks.engine.decide import decide
from holdfast.runbooks.engine.state import Event, RunState, fold
from holdfast.runbooks.errors import RunLost, RunRecordBroken, RunUnknown
from holdfast.state import Fenced, Lease, RunbookLine, State, Taken

PREFIX = "runbook."


def lost(run: str, by: str) -> RunLost:
    """What a process is told that may no longer write."""
    why = f"{by} has taken it over" if by else "the shared state could not be told in time that this host is alive"
    return RunLost(
        f"Run {run} is no longer driven from here: {why}. Nothing more is done.",
        hint="What this process had begun is asked about there. See: holdfast runbook history",
        run=run,
        by=by,
    )


class Records:
    """Safe from several processes of one host."""

    def __init__(self, state: State, journal: Journal, clock: Clock) -> None:
        self.state = state
        self.journal = journal
        self.clock = clock
        self._complete: dict[str, int] = {}
        """By run, the number up to which the journal here is known to have all events."""
        self.held: dict[str, Lease] = {}
        """By run, the lease that this process drives it under: what it writes is refused once another has taken the run."""
        self.written: Callable[[], None] = lambda: None
        """Told after each event that is durable here: copies can be made of it."""

    def new_id(self) -> str:
        """The moment and 6 random hex digits."""
        return f"{self.clock.now():%Y%m%dT%H%M%S}-{secrets.token_hex(3)}"

    def append(self, run: str, n: int, kind: str, **data: Any) -> bool:
        """Event ``n`` of the run, durable when it returns; False when somebody else wrote event ``n`` meanwhile.

        ``data`` must be JSON-ready. Raises JournalUnwritable, StateUnusable, RunLost.
        """
        at = self.clock.now()
        # As it will be read: tuples are lists from here on.
        data = json.loads(json.dumps(data))
        with self._locked():
            here = self.state.runbooks.events(run)
            if len(here) > n:
                return False
            if run in self.held and self.state.database.shared and self._complete.get(run, 0) < n:
                # Who drives a run has all of it in its journal: what somebody answered on another host lies only in that host's.
                self._exchanged(run)
            if len(here) == n:
                try:
                    self.state.runbooks.add(run, n, kind, at.isoformat(timespec="microseconds"), data, held=self.held.get(run))
                except Taken:  # by another host
                    return False
                except Fenced as fenced:
                    raise lost(run, str(fenced)) from None
            self._chain(run, Event(n, kind, at, data))
            self._complete[run] = n + 1
        self.written()
        return True

    def events(self, run: str) -> list[Event]:
        """As the state has them; from the journal where it has none."""
        found = [Event(n, kind, dt.datetime.fromisoformat(at), data) for n, kind, at, data in self.state.runbooks.events(run)]
        return found or self.reconciled(run)

    def load(self, run: str) -> RunState:
        """Raises RunUnknown, RunRecordBroken."""
        events = self.events(run)
        if not events:
            raise RunUnknown(f"There is no run '{run}' of a runbook on this host.", hint="See: holdfast runbook history", run=run)
        return fold(run, events)

    def reconciled(self, run: str) -> list[Event]:
        """All events, after state and journal were given what the other had. Raises RunRecordBroken where they disagree."""
        with self._locked():
            return self._exchanged(run)

    def _exchanged(self, run: str) -> list[Event]:
        here = {n: Event(n, kind, dt.datetime.fromisoformat(at), data) for n, kind, at, data in self.state.runbooks.events(run)}
        chained = {event.n: event for event in self._chained(run)}
        for n in sorted(chained.keys() & here.keys()):
            if (chained[n].kind, chained[n].data) != (here[n].kind, here[n].data):
                raise RunRecordBroken(
                    f"Event {n} of run {run} differs: '{here[n].kind}' in the state, '{chained[n].kind}' in the journal.",
                    hint="The journal is the evidence: 'holdfast log' says whether it is whole. Nothing was run.",
                    run=run,
                )
        for n in sorted(chained.keys() - here.keys()):
            event = chained[n]
            self.state.runbooks.add(run, n, event.kind, event.at.isoformat(timespec="microseconds"), dict(event.data))
        hosts = self.state.runbooks.hosts(run) if here.keys() - chained.keys() else {}
        for n in sorted(here.keys() - chained.keys()):
            self._chain(run, here[n], hosts.get(n, ""))
        found = [event for _, event in sorted({**chained, **here}.items())]
        self._complete[run] = len(found)
        return found

    def find(self, begin: str) -> str:
        """The id of the one run that begins so. Raises RunUnknown."""
        found = self.state.runbooks.matching(begin) if begin else []
        if not found and begin:
            self.refill()
            found = self.state.runbooks.matching(begin)
        if len(found) == 1 or begin in found:
            return begin if begin in found else found[0]
        several = f" {', '.join(found)} begin so." if found else ""
        raise RunUnknown(
            f"'{begin}' names no single run of a runbook on this host.{several}", hint="See: holdfast runbook history", run=begin
        )

    def refill(self) -> None:
        """Runs that the journal knows and the state has lost."""
        known = {line.id for line in self.state.runbooks.lines(limit=1_000_000)}
        lost = {str(record.payload["run"]) for record in self.journal.mentioning(f'"kind":"{PREFIX}begin"')} - known
        for run in sorted(lost):
            self.note(fold(run, self.reconciled(run)))

    def note(self, state: RunState) -> None:
        """One line about where the run stands: by its events alone, whoever notes it, and never behind what was noted."""
        asked = decide(state, self.clock.now())
        last = max((step.order or 0, step.id) for step in state.steps.values())[1]
        facts = {
            "title": state.document["title"],
            "by": state.by.name,
            "hash": state.hash,
            "outcome": state.outcome,
            "step": last,
            "waiting": f"{asked.what} {asked.step}" if asked.do == "ask" else "",
            "why": state.why,
            "done": sum(step.phase == "done" for step in state.steps.values()),
            "steps": len(state.steps),
            "events": state.n,
        }
        ended = state.ended.isoformat(timespec="microseconds") if state.ended else None
        status = state.outcome or state.status
        line = RunbookLine(state.id, state.document["name"], status, state.begun.isoformat(timespec="microseconds"), ended, facts)
        self.state.runbooks.note(line)

    def _chain(self, run: str, event: Event, host: str = "") -> None:
        """``host``: who wrote it; named in the journal where that is another one."""
        at = event.at.isoformat(timespec="microseconds")
        of = {"of": host} if host not in ("", self.state.runbooks.host) else {}
        self.journal.record(f"{PREFIX}{event.kind}", run=run, n=event.n, at=at, data=dict(event.data), **of)

    def _chained(self, run: str) -> Iterator[Event]:
        seen: set[int] = set()
        for record in self.journal.mentioning(f'"run":{json.dumps(run)}'):
            payload: Mapping[str, Any] = record.payload
            if record.kind.startswith(PREFIX) and payload.get("run") == run and payload["n"] not in seen:
                seen.add(payload["n"])
                yield Event(payload["n"], record.kind.removeprefix(PREFIX), dt.datetime.fromisoformat(payload["at"]), payload["data"])

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        folder = self.state.folder / "runbooks"
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = os.open(folder / "lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
        finally:
            os.close(lock)
