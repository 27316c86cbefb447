"""The report of one run, out of what the journal says of it: pure. Every figure comes from an entry, or is null and says why."""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from holdfast.evidence.signing import EVIDENCE
from holdfast.evidence.verifier import clock_findings
from holdfast.journal import Record

PHASES = ("detect", "declare", "decide", "wait", "prepare", "restore", "replay", "validate", "accept")
"""The way back, in order. The first four need a disaster that somebody declared."""

KINDS = {
    "verify": "restore into isolation",
    "restore": "restore",
    "vault-check": "structure of the vault",
    "backup": "backup",
    "when": "search of history",
    "open": "isolated copy",
    "copy": "copy between locations",
    "prune": "retention",
    "handover": "hand over",
}
PROVING = frozenset({"verify", "restore", "vault-check", "when", "runbook", "drill"})
"""Verbs whose end is evidence by itself; of all others a report is made when somebody asks."""

_OWN = frozenset({"run", "system", "context", "clock", "results", "outcome", "seconds"})


@dataclass(frozen=True, slots=True)
class Facts:
    """What a report says besides the run. ``backup``: the recovery point, JSON-ready, None where the run was about none. ``history``: how
    the promise was kept so far.
    """

    vault: str
    platform: str
    host: Mapping[str, Any]
    signer: Mapping[str, Any]
    anchor: Mapping[str, Any] | None
    issued: Mapping[str, Any]
    backup: Mapping[str, Any] | None = None
    history: Mapping[str, Any] = field(default_factory=dict)


def build(run: str, chain: str, extract: Sequence[Record], number: int, previous: str, facts: Facts) -> dict[str, Any]:
    """``extract``: the chain's entries from the run's start to the anchored head, without a gap.

    Raises ValueError when the extract does not begin with the run.
    """
    own = [entry for entry in extract if entry.payload.get("run") == run]
    if not own or own[0] is not extract[0] or not own[0].kind.endswith(".start"):
        raise ValueError(f"the extract does not begin with the run {run}")
    start = own[0]
    verb = start.kind.removesuffix(".start")
    end = next((entry for entry in own if entry.kind == f"{verb}.end"), None)
    said: Mapping[str, Any] = end.payload if end else {}
    context: Mapping[str, Any] = start.payload.get("context") or {}
    promise: Mapping[str, Any] = context.get("promise") or {}
    clocks = _clocks(extract, start, end)
    results = _results(start, end, said, promise)
    return {
        "format": EVIDENCE,
        "number": number,
        "previous": previous,
        "issued": dict(facts.issued),
        "host": dict(facts.host),
        "vault": facts.vault,
        "platform": facts.platform,
        "test": {
            "id": run,
            "verb": verb,
            "kind": str(said.get("test_kind") or KINDS.get(verb, verb)),
            "trigger": context.get("trigger"),
            "scenario": start.payload.get("scenario"),
            "asked": {key: value for key, value in start.payload.items() if key not in _OWN and value is not None},
            "objectives": dict(promise),
            "criteria": list(context.get("checks") or []),
        },
        "scope": {
            "plan": context.get("plan"),
            "runbook": start.payload.get("runbook"),
            "systems": [start.payload["system"]] if start.payload.get("system") else list(start.payload.get("systems") or []),
            "exclusions": [
                {"name": one["name"], "reason": one["detail"]} for one in said.get("results") or [] if one["state"] == "skipped"
            ],
            "environment": {"host": facts.host["name"], "isolation": said.get("isolation"), "torn_down": said.get("torn_down")},
        },
        "people": [{"role": "started it", "name": context["by"], "at": _iso(start.at)}] if context.get("by") else [],
        "backup": dict(facts.backup) if facts.backup else None,
        "steps": [_step(entry) for entry in own],
        "results": results,
        "history": dict(facts.history),
        "closure": {"findings": _findings(results, clocks, context), "retest": None, "sign_off": None},
        "clocks": clocks,
        "journal": {
            "chain": chain,
            "from": extract[0].n,
            "to": extract[-1].n,
            "lines": [entry.line.decode("ascii") for entry in extract],
        },
        "anchor": facts.anchor,
        "signer": dict(facts.signer),
    }


def _step(entry: Record) -> dict[str, Any]:
    facts = {key: value for key, value in entry.payload.items() if key not in {"run", "context", "clock", "results"}}
    return {"entry": entry.n, "kind": entry.kind, "at": _iso(entry.at), "by": str(entry.payload.get("by") or "holdfast"), "facts": facts}


def _results(start: Record, end: Record | None, said: Mapping[str, Any], promise: Mapping[str, Any]) -> dict[str, Any]:
    checks = list(said.get("results") or [])
    return {
        "outcome": said["outcome"] if end else "lost",
        "message": said.get("message"),
        "verdict": said.get("verdict"),
        "seconds": said.get("seconds"),
        "rto": _rto(said, promise.get("rto")),
        "rpo": _rpo(start, said, promise.get("rpo") or {}),
        "checks": checks,
        "counts": {state: sum(1 for one in checks if one.get("state") == state) for state in ("passed", "failed", "skipped")},
        "reached": said.get("reached"),
        "reconciliation": said.get("flows"),
        "teardown": said.get("torn_down"),
        "transactions_lost": said.get("transactions_lost"),
    }


def _rto(said: Mapping[str, Any], promised: float | None) -> dict[str, Any]:
    clocks: Mapping[str, float] = said.get("clocks") or {}
    measured = clocks.get("total") or (sum(clocks.get(name, 0.0) for name in PHASES) or None)
    return {
        "promised_seconds": promised,
        "measured_seconds": None if measured is None else round(measured, 3),
        "kept": None if promised is None or measured is None else measured <= promised,
        "phases": [{"name": name, "seconds": round(clocks[name], 3) if name in clocks else None} for name in PHASES],
        "other": {name: round(seconds, 3) for name, seconds in clocks.items() if name not in PHASES and name != "total"},
        "counted": "from the beginning of the restore to the last check; a phase without seconds was not part of this run",
    }


def _rpo(start: Record, said: Mapping[str, Any], promised: Mapping[str, float]) -> dict[str, Any]:
    """In recovered data: the newest commit that came back against the moment at which the run began; nothing lost where the content was
    compared with a source that stood still, and was equal.
    """
    reached: Mapping[str, Any] = said.get("reached") or {}
    newest = reached.get("time") or (reached.get("place") or {}).get("time")
    found: dict[str, Any] = {"promised_seconds": dict(promised), "asked_at": _iso(start.at), "newest_recovered": newest}
    equal = said.get("exact") and said.get("verdict") == "passed"
    try:
        lost = (start.at - dt.datetime.fromisoformat(str(newest))).total_seconds() if newest else None
    except (ValueError, TypeError):
        lost = None
    if equal:
        return {**found, "lost_seconds": 0.0, "at_most": False, "counted": "content compared with the source at the same coordinate: equal"}
    if lost is None or said.get("outcome") != "ok":
        return {**found, "lost_seconds": None, "at_most": False, "counted": "not measured: the run does not say what its newest data is"}
    return {
        **found,
        "lost_seconds": round(max(lost, 0.0), 3),
        "at_most": True,
        "counted": "from the newest recovered commit to the beginning of the run; a source that was idle in between lost less",
    }


def _clocks(extract: Sequence[Record], start: Record, end: Record | None) -> dict[str, Any]:
    wall = None if end is None else round((end.at - start.at).total_seconds(), 6)
    one, two = start.payload.get("clock") or {}, (end.payload.get("clock") or {}) if end else {}
    steady = round(two["mono"] - one["mono"], 6) if one and two and one["boot"] == two["boot"] else None
    findings = clock_findings(
        [{"n": entry.n, "at": entry.at.isoformat(timespec="microseconds"), "payload": entry.payload} for entry in extract]
    )
    return {"wall_seconds": wall, "monotonic_seconds": steady, "findings": findings}


def _findings(results: Mapping[str, Any], clocks: Mapping[str, Any], context: Mapping[str, Any]) -> list[dict[str, Any]]:
    texts = [f"check failed: {one['name']}" for one in results["checks"] if one.get("state") == "failed"]
    if results["outcome"] not in {"ok", "cancelled"}:
        texts.append(f"the run {results['outcome']}: {results['message'] or 'no reason was recorded'}")
    if results["verdict"] == "inconclusive":
        texts.append("nothing was proved: no check passed")
    if results["rto"]["kept"] is False:
        texts.append(f"RTO missed: {results['rto']['measured_seconds']} s, promised {results['rto']['promised_seconds']} s")
    texts += [f"{one['finding']} by {abs(one['seconds'])} s at journal entry {one['entry']}" for one in clocks["findings"]]
    return [{"finding": text, "owner": context.get("owner"), "due": None, "closed_by": None} for text in texts]


def _iso(moment: dt.datetime) -> str:
    return moment.astimezone(dt.UTC).isoformat(timespec="microseconds")
