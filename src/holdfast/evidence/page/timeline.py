"""The chart of a run, as data and as inline SVG: no script and nothing from elsewhere, so it prints as it looks."""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

WIDTH = 960
LEFT, RIGHT, LANE = 120, 20, 36
_STYLE = (
    "<style>text{font:12px system-ui,sans-serif;fill:#333}.in{fill:#fff;font-weight:600}.lane{font-weight:600}.tick{fill:#666}"
    ".rule{stroke:#e3e3e3}.mark{stroke:#b3261e;stroke-dasharray:4 3}.said{fill:#b3261e;font-weight:600}</style>"
)
COLOURS = {
    "detect": "#c77700",
    "declare": "#b3261e",
    "decide": "#8e6c8a",
    "wait": "#59636e",
    "prepare": "#5b7b9a",
    "restore": "#2f6690",
    "replay": "#3f8379",
    "validate": "#3b7a57",
    "accept": "#2d6a4f",
}


@dataclass(frozen=True, slots=True)
class Bar:
    """Seconds since the run began."""

    lane: str
    name: str
    begin: float
    end: float

    @property
    def colour(self) -> str:
        return COLOURS.get(self.name, "#4a6fa5")


@dataclass(frozen=True, slots=True)
class Chart:
    """``promise``: seconds, where the line of the promise stands; None for none or one far beyond the end."""

    bars: Sequence[Bar]
    end: float
    promise: float | None

    @property
    def lanes(self) -> list[str]:
        return list(dict.fromkeys(bar.lane for bar in self.bars))


def chart(evidence: Mapping[str, Any]) -> Chart:
    """The run as a whole; its phases one behind the other; its steps by the journal's times."""
    clocks, rto = evidence["clocks"], evidence["results"]["rto"]
    whole = float(evidence["results"]["seconds"] or clocks["monotonic_seconds"] or clocks["wall_seconds"] or 0.0)
    bars = [Bar("run", evidence["test"]["verb"], 0.0, whole)]
    at = 0.0
    for phase in rto["phases"]:
        if phase["seconds"] is not None:
            bars.append(Bar("phases", phase["name"], at, at + phase["seconds"]))
            at += phase["seconds"]
    bars += _steps(evidence)
    end = max([bar.end for bar in bars] + [0.001])
    promised = rto["promised_seconds"]
    return Chart(
        bars, end if promised is None or promised > end * 4 else max(end, promised), promised if promised and promised <= end * 4 else None
    )


def _steps(evidence: Mapping[str, Any]) -> list[Bar]:
    """Entries that begin and end one step: kinds ``….start`` and ``….end`` or ``….begin`` and ``….done`` with the same ``step``."""
    zero = dt.datetime.fromisoformat(evidence["steps"][0]["at"])
    open_: dict[str, float] = {}
    found: list[Bar] = []
    for step in evidence["steps"]:
        name = step["facts"].get("step")
        if name is None:
            continue
        at = max((dt.datetime.fromisoformat(step["at"]) - zero).total_seconds(), 0.0)
        if str(name) in open_:
            found.append(Bar("steps", str(name), open_.pop(str(name)), at))
        else:
            open_[str(name)] = at
    return found


def svg(drawn: Chart) -> str:
    """``<svg>…</svg>``."""
    lanes = drawn.lanes
    height = LANE * len(lanes) + 66
    scale = (WIDTH - LEFT - RIGHT) / drawn.end
    head = f'viewBox="0 0 {WIDTH} {height}" width="100%" role="img" aria-label="Timeline of the run" xmlns="http://www.w3.org/2000/svg"'
    parts = [f"<svg {head}>{_STYLE}"]
    for number, lane in enumerate(lanes):
        y = 24 + LANE * number
        parts.append(f'<text x="{LEFT - 10}" y="{y + 17}" text-anchor="end" class="lane">{escape(lane)}</text>')
        parts.append(f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y + 30}" y2="{y + 30}" class="rule"/>')
    for bar in drawn.bars:
        y = 24 + LANE * lanes.index(bar.lane)
        x, width = LEFT + bar.begin * scale, max((bar.end - bar.begin) * scale, 2.0)
        title = f"<title>{escape(bar.name)}: {bar.begin:.2f} s to {bar.end:.2f} s</title>"
        parts.append(f'<rect x="{x:.1f}" y="{y + 2}" width="{width:.1f}" height="22" rx="3" fill="{bar.colour}">{title}</rect>')
        if width > 8 * len(bar.name):
            parts.append(f'<text x="{x + width / 2:.1f}" y="{y + 17}" text-anchor="middle" class="in">{escape(bar.name)}</text>')
    if drawn.promise is not None:
        x = LEFT + drawn.promise * scale
        parts.append(f'<line x1="{x:.1f}" x2="{x:.1f}" y1="18" y2="{height - 36}" class="mark"/>')
        parts.append(f'<text x="{min(x, WIDTH - RIGHT):.1f}" y="13" text-anchor="end" class="said">promised {drawn.promise:g} s</text>')
    for tick in ticks(drawn.end):
        x = LEFT + tick * scale
        parts.append(f'<text x="{x:.1f}" y="{height - 14}" text-anchor="middle" class="tick">{tick:g} s</text>')
    return "".join([*parts, "</svg>"])


def ticks(end: float) -> list[float]:
    """At most a dozen round numbers of seconds."""
    steps = [digit * 10.0**power for power in range(-4, 8) for digit in (1, 2, 5)]
    step = next((one for one in steps if end / one <= 12), end)
    return [round(number * step, 6) for number in range(int(end / step) + 1)]
