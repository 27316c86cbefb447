"""No field of a report is empty without a reason: which are, and why. Pure."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

LEFT_OUT = frozenset({"journal", "anchor", "signer", "steps"})
"""As the journal, the anchor and the keys have them: copies, not fields of the report."""
_ANSWERS = ("expected", "actual")
"""What was expected or found may well be nothing: there it is an answer."""

_REASONS = (
    (r"test\.trigger", "the run began before runs said why"),
    (r"test\.scenario", "no rehearsal: a regular run has no scenario"),
    (r"test\.asked", "everything that was asked for stands in the fields beside it"),
    (r"test\.objectives\.mtd", "the plan names no longest bearable time for it"),
    (r"test\.objectives\.tier", "the plan gives the system its promises without a tier"),
    (r"test\.objectives\.(rto|rpo)", "the plan promises none"),
    (r"test\.objectives", "the run is of no single system: no promise belongs to it"),
    (r"test\.criteria", "the plan has no checks for it: the system's own structure and content are looked at"),
    (r"scope\.plan", "the run worked without a plan"),
    (r"scope\.runbook(\.\w+)?", "no runbook was followed, or it names none"),
    (r"scope\.systems", "the run is about the vault, or about its runbook's parameters"),
    (r"scope\.exclusions", "nothing was left out"),
    (r"scope\.environment\.isolation", "the run isolates nothing: what it made is meant to stay"),
    (r"scope\.environment\.proof", "the run isolates nothing, or says so in words only"),
    (r"scope\.environment\.torn_down", "nothing was to be removed"),
    (r"people", "nobody but the program took part"),
    (r"people\[\*\]\.\w+", "not said"),
    (r"backup", "the run was about no recovery point"),
    (r"backup\.label", "the point was given no label"),
    (r"backup\.points\[\*\]\.label", "the point was given no label"),
    (r"backup\..*", "the vault did not tell it"),
    (r"results\.message", "there was nothing to be told beyond the outcome"),
    (r"results\.verdict", "a run of this kind has an outcome and no verdict"),
    (r"results\.seconds", "the run has no end in the journal, or its record tells no duration"),
    (r"results\.rto\.promised_seconds", "the plan promises none"),
    (r"results\.rto\.(measured_seconds|kept)", "the run measured none"),
    (r"results\.rto\.other", "nothing was timed besides the phases"),
    (r"results\.rto\.phases\[\*\]\.seconds", "the phase was not part of this run"),
    (r"results\.rpo\.(promised_seconds|newest_recovered|newest_committed|lost_seconds|kept)", "see how it was counted"),
    (r"results\.checks", "the run makes no checks"),
    (r"results\.checks\[\*\]\.(detail|system)", "the check says nothing beyond what it expected and found"),
    (r"results\.reached(\..*)?", "the run reached no moment of a history, or the system does not tell it"),
    (r"results\.reconciliation", "no flow leads into or out of what was restored, or none was looked at"),
    (r"results\.teardown", "nothing was to be removed"),
    (r"results\.transactions_lost", "no ledger outside the system counts its transactions"),
    (r"results\.steps", "the run follows no runbook"),
    (r"results\.steps\[\*\]\.deviation", "it went as written"),
    (r"results\.steps\[\*\]\.skipped", "it was done"),
    (r"results\.steps\[\*\]\.(start|end|output)", "it was skipped, or its end was not seen"),
    (r"results\.steps\[\*\]\.command", "no command of its own: a person's or the monitoring's part, or done by the drill itself"),
    (r"results\.steps\[\*\]\.phase", "outside of the promise's clock"),
    (r"results\.systems", "the run is about one system: see the fields beside it"),
    (r"results\.systems\[\*\]\.\w+", "nothing counts it for this system"),
    (r"history(\..*)?", "too few runs, or none that measured it"),
    (r"closure\.incident", "no incident was declared for it"),
    (r"closure\.incident\..*", "not said"),
    (r"closure\.findings", "nothing was found"),
    (r"closure\.findings\[\*\]\.owner", "the plan names no owner, and nobody is known who began the run"),
    (r"closure\.findings\[\*\]\.closed_by", "open: no retest has passed yet"),
    (r"closure\.findings\[\*\]\.\w+", "not said"),
    (r"closure\.retest", "nothing was found that would be tested again"),
    (r"closure\.sign_off", "nobody signs a regular run off; the host's signature stands for what was seen"),
    (r"clocks\.(wall_seconds|monotonic_seconds)", "the run has no end in the journal, or another boot saw it"),
    (r"clocks\.findings", "the clocks agree"),
)


def empty(evidence: Mapping[str, Any]) -> Iterator[str]:
    """Paths of fields that hold nothing, each once; ``[*]`` stands for any element of a list."""
    seen: dict[str, None] = {}
    for name, value in evidence.items():
        if name not in LEFT_OUT:
            for path in _within(name, value):
                seen.setdefault(path)
    yield from seen


def _within(path: str, value: Any) -> Iterator[str]:
    if value is None or value in ("", [], {}):
        yield path
    elif isinstance(value, Mapping):
        for name, one in value.items():
            if not (name in _ANSWERS or path == "test.asked" or (path == "closure" and name == "empty")):
                yield from _within(f"{path}.{name}", one)
    elif isinstance(value, list | tuple):
        for one in value:
            yield from _within(f"{path}[*]", one)


def reasons(evidence: Mapping[str, Any], said: Mapping[str, str]) -> list[dict[str, str]]:
    """``[{"field", "reason"}]`` for every empty field. ``said``: what the run itself gives as reasons."""
    return [{"field": path, "reason": said.get(path) or _reason(path)} for path in empty(evidence)]


def _reason(path: str) -> str:
    return next((reason for pattern, reason in _REASONS if re.fullmatch(pattern, path)), "")
