"""What ``holdfast demo --drill`` shows: steps while it runs, then the promise, the checks, the findings, and where the report is."""

import os
import sys
from pathlib import Path
from typing import Any

from holdfast.interfaces.cli.context import Session
from holdfast.interfaces.cli.terminal.tables import Cell

STYLES = {"passed": "ok", "failed": "fail", "skipped": "warn"}


def show_drill(session: Session, report: Path) -> int:
    """Run it. ``report``: where the page goes; the signed JSON and the PDF lie beside it. 0 when it passed and its report is sound."""
    from holdfast.demo.platform.drill import drill

    session.kept = "Everything was taken down, nothing is left."
    facts = drill(session.clock, session.out.note, report.with_suffix(""))
    session.out.result(facts, lambda: _show(session, facts))
    if not session.settings.json and _screen():
        import webbrowser

        webbrowser.open(Path(facts["files"]["html"]).as_uri())
    return 0 if facts["ok"] else 1


def _screen() -> bool:
    """Whether somebody sits there who sees a browser: a terminal, and a display."""
    shown = sys.platform == "darwin" or os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    return bool(sys.stdout.isatty() and shown)


def _show(session: Session, facts: dict[str, Any]) -> None:
    out, results = session.out, facts["evidence"]["results"]
    rto, rpo = results["rto"], results["rpo"]
    lost = f"{results['transactions_lost']} orders, {rpo['lost_seconds']:g} s"
    out.say()
    out.table(
        ("promise", "promised", "measured", ""),
        [
            ("RPO: acknowledged orders lost", f"{min(rpo['promised_seconds'].values()):g} s", lost, _kept(rpo["kept"])),
            ("RTO: declared to new orders", f"{rto['promised_seconds']:g} s", f"{rto['measured_seconds']:g} s", _kept(rto["kept"])),
            *((f"  {one['name']}", "", "" if one["seconds"] is None else f"{one['seconds']:g} s", "") for one in rto["phases"]),
        ],
        right=(2,),
    )
    out.say()
    rows = [(one["system"], one["name"], Cell(one["state"], STYLES[one["state"]]), one["detail"]) for one in results["checks"]]
    out.table(("system", "check", "", ""), rows)
    out.say()
    for one in facts["evidence"]["closure"]["findings"]:
        out.say(f"Finding ({one['severity']}, {one['owner']}, due {one['due']}): {one['finding']}")
    out.say()
    out.say("The drill passed." if facts["ok"] else "The drill did not pass.")
    out.say(f"Report {facts['number']}: {facts['checked']}, checked with the root {facts['root'][:16]}…")
    for path in facts["files"].values():
        out.say(f"  {path}")


def _kept(kept: bool | None) -> Cell:
    return Cell("not measured", "warn") if kept is None else Cell("kept" if kept else "MISSED", "ok" if kept else "fail")
