"""Reports as pages that stand alone: styles and chart inside, nothing from elsewhere, and the signed JSON in them."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from holdfast.evidence.issue import Issued
from holdfast.evidence.page.standards import CONTROLS
from holdfast.evidence.page.timeline import chart, svg

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
    )


def period_page(document: Mapping[str, Any], control: str | None = None) -> str:
    """A period's report (``evidence.period``)."""
    embedded = json.dumps(document, sort_keys=True).replace("<", "\\u003c")
    return _render("period.html", period=document, embedded=_safe(embedded), controls=chosen(control))


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
    environment.filters["short"] = short
    return environment.get_template(name).render(**values)


def short(value: Any) -> str:
    """A value in a table's cell: text as it is, the rest as JSON, cut where it is long (the JSON has all of it)."""
    text = "" if value is None else value if isinstance(value, str) else json.dumps(value, sort_keys=True, ensure_ascii=False)
    # A lone surrogate is a file name's byte that is no text; pages are UTF-8.
    text = text.encode("utf-8", "backslashreplace").decode("utf-8")
    return text if len(text) <= 300 else text[:300] + " …"


def _safe(text: str) -> Any:
    import markupsafe

    return markupsafe.Markup(text)  # noqa: S704 - made here, every foreign text in it is escaped
