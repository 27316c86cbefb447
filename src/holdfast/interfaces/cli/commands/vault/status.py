"""``holdfast vault status``: JSON is ``holdfast.vault.status.VaultStatus``."""

import datetime as dt

from holdfast.interfaces.cli.context import Session
from holdfast.interfaces.cli.tables import Cell
from holdfast.plan import human_size
from holdfast.vault.status import VaultStatus


def command(session: Session) -> int:
    """What the vault holds: sizes by location and by system, and how much deduplication and compression save."""
    from holdfast.vault.status import status

    found = status(session.platform.vault())
    session.out.result(found.to_json(), lambda: show(session, found, session.plan.zone))
    return 5 if found.damaged else 0


def show(session: Session, found: VaultStatus, zone: dt.tzinfo = dt.UTC) -> None:
    """For people; shared with ``vault open``."""
    out = session.out
    saved = f", {found.deduplication:.1f} times smaller than its points" if found.deduplication else ""
    out.say(f"Vault {found.id[:8]}, opened as {found.role}; {found.slots} keys{saved}")
    out.table(
        ("location", "objects", "size"), [(one.url, str(one.objects), human_size(one.bytes)) for one in found.locations], right=(1, 2)
    )
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
