"""Holds: a point that no policy may delete, until somebody releases it."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

from holdfast.errors import Refused, Usage
from holdfast.model import Clock
from holdfast.vault.errors import ObjectDamaged, SignedAfterRevocation
from holdfast.vault.format import names
from holdfast.vault.format.text import from_json, from_time, to_json
from holdfast.vault.keys.notary import Notary
from holdfast.vault.locations import Locations

RELEASED = ".released"


class HoldTooLate(Refused):
    """The point that is to be held is being removed, or is gone."""

    code = "hold-too-late"


class HoldUnknown(Usage):
    """No hold of that id."""

    code = "hold-unknown"


@dataclass(frozen=True, slots=True)
class Hold:
    """``id`` 32 hex digits; ``point`` the id of the point that is held; ``reason`` only for a key that may read, else ''."""

    id: str
    point: str
    reason: str
    at: dt.datetime


def place(locations: Locations, notary: Notary, clock: Clock, point: str, reason: str) -> Hold:
    """Durable in every location when it returns. Raises HoldTooLate when a prune has begun to remove the point."""
    identity = notary.random(16).hex()
    name = f"{names.HOLDS}{identity}"
    now = clock.now()
    locations.put(name, [notary.make(name, "hold", now, {"point": point}, plain=to_json({"reason": reason}))])
    # After the hold stands: a prune records its drop first and reads the holds then, so one of the two sees the other.
    found = {info.name for info in locations.list(names.point(point))}
    if names.point(point) not in found or names.dropped(point) in found:
        raise HoldTooLate(
            f"The recovery point {point} is being removed by a prune, or is gone: it cannot be held any more.",
            hint="See 'holdfast points' for what is left.",
            point=point,
        )
    return Hold(identity, point, reason, now)


def release(locations: Locations, notary: Notary, clock: Clock, identity: str, reason: str) -> None:
    """The hold ends; both objects stay as a record. Raises HoldUnknown."""
    if identity not in {hold.id for hold in current(locations, notary)}:
        raise HoldUnknown(f"There is no hold {identity}.", hint="See 'holdfast vault hold list'.", hold=identity)
    name = f"{names.HOLDS}{identity}{RELEASED}"
    locations.put(name, [notary.make(name, "hold", clock.now(), {"released": identity}, plain=to_json({"reason": reason}))])


def current(locations: Locations, notary: Notary) -> Sequence[Hold]:
    """Holds in force, oldest first. A release counts only when its signature is believed; a hold that is damaged raises.

    What a writer signed after it was revoked is neither.
    """
    found = [info.name for info in locations.list(names.HOLDS)]
    released = set()
    for name in found:
        if name.endswith(RELEASED):
            try:
                clear = locations.read(name, lambda data, name=name: notary.check(name, data, "hold")).clear  # type: ignore[misc]
            except SignedAfterRevocation:
                continue
            if f"{names.HOLDS}{clear.get('released')}{RELEASED}" == name:
                released.add(name[: -len(RELEASED)])
    holds = []
    for name in found:
        if name.endswith(RELEASED) or name in released:
            continue
        try:
            checked = locations.read(name, lambda data, name=name: notary.check(name, data, "hold"))  # type: ignore[misc]
        except SignedAfterRevocation:
            continue
        reason = str(from_json(notary.open(checked))["reason"]) if notary.can_open(checked) else ""
        if not isinstance(checked.clear.get("point"), str):
            raise ObjectDamaged(f"{name} names no recovery point.", object=name)
        holds.append(Hold(name[len(names.HOLDS) :], checked.clear["point"], reason, from_time(checked.clear["at"])))
    return sorted(holds, key=lambda hold: hold.at)
