"""Drills that ran, out of the journal."""

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from holdfast.journal import Journal, Record

BEGIN, END = "drill.begin", "drill.end"


@dataclass(frozen=True, slots=True)
class Ran:
    """``outcome`` None: it has no end (it goes on, or was killed and nobody looked since). ``controls``: those that were fed."""

    run: str
    scenario: str
    kind: str
    hash: str
    systems: Sequence[str]
    began: dt.datetime
    ended: dt.datetime | None = None
    outcome: str | None = None
    controls: Sequence[str] = ()
    said: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        return {
            "run": self.run,
            "scenario": self.scenario,
            "kind": self.kind,
            "hash": self.hash,
            "systems": list(self.systems),
            "began": self.began.isoformat(),
            "ended": self.ended.isoformat() if self.ended else None,
            "outcome": self.outcome,
            "controls": list(self.controls),
        }


def fold(records: Iterable[Record]) -> list[Ran]:
    """In the order in which they began."""
    found: dict[str, Ran] = {}
    for record in records:
        said = record.payload
        run = str(said.get("run"))
        if record.kind == BEGIN:
            scenario = said.get("scenario") or {}
            systems = tuple(said.get("systems") or ())
            name, digest = str(scenario.get("name")), str(scenario.get("hash"))
            found.setdefault(run, Ran(run, name, str(said.get("test_kind")), digest, systems, record.at))
        elif record.kind == END and (one := found.get(run)) is not None and one.ended is None:
            controls = tuple(said.get("controls") or ())
            began = one.began
            found[run] = Ran(run, one.scenario, one.kind, one.hash, one.systems, began, record.at, str(said.get("outcome")), controls, said)
    return list(found.values())


def drills(journal: Journal) -> list[Ran]:
    """Of this host."""
    return fold(record for record in journal.mentioning('"kind":"drill.') if record.kind in (BEGIN, END))
