"""All tests of a period, out of the journals of every host of a vault."""

from typing import TYPE_CHECKING, Any

from holdfast.evidence.issue import NOTED
from holdfast.evidence.period import document, judged, period, seen
from holdfast.journal import Record, check
from holdfast.protection.confidence import kept
from holdfast.protection.measured import returns

if TYPE_CHECKING:
    from holdfast.assembly.places import Places


def all_tests(platform: "Places", text: str) -> dict[str, Any]:
    """JSON-ready; see ``evidence.period.document``. ``doubts``: chains that are not whole, and hosts that could not be read.

    Raises PeriodNotUnderstood, Unreachable.
    """
    plan = platform.plan
    span = period(text, plan.zone)
    now = platform.clock.now()
    chains, doubts = _chains(platform)
    systems = [plan.effective(name) for name in plan.systems]
    found = judged(systems, plan.document.windows, plan.zone, seen(chains.values()), span, now)
    reports = {
        str(record.payload.get("of")): int(record.payload["number"])
        for records in chains.values()
        for record in records
        if record.kind == NOTED
    }
    promises = [
        {"system": system.name, **kept(returns(platform.state, system.name), system.rto.total_seconds()).to_json()}
        for system in systems
        if system.rto is not None
    ]
    made = document(plan.platform, plan.hash, span, found, reports, promises, now)
    return {**made, "doubts": doubts}


def _chains(platform: "Places") -> tuple[dict[str, list[Record]], list[str]]:
    """The chains of this host as they are here, and of other hosts what lies in the vault."""
    from holdfast.assembly.records import stored_records

    chains = {tag: platform.journal.believed(tag) for tag in platform.journal.chains()}
    doubts = [f"journal {problem.chain}: {problem.text}" for problem in platform.journal.verify() if problem.kind != "torn"]
    for vault in platform.opened()[:1]:
        stored = stored_records(vault)
        doubts += [f"journal {tag} in the vault: {text}" for tag, text in stored.problems.items() if tag not in chains]
        if stored.wrong:
            doubts.append(f"{len(stored.wrong)} objects beside the data are not believed or cannot be read: {stored.wrong[0]}")
        chains |= {tag: check(tag, lines)[0] for tag, lines in stored.journals.items() if tag not in chains}
    return chains, doubts
