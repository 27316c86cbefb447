"""``backup_label`` and ``tablespace_map``, as the server writes them at the end of a backup."""

import re
from dataclasses import dataclass

from holdfast.systems.postgres import lsn
from holdfast.systems.postgres.faults import StreamMalformed


@dataclass(frozen=True, slots=True)
class Label:
    """``start`` and ``checkpoint`` are WAL positions. ``from_standby``: consistent only at the control file's minimum recovery point."""

    start: int
    checkpoint: int
    timeline: int
    from_standby: bool


def parse(content: bytes) -> Label:
    """Read a backup_label. Raises StreamMalformed when a line that recovery needs is missing."""
    text = content.decode("utf-8", "replace")
    fields = dict(re.findall(r"^([A-Z ]+): (.*)$", text, re.MULTILINE))
    try:
        return Label(
            start=lsn.parse(fields["START WAL LOCATION"].split()[0]),
            checkpoint=lsn.parse(fields["CHECKPOINT LOCATION"]),
            timeline=int(fields["START TIMELINE"]),
            from_standby=fields["BACKUP FROM"] == "standby",
        )
    except (KeyError, ValueError, IndexError) as error:
        raise StreamMalformed(f"The backup_label lacks a line that recovery needs: {error}.", hint="See the server's log.") from error
