"""What the vault's logs and restores are counted in."""

import datetime as dt
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Increment:
    """One stored piece of a log. Positions are bytes of the log (PostgreSQL: LSN); ``end`` is the one behind its last byte.

    ``name`` is the object's, ``size`` its stored bytes, ``stored_at`` the time the location put on it.
    """

    start: int
    end: int
    name: str
    stored_at: dt.datetime
    size: int = 0


@dataclass(frozen=True, slots=True)
class Extracted:
    """``written`` and ``kept`` bytes (kept: already right in a delta restore), ``fetched`` bytes from the location, ``changed``: files
    whose content was written at all.
    """

    files: int = 0
    written: int = 0
    kept: int = 0
    fetched: int = 0
    changed: int = 0
