"""What a follower says of itself."""

import datetime as dt
from dataclasses import dataclass
from typing import Literal

State = Literal["connecting", "waiting", "streaming", "vault-away", "server-away", "stopped"]


@dataclass(frozen=True, slots=True)
class FollowStatus:
    """A moment of following. Positions are LSNs in bytes. ``state`` waiting: a backup, or another follower, holds the branch.

    ``exposure``: seconds since the last moment of which everything is known to be durable. ``behind``: bytes that the server told of
    and the vault lacks; ``backlog``: bytes that the slot keeps on the server. ``covered``: whatever was committed before this (the
    server's clock) is stored; None when unknown, as on a standby. ``lag``: seconds from the arrival of the newest increment's first
    byte to its durability. ``lacking``: addresses of locations that are gone on without.
    """

    state: State
    branch: str | None
    timeline: int | None
    durable: int | None
    received: int | None
    server_end: int | None
    covered: dt.datetime | None
    exposure: float
    behind: int
    backlog: int
    increments: int
    bytes: int
    commits: int
    lag: float | None
    trouble: str = ""
    warning: str = ""
    lacking: tuple[str, ...] = ()
