"""``holdfast follow``: JSON, when it ends: ``{"systems": [{"system", "outcome", "branch", "durable", "bytes", "error"}]}``.

``outcome`` is stopped or failed.
"""

import contextlib
from typing import TYPE_CHECKING, Annotated, Any

from holdfast.errors import HoldfastError
from holdfast.interfaces.cli.context import Session
from holdfast.interfaces.cli.grammar.command import Option, Systems

if TYPE_CHECKING:
    from holdfast.protection.following import Resident

PATIENCE = 60.0
"""Seconds that stopping waits for what was received to become durable."""


def command(
    session: Session,
    systems: Systems = (),
    *,
    after_gap: Annotated[bool, Option("go on behind log that is gone from the server; take a new backup then")] = False,
) -> int:
    """Keep shipping logs into the vault until stopped (Ctrl-C or SIGTERM).

    Only what is durable in the locations of the tier is acknowledged to the server. Without a name, every system whose plan says
    continuous. Answers 'holdfast wal push' and 'wal get' meanwhile.
    """
    from holdfast.protection.following import Resident, stop_all, wait

    plan, platform = session.plan, session.platform
    names = session.select(systems)
    if not systems:
        names = tuple(name for name in names if plan.effective(name).available and plan.effective(name).continuous)
    residents: list[Resident] = []
    session.kept = "Everything received is durable. Go on with: holdfast follow"
    with contextlib.ExitStack() as stack:
        for name in names:
            storages = platform.vault(name).locations.storages
            places = {place.name: storage.url for place, storage in zip(platform.locations(name), storages, strict=True)}

            def make(heard: Any, name: str = name) -> Any:
                return platform.follower(name, heard, after_gap=after_gap)

            resident = Resident(name, make, places, platform.state, platform.journal, session.clock)
            resident.changed = lambda one, status: _tell(session, one, status)
            stack.enter_context(platform.wal_server(name, resident.follower))  # type: ignore[arg-type]
            residents.append(resident)
        if not residents:
            session.out.result({"systems": []}, lambda: session.out.say("No system of the plan is continuous: there is nothing to follow."))
            return 0
        for resident in residents:
            resident.start()
        session.copy_records()
        with contextlib.suppress(KeyboardInterrupt):
            wait(residents, session.clock)
        ended = stop_all(residents, PATIENCE)
    document = {"systems": [_ended(resident, ended[resident.system]) for resident in residents]}
    session.out.result(document, lambda: session.out.say("\n".join(_said(each) for each in document["systems"])))
    failures = [resident.error for resident in residents if isinstance(resident.error, HoldfastError)]
    bugs = [resident.error for resident in residents if resident.error is not None and not isinstance(resident.error, HoldfastError)]
    if bugs:
        raise bugs[0]
    if len(residents) == 1 and failures and not session.out.printed:
        raise failures[0]
    return max((error.status for error in failures), default=0)


def _tell(session: Session, resident: "Resident", status: Any) -> None:
    """That it stopped is told with what it stored, when all has ended."""
    if status.state != "stopped" or status.trouble:
        session.out.note(_line(resident, status))


def _line(resident: "Resident", status: Any) -> str:
    more = status.trouble or status.warning
    return f"{resident.system}: {status.state}{': ' + more if more else ''}"


def _ended(resident: "Resident", durable: bool) -> dict[str, Any]:
    error = resident.error
    newest = resident.newest
    return {
        "system": resident.system,
        "outcome": "failed" if error or not durable else "stopped",
        "branch": newest.branch if newest else None,
        "durable": newest.durable if newest else None,
        "bytes": newest.bytes if newest else 0,
        "error": {"code": error.code, "message": error.message, "hint": error.hint} if isinstance(error, HoldfastError) else None,
    }


def _said(each: dict[str, Any]) -> str:
    if each["error"]:
        return f"{each['system']}: {each['error']['message']} {each['error']['hint']}"
    return f"{each['system']}: {each['outcome']}, {each['bytes']:,} bytes shipped, all durable"
