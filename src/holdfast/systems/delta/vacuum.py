"""Whether vacuums and log clean-ups leave a backup its time (Delta protocol, "Metadata Cleanup"; Delta Lake, "Data retention").

Defaults are those of Delta Lake: a file that no version needs any more is kept for a week, commits for thirty days.
"""

import datetime as dt
import re
from collections.abc import Sequence

from holdfast.systems.contract import Probe
from holdfast.systems.delta.log.snapshot import Snapshot
from holdfast.systems.delta.settings import DeltaSettings

FILES, LOG = "delta.deletedFileRetentionDuration", "delta.logRetentionDuration"
_DEFAULTS = {FILES: dt.timedelta(weeks=1), LOG: dt.timedelta(days=30)}
_UNITS = {
    "microsecond": 1e-6,
    "millisecond": 1e-3,
    "second": 1,
    "minute": 60,
    "hour": 3600,
    "day": 86400,
    "week": 604800,
    "month": 2678400,
    "year": 31622400,
}
_PART = re.compile(r"(-?\d+(?:\.\d+)?)\s+([a-z]+?)s?(?=\s|$)", re.IGNORECASE)


def retention(state: Snapshot, key: str) -> dt.timedelta | None:
    """What the table sets, or the default; None when it is not understood. ``interval 1 week``, ``interval 2 days 12 hours``."""
    text = state.configuration.get(key)
    if text is None:
        return _DEFAULTS[key]
    plain = re.sub(r"^\s*interval\b", "", text.replace("calendarinterval", ""), flags=re.IGNORECASE).strip()
    parts = _PART.findall(plain)
    if not parts or _PART.sub("", plain).strip() or any(unit.lower() not in _UNITS for _, unit in parts):
        return None
    return dt.timedelta(seconds=sum(float(count) * _UNITS[unit.lower()] for count, unit in parts))


def safety(name: str, state: Snapshot, settings: DeltaSettings) -> Sequence[Probe]:
    """Each setting of the table that does not go with the plan's rhythm and the time that a capture takes."""
    found = []
    label = f"vacuum {name}"
    for key in (FILES, LOG):
        if retention(state, key) is None:
            text = f"{key} is {state.configuration[key]!r}, which is not understood"
            found.append(Probe(label, "warn", text, "Write it as 'interval 7 days'."))
    files, log = retention(state, FILES), retention(state, LOG)
    taken, gap = settings.copy_time(), settings.rhythm
    if files is not None and taken is not None and files <= taken:
        text = f"a vacuum may take files after {_said(files)}, and a backup took {_said(taken)}: captures will lose that race"
        found.append(Probe(label, "fail", text, f"ALTER TABLE … SET TBLPROPERTIES ('{FILES}' = 'interval {_days(taken * 4)} days')."))
    if files is not None and gap is not None and files < gap:
        text = f"files are kept {_said(files)}, backups are up to {_said(gap)} apart: versions between two backups cannot be restored"
        found.append(Probe(label, "warn", text, f"Set {FILES} above {_said(gap)}, or back up more often."))
    if log is not None and gap is not None and log < gap:
        text = f"commits are kept {_said(log)}, backups are up to {_said(gap)} apart: history has holes, and `when` cannot see into them"
        found.append(Probe(label, "warn", text, f"Set {LOG} above {_said(gap)}, or back up more often."))
    if not found and files is not None and log is not None:
        found.append(
            Probe(label, "ok", f"files are kept {_said(files)}, commits {_said(log)}" + (f"; backups {_said(gap)} apart" if gap else ""))
        )
    return found


def _said(span: dt.timedelta) -> str:
    seconds = span.total_seconds()
    for unit, size in (("days", 86400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.4g} {unit}"
    return f"{seconds:.4g} seconds"


def _days(span: dt.timedelta) -> int:
    return max(1, -(-int(span.total_seconds()) // 86400))
