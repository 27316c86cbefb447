"""The steps of a runbook's run as its report lists them: who or what, start, end, hash of the output, deviation, why skipped. Pure."""

import datetime as dt
import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from holdfast.evidence.verifier import said
from holdfast.journal import Record

_PREFIX = "runbook."
_ANSWERS = {
    "confirmed": "done by a person",
    "chosen": "decided",
    "approved": "approved",
    "rejected": "rejected",
    "given": "given by a person",
}
_NOT_OUTPUT = frozenset({"run", "context", "clock", "data", "n", "at", "by", "step", "expires"})


def steps_of(extract: Sequence[Record], run: str) -> list[dict[str, Any]]:
    """In the runbook's order. A step that the run never came to is skipped, for that reason."""
    own = [entry for entry in extract if entry.payload.get("run") == run and entry.kind.startswith(_PREFIX)]
    if not own:
        return []
    snapshot = said(own[0].payload).get("snapshot") or {}
    found = []
    for spec in snapshot.get("steps") or ():
        events = [entry for entry in own if said(entry.payload).get("step") == spec.get("id")]
        found.append(_step(spec, events, own))
    return found


def _step(spec: Mapping[str, Any], events: Sequence[Record], own: Sequence[Record]) -> dict[str, Any]:
    done = {"step": spec.get("id"), "title": spec.get("title") or spec.get("id"), "command": _command(spec)}
    if not events:
        return {**done, **_nothing(), "skipped": "the run ended before it", "deviation": "not begun", "outcome": "skipped"}
    first, last = events[0], events[-1]
    facts = said(last.payload)
    kind = last.kind.removeprefix(_PREFIX)
    if kind == "skipped":
        reason = str(facts.get("reason") or "no reason was recorded")
        return {**done, **_nothing(), "by": _name(facts) or "holdfast", "skipped": reason, "outcome": "skipped", "deviation": None}
    start = first if first is not last else _before(own, last)
    output, size = _output(facts)
    return {
        **done,
        "by": "holdfast" if kind == "finished" else _name(facts) or "holdfast",
        "start": _iso(start.at),
        "end": _iso(last.at),
        "seconds": _seconds(start, last),
        "outcome": str(facts.get("outcome") or _ANSWERS.get(kind, kind)),
        "output": output,
        "output_bytes": size,
        "deviation": _deviation(events) or None,
        "skipped": None,
    }


def _nothing() -> dict[str, Any]:
    return {"by": "holdfast", "start": None, "end": None, "seconds": 0.0, "output": None, "output_bytes": 0}


def _before(own: Sequence[Record], entry: Record) -> Record:
    """What came before an answer: from then on the person was waited for."""
    at = own.index(entry)
    return own[at - 1] if at else entry


def _seconds(start: Record, end: Record) -> float:
    one, two = start.payload.get("clock") or {}, end.payload.get("clock") or {}
    if one and two and one["boot"] == two["boot"]:
        return round(float(two["mono"]) - float(one["mono"]), 3)
    return round((end.at - start.at).total_seconds(), 3)


def _output(facts: Mapping[str, Any]) -> tuple[str, int]:
    """(SHA-256, bytes) of what the step printed; of what a person said, where it was a person's."""
    stream = (facts.get("streams") or {}).get("out")
    if isinstance(stream, Mapping) and stream.get("sha256"):
        return str(stream["sha256"]), int(stream.get("size") or 0)
    answer = {key: value for key, value in facts.items() if key not in _NOT_OUTPUT and value is not None}
    data = json.dumps(answer, sort_keys=True, ensure_ascii=True).encode("ascii")
    return hashlib.sha256(data).hexdigest(), len(data)


def _deviation(events: Sequence[Record]) -> str:
    told = []
    attempts = sum(entry.kind == "runbook.started" for entry in events)
    if attempts > 1:
        told.append(f"begun {attempts} times")
    for entry in events:
        facts, kind = said(entry.payload), entry.kind.removeprefix(_PREFIX)
        if kind == "finished" and facts.get("outcome") != "ok":
            told.append(f"{facts.get('outcome')}: {facts.get('message')}")
        elif kind == "finished" and facts.get("attached"):
            told.append("waited for by who took the run up again after its driver was gone")
        elif kind == "approved" and facts.get("break_glass"):
            told.append(f"by breaking the glass: {facts.get('note')}")
        elif kind in {"settled", "rejected", "expired"}:
            told.append(f"{kind}{' by ' + _name(facts) if _name(facts) else ''}")
    return "; ".join(told)


def _command(spec: Mapping[str, Any]) -> str:
    """What is done, as the page says it."""
    action = spec.get("action") or (spec.get("until") or {}).get("action") or {}
    words = (action.get("spec") or {}).get("argv")
    if words:
        return " ".join([*(["holdfast"] if action.get("name") == "holdfast" else []), *map(str, words)])
    given = action.get("spec") or {}
    return str(
        given.get("script") or given.get("query") or given.get("url") or spec.get("do") or spec.get("ask") or spec.get("kind")
    ).strip()


def _name(facts: Mapping[str, Any]) -> str:
    by = facts.get("by")
    return str(by.get("name") or "") if isinstance(by, Mapping) else str(by or "")


def _iso(moment: dt.datetime) -> str:
    return moment.astimezone(dt.UTC).isoformat(timespec="microseconds")
