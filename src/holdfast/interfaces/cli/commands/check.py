"""``holdfast check``.

JSON: ``{"state", "locations": [{"location", "url", "state", "detail", "hint"}], "systems": [{"system", "kind", "state", "probes": [{"name",
"state", "detail", "hint"}]}]}``; states are ok, warn, fail. Exit status 1 for a fail, 3 when something was not reached.
"""

from typing import Any

from holdfast.errors import HoldfastError, Unreachable
from holdfast.interfaces.cli.command import Systems
from holdfast.interfaces.cli.context import Session
from holdfast.interfaces.cli.tables import Cell

_WORST = ("ok", "warn", "fail")


def command(session: Session, systems: Systems = ()) -> int:
    """Connect to everything in the plan and say what works, what does not, what a restore would lose, and what to do.

    Changes nothing, except that each location gets and loses a small probe object.
    """
    names = session.select(systems)
    unreached = False
    locations: list[dict[str, Any]] = []
    with session.progress() as progress:
        progress.phase("check", len(session.plan.document.vault.locations) + len(names), "things")
        for place in session.plan.document.vault.locations:
            found = {
                "location": place.name,
                "url": place.url,
                "state": "ok",
                "detail": "reached; puts are durable and never overwrite",
                "hint": "",
            }
            try:
                session.platform.probe_location(place)
            except HoldfastError as error:
                unreached = unreached or isinstance(error, Unreachable)
                found |= {"state": "fail", "detail": error.message, "hint": error.hint}
            locations.append(found)
            progress.advance(1)
        try:
            session.platform.vault()
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
    worst = max((one["state"] for one in (*locations, *checked)), key=_WORST.index, default="ok")
    document = {"state": worst, "locations": locations, "systems": checked}
    session.out.result(document, lambda: _show(session, document))
    return 0 if worst != "fail" else 3 if unreached else 1


def _show(session: Session, document: dict[str, Any]) -> None:
    rows = [(Cell(one["state"], one["state"]), one["location"], one["url"], one["detail"]) for one in document["locations"]]
    session.out.table(("state", "location", "address", "what"), rows)
    for system in document["systems"]:
        session.out.say()
        rows = [(Cell(one["state"], one["state"]), one["name"], one["detail"], one["hint"]) for one in system["probes"]]
        session.out.table(("state", "what", "found", "what to do"), rows, title=f"{system['system']} ({system['kind']})")
