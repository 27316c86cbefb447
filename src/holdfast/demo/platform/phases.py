"""How long each part of the way back took: the time between two events of the runbook belongs to the step that ended it."""

from collections.abc import Iterable, Mapping

from holdfast.journal import Record

STEPS: Mapping[str, str] = {
    "way": "decide",
    "agree": "wait",
    "affected": "prepare",
    "look": "prepare",
    "restore-app": "restore",
    "restore-db": "restore",
    "restore-lake": "restore",
    "restore-raw": "restore",
    "replay": "replay",
    "lines": "validate",
    "compare": "validate",
    "accept": "wait",
    "newest": "accept",
    "repoint": "accept",
    "flowing": "accept",
}
"""By step of the runbook. ``told`` comes when it is over."""


def split(entries: Iterable[Record], run: str, declared: float) -> tuple[dict[str, float], float]:
    """(seconds by phase from ``declared`` (monotonic) until new orders arrived, the monotonic moment of that). The log's replay, which
    the restore of the database tells, is taken out of its restore.
    """
    clocks: dict[str, float] = {}
    at = declared
    for entry in entries:
        said = entry.payload
        if entry.kind == "restore.end" and said.get("system") == "orders-db":
            replayed = float((said.get("clocks") or {}).get("replay", 0.0))
            clocks["restore"] = clocks.get("restore", 0.0) - replayed
            clocks["replay"] = clocks.get("replay", 0.0) + replayed
        if said.get("run") != run or not entry.kind.startswith("runbook."):
            continue
        moment = float(said["clock"]["mono"])
        # Until its first step the runbook is being prepared.
        phase = STEPS.get(str((said.get("data") or {}).get("step", "")), "prepare")
        clocks[phase] = clocks.get(phase, 0.0) + moment - at
        at = moment
        if entry.kind == "runbook.finished" and said["data"]["step"] == "flowing":
            break
    return {name: round(seconds, 3) for name, seconds in clocks.items()}, at
