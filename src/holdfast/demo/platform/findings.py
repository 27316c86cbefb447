"""What has to be done after the drill, by what happened in it."""

import datetime as dt
from collections.abc import Sequence

from holdfast.demo.platform.judge import Judged
from holdfast.evidence.drilled import Finding

DAYS = {"critical": 1, "high": 7, "medium": 30, "low": 90}
"""Until when a finding is to be dealt with."""
RETEST = "make drill"


def findings(judged: Judged, clocks: dict[str, float], promised: tuple[float, float], today: dt.date) -> Sequence[Finding]:
    """``promised``: RPO and RTO, seconds."""
    rpo, rto = promised
    found = [
        _finding(
            "critical", "core-data", f"{check.system or 'the drill'}: {check.name}: expected {check.expected}, was {check.actual}", today
        )
        for check in judged.checks
        if check.state == "failed"
    ]
    if clocks["total"] > rto:
        found.append(_finding("critical", "core-data", f"the way back took {clocks['total']:.0f} s, promised {rto:g} s", today))
    if judged.lost_seconds > rpo:
        found.append(_finding("critical", "core-data", f"{judged.lost_seconds:.1f} s of orders lost, promised {rpo:g} s", today))
    if judged.lost:
        text = f"{judged.lost} acknowledged orders are lost, within the promise; the shop has no procedure to ask their customers"
        found.append(_finding("low", "web", text, today))
    text = "one location is lost: until another one is made, every point lies in one place, where the plan asks for two"
    found.append(_finding("high", "core-data", text, today))
    waited = clocks.get("wait", 0.0) + clocks.get("decide", 0.0) + clocks.get("declare", 0.0)
    text = f"people were played: the {waited:.1f} s that were waited for them say nothing about people who are woken at night"
    return [*found, _finding("medium", "core-data", text, today)]


def _finding(severity: str, owner: str, text: str, today: dt.date) -> Finding:
    return Finding(text, owner, (today + dt.timedelta(days=DAYS[severity])).isoformat(), severity, RETEST)
