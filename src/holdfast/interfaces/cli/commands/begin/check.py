"""``holdfast check``.

JSON: ``{"state", "protected": bool, "locations": [{"location", "url", "state", "detail", "hint", "protection": [{"code", "state",
"detail", "hint"}], "lock": {"days", "keep_days", "idle_days", "bytes", "month"} | null}], "systems": [{"system", "kind", "state",
"probes": [{"name", "state", "detail", "hint"}]}], "channels": [{"channel", "kind", "state", "detail", "hint"}], "schedule": {"state",
"last_run", "host", "usual_seconds", "limit_seconds", "late", "detail", "hint"}}``; states are ok, warn, fail; ``protected``: some location
withstands whoever has this host's rights; ``schedule``: of 'due --run'. Exit status 1 for a fail, 3 when something was not reached.
"""

import datetime as dt
from typing import TYPE_CHECKING, Any

from holdfast.errors import HoldfastError, Unreachable
from holdfast.interfaces.cli.context import Session
from holdfast.interfaces.cli.grammar.command import Systems
from holdfast.interfaces.cli.terminal.tables import Cell

if TYPE_CHECKING:
    from holdfast.plan import Location
    from holdfast.vault import Vault

_WORST = ("ok", "warn", "fail")
_PROTECTS = ("locked", "append-only", "folder-foreign")


def command(session: Session, systems: Systems = ()) -> int:
    """Connect to everything in the plan and say what works, what does not, what a restore would lose, and what to do.

    Changes nothing, except that each location gets and loses a small probe object. Channels are asked without telling anybody anything,
    when no system is named.
    """
    names = session.select(systems)
    unreached = False
    locations: list[dict[str, Any]] = []
    with session.progress() as progress:
        progress.phase("check", len(session.plan.document.vault.locations) + len(names), "things")
        for place in session.plan.document.vault.locations:
            found: dict[str, Any] = {
                "location": place.name,
                "url": place.url,
                "state": "ok",
                "detail": "reached; puts are durable and never overwrite",
                "hint": "",
                "protection": [],
                "lock": None,
            }
            try:
                if not session.platform.probe_location(place):
                    found["detail"] += "; these credentials may not delete, so prune with others"
                _protection(session, place, found)
            except HoldfastError as error:
                unreached = unreached or isinstance(error, Unreachable)
                found |= {"state": "fail", "detail": error.message, "hint": error.hint}
            locations.append(found)
            progress.advance(1)
        try:
            vault = session.platform.vault()
            for place, found in zip(session.plan.document.vault.locations, locations, strict=False):
                found["lock"] = _lock(session, place, vault, found)
        except HoldfastError as error:
            if not any(one["state"] == "fail" for one in locations):
                locations.append({"location": "vault", "url": "", "state": "fail", "detail": error.message, "hint": error.hint})
        checked: list[dict[str, Any]] = []
        for name in names:
            try:
                probes = [
                    {"name": one.name, "state": one.state, "detail": one.detail, "hint": one.hint}
                    for one in session.platform.system(name).probe()
                ]
            except HoldfastError as error:
                unreached = unreached or isinstance(error, Unreachable)
                probes = [{"name": error.code, "state": "fail", "detail": error.message, "hint": error.hint}]
            unreached = unreached or any(one["state"] == "fail" and one["name"].split()[0] in ("member", "members") for one in probes)
            state = max((one["state"] for one in probes), key=_WORST.index, default="ok")
            checked.append({"system": name, "kind": session.plan.effective(name).kind, "state": state, "probes": probes})
            progress.advance(1)
    channels = [] if systems else _channels(session)
    unreached = unreached or any(one["state"] == "fail" for one in channels)
    schedule = _schedule(session)
    worst = max((one["state"] for one in (*locations, *checked, *channels, schedule)), key=_WORST.index, default="ok")
    protected = any(one["state"] == "ok" and one["code"] in _PROTECTS for place in locations for one in place.get("protection", ()))
    document = {
        "state": worst,
        "protected": protected,
        "locations": locations,
        "systems": checked,
        "channels": channels,
        "schedule": schedule,
    }
    session.out.result(document, lambda: _show(session, document))
    return 0 if worst != "fail" else 3 if unreached else 1


def _channels(session: Session) -> list[dict[str, Any]]:
    """Whether each channel of the plan answers and takes our credentials."""
    found = []
    for name, part in session.plan.document.channels.items():
        one = {"channel": name, "kind": part.kind, "state": "ok", "hint": ""}
        try:
            one["detail"] = session.platform.channels.open(name).check()
        except HoldfastError as error:
            one |= {"state": "fail", "detail": error.message, "hint": error.hint}
        found.append(one)
    return found


def _schedule(session: Session) -> dict[str, Any]:
    """Whether 'due --run' keeps its rhythm: without it nobody is paged."""
    from holdfast.interfaces.cli.commands.incident.schedule import Schedule, unkept

    found = Schedule(session).rhythm()
    said = unkept(found, session.clock.now())
    hint = "Let cron or a timer run it every few minutes: see docs/guide-incidents.md." if said else ""
    return {"state": "warn" if said else "ok", **found, "detail": said or "'holdfast due --run' keeps its rhythm", "hint": hint}


def _protection(session: Session, place: "Location", found: dict[str, Any]) -> None:
    """What protects the location: a lock that does not hold is a failure of it, a location without one is warned of."""
    said = session.platform.protection(place)
    found["protection"] = [{"code": one.code, "state": one.state, "detail": one.detail, "hint": one.hint} for one in said]
    found["state"] = max((one.state for one in said), key=_WORST.index, default="ok")


def _lock(session: Session, place: "Location", vault: "Vault", found: dict[str, Any]) -> dict[str, Any] | None:
    priced = session.platform.lock_price(place, vault)
    if priced is None:
        return None
    for state, sentence in (("ok", priced.costs), ("warn", priced.leaves_open)):
        if sentence:
            found["protection"].append({"code": "lock-length", "state": state, "detail": sentence, "hint": ""})
    day = dt.timedelta(days=1)
    return {
        "days": round(priced.lock / day, 2),
        "keep_days": round(priced.keep / day, 2),
        "idle_days": round(priced.idle / day, 2),
        "bytes": priced.bytes,
        "month": None if priced.month is None else round(priced.month, 2),
    }


def _show(session: Session, document: dict[str, Any]) -> None:
    rows = [(Cell(one["state"], one["state"]), one["location"], one["url"], one["detail"]) for one in document["locations"]]
    session.out.table(("state", "location", "address", "what"), rows)
    rows = [
        (Cell(one["state"], one["state"]), place["location"], one["detail"], one["hint"])
        for place in document["locations"]
        for one in place.get("protection", ())
    ]
    if rows:
        session.out.table(("state", "location", "protection", "what to do"), rows)
    if not document["protected"]:
        session.out.say("No location withstands an attacker who has this host's rights: see docs/guide-immutable.md.")
    schedule = document["schedule"]
    session.out.table(
        ("state", "schedule", "what to do"), [(Cell(schedule["state"], schedule["state"]), schedule["detail"], schedule["hint"])]
    )
    reached = [(Cell(one["state"], one["state"]), one["channel"], one["kind"], one["detail"], one["hint"]) for one in document["channels"]]
    if reached:
        session.out.table(("state", "channel", "kind", "found", "what to do"), reached)
    for system in document["systems"]:
        session.out.say()
        rows = [(Cell(one["state"], one["state"]), one["name"], one["detail"], one["hint"]) for one in system["probes"]]
        session.out.table(("state", "what", "found", "what to do"), rows, title=f"{system['system']} ({system['kind']})")
