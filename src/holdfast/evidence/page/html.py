"""Reports as pages that stand alone: styles and chart inside, nothing from elsewhere, and the signed JSON in them."""

import datetime as dt
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from holdfast.evidence.issue import Issued
from holdfast.evidence.page.standards import CONTROLS
from holdfast.evidence.page.timeline import COLOURS, chart, svg
from holdfast.evidence.period_file import IssuedPeriod

STATES = ("passed", "failed", "missed", "excused", "open")
"""What may have become of a test that was due."""
_HERE = Path(__file__).parent


def page(issued: Issued, control: str | None = None) -> str:
    """One report. ``control``: only the controls whose standard or clause contains that text. What was signed stands in
    ``<script id="evidence">``, with every ``<`` escaped.
    """
    evidence = issued.evidence
    return _render(
        "report.html",
        evidence=evidence,
        sha256=issued.sha256,
        chart=_safe(svg(chart(evidence))),
        signed=_safe(issued.data.decode("ascii").replace("<", "\\u003c")),
        controls=chosen(control),
        colours=COLOURS,
    )


def period_page(issued: IssuedPeriod, control: str | None = None) -> str:
    """A period's report. What was signed stands in ``<script id="period">``, as in a run's page."""
    embedded = issued.data.decode("ascii").replace("<", "\\u003c")
    document = issued.document
    summary: dict[tuple[str, str], dict[str, int]] = {}
    for one in document["tests"]:
        summary.setdefault((one["system"], one["test"]), dict.fromkeys(STATES, 0))[one["state"]] += 1
    return _render(
        "period.html",
        period=document,
        sha256=issued.sha256,
        embedded=_safe(embedded),
        controls=chosen(control),
        summary=summary,
        states=STATES,
    )


def chosen(control: str | None) -> Sequence[Any]:
    """Controls by a part of their name; all without one."""
    if control is None:
        return CONTROLS
    wanted = control.lower().split()
    return [one for one in CONTROLS if all(word in f"{one.standard} {one.clause}".lower() for word in wanted)]


def _render(name: str, **values: Any) -> str:
    import jinja2

    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True, loader=jinja2.FileSystemLoader(_HERE)
    )
    environment.filters |= {"short": short, "seconds": seconds, "moment": moment, "yesno": yesno, "answer": answer, "fact": fact}
    return environment.get_template(name).render(**values)


def short(value: Any) -> str:
    """A value in a table's cell: text as it is, the rest as JSON, cut where it is long (the JSON has all of it)."""
    text = "" if value is None else value if isinstance(value, str) else json.dumps(value, sort_keys=True, ensure_ascii=False)
    # A lone surrogate is a file name's byte that is no text; pages are UTF-8.
    text = text.encode("utf-8", "backslashreplace").decode("utf-8")
    return text if len(text) <= 300 else text[:300] + " …"


def seconds(value: Any) -> str:
    """A duration as people say it: ``0.65 s``, ``24 s``, ``2 min 5 s``, ``1 h``, ``2 d``; nothing for None."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        return short(value)
    if abs(value) < 90:
        return f"{value:.3g} s"
    left, told = round(value), []
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60), ("s", 1)):
        count, left = divmod(left, size)
        if count:
            told.append(f"{count} {unit}")
    return " ".join(told[:2])


def moment(value: Any, day: bool = True) -> str:
    """A time as an auditor reads it: ``2026-11-21 14:12:09.86 UTC``; text as it is where it is no time. Without ``day`` the time alone."""
    try:
        found = dt.datetime.fromisoformat(str(value)).astimezone(dt.UTC)
    except ValueError:
        return short(value)
    time = f"{found:%H:%M:%S}.{found.microsecond // 10000:02d}"
    return f"{found:%Y-%m-%d} {time} UTC" if day else time


def yesno(value: bool | None) -> str:
    """Of a promise."""
    return "not measured" if value is None else "yes" if value else "NO"


def answer(value: Any) -> str:
    """What was expected or found, where nothing is an answer too."""
    return {"[]": "nothing", "": "nothing", "false": "no", "true": "yes"}.get(short(value), short(value))


def fact(value: Any) -> str:
    """A mapping as ``rows 617, sha256 ec082df3b872…``; hashes cut (the signed JSON has all of them), other values as ``short`` has them."""
    if isinstance(value, Mapping):
        return short(", ".join(f"{name} {fact(one)}" for name, one in value.items()))
    if isinstance(value, str) and len(value) == 64 and not value.strip("0123456789abcdef"):
        return f"{value[:12]}…"
    return short(value)


def _safe(text: str) -> Any:
    import markupsafe

    return markupsafe.Markup(text)  # noqa: S704 - made here, every foreign text in it is escaped
