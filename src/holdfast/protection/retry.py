"""When to try again after failures."""

import datetime as dt
from collections.abc import Sequence

from holdfast.protection.history import Failure

FIRST, LONGEST = dt.timedelta(minutes=5), dt.timedelta(hours=6)


def wait(failures: int) -> dt.timedelta:
    """Five minutes after the first failure, twice as long after each further one, never more than six hours."""
    if failures <= 0:
        return dt.timedelta(0)
    factor: int = 1 << min(failures - 1, 20)
    return min(FIRST * factor, LONGEST)


def again_at(failures: Sequence[Failure], verb: str) -> tuple[int, dt.datetime] | None:
    """(how often ``verb`` failed in a row, when it may run again); None when it did not fail."""
    mine = [failure.at for failure in failures if failure.verb == verb]
    return (len(mine), max(mine) + wait(len(mine))) if mine else None
