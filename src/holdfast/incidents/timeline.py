"""What ran in an incident's time, and everything that happened to it, in one list. Reads the journals; writes nothing."""

import datetime as dt
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from holdfast.evidence.kinds import begins
from holdfast.incidents.record.log import Log
from holdfast.incidents.record.state import Incident
from holdfast.journal import Record, parse

_AT, _KIND = slice(7, 39), 123
"""Where the moment and the kind stand in a stored entry: canonical JSON begins with at, hash, kind, all of fixed length."""


@dataclass
class RunSeen:
    """A run that belongs to an incident. ``why``: linked, began in it, in its time. ``lost``: seconds of data, at the most, that what it
    brought back lacked when the incident began; None where the run does not say. ``outcome`` None: it has no end (yet).
    """

    run: str
    verb: str
    system: str | None
    chain: str
    started: dt.datetime
    why: str
    by: str = ""
    ended: dt.datetime | None = None
    outcome: str | None = None
    said: str = ""
    lost: float | None = None

    def document(self) -> dict[str, Any]:
        return {
            "run": self.run,
            "verb": self.verb,
            "system": self.system,
            "why": self.why,
            "by": self.by or None,
            "started_at": self.started,
            "ended_at": self.ended,
            "outcome": self.outcome,
            "said": self.said or None,
            "lost_at_most_seconds": self.lost,
        }


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the timeline. ``late``: it came too late to change the state."""

    at: dt.datetime
    who: str
    what: str
    text: str
    late: bool = False
    data: Mapping[str, Any] = field(default_factory=dict)

    def document(self) -> dict[str, Any]:
        return {"at": self.at, "by": self.who, "what": self.what, "text": self.text, "late": self.late}


def runs(one: Incident, log: Log) -> list[RunSeen]:
    """Those that were linked, that were begun inside it (``--incident``, HOLDFAST_INCIDENT), and those of affected systems in its time."""
    begin = _text(one.declared.at)
    end = _text(one.resolved.at) if one.resolved is not None else "9"
    found: dict[str, RunSeen] = {}
    mark = one.id.encode()
    linked = [run.encode() for run in one.runs]
    for path in log.files():
        for record in _entries(path, begin, end, mark, linked):
            _look(one, record, path.stem, found, begin, end)
    return sorted(found.values(), key=lambda run: (run.started, run.run))


def _entries(path: Path, begin: str, end: str, mark: bytes, linked: list[bytes]) -> Iterator[Record]:
    """Entries of runs in that time, or that name the incident or a linked run; the others are not even parsed."""
    low, high = begin.encode(), end.encode()
    with path.open("rb") as file:
        for line in file:
            kind = line[_KIND : line.find(b'"', _KIND)]
            if not kind.endswith((b".start", b".end", b".ended", b".begin")) or kind.startswith((b"incident.", b"journal.")):
                continue
            inside = low <= line[_AT]  # what began in it may end behind it
            if (
                (inside and (line[_AT] <= high or kind.endswith((b".end", b".ended"))))
                or mark in line
                or any(run in line for run in linked)
            ):
                try:
                    yield parse(line)
                except ValueError:
                    continue  # 'holdfast log' tells of it


def _look(one: Incident, record: Record, chain: str, found: dict[str, RunSeen], begin: str, end: str) -> None:
    payload = record.payload
    run = str(payload.get("run", ""))
    verb = record.kind.rpartition(".")[0]
    if begins(record.kind):
        data = payload.get("data") if isinstance(payload.get("data"), Mapping) else {}
        context: Mapping[str, Any] = payload.get("context") or {}
        named = one.id in (context.get("incident"), payload.get("incident"), (data or {}).get("incident"))
        system = payload.get("system")
        why = (
            "linked"
            if any(run.startswith(each) for each in one.runs)
            else "began in it"
            if named
            else "in its time"
            if system in one.affected and begin <= _text(record.at) <= end
            else ""
        )
        if why:
            by = str(context.get("by") or ((data or {}).get("by") or {}).get("name", ""))
            what = str((data or {}).get("snapshot", {}).get("name", "")) or None
            found[run] = RunSeen(run, verb, str(system) if system else what, chain, record.at, why, by)
    elif run in found and found[run].verb == verb:
        seen = found[run]
        inner = payload.get("data") if isinstance(payload.get("data"), Mapping) else payload
        seen.ended, seen.outcome = record.at, str((inner or {}).get("outcome", payload.get("outcome", "")))
        seen.said = str(payload.get("message") or payload.get("verdict") or "")
        if verb == "restore" and seen.outcome == "ok":
            seen.lost = _lost(one, payload)


def _lost(one: Incident, facts: Mapping[str, Any]) -> float | None:
    reached = facts.get("reached")
    if not isinstance(reached, Mapping):
        return None
    place = reached.get("place")
    moment = reached.get("time") or (place.get("time") if isinstance(place, Mapping) else None)
    try:
        newest = dt.datetime.fromisoformat(str(moment))
    except ValueError:
        return None
    if newest.tzinfo is None:
        return None
    return round(max((one.detected - newest).total_seconds(), 0.0), 3)


def outcome_of(run: str, log: Log) -> str | None:
    """How a run of any host ended: its verdict where it has one, else its outcome; None for one that is not known or has no end. An
    entry that is torn or was changed is passed over, and stands in the log's doubts.
    """
    needle, found = f'"run":"{run}"'.encode(), None
    for path in log.files():
        with path.open("rb") as file:
            for number, line in enumerate(file):
                if needle in line and line[_KIND : line.find(b'"', _KIND)].endswith((b".end", b".ended")):
                    try:
                        record = parse(line)
                    except ValueError as error:
                        log.doubt(path, number, error)
                        continue
                    data = record.payload.get("data")
                    facts = data if isinstance(data, Mapping) else record.payload
                    found = str(facts.get("verdict") or facts.get("outcome") or record.payload.get("outcome"))
    return found


def losses(seen: Iterable[RunSeen]) -> dict[str, float]:
    """By system, what the last restore that went well lacked."""
    return {run.system: run.lost for run in seen if run.system and run.lost is not None}


def timeline(one: Incident, seen: Iterable[RunSeen]) -> list[Line]:
    """Entries in their order; runs where they began and ended."""
    lines = [
        Line(event.at, event.by.name, event.kind, say(event.kind, event.data), event.name in one.ignored)
        for event in one.events
        if event.kind != "delivered" and event.name not in one.repeated
    ]
    of_runs: list[Line] = []
    for run in seen:
        what = f"{run.verb} {run.system or ''}".strip()
        at = [(run.started, "run", f"{what} began (run {run.run}, {run.why})")]
        if run.ended is not None:
            at.append((run.ended, "run", f"{what} ended: {run.outcome}{f', {run.said}' if run.said else ''} (run {run.run})"))
        of_runs += [Line(moment, run.by, kind, text) for moment, kind, text in at]
    # Before the first entry that is later; entries keep their order, which their clocks may not have.
    made: list[Line] = []
    behind = 0
    for line in sorted(of_runs, key=lambda line: line.at):
        while behind < len(lines) and lines[behind].at <= line.at:
            made.append(lines[behind])
            behind += 1
        made.append(line)
    return made + lines[behind:]


def say(kind: str, data: Mapping[str, Any]) -> str:
    """For people."""
    note = str(data.get("note") or data.get("why") or data.get("text") or "")
    known = _SAID.get(kind)
    if known is not None:
        return known(data)
    if kind == "note":
        return note
    return f"{kind}: {note}" if note else kind


def _declared(data: Mapping[str, Any]) -> str:
    drill = "drill " if data.get("drill") else ""
    about = f" ({', '.join(data['systems'])})" if data.get("systems") else ""
    asked = f"; asked to answer: {', '.join(data['page'])}" if data.get("page") else ""
    return f"{drill}declared {data.get('severity')}: {data.get('title')}{about}{asked}{_unreached(data)}"


def _unreached(data: Mapping[str, Any]) -> str:
    return f"; NOT REACHED, no channel: {', '.join(data['unreached'])}" if data.get("unreached") else ""


def _severity(data: Mapping[str, Any]) -> str:
    why = f": {data.get('why')}" if data.get("why") else ""
    return f"severity {data.get('to')}, was {data.get('from')}{why}"


def _systems(data: Mapping[str, Any]) -> str:
    parts = [f"{word} {', '.join(data[word])}" for word in ("add", "remove", "recovered") if data.get(word)]
    parts += [f"{name} lost {seconds:g} s of data" for name, seconds in data.get("lost", {}).items()]
    return "; ".join(parts)


def _updated(data: Mapping[str, Any]) -> str:
    public = f" (public: {data.get('public')})" if data.get("public") else ""
    return f"{data.get('state')}: {data.get('internal')}{public}"


def _escalated(data: Mapping[str, Any]) -> str:
    whom = "everybody" if data.get("last") else ", ".join(data.get("page", ()))
    return f"{data.get('reason')}: {whom} is told{_unreached(data)}"


def _action(data: Mapping[str, Any]) -> str:
    what = f"done: {data.get('evidence')}" if data.get("evidence") else str(data.get("text") or "changed")
    owner = f", {data.get('owner')}" if data.get("owner") else ""
    due = f", due {data.get('due')}" if data.get("due") else ""
    return f"action {data.get('action')}: {what}{owner}{due}"


def _closed(data: Mapping[str, Any]) -> str:
    why = f": {data.get('why')}" if data.get("why") else ""
    return f"closed: {data.get('outcome', 'learnt')}{why}"


_SAID: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    "declared": _declared,
    "severity": _severity,
    "systems": _systems,
    "updated": _updated,
    "escalated": _escalated,
    "action": _action,
    "closed": _closed,
    "assigned": lambda data: f"{data.get('role')} is {data.get('person') or 'nobody any more'}",
    "referred": lambda data: "; ".join(f"{name}: {value}" for name, value in data.get("references", {}).items()),
    "linked": lambda data: f"run {data.get('run')} {data.get('what') or ''}".rstrip(),
    "written": lambda data: f"post-mortem: {', '.join(data.get('sections', {}))}",
    "finished": lambda _: "the post-mortem is finished",
    "seen": lambda _: "met again",
    "undelivered": lambda data: f"a message to {data.get('channel')} was not delivered: {data.get('error') or data.get('state')}",
    "reminded": lambda data: f"reminded: {data.get('what')}",
}


def _text(moment: dt.datetime) -> str:
    return moment.astimezone(dt.UTC).isoformat(timespec="microseconds")
