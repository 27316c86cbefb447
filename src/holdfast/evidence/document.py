"""The report of one run, out of what the journal says of it: pure. Every figure comes from an entry, or is null and says why."""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from holdfast.evidence.drilled import PHASES
from holdfast.evidence.empty import reasons
from holdfast.evidence.kinds import begins, ends
from holdfast.evidence.procedure import steps_of
from holdfast.evidence.signing import EVIDENCE
from holdfast.evidence.verifier import clock_findings, said
from holdfast.journal import Record

KINDS = {
    "verify": "restore into isolation",
    "spot-check": "restore by hand, of a part drawn at random",
    "restore": "restore",
    "vault-check": "structure of the vault",
    "backup": "backup",
    "when": "search of history",
    "open": "isolated copy",
    "copy": "copy between locations",
    "prune": "retention",
    "handover": "hand over",
}
GOOD = ("ok", "done", "completed")
"""Outcomes of a run that did what it was to do."""

_OWN = frozenset({"run", "system", "context", "clock", "results", "outcome", "seconds", "data", "snapshot", "by", "n", "at"})
_BESIDE = frozenset({"scenario", "objectives", "criteria", "exclusions", "participants", "systems", "test_kind"})
"""What a drill begins with stands in fields of its own."""
DAYS = 30
"""Until when what a run found by itself is to be dealt with, where nobody says otherwise."""
_NOT_FACTS = frozenset({"run", "context", "clock", "results", "data", "snapshot", "n", "at"})


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
    if not own or own[0] is not extract[0] or not begins(own[0].kind):
        raise ValueError(f"the extract does not begin with the run {run}")
    start = own[0]
    verb = start.kind.rpartition(".")[0]
    end = next((entry for entry in own if ends(entry.kind, verb)), None)
    ended: Mapping[str, Any] = said(end.payload) if end else {}
    asked = said(start.payload)
    context: Mapping[str, Any] = start.payload.get("context") or {}
    promise: Mapping[str, Any] = context.get("promise") or {}
    clocks = _clocks(extract, start, end)
    results = _results(start, end, ended, promise, asked)
    runs = [run, *map(str, ended.get("runs") or ())]
    results["steps"] = _steps(extract, runs, ended)
    results["systems"] = list(ended.get("returned") or ())
    findings = _findings(results, clocks, context, ended, end or start)
    evidence: dict[str, Any] = {
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
            "kind": str(ended.get("test_kind") or asked.get("test_kind") or KINDS.get(verb, verb)),
            "trigger": context.get("trigger"),
            "scenario": asked.get("scenario"),
            "asked": {key: value for key, value in asked.items() if key not in _OWN | _BESIDE and value is not None},
            "objectives": dict(asked.get("objectives") or promise),
            "criteria": list(asked.get("criteria") or context.get("checks") or []),
        },
        "scope": {
            "plan": context.get("plan"),
            "runbook": next((found for one in runs if (found := _runbook(_begun(extract, one)))), None),
            "systems": [asked["system"]] if asked.get("system") else list(asked.get("systems") or []),
            "exclusions": [
                *(asked.get("exclusions") or ()),
                *({"name": one["name"], "reason": one["detail"]} for one in ended.get("results") or [] if one["state"] == "skipped"),
            ],
            "environment": {
                "host": facts.host["name"],
                "isolation": ended.get("isolation"),
                "proof": list(ended.get("isolation_proof") or ()),
                "torn_down": ended.get("torn_down"),
            },
        },
        "people": [*_people(own, context), *_took_part(asked, ended)],
        "backup": dict(facts.backup) if facts.backup else None,
        "steps": [_step(entry) for entry in own],
        "results": results,
        "history": dict(facts.history),
        "closure": {
            "incident": ended.get("incident"),
            "findings": findings,
            "retest": ended.get("retest") or _retest(findings, asked),
            "sign_off": ended.get("sign_off"),
        },
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
    evidence["closure"]["empty"] = reasons(evidence, ended.get("absent") or {})
    return evidence


def _steps(extract: Sequence[Record], runs: Sequence[str], ended: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What a drill says of its own steps, and those of the runbooks that belong to the run; its own that began after the runbooks' last
    one, behind them.
    """
    own = [{name: None if value == "" else value for name, value in one.items()} for one in ended.get("steps") or ()]
    phases: Mapping[str, str] = ended.get("phases") or {}
    followed = [step for run in runs for step in steps_of(extract, run)]
    last = max((step["start"] for step in followed if step["start"]), default=None)
    after = [one for one in own if last is not None and one.get("start") and one["start"] > last]
    before = [one for one in own if one not in after]
    return [*before, *({**step, "phase": phases.get(step["step"])} for step in followed), *after]


def _begun(extract: Sequence[Record], run: str) -> Mapping[str, Any]:
    """What a run that belongs to this one began with."""
    return next((said(entry.payload) for entry in extract if entry.payload.get("run") == run and begins(entry.kind)), {})


def _took_part(asked: Mapping[str, Any], ended: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Who did something in a drill, and those of its participants who did nothing."""
    found = [dict(one) for one in ended.get("people") or ()]
    acted = {one.get("name") for one in found}
    return [*found, *({**one, "did": "was there"} for one in asked.get("participants") or () if one.get("name") not in acted)]


def _step(entry: Record) -> dict[str, Any]:
    facts = {key: value for key, value in said(entry.payload).items() if key not in _NOT_FACTS}
    return {"entry": entry.n, "kind": entry.kind, "at": _iso(entry.at), "by": _name(facts.get("by")) or "holdfast", "facts": facts}


def _name(by: Any) -> str:
    """Of whoever did something: a name, or a person with one."""
    return str(by.get("name") or "") if isinstance(by, Mapping) else str(by or "")


def _people(own: Sequence[Record], context: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The account that began the run, and everybody who is named by what happened in it."""
    found = [{"role": "started it", "name": context["by"], "at": _iso(own[0].at)}] if context.get("by") else []
    named = [(entry, _name(said(entry.payload).get("by"))) for entry in own]
    return [*found, *({"role": entry.kind.rpartition(".")[2], "name": name, "at": _iso(entry.at)} for entry, name in named if name)]


def _runbook(asked: Mapping[str, Any]) -> dict[str, Any] | None:
    """Name, version and hash of the snapshot that a runbook's run keeps."""
    snapshot = asked.get("snapshot")
    if not isinstance(snapshot, Mapping):
        return None
    digest = str(asked.get("hash") or "")
    # A page without a number of its own is known by its hash.
    version = snapshot.get("version") or digest.removeprefix("sha256:")[:12]
    return {"name": snapshot.get("name"), "title": snapshot.get("title"), "version": version, "hash": digest}


def _results(
    start: Record, end: Record | None, ended: Mapping[str, Any], promise: Mapping[str, Any], asked: Mapping[str, Any]
) -> dict[str, Any]:
    checks = list(ended.get("results") or [])
    objectives: Mapping[str, Any] = asked.get("objectives") or {}
    loss = _strictest(objectives, "rpo", None)
    promised = promise.get("rpo") or {} if loss is None else {"objective": loss}
    return {
        "outcome": ended["outcome"] if end else "lost",
        "message": ended.get("message"),
        "verdict": ended.get("verdict"),
        "seconds": ended.get("seconds"),
        "rto": _nearest("rto", _rto(ended, _strictest(objectives, "rto", promise.get("rto"))), ended, objectives),
        "rpo": _nearest("rpo", _kept(_rpo(start, ended, promised)), ended, objectives),
        "checks": checks,
        "counts": {state: sum(1 for one in checks if one.get("state") == state) for state in ("passed", "failed", "skipped")},
        "reached": ended.get("reached"),
        "reconciliation": ended.get("flows"),
        "teardown": ended.get("teardown") or ended.get("torn_down"),
        "transactions_lost": ended.get("transactions_lost"),
    }


def _strictest(objectives: Mapping[str, Any], name: str, otherwise: float | None) -> float | None:
    """Of a rehearsal: what it says for the whole, else the smallest of what it says for its systems."""
    whole = objectives.get(name)
    if isinstance(whole, int | float):
        return float(whole)
    each = [one[name] for one in objectives.values() if isinstance(one, Mapping) and isinstance(one.get(name), int | float)]
    return min(map(float, each), default=otherwise)


def _nearest(name: str, whole: dict[str, Any], ended: Mapping[str, Any], objectives: Mapping[str, Any]) -> dict[str, Any]:
    """``whole``, or of a rehearsal that has a promise for each system and none for all of them: the system that missed its own by most, or
    kept it with the least to spare. One system's time against another's promise would say what no check says.
    """
    mine = [one for one in ended.get("returned") or () if one.get(f"{name}_promised") is not None]
    if not mine or isinstance(objectives.get(name), int | float):
        return whole
    chosen = next((one for one in mine if one.get(f"{name}_measured") is None), None) or max(
        mine, key=lambda one: float(one[f"{name}_measured"]) - float(one[f"{name}_promised"])
    )
    promised, measured = float(chosen[f"{name}_promised"]), chosen.get(f"{name}_measured")
    # What was to come back, and did not, kept nothing.
    kept = measured <= promised if measured is not None else False if ended.get("outcome") == "failed" else None
    found = {**whole, "system": chosen["system"], "kept": kept}
    counted = chosen.get("counted") if name == "rpo" else whole["counted"]
    found["counted"] = f"{counted}; of {chosen['system']}, which of {len(mine)} systems had the least to spare" if mine[1:] else counted
    if name == "rto":
        return {**found, "promised_seconds": promised, "measured_seconds": measured}
    # What was committed last is told of one system alone.
    newest = chosen.get("newest_recovered")
    committed = whole.get("newest_committed") if whole.get("newest_recovered") == newest else None
    return {
        **found,
        "promised_seconds": {"objective": promised},
        "lost_seconds": measured,
        "newest_recovered": newest,
        "newest_committed": committed,
    }


def _rto(ended: Mapping[str, Any], promised: float | None) -> dict[str, Any]:
    clocks: Mapping[str, float] = ended.get("clocks") or {}
    # Where a disaster was declared, only what came back has a total: the sum of what was done until it failed is no time of recovery.
    rehearsed = "declare" in clocks or "detect" in clocks
    measured = clocks.get("total") or (None if rehearsed else sum(clocks.get(name, 0.0) for name in PHASES) or None)
    return {
        "promised_seconds": promised,
        "measured_seconds": None if measured is None else round(measured, 3),
        "kept": None if promised is None or measured is None else measured <= promised,
        "phases": [{"name": name, "seconds": round(clocks[name], 3) if name in clocks else None} for name in PHASES],
        "other": {name: round(seconds, 3) for name, seconds in clocks.items() if name not in PHASES and name != "total"},
        "counted": "from the declaration until what came back served again; 'detect' and 'declare' lie before it"
        if "declare" in clocks
        else "from the beginning of the restore to the last check; a phase without seconds was not part of this run",
    }


def _rpo(start: Record, ended: Mapping[str, Any], promised: Mapping[str, float]) -> dict[str, Any]:
    """In recovered data: the newest commit that came back against the moment at which the run began; nothing lost where the content was
    compared with a source that stood still, and was equal.
    """
    if ended.get("rpo"):
        return {"promised_seconds": dict(promised), "asked_at": _iso(start.at), "at_most": False, **ended["rpo"]}
    reached: Mapping[str, Any] = ended.get("reached") or {}
    newest = reached.get("time") or (reached.get("place") or {}).get("time")
    found: dict[str, Any] = {"promised_seconds": dict(promised), "asked_at": _iso(start.at), "newest_recovered": newest}
    equal = ended.get("exact") and ended.get("verdict") == "passed"
    try:
        lost = (start.at - dt.datetime.fromisoformat(str(newest))).total_seconds() if newest else None
    except (ValueError, TypeError):
        lost = None
    if equal:
        compared = any(one.get("kind") == "compare" and one.get("state") == "passed" for one in ended.get("results") or [])
        how = "content compared with the source at the same coordinate: equal" if compared else "recovered to where the source stood still"
        return {**found, "lost_seconds": 0.0, "at_most": False, "counted": how}
    if (ended.get("until") or {}).get("kind") != "latest":
        return {**found, "lost_seconds": None, "at_most": False, "counted": "not measured: the newest moment was not what was asked for"}
    if lost is None or ended.get("outcome") != "ok":
        return {**found, "lost_seconds": None, "at_most": False, "counted": "not measured: the run does not say what its newest data is"}
    return {
        **found,
        "lost_seconds": round(max(lost, 0.0), 3),
        "at_most": True,
        "counted": "from the newest recovered commit to the beginning of the run; a source that was idle in between lost less",
    }


def _kept(rpo: dict[str, Any]) -> dict[str, Any]:
    """An upper bound above the promise says nothing."""
    promised, lost = min(rpo["promised_seconds"].values(), default=None), rpo.get("lost_seconds")
    if promised is None or lost is None or (lost > promised and rpo["at_most"]):
        return {**rpo, "kept": None}
    return {**rpo, "kept": lost <= promised}


def _clocks(extract: Sequence[Record], start: Record, end: Record | None) -> dict[str, Any]:
    wall = None if end is None else round((end.at - start.at).total_seconds(), 6)
    one, two = start.payload.get("clock") or {}, (end.payload.get("clock") or {}) if end else {}
    steady = round(two["mono"] - one["mono"], 6) if one and two and one["boot"] == two["boot"] else None
    findings = clock_findings(
        [{"n": entry.n, "at": entry.at.isoformat(timespec="microseconds"), "payload": entry.payload} for entry in extract]
    )
    return {"wall_seconds": wall, "monotonic_seconds": steady, "findings": findings}


def _findings(
    results: Mapping[str, Any], clocks: Mapping[str, Any], context: Mapping[str, Any], ended: Mapping[str, Any], end: Record
) -> list[dict[str, Any]]:
    """What the run itself says it found, else what its results show; and what its clocks show."""
    own = [dict(one) for one in ended.get("findings") or ()]
    texts = [] if own else _shown(results)
    texts += [f"{one['finding']} by {abs(one['seconds'])} s at journal entry {one['entry']}" for one in clocks["findings"]]
    due = (end.at.astimezone(dt.UTC).date() + dt.timedelta(days=DAYS)).isoformat()
    owner = context.get("owner") or context.get("by")
    return [*own, *({"finding": text, "owner": owner, "due": due, "closed_by": None} for text in texts)]


def _shown(results: Mapping[str, Any]) -> list[str]:
    texts = [f"check failed: {one['name']}" for one in results["checks"] if one.get("state") == "failed"]
    if results["outcome"] not in {*GOOD, "cancelled"}:
        texts.append(f"the run {results['outcome']}: {results['message'] or 'no reason was recorded'}")
    if results["verdict"] == "inconclusive":
        texts.append("nothing was proved: no check passed")
    if results["rto"]["kept"] is False:
        texts.append(f"RTO missed: {results['rto']['measured_seconds']} s, promised {results['rto']['promised_seconds']} s")
    return texts


def _retest(findings: Sequence[Mapping[str, Any]], asked: Mapping[str, Any]) -> dict[str, Any] | None:
    """What would show that the findings are dealt with."""
    if not findings:
        return None
    name = asked.get("system") or ""
    return {"by": f"holdfast verify {name}".strip(), "due": min(str(one["due"]) for one in findings), "why": "it closes what was found"}


def _iso(moment: dt.datetime) -> str:
    return moment.astimezone(dt.UTC).isoformat(timespec="microseconds")
