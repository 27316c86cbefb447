"""``holdfast demo``: JSON is the report's facts: ``{"ok", "rpo", "rto", "checks", "tables", …, "report", "server": {"folder"}}``. With
--drill: ``{"ok", "run", "number", "checked", "files": {"json", "html", "pdf"}, "root", "evidence"}``; ``evidence`` as in
docs/evidence-format.md.
"""

import tempfile
from pathlib import Path
from typing import Annotated, Any

from holdfast.interfaces.cli.context import Session
from holdfast.interfaces.cli.grammar.command import Option
from holdfast.interfaces.cli.grammar.parser import WrongUsage
from holdfast.interfaces.cli.terminal.tables import Cell

REPORT = "holdfast-demo.html"
DRILL = "holdfast-drill.html"


def command(
    session: Session,
    *,
    keep: Annotated[bool, Option("leave the ruined and the recovered server up, to play with")] = False,
    end: Annotated[bool, Option("end the servers that earlier runs with --keep left, and remove their folders")] = False,
    drill: Annotated[
        bool, Option("instead: a whole platform (database, lake, bucket, files) is lost, and brought back on an empty machine, as a drill")
    ] = False,
    report: Annotated[
        Path | None,
        Option(
            "where the report goes, what it says as JSON beside it; by default holdfast-demo.html (holdfast-drill.html) here",
            metavar="FILE",
        ),
    ] = None,
) -> int:
    """Start an embedded PostgreSQL, protect it, break it, recover it, and show what was measured.

    A small shop takes orders; its log is followed while a backup is made; an UPDATE without WHERE and a dropped table ruin it. The last
    good moment is found, a new server is recovered to it from the vault alone, and every row of every table is compared with
    a ledger. Nothing outside a temporary folder is touched, except the report.

    With --drill the report is signed evidence, as JSON, page and PDF, and is shown in a browser where there is one.
    """
    if end:
        return _end(session)
    if drill:
        if keep:
            raise WrongUsage("--keep goes with the demonstration of one server.", hint="holdfast demo --keep, or: holdfast demo --drill")
        from holdfast.interfaces.cli.commands.demo.drill import show_drill

        return show_drill(session, (report or _place(DRILL)).absolute())
    from holdfast.demo.run import demonstrate

    session.kept = "Everything was taken down, nothing is left."
    target = (report or _place(REPORT)).absolute()
    with session.progress() as progress:
        facts = demonstrate(session.clock, progress, progress.note, keep=keep, report=target)
    session.out.result(facts, lambda: _show(session, facts, keep=keep))
    return 0 if facts["ok"] else 1


def _end(session: Session) -> int:
    from holdfast.demo.stage import sweep

    removed = [str(folder) for folder in sweep(kept=True)]
    session.out.result({"removed": removed}, lambda: session.out.say("\n".join(f"removed {one}" for one in removed) or "Nothing was left."))
    return 0


def _place(name: str) -> Path:
    """Here, or where temporary files go when nothing may be written here."""
    import os

    return Path(name) if os.access(".", os.W_OK) else Path(tempfile.mkdtemp(prefix="holdfast-report-")) / name


def _show(session: Session, facts: dict[str, Any], *, keep: bool) -> None:
    from holdfast.demo.report.render import seconds

    out, rpo, rto = session.out, facts["rpo"], facts["rto"]
    rows: list[tuple[str | Cell, ...]] = [
        (
            "RPO: data lost",
            f"at most {seconds(rpo['promised_seconds'])}",
            f"{rpo['lost_rows']} orders, {seconds(rpo['measured_seconds'])}",
            _cell(rpo["ok"]),
        ),
        (
            "RPO: had the site burnt down",
            f"at most {seconds(rpo['promised_seconds'])}",
            f"{rpo['exposure_rows']} orders, {seconds(rpo['exposure_seconds'])}",
            _cell(rpo["ok"]),
        ),
        ("RTO: damage to proved data", f"at most {seconds(rto['promised_seconds'])}", seconds(rto["measured_seconds"]), _cell(rto["ok"])),
    ]
    rows += [(f"  {phase['name']}", "", seconds(phase["seconds"]), "") for phase in rto["phases"]]
    out.say()
    out.table(("promise", "promised", "measured", ""), rows, right=(2,))
    out.say()
    out.table(
        ("table", "rows expected", "rows found", "wrong", ""),
        [
            (
                table["table"],
                f"{table['expected']:,}",
                f"{table['actual']:,}",
                str(table["missing"] + table["extra"] + table["changed"]),
                _cell(table["ok"], "equal", "DIFFERENT"),
            )
            for table in facts["tables"]
        ],
        right=(1, 2, 3),
    )
    for check in facts["checks"]:
        if not check["ok"]:
            out.say(f"FAILED: {check['name']}: expected {check['expected']}, found {check['actual']}")
    out.say()
    out.say("Everything came back, and it is proved." if facts["ok"] else "This run did not keep its promise.")
    out.say(f"Report: {facts['report']} (its figures as JSON beside it)")
    if keep:
        _how_to_go_on(session, facts)


def _how_to_go_on(session: Session, facts: dict[str, Any]) -> None:
    folder = facts["server"]["folder"]
    out = session.out
    out.say()
    out.say(f"Both servers run, in {folder}:")
    out.say(f'  ruined     psql "{facts["server"]["connection"]}"')
    out.say(f'  recovered  psql "{facts["restore"]["connection"]}"')
    out.say(f"  psql is    {facts['server']['psql']}")
    out.say(f"  the plan   export {' '.join(f'{name}={value}' for name, value in facts['server']['environ'].items())}; holdfast points")
    out.say("To end them and remove everything: holdfast demo --end")


def _cell(ok: bool, good: str = "kept", bad: str = "MISSED") -> Cell:
    return Cell(good if ok else bad, "ok" if ok else "fail")
