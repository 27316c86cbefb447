"""By what the drill is judged besides what came back: criteria that were fixed before the disaster, people, the removal of what it made."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from holdfast.demo.platform.production import Production
from holdfast.demo.platform.scenario import agreed
from holdfast.evidence.drilled import Check
from holdfast.evidence.verifier import said
from holdfast.journal import Record, parse
from holdfast.model import Clock

FIXED = "drill.criteria"
"""The entry in the journal of the machine that is going to be lost."""


def fix(production: Production, clock: Clock, nonce: str) -> None:
    """The hash of the criteria into the journal of the platform's own machine, and with it into both locations of the vault: what lies
    offsite survives the disaster, and cannot be bent after it. Raises RuntimeError when it did not get there.
    """
    from holdfast.assembly import Platform
    from holdfast.plan import load

    with Platform(load(production.plan), clock=clock, environ=production.environ) as platform:
        platform.journal.record(FIXED, nonce=nonce, sha256=agreed())
        platform.vault()
        if wrong := platform.copy_records():
            raise RuntimeError(f"the criteria did not get into the vault: {'; '.join(wrong)}")


@dataclass(frozen=True, slots=True)
class Criteria:
    """``entry``: what the lost host's journal says of them, as it came out of the vault; None when it is not there."""

    entry: Record | None
    journal: str
    seconds: float = 0.0

    def facts(self) -> dict[str, Any]:
        """For the report's scenario."""
        if self.entry is None:
            return {"found": False}
        at = self.entry.at.isoformat(timespec="microseconds")
        return {"criteria": self.entry.payload["sha256"], "at": at, "journal": self.journal, "entry": self.entry.n}

    def check(self, happened: str) -> Check:
        """That they are those by which the drill is judged now, and were written down before the disaster."""
        at = self.entry.at.isoformat(timespec="microseconds") if self.entry else ""
        expected = {"sha256": agreed(), "before the disaster": True}
        actual = {"sha256": self.entry.payload["sha256"] if self.entry else "", "before the disaster": bool(at) and at < happened}
        return Check(
            "the criteria are those that were written down before the disaster",
            "criteria",
            "passed" if expected == actual else "failed",
            expected,
            actual,
            f"written {at}, the disaster was {happened}; by the lost host's journal, out of the vault" if at else "no journal has them",
            self.seconds,
        )


def criteria(journals: Path, nonce: str, clock: Clock) -> Criteria:
    """``journals``: the folder of the lost hosts' journals, as they came out of the vault."""
    began = clock.monotonic()
    for path in sorted(journals.glob("*.jsonl")):
        for line in path.read_bytes().splitlines(keepends=True):
            if json.loads(line)["kind"] == FIXED and (entry := parse(line)).payload["nonce"] == nonce:
                return Criteria(entry, path.stem, round(clock.monotonic() - began, 6))
    return Criteria(None, "", round(clock.monotonic() - began, 6))


def approved(entries: Sequence[Record], run: str, asked: str, clock: Clock) -> Check:
    """That the restore was approved and the recovery accepted by others than who asked, by the runbook's entries in the journal."""
    began = clock.monotonic()
    names: dict[str, str] = {}
    for entry in entries:
        if entry.kind == "runbook.approved" and entry.payload.get("run") == run:
            facts = said(entry.payload)
            by = facts.get("by")
            names[str(facts["step"])] = str(by.get("name") if isinstance(by, Mapping) else by or "")
    ok = all(names.get(step) not in (None, "", asked) for step in ("agree", "accept"))
    return Check(
        "a person other than who asked approved the restore and accepted the recovery",
        "approval",
        "passed" if ok else "failed",
        {"agree": f"not {asked}", "accept": f"not {asked}"},
        {step: names.get(step, "nobody") for step in ("agree", "accept")},
        f"{asked} asked; by the runbook's entries in the journal",
        round(clock.monotonic() - began, 6),
    )


def removed(teardown: Sequence[Mapping[str, Any]], seconds: float) -> Check:
    """``seconds``: that the removal and the looking took."""
    there = [str(one["name"]) for one in teardown if one["expected"] != one["actual"]]
    return Check(
        "everything that the drill made is removed",
        "teardown",
        "failed" if there else "passed",
        [],
        there,
        f"{len(teardown)} things were looked for, {len(there)} are still there",
        seconds,
    )
