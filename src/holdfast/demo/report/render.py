"""Facts become a page: self-contained, printable, with the facts inside."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from holdfast.demo.report import charts

TEMPLATE = Path(__file__).with_name("page.html")


def render(facts: Mapping[str, Any]) -> str:
    """The whole page. Every figure comes from ``facts``, which stand unchanged in ``<script id="facts" type="application/json">``."""
    import jinja2

    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters["seconds"] = seconds
    environment.filters["count"] = lambda value: f"{value:,}"
    environment.filters["size"] = _size
    template = environment.from_string(TEMPLATE.read_text(encoding="utf-8"))
    # The drawings are made of numbers and escaped texts; a "</script>" inside the facts must not end the element.
    return template.render(
        facts=facts,
        timeline=_safe(charts.timeline(facts)),
        phases=_safe(charts.phases(facts)),
        colour=charts.colour,
        embedded=_safe(json.dumps(facts, indent=1, sort_keys=True).replace("<", "\\u003c")),
    )


def write(facts: Mapping[str, Any], path: Path) -> None:
    """Render, and put the page and the facts (same name, ``.json``) where they belong, each in one step."""
    for target, text in ((path, render(facts)), (path.with_suffix(".json"), json.dumps(facts, indent=2) + "\n")):
        temporary = target.with_name(f".{target.name}.{os.getpid()}")
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(target)


def seconds(value: float) -> str:
    """Seconds as people read them: three digits below ten, one decimal above."""
    if value < 0.0005:
        return "0 s"
    if value < 1:
        return f"{value * 1000:.0f} ms"
    return f"{value:.2f} s" if value < 10 else f"{value:.1f} s"


def _size(value: float) -> str:
    from holdfast.plan.values.units import human_size

    return human_size(int(value))


def _safe(text: str) -> Any:
    import markupsafe

    return markupsafe.Markup(text)  # noqa: S704 - made here, every foreign text in it is escaped
