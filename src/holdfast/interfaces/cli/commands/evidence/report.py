"""``holdfast report``. JSON of a run: the signed report itself (docs/evidence-format.md); without a run ``{"reports": [{"number", "chain",
"run", "verb", "system", "outcome", "verdict", "at", "sha256"}]}``.
"""

from pathlib import Path
from typing import Annotated, Any

from holdfast.interfaces.cli.command import Argument, Option
from holdfast.interfaces.cli.context import Session


def command(
    session: Session,
    run: Annotated[str | None, Argument("a run's id or its beginning; a list without it", "RUN")] = None,
    *,
    out: Annotated[Path | None, Option("write it there: .json as it was signed", "--out", "-o", metavar="FILE")] = None,
) -> int:
    """Show or write the signed evidence of a run. One that has no report yet gets one."""
    from holdfast.assembly.proving import Prover

    platform = session.platform
    prover = Prover(platform, session.out.warn)
    if run is None:
        rows = [_row(one.evidence, one.chain, one.sha256) for one in prover.reports.all()]
        session.out.result({"reports": rows}, lambda: _list(session, rows))
        return 0
    found = prover.find(run)
    if prover.reports.of(found.id) is None:
        platform.vault()
    issued = prover.report(found)
    if out is not None:
        out.write_bytes(issued.data)
    if session.out.as_json:
        session.out.raw(issued.data.decode("ascii"))
    elif out is None:
        _show(session, issued.evidence)
    return 0


def _row(evidence: dict[str, Any], chain: str, digest: str) -> dict[str, Any]:
    return {
        "number": evidence["number"],
        "chain": chain,
        "run": evidence["test"]["id"],
        "verb": evidence["test"]["verb"],
        "system": (evidence["scope"]["systems"] or [None])[0],
        "outcome": evidence["results"]["outcome"],
        "verdict": evidence["results"]["verdict"],
        "at": evidence["issued"]["at"],
        "sha256": digest,
    }


def _list(session: Session, rows: list[dict[str, Any]]) -> None:
    if not rows:
        session.out.say("No report was issued on this host yet. Of a run: holdfast report RUN (see holdfast jobs --all)")
        return
    session.out.table(
        ("number", "run", "what", "system", "outcome", "verdict", "issued"),
        [(str(r["number"]), r["run"], r["verb"], r["system"] or "", r["outcome"], r["verdict"] or "", r["at"][:19]) for r in rows],
    )


def _show(session: Session, evidence: dict[str, Any]) -> None:
    out, results, rto = session.out, evidence["results"], evidence["results"]["rto"]
    out.say(f"Report {evidence['number']} of {evidence['host']['name']}: {evidence['test']['kind']}, run {evidence['test']['id']}")
    out.say(f"Outcome: {results['outcome']}" + (f", {results['verdict']}" if results["verdict"] else ""))
    if rto["measured_seconds"] is not None:
        promised = f", promised {rto['promised_seconds']:g} s" if rto["promised_seconds"] is not None else ""
        out.say(f"Recovery time: {rto['measured_seconds']} s{promised}")
    if results["rpo"]["lost_seconds"] is not None:
        most = "at most " if results["rpo"]["at_most"] else ""
        out.say(f"Data lost: {most}{results['rpo']['lost_seconds']} s ({results['rpo']['counted']})")
    for one in results["checks"]:
        out.say(f"  {one['state']:8} {one['name']}: expected {one['expected']}, actual {one['actual']}")
    for one in evidence["closure"]["findings"]:
        out.say(f"Finding: {one['finding']}")
