"""``holdfast vault status``: JSON is ``holdfast.vault.status.VaultStatus``. Exit status 5 for damage, 3 when a location does not answer."""

import datetime as dt

from holdfast.interfaces.cli.context import Session
from holdfast.interfaces.cli.terminal.tables import Cell
from holdfast.model import counted
from holdfast.plan import human_size
from holdfast.vault.copy import Behind
from holdfast.vault.status import VaultStatus


def command(session: Session) -> int:
    """What the vault holds: sizes by location and by system, how far each location is behind, and how much deduplication saves."""
    from holdfast.vault.status import status

    platform = session.platform
    found = status(platform.vault(), platform.kept_elsewhere())
    session.out.result(found.to_json(), lambda: show(session, found, session.plan.zone))
    return 5 if found.damaged else 3 if any(one.behind.unknown for one in found.locations) else 0


def show(session: Session, found: VaultStatus, zone: dt.tzinfo = dt.UTC) -> None:
    """For people; shared with ``vault open``."""
    out = session.out
    saved = f", {found.deduplication:.1f} times smaller than its points" if found.deduplication and found.deduplication >= 1 else ""
    out.say(f"Vault {found.id[:8]}, opened as {found.role}; {counted(found.slots, 'key')}{saved}")
    places = [(one.url, str(one.objects), human_size(one.bytes), _behind(one.behind)) for one in found.locations]
    out.table(("location", "objects", "size", "behind the others"), places, right=(1, 2))
    rows = [
        (
            one.name,
            str(one.points),
            one.oldest.astimezone(zone).isoformat(timespec="seconds") if one.oldest else "",
            one.newest.astimezone(zone).isoformat(timespec="seconds") if one.newest else Cell("no point", "warn"),
            human_size(one.protected),
            f"{one.log_increments} ({human_size(one.log_bytes)})",
        )
        for one in found.systems
    ]
    if rows:
        out.table(("system", "points", "oldest", "newest", "protects", "log"), rows, right=(1, 4))
    for name in found.damaged:
        out.warn(f"{name} cannot be read; see: holdfast vault check")


def _behind(behind: Behind) -> Cell:
    """In one line: what the others have and this location lacks."""
    if behind.unknown:
        return Cell(f"unknown: {behind.unknown}", "fail")
    lacks = []
    if behind.points:
        lacks.append(f"{counted(behind.points, 'point')}, {counted(behind.packs, 'pack')}, {human_size(behind.bytes)}")
    if behind.log_increments:
        lacks.append(f"{behind.log_seconds or 0:.0f} s of log ({human_size(behind.log_bytes)})")
    return Cell("; ".join(lacks) or "-", "warn" if lacks else "ok")
