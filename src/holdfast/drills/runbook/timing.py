"""Where a runbook's time went: the time between two of its events belongs to the step that ended it. Pure."""

from collections.abc import Iterable, Mapping
from typing import Any

from holdfast.drills.runbook.playable import restores
from holdfast.journal import Record


def phases(document: Mapping[str, Any], said: Mapping[str, str]) -> dict[str, str]:
    """Step → part of the clock (``evidence.drilled.PHASES``). ``said``: by the scenario, which goes first. Else a decision is decide;
    people and approvals are wait; what restores is restore; automatic steps before the first of these are prepare; later ones that ask or
    expect something are validate, others accept.
    """
    bringing = [bool(step.get("action")) and restores(step["action"]) for step in document["steps"]]
    first = bringing.index(True) if True in bringing else len(bringing)
    return {
        step["id"]: said.get(step["id"]) or _phase(step, restore=bringing[number], before=number < first)
        for number, step in enumerate(document["steps"])
    }


def _phase(step: Mapping[str, Any], *, restore: bool, before: bool) -> str:
    if step["kind"] in ("decision", "human", "approval"):
        return "decide" if step["kind"] == "decision" else "wait"
    if restore:
        return "restore"
    if before:
        return "prepare"
    return "validate" if step.get("expect") or (step.get("action") or {}).get("name") == "sql" else "accept"


def split(
    entries: Iterable[Record], run: str, began: float, steps: Mapping[str, str], replayed: Iterable[str] = (), last: str = ""
) -> tuple[dict[str, float], float]:
    """(seconds by phase from ``began`` (monotonic) to the run's last event, or to the end of the step ``last``; that moment). Until its
    first step a runbook is being prepared. The log's replay, which restores of the systems ``replayed`` tell, is taken out of theirs.
    """
    clocks: dict[str, float] = {}
    at = began
    own = frozenset(replayed)
    for entry in entries:
        said = entry.payload
        if entry.kind == "restore.end" and said.get("system") in own and float((said.get("clock") or {}).get("mono", began)) >= began:
            seconds = float((said.get("clocks") or {}).get("replay", 0.0))
            clocks["restore"] = clocks.get("restore", 0.0) - seconds
            clocks["replay"] = clocks.get("replay", 0.0) + seconds
        if said.get("run") != run or not entry.kind.startswith("runbook."):
            continue
        moment = float(said["clock"]["mono"])
        step = str((said.get("data") or {}).get("step", ""))
        phase = steps.get(step, "prepare")
        clocks[phase] = clocks.get(phase, 0.0) + moment - at
        at = moment
        if last and entry.kind == "runbook.finished" and step == last:
            break
    return {name: round(seconds, 3) for name, seconds in clocks.items()}, at
