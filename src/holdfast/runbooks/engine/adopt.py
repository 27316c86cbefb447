"""A run whose host is gone is taken over from what the vault holds of that host's journal.

No lease reaches so far: nothing here keeps the other host from going on. Whoever takes a run over says that it is off.
"""

import datetime as dt
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from holdfast.runbooks.engine.people import Person
from holdfast.runbooks.engine.record import PREFIX, Records
from holdfast.runbooks.engine.state import Event, RunState, fold
from holdfast.runbooks.errors import RunOver, RunRecordBroken, RunUnknown


@dataclass(frozen=True)
class Found:
    """A run as journals tell of it. ``chain``: the journal of its newest event; ``host``: the machine it was last driven on, by name."""

    state: RunState
    events: tuple[Event, ...]
    chain: str
    host: str

    @property
    def last(self) -> Event:
        return self.events[-1]

    @property
    def open(self) -> list[str]:
        """Steps that were begun, and whose end was not written down."""
        return [step.id for step in self.state.steps.values() if step.phase == "running" or step.undo == "running"]


def find(begin: str, journals: Mapping[str, Iterable[tuple[str, Mapping[str, Any]]]]) -> Found:
    """The one run whose id begins so. ``journals``: by chain, (kind, payload) of its entries.

    Raises RunUnknown, RunRecordBroken where two journals tell different things or an event is lacking.
    """
    runs: dict[str, dict[int, tuple[Event, str]]] = {}
    for chain, entries in journals.items():
        for kind, payload in entries:
            if not kind.startswith(PREFIX) or not str(payload.get("run", "")).startswith(begin or "?"):
                continue
            event = Event(payload["n"], kind.removeprefix(PREFIX), dt.datetime.fromisoformat(payload["at"]), payload["data"])
            known = runs.setdefault(str(payload["run"]), {})
            if event.n in known and (known[event.n][0].kind, known[event.n][0].data) != (event.kind, event.data):
                raise RunRecordBroken(
                    f"Event {event.n} of run {payload['run']} is '{event.kind}' in the journal {chain} and '{known[event.n][0].kind}' in"
                    f" {known[event.n][1]}: two hosts went on with it.",
                    hint="Nothing was taken over. Look at both with: holdfast vault open --records, and see what was done twice.",
                    run=str(payload["run"]),
                )
            if event.n not in known or "of" not in payload:
                known[event.n] = (event, chain)
    if len(runs) != 1:
        several = f" {', '.join(sorted(runs)[:5])} begin so." if runs else ""
        raise RunUnknown(
            f"'{begin}' names no single run in the journals that lie in the vault.{several}", hint="Give more of its id.", run=begin
        )
    run, known = next(iter(runs.items()))
    events = tuple(known[n][0] for n in sorted(known))
    state = fold(run, events)
    host = next((str(event.data["by"]["host"]) for event in reversed(events) if isinstance(event.data.get("by"), Mapping)), "?")
    return Found(state, events, known[events[-1].n][1], host)


def adopt(records: Records, found: Found, person: Person) -> RunState:
    """Write all of it into this host's state and journal, and who took it. Raises RunOver for one that has ended or is here already."""
    run = found.state.id
    if found.state.status == "ended":
        raise RunOver(f"Run {run} has ended: {found.state.outcome}.", hint="There is nothing to take over.", run=run)
    here = records.state.runbooks.events(run)
    if len(here) >= len(found.events):
        raise RunOver(f"Run {run} is known here, up to event {len(here) - 1}.", hint=f"Go on: holdfast runbook resume {run}", run=run)
    for event in found.events[len(here) :]:
        at = event.at.isoformat(timespec="microseconds")
        records.state.runbooks.add(run, event.n, event.kind, at, dict(event.data), host=f"{found.host} ({found.chain})")
    events = records.reconciled(run)
    taken = {"by": person.to_json(), "from": found.host, "chain": found.chain, "last": found.last.n}
    records.append(run, len(events), "taken", **taken)
    state = records.load(run)
    records.note(state)
    return state
