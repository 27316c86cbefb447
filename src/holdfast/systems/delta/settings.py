"""What the plan says of a lake."""

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass, field

from holdfast.systems.contract import Sharing
from holdfast.systems.delta.store import Store


@dataclass(frozen=True)
class DeltaSettings:
    """``tables``: paths below ``url``, or patterns as in a shell; none: all that are found. ``streams``: folders of streaming checkpoints,
    below ``url`` or whole addresses.

    ``open`` gives the store of an address (the lake's own, a restore's target, a shallow clone's origin). ``rhythm``: the longest time
    between two backups by the plan; ``rpo`` the promise.
    """

    url: str
    tables: tuple[str, ...] = ()
    streams: tuple[str, ...] = ()
    open: Callable[[str], Store] = field(default=lambda url: _local(url), repr=False)  # noqa: PLW0108 - defined below
    rhythm: dt.timedelta | None = None
    rpo: dt.timedelta | None = None
    sharing: Sharing | None = field(default=None, repr=False)
    content: bool = False
    """Whether captures record what the rows hash to."""
    copy_time: Callable[[], dt.timedelta | None] = field(default=lambda: None, repr=False)
    probing: Callable[[str], Store] | None = field(default=None, repr=False)
    """As ``open``, for a look: it gives up soon."""


def _local(url: str) -> Store:
    from holdfast.systems.delta.errors import RestoreUsage
    from holdfast.systems.delta.store import LocalStore, folder_of

    folder = folder_of(url)
    if folder is None:
        raise RestoreUsage(f"{url} is no folder.", hint="Write a path or file:///folder.")
    return LocalStore(folder)
