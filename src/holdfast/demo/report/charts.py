"""Inline SVG drawn from the facts: a timeline of the whole run, and the way back by phases. No script, so it prints as it looks."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

WIDTH = 960
_LEFT, _RIGHT = 130, 20
_COLOURS = {
    "work": "#3b7a57",
    "protect": "#2f6690",
    "harm": "#b3261e",
    "detect": "#c77700",
    "decide": "#8e6c8a",
    "prepare": "#5b7b9a",
    "restore": "#2f6690",
    "replay": "#4f9d94",
    "validate": "#3b7a57",
}


def colour(kind: str) -> str:
    """The colour of a kind of bar."""
    return _COLOURS.get(kind, "#666666")


def timeline(facts: Mapping[str, Any]) -> str:
    """Lanes over time: the shop, its protection, the disaster, the way back. Seconds since the beginning."""
    bars: Sequence[Mapping[str, Any]] = facts["timeline"]
    lanes = list(dict.fromkeys(bar["lane"] for bar in bars))
    end = max([bar["to"] for bar in bars] + [1.0])
    height = 40 * len(lanes) + 130
    scale = (WIDTH - _LEFT - _RIGHT) / end
    parts = [_open(height, "Timeline of the demonstration")]
    parts += _orders(facts, scale, 70)
    top = 84
    parts += [
        f'<text x="{_LEFT - 10}" y="{top + 40 * number + 21}" text-anchor="end" class="lane">{escape(lane)}</text>'
        f'<line x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{top + 40 * number + 34}" y2="{top + 40 * number + 34}" class="rule"/>'
        for number, lane in enumerate(lanes)
    ]
    for bar in bars:
        y = top + 40 * lanes.index(bar["lane"])
        x, width = _LEFT + bar["from"] * scale, max((bar["to"] - bar["from"]) * scale, 3)
        title = f"<title>{escape(bar['name'])}: {bar['from']:.1f} s to {bar['to']:.1f} s</title>"
        parts.append(f'<rect x="{x:.1f}" y="{y + 6}" width="{width:.1f}" height="22" rx="3" fill="{colour(bar["kind"])}">{title}</rect>')
        if width > 7 * len(bar["name"]):
            parts.append(f'<text x="{x + width / 2:.1f}" y="{y + 21}" text-anchor="middle" class="in">{escape(bar["name"])}</text>')
    for mark in facts["marks"]:
        x = _LEFT + mark["at"] * scale
        parts.append(f'<line x1="{x:.1f}" x2="{x:.1f}" y1="20" y2="{height - 36}" class="mark"/>')
        anchor = "end" if mark["at"] > end * 0.75 else "start"
        shift = -4 if anchor == "end" else 4
        parts.append(f'<text x="{x + shift:.1f}" y="16" text-anchor="{anchor}" class="said">{escape(mark["name"])}</text>')
    step = next(step for step in (1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 3600) if end / step <= 12 or step == 3600)
    for tick in range(0, int(end) + 1, step):
        x = _LEFT + tick * scale
        parts.append(f'<text x="{x:.1f}" y="{height - 16}" text-anchor="middle" class="tick">{tick} s</text>')
    return "".join([*parts, "</svg>"])


def phases(facts: Mapping[str, Any]) -> str:
    """The way back as one bar of its phases, with the promise as a line."""
    rto = facts["rto"]
    total, promised = rto["measured_seconds"], rto["promised_seconds"]
    # A promise far away would squeeze the phases to nothing; then the bar tells them, and the text the promise.
    end = max(total, promised) if promised < total * 4 else total * 1.25
    scale = (WIDTH - 40) / end
    parts = [_open(96, "Recovery time by phase")]
    x = 20.0
    for phase in rto["phases"]:
        width = max(phase["seconds"] * scale, 1.5)
        title = f"<title>{escape(phase['name'])}: {phase['seconds']:.2f} s</title>"
        parts.append(f'<rect x="{x:.1f}" y="26" width="{width:.1f}" height="34" fill="{colour(phase["name"])}">{title}</rect>')
        if width > 8 * len(phase["name"]):
            parts.append(f'<text x="{x + width / 2:.1f}" y="47" text-anchor="middle" class="in">{escape(phase["name"])}</text>')
        x += width
    parts.append(f'<text x="{min(x, WIDTH - 80):.1f}" y="78" text-anchor="end" class="said">{total:.1f} s</text>')
    if promised <= end:
        at = 20 + promised * scale
        parts.append(f'<line x1="{at:.1f}" x2="{at:.1f}" y1="14" y2="68" class="mark"/>')
        parts.append(f'<text x="{at - 4:.1f}" y="12" text-anchor="end" class="said">promised {promised:.0f} s</text>')
    return "".join([*parts, "</svg>"])


def _orders(facts: Mapping[str, Any], scale: float, floor: int) -> list[str]:
    """The count of accepted orders as a line above the lanes."""
    samples: Sequence[Sequence[float]] = facts["orders"]["samples"]
    if not samples:
        return []
    top = max(count for _, count in samples) or 1
    points = " ".join(f"{_LEFT + at * scale:.1f},{floor - count / top * (floor - 26):.1f}" for at, count in samples)
    return [
        f'<polyline points="{points}" fill="none" stroke="{colour("work")}" stroke-width="1.5"/>',
        f'<text x="{_LEFT - 10}" y="{floor - 12}" text-anchor="end" class="lane">orders</text>',
    ]


def _open(height: int, title: str) -> str:
    return (
        f'<svg viewBox="0 0 {WIDTH} {height}" width="100%" role="img" aria-label="{escape(title)}" xmlns="http://www.w3.org/2000/svg">'
        "<style>text{font:12px system-ui,sans-serif;fill:#333}.in{fill:#fff;font-weight:600}.lane{font-weight:600}.tick{fill:#777}"
        ".rule{stroke:#e3e3e3}.mark{stroke:#b3261e;stroke-dasharray:4 3}.said{fill:#b3261e;font-weight:600}</style>"
    )
