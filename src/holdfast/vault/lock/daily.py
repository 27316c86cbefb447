"""How much a day adds to a vault: what a lock that outlasts retention keeps standing."""

import datetime as dt
from collections.abc import Mapping
from typing import TYPE_CHECKING

from holdfast.vault.format import names

if TYPE_CHECKING:
    from holdfast.vault.vault import Vault

_WINDOW = dt.timedelta(days=30)
_DAY = dt.timedelta(days=1)


def daily_bytes(vault: "Vault", gaps: Mapping[str, dt.timedelta]) -> float | None:
    """Bytes that backups and logs of the named systems add to one copy a day, by the last 30 days; ``gaps``: between two backups.

    A system's first point of that time is left out: it is mostly a full one. None where no system has two.
    """
    now = vault.now()
    found: float | None = None
    for system, gap in gaps.items():
        recent = [point for point in vault.points(system) if now - point.committed_at < _WINDOW]
        if len(recent) < 2:
            continue
        later = [point.totals.stored for point in recent[1:]]
        logs = [
            info for info in vault.locations.list(f"{names.LOGS}{vault.notary.tag('system', system)}/") if now - info.modified < _WINDOW
        ]
        span = max((now - min((info.modified for info in logs), default=now)) / _DAY, 1.0)
        found = (found or 0.0) + sum(later) / len(later) * (_DAY / gap) + sum(info.size for info in logs) / span
    return found
