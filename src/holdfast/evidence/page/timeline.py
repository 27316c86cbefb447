"""The chart of a run, as data and as inline SVG: no script and nothing from elsewhere, so it prints as it looks."""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Any

WIDTH = 960
LEFT, RIGHT, LANE, SLIM = 270, 20, 36, 22
WHOLE = ("run", "phases", "steps")
"""Lanes that are drawn high; of steps that a report lists each has a slim lane of its own."""
_STYLE = (
    "<style>text{font:12px system-ui,sans-serif;fill:#333}.in{fill:#fff;font-weight:600}.lane{font-weight:600}.tick,.slim{fill:#59636e}"
    ".slim{font-size:11px}.rule{stroke:#eee}.mark{stroke:#b3261e;stroke-dasharray:4 3}.said{fill:#b3261e;font-weight:600}</style>"
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
    # Of drills by a scenario, besides: what comes before the disaster, the way back as a whole, and what the judges are tried with.
    **dict.fromkeys(("steady", "earlier", "inject", "sentinel", "backup", "stage"), "#8a97a6"),
    "recover": "#2f6690",
    "control": "#7a6a58",
}


@dataclass(frozen=True, slots=True)
class Bar:
    """Seconds since the chart begins. ``kind``: what gives it its colour; its name, where nothing else is said."""

    lane: str
    name: str
    begin: float
    end: float
    kind: str = ""

    @property
    def colour(self) -> str:
        return COLOURS.get(self.kind or self.name, "#4a6fa5")


@dataclass(frozen=True, slots=True)
class Chart:
    """``promise``: seconds, where the line of the promise stands; None for none or one far beyond the end. ``promised``: what was promised,
    counted from where the clock of the promise begins. ``zero``: what happened when the chart begins.
    """

    bars: Sequence[Bar]
    end: float
    promise: float | None
    promised: float | None = None
    zero: str = ""
    note: str = field(default="")

    @property
    def lanes(self) -> list[str]:
        return list(dict.fromkeys(bar.lane for bar in self.bars))


def chart(evidence: Mapping[str, Any]) -> Chart:
    """The run as a whole; its phases one behind the other; its steps, each in a lane of its own where the report lists them."""
    procedure = [one for one in evidence["results"].get("steps") or () if one.get("start") and one.get("end")]
    if procedure:
        return _way_back(evidence, procedure)
    clocks, rto = evidence["clocks"], evidence["results"]["rto"]
    whole = float(evidence["results"]["seconds"] or clocks["monotonic_seconds"] or clocks["wall_seconds"] or 0.0)
    bars = [Bar("run", evidence["test"]["verb"], 0.0, whole)]
    at = 0.0
    for phase in rto["phases"]:
        if phase["seconds"] is not None:
            bars.append(Bar("phases", phase["name"], at, at + phase["seconds"]))
            at += phase["seconds"]
    bars += _entries(evidence)
    return _ended(bars, rto["promised_seconds"], 0.0, "the run's beginning")


def _entries(evidence: Mapping[str, Any]) -> list[Bar]:
    """Journal entries that begin and end one step, of reports that list no steps."""
    zero = dt.datetime.fromisoformat(evidence["steps"][0]["at"])
    open_: dict[str, float] = {}
    found: list[Bar] = []
    for entry in evidence["steps"]:
        name = entry["facts"].get("step")
        if name is None:
            continue
        at = max((dt.datetime.fromisoformat(entry["at"]) - zero).total_seconds(), 0.0)
        if str(name) in open_:
            found.append(Bar("steps", str(name), open_.pop(str(name)), at))
        else:
            open_[str(name)] = at
    return found


def _way_back(evidence: Mapping[str, Any], procedure: Sequence[Mapping[str, Any]]) -> Chart:
    """By the steps' own times. The promise counts from the declaration, where there was one."""
    times = [(dt.datetime.fromisoformat(one["start"]), dt.datetime.fromisoformat(one["end"])) for one in procedure]
    zero = min(begin for begin, _ in times)
    steps, phases = [], []
    declared, reached = 0.0, 0.0
    for one, (begin, end) in zip(procedure, times, strict=True):
        start, stop = (begin - zero).total_seconds(), (end - zero).total_seconds()
        phase = str(one.get("phase") or "")
        if phase == "declare":
            declared = stop
        if phase:
            # What lies between two steps belongs to the one that ends it.
            phases.append(Bar("phases", phase, min(reached, start), max(stop, reached)))
            reached = max(stop, reached)
        steps.append(Bar(str(one["title"]), str(one["step"]), start, max(stop, start), phase or "step"))
    head = "the disaster" if procedure[0].get("phase") == "detect" else "the first step begins"
    return _ended([*_joined(phases), *steps], evidence["results"]["rto"]["promised_seconds"], declared, head)


def _joined(bars: Sequence[Bar]) -> list[Bar]:
    found: list[Bar] = []
    for bar in bars:
        if found and found[-1].name == bar.name:
            found[-1] = Bar(bar.lane, bar.name, found[-1].begin, bar.end)
        else:
            found.append(bar)
    return found


def _ended(bars: Sequence[Bar], promised: float | None, declared: float, zero: str) -> Chart:
    end = max([bar.end for bar in bars] + [0.001])
    if promised is None:
        return Chart(bars, end, None, None, zero)
    at = declared + promised
    if at <= end * 4:
        return Chart(bars, max(end, at), at, promised, zero)
    counted = " after the declaration" if declared else ""
    return Chart(bars, end, None, promised, zero, f"The promise, {promised:g} s{counted}, lies beyond the right edge.")


def svg(drawn: Chart) -> str:
    """``<svg>…</svg>``."""
    tops, bottom = _rows(drawn.lanes)
    height = bottom + 42
    scale = (WIDTH - LEFT - RIGHT) / drawn.end
    head = f'viewBox="0 0 {WIDTH} {height}" width="100%" role="img" aria-label="Timeline of the run" xmlns="http://www.w3.org/2000/svg"'
    parts = [f"<svg {head}>{_STYLE}"]
    for lane, (y, high) in tops.items():
        style = "lane" if lane in WHOLE else "slim"
        parts.append(f'<text x="{LEFT - 10}" y="{y + high / 2 + 4:.0f}" text-anchor="end" class="{style}">{escape(_cut(lane))}</text>')
        parts.append(f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y + high}" y2="{y + high}" class="rule"/>')
    for bar in drawn.bars:
        y, high = tops[bar.lane]
        x, width = LEFT + bar.begin * scale, max((bar.end - bar.begin) * scale, 2.0)
        title = f"<title>{escape(bar.name)}: {bar.begin:.2f} s to {bar.end:.2f} s</title>"
        parts.append(f'<rect x="{x:.1f}" y="{y + 3}" width="{width:.1f}" height="{high - 7}" rx="3" fill="{bar.colour}">{title}</rect>')
        if bar.lane in WHOLE:
            if width > 8 * len(bar.name):
                parts.append(f'<text x="{x + width / 2:.1f}" y="{y + 21}" text-anchor="middle" class="in">{escape(bar.name)}</text>')
        else:
            said = f"{bar.end - bar.begin:.1f} s"
            right = x + width + 44 < WIDTH
            where = f'x="{x + width + 5:.1f}"' if right else f'x="{x - 5:.1f}" text-anchor="end"'
            parts.append(f'<text {where} y="{y + high / 2 + 4:.0f}" class="slim">{said}</text>')
    if drawn.promise is not None:
        x = LEFT + drawn.promise * scale
        parts.append(f'<line x1="{x:.1f}" x2="{x:.1f}" y1="18" y2="{bottom}" class="mark"/>')
        parts.append(
            f'<text x="{min(x, WIDTH - RIGHT):.1f}" y="13" text-anchor="end" class="said">promised {drawn.promised or 0:g} s</text>'
        )
    for tick in ticks(drawn.end):
        x = LEFT + tick * scale
        parts.append(f'<text x="{x:.1f}" y="{bottom + 18}" text-anchor="middle" class="tick">{tick:g} s</text>')
    beyond = f" {drawn.note}" if drawn.note else ""
    parts.append(f'<text x="{LEFT}" y="{bottom + 36}" class="slim">0 s: {escape(drawn.zero)}.{escape(beyond)}</text>')
    return "".join([*parts, "</svg>"])


def _rows(lanes: Sequence[str]) -> tuple[dict[str, tuple[int, int]], int]:
    """(top and height by lane, where the last one ends)."""
    tops: dict[str, tuple[int, int]] = {}
    y = 22
    for lane in lanes:
        high = LANE if lane in WHOLE else SLIM
        tops[lane] = (y, high)
        y += high
    return tops, y


def _cut(text: str) -> str:
    return text if len(text) <= 40 else text[:39] + "…"


def ticks(end: float) -> list[float]:
    """At most a dozen round numbers of seconds."""
    steps = [digit * 10.0**power for power in range(-4, 8) for digit in (1, 2, 5)]
    step = next((one for one in steps if end / one <= 12), end)
    return [round(number * step, 6) for number in range(int(end / step) + 1)]
