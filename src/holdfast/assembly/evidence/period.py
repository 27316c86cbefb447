"""All tests of a period, out of the journals of every host of a vault."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from holdfast.evidence.issue import NOTED
from holdfast.evidence.period import Period, document, judged, period, seen
from holdfast.evidence.period_file import NOTED as NOTED_PERIOD
from holdfast.evidence.period_file import IssuedPeriod, sign_period
from holdfast.journal import Record, check
from holdfast.protection.confidence import kept
from holdfast.protection.measured import returns

if TYPE_CHECKING:
    from holdfast.assembly.vault.places import Places


def signed_tests(platform: "Places", text: str, told: Callable[[str], None]) -> IssuedPeriod:
    """``all_tests``, signed by this host over the heads of the journals that were read, with the anchor of its own; noted in the journal.

    ``told`` hears of locations that the anchor did not reach. Raises PeriodNotUnderstood, Unreachable, JournalDoubtful.
    """
    from holdfast.assembly.evidence.proving import Prover

    span = period(text, platform.plan.zone)
    prover = Prover(platform, told)
    anchor = prover.anchor()
    chains, doubts = _chains(platform)
    made = _tests(platform, span, chains, doubts)
    own = platform.journal.head()
    chain = own[0] if own else ""
    heads = {tag: records[-1] for tag, records in chains.items() if records}
    covers = anchor is not None and anchor.chain == chain
    if anchor is not None and covers:
        heads[chain] = next(record for record in chains[chain] if record.n == anchor.n)
    issued = sign_period(made, prover.signer, chain, heads, anchor.to_json() if anchor is not None and covers else None, prover.moment())
    platform.journal.record(NOTED_PERIOD, period=span.name, sha256=issued.sha256)
    return issued


def all_tests(platform: "Places", text: str) -> dict[str, Any]:
    """JSON-ready; see ``evidence.period.document``. ``doubts``: chains that are not whole, and hosts that could not be read.

    Raises PeriodNotUnderstood, Unreachable.
    """
    span = period(text, platform.plan.zone)
    return _tests(platform, span, *_chains(platform))


def _tests(platform: "Places", span: Period, chains: Mapping[str, Sequence[Record]], doubts: list[str]) -> dict[str, Any]:
    plan, now = platform.plan, platform.clock.now()
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
    from holdfast.assembly.vault.records import stored_records

    chains = {tag: platform.journal.believed(tag) for tag in platform.journal.chains()}
    doubts = [f"journal {problem.chain}: {problem.text}" for problem in platform.journal.verify() if problem.kind != "torn"]
    for vault in platform.opened()[:1]:
        stored = stored_records(vault)
        doubts += [f"journal {tag} in the vault: {text}" for tag, text in stored.problems.items() if tag not in chains]
        if stored.wrong:
            doubts.append(f"{len(stored.wrong)} objects beside the data are not believed or cannot be read: {stored.wrong[0]}")
        chains |= {tag: check(tag, lines)[0] for tag, lines in stored.journals.items() if tag not in chains}
    return chains, doubts
