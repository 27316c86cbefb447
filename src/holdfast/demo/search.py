"""The last moment at which the shop's check was still right."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from holdfast.demo.damage import CHECK_SQL
from holdfast.errors import FoundWrong
from holdfast.model import Progress
from holdfast.systems.contract import History, Isolated, Moment


class NoGoodMoment(FoundWrong):
    """The check was wrong at every moment that can be reached."""

    code = "demo-no-good-moment"


@dataclass(frozen=True, slots=True)
class Found:
    """``good``: the last good moment; ``bad``: the one after it. ``opened``: how many copies were looked at, out of ``moments``."""

    good: Moment
    bad: Moment | None
    opened: int
    moments: int


def last_good(
    searchable: Any, history: History, after: int | None, progress: Progress, ask: Callable[[Isolated], bool] | None = None
) -> Found:
    """Halve the moments behind ``after`` (a log position at which the check was right) until the last good and the first bad one touch.

    What was right does not become right again by itself: one change from good to bad is looked for.
    """
    question = ask or right
    moments = list(searchable.moments(history, after=after).found)
    low, high, opened = -1, len(moments), 0
    progress.phase("search", max(1, len(moments).bit_length()), "looks")
    with searchable.walk(history, {}, progress) as walker:
        while high - low > 1:
            middle = (low + high) // 2
            with walker.at(moments[middle]) as view:
                good = question(view)
            opened += 1
            progress.advance(1)
            if good:
                low = middle
                walker.keep(moments[middle])
            else:
                high = middle
    if low < 0:
        raise NoGoodMoment("The check is wrong at every moment since it was last known to be right.", hint="Search from an earlier moment.")
    return Found(moments[low], moments[high] if high < len(moments) else None, opened, len(moments))


def right(view: Isolated) -> bool:
    """Whether the shop's check is right in a copy."""
    return not view.query(CHECK_SQL)[0][0]
