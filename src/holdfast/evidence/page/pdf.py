"""A report as PDF: the same content as the page, with the signed JSON attached. Text is Latin; other characters are written as their codes
(the attached JSON has them all).
"""

import datetime as dt
from typing import TYPE_CHECKING, Any

from holdfast.errors import MissingExtra
from holdfast.evidence.issue import Issued
from holdfast.evidence.page.html import chosen, fact, moment, seconds, short, yesno
from holdfast.evidence.page.sections import sections
from holdfast.evidence.page.timeline import WHOLE, Chart, chart, ticks

if TYPE_CHECKING:
    from fpdf import FPDF


def pdf(issued: Issued, control: str | None = None) -> bytes:
    """The whole file. Raises MissingExtra."""
    try:
        from fpdf import FPDF
    except ImportError:
        raise MissingExtra("evidence", "A report as PDF") from None
    evidence = issued.evidence
    made = FPDF(format="A4")
    made.set_creation_date(dt.datetime.fromisoformat(evidence["issued"]["at"]))
    made.set_title(_latin(f"Evidence {evidence['number']} of {evidence['host']['name']}"))
    made.set_auto_page_break(auto=True, margin=16)
    made.add_page()
    results = evidence["results"]
    kind = "drill" if evidence["test"]["verb"] == "drill" else evidence["test"]["kind"]
    _heading(made, f"Evidence {evidence['number']}: {kind} of {', '.join(evidence['scope']['systems']) or 'the vault'}", 15)
    verdict = f", {results['verdict']}" if results["verdict"] else ""
    scenario = evidence["test"]["scenario"]
    if isinstance(scenario, dict) and scenario.get("title"):
        text = str(scenario.get("text") or "")
        _line(made, f"{scenario['title']} ({evidence['test']['kind']} drill). {'' if chr(10) in text else text}")
    _line(made, f"Outcome: {results['outcome']}{verdict}.")
    signed_off = evidence["closure"]["sign_off"]
    if signed_off:
        played = f" (played: {signed_off['played_by']})" if signed_off.get("played_by") else ""
        _line(made, f"Signed off by {signed_off['name']}, {signed_off['role']}, {moment(signed_off['at'])}{played}.")
    _line(made, f"Run {evidence['test']['id']}, host {evidence['host']['name']}, {moment(evidence['issued']['at'])}.")
    _draw(made, chart(evidence))
    rto, rpo = results["rto"], results["rpo"]
    _heading(made, "Promise and result")
    _table(
        made,
        ("what", "promised", "measured", "kept", "counted"),
        [
            ("RTO", seconds(rto["promised_seconds"]), seconds(rto["measured_seconds"]), yesno(rto["kept"]), rto["counted"]),
            (
                "RPO",
                ", ".join(f"{place} {seconds(one)}" for place, one in rpo["promised_seconds"].items()),
                seconds(rpo["lost_seconds"]),
                yesno(rpo.get("kept")),
                rpo["counted"],
            ),
        ],
    )
    _table(made, ("phase", "took"), [(one["name"], seconds(one["seconds"]) or "not part of this run") for one in rto["phases"]])
    if results["transactions_lost"] is not None:
        _line(made, f"Transactions lost: {results['transactions_lost']}.")
    past = evidence["history"].get("rto")
    if past and past["at_least"] is not None:
        share = f"{past['at_least']:.0%} of cases with {past['confidence']:.0%} confidence ({past['method']})"
        _line(made, f"So far kept in {past['kept']} of {past['samples']}; holds in at least {share}.")
    _heading(made, "Checks")
    columns = ("state", "what", "expected", "actual", "detail")
    _table(
        made,
        columns,
        [
            (
                one["state"],
                f"{one.get('system') or ''} {short(one['name'])}".strip(),
                *map(fact, (one["expected"], one["actual"], one["detail"])),
            )
            for one in results["checks"]
        ],
    )
    for heading, names, lines in sections(evidence):
        _heading(made, heading)
        _table(made, tuple(names), list(lines))
    _heading(made, "Chain")
    anchor = evidence["anchor"]
    rows = [
        ("plan", short(evidence["scope"]["plan"])),
        ("clocks", short(evidence["clocks"])),
        ("journal", f"{evidence['journal']['chain']}, entries {evidence['journal']['from']} to {evidence['journal']['to']}"),
        (
            "anchor",
            "none" if anchor is None else f"{anchor['document']['hash']} at {anchor['document']['at']}; {short(anchor['locations'])}",
        ),
        ("report before", evidence["previous"]),
        ("host key", evidence["signer"]["public"]),
        ("vault's root", short((evidence["signer"]["writer"] or {}).get("root"))),
        ("signed report", f"SHA-256 {issued.sha256}, attached to this file"),
    ]
    _table(made, ("", ""), rows)
    _heading(made, "What auditors ask")
    _table(made, ("standard", "clause", "asks for", "answered by"), [(c.standard, c.clause, c.asks, c.answered) for c in chosen(control)])
    name = f"evidence-{evidence['number']:08d}.json"
    made.embed_file(bytes=issued.data, basename=name, desc="the signed report", mime_type="application/json")
    return bytes(made.output())


def _heading(made: "FPDF", text: str, size: int = 11) -> None:
    made.ln(3)
    made.set_font("Helvetica", "B", size)
    made.multi_cell(0, size * 0.5, _latin(text), new_x="LMARGIN", new_y="NEXT")
    made.ln(1)


def _line(made: "FPDF", text: str) -> None:
    made.set_font("Helvetica", "", 9)
    made.multi_cell(0, 4.5, _latin(text), new_x="LMARGIN", new_y="NEXT")


def _table(made: "FPDF", columns: tuple[str, ...], rows: list[Any]) -> None:
    made.set_font("Helvetica", "", 8)
    if not rows:
        _line(made, "None.")
        return
    # Filled cells would have the colour of the chart's last bar.
    made.set_fill_color(255, 255, 255)
    widths = _widths([columns, *rows])
    with made.table(first_row_as_headings=any(columns), line_height=4, text_align="LEFT", col_widths=widths, padding=(0.7, 1)) as table:
        for row in [columns, *rows] if any(columns) else rows:
            drawn = table.row()
            for text in row:
                drawn.cell(_latin(str(text)))


def _widths(rows: list[Any]) -> tuple[int, ...]:
    """By the longest text of each column, within bounds: no column is starved and none takes all."""
    return tuple(min(max(11, *(len(str(text)) for text in column)), 60) for column in zip(*rows, strict=True))


def _draw(made: "FPDF", drawn: Chart) -> None:
    """The timeline, in millimetres."""
    high = 7.0 if len(drawn.lanes) < 6 else 4.6
    left, width = made.l_margin + 48, made.epw - 50
    top = made.get_y() + 4
    scale = width / drawn.end
    made.set_font("Helvetica", "", 7)
    for number, lane in enumerate(drawn.lanes):
        made.text(made.l_margin, top + (number + 0.65) * high, _latin(lane if len(lane) <= 40 else f"{lane[:38]}.."))
    for bar in drawn.bars:
        y = top + drawn.lanes.index(bar.lane) * high
        red, green, blue = (int(bar.colour[at : at + 2], 16) for at in (1, 3, 5))
        made.set_fill_color(red, green, blue)
        made.rect(left + bar.begin * scale, y, max((bar.end - bar.begin) * scale, 0.5), high - 1, style="F")
        if bar.lane in WHOLE and (bar.end - bar.begin) * scale > 1.6 * len(bar.name):
            made.set_text_color(255, 255, 255)
            made.text(left + bar.begin * scale + 1, y + high * 0.6, _latin(bar.name))
            made.set_text_color(0, 0, 0)
    bottom = top + len(drawn.lanes) * high
    if drawn.promise is not None:
        made.set_draw_color(179, 38, 30)
        made.line(left + drawn.promise * scale, top - 2, left + drawn.promise * scale, bottom)
        made.set_draw_color(0, 0, 0)
    for tick in ticks(drawn.end):
        made.text(left + tick * scale - 1, bottom + 3, f"{tick:g} s")
    made.text(left, bottom + 7, _latin(f"0 s: {drawn.zero}. {drawn.note}"))
    made.set_y(bottom + 10)


def _latin(text: str) -> str:
    """The core fonts of PDF know Latin-1."""
    return text.replace("…", "..").encode("latin-1", "backslashreplace").decode("latin-1")
