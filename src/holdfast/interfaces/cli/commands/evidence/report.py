"""``holdfast report``. JSON of a run: the signed report itself (docs/evidence-format.md). With --period the signed file of the period:
``{"period": {"format", "platform", "plan", "at", "period": {"name", "from", "to"}, "counts", "tests": [{"system", "test", "due", "until",
"state", "run", "report", "why"}], "promises", "doubts", "issued", "host", "vault", "journal", "anchor", "signer"}, "signature"}``. Without
either ``{"reports": [{"number", "chain", "run", "verb", "system", "outcome", "verdict", "at",
"sha256"}]}``. Exit status with --period 1 when a test failed or was missed.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from holdfast.errors import Unreachable, Usage
from holdfast.interfaces.cli.context import Session
from holdfast.interfaces.cli.grammar.command import Argument, Option
from holdfast.interfaces.cli.terminal.tables import Cell

if TYPE_CHECKING:
    from holdfast.evidence.issue import Issued


class ReportUsage(Usage):
    """Options of a report that do not go together."""

    code = "report-usage"


class ReportUnwritable(Unreachable):
    """A report could not be written where it was asked for."""

    code = "report-unwritable"


STYLES = {"passed": "ok", "failed": "fail", "missed": "fail", "excused": "warn", "open": "dim"}


def command(
    session: Session,
    run: Annotated[str | None, Argument("a run's id or its beginning, or latest; a list without it", "RUN")] = None,
    *,
    html: Annotated[bool, Option("as a page")] = False,
    pdf: Annotated[bool, Option("as PDF, with the signed JSON attached")] = False,
    out: Annotated[Path | None, Option("write it there; the signed JSON without --html and --pdf", "--out", "-o", metavar="FILE")] = None,
    period: Annotated[str | None, Option("all tests of 2026, 2026-Q4, 2026-11 or 2026-11-01/2026-11-15")] = None,
    control: Annotated[str | None, Option("of what auditors ask only this: 'DORA art. 12', 'ISO 22301'", metavar="TEXT")] = None,
) -> int:
    """Show or write the signed evidence of a run, or every test of a period, drills too: due, run, failed, missed, excused.

    A run that has no report yet gets one: it is numbered, signed, noted in the journal and copied into the vault.
    """
    from holdfast.assembly.evidence.proving import Prover

    if html and pdf:
        raise ReportUsage("--html and --pdf are two files.", hint="Ask for one after the other.")
    if period is not None:
        if run is not None or pdf:
            raise ReportUsage("--period stands alone or with --html, --control and --out.", hint="holdfast report --period 2026-Q4 --html")
        return _period(session, period, control, out, html=html)
    prover = Prover(session.platform, session.out.warn)
    if run is None:
        rows = [_row(one.evidence, one.chain, one.sha256) for one in prover.reports.all()]
        session.out.result({"reports": rows}, lambda: _list(session, rows))
        return 0
    found = prover.find(run)
    if prover.reports.of(found.id) is None:
        session.platform.vault()
    issued = prover.report(found)
    if html or pdf or out is not None:
        data, suffix = _drawn(issued, control, html=html, pdf=pdf)
        _write(session, out or Path(f"evidence-{issued.number:08d}{suffix}"), data)
    if session.out.as_json:
        session.out.raw(issued.data.decode("ascii"))
    else:
        _show(session, issued.evidence)
    return 0


def _drawn(issued: "Issued", control: str | None, *, html: bool, pdf: bool) -> tuple[bytes, str]:
    if html:
        from holdfast.evidence.page import page

        return page(issued, control).encode("utf-8"), ".html"
    if pdf:
        from holdfast.evidence.page.pdf import pdf as drawn

        return drawn(issued, control), ".pdf"
    return issued.data, ".json"


def _write(session: Session, path: Path, data: bytes) -> None:
    try:
        path.write_bytes(data)
    except OSError as error:
        raise ReportUnwritable(f"{path} cannot be written: {error}.", hint="Name another file: --out FILE", path=str(path)) from error
    session.out.note(f"written: {path}")


def _period(session: Session, text: str, control: str | None, out: Path | None, *, html: bool) -> int:
    from holdfast.assembly.evidence.period import signed_tests

    session.platform.vault()
    issued = signed_tests(session.platform, text, session.out.warn)
    document = issued.document
    if html:
        from holdfast.evidence.page import period_page

        _write(session, out or Path(f"tests-{text.replace('/', '-to-')}.html"), period_page(issued, control).encode("utf-8"))
    elif out is not None:
        _write(session, out, issued.data)

    def human() -> None:
        rows = [
            (one["system"], one["test"], one["due"][:16], Cell(one["state"], STYLES[one["state"]]), one["run"] or "", one["why"])
            for one in document["tests"]
        ]
        session.out.table(("system", "test", "due", "state", "run", "why"), rows)
        said = ", ".join(f"{document['counts'][state]} {state}" for state in ("passed", "failed", "missed", "excused", "open"))
        session.out.say(f"{document['period']['name']}: {document['counts']['due']} due: {said}")
        for doubt in document["doubts"]:
            session.out.warn(doubt)

    if session.out.as_json:
        session.out.raw(issued.data.decode("ascii"))
    else:
        human()
    return 1 if document["counts"]["failed"] or document["counts"]["missed"] or document["doubts"] else 0


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
    anchor = evidence["anchor"]
    where = [] if anchor is None else [one["url"] + (" (locked)" if one["locked_until"] else "") for one in anchor["locations"]]
    out.say(f"Anchored at entry {anchor['document']['n']} in {', '.join(where)}" if where else "Not anchored.")
