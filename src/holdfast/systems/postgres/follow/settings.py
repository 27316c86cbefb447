"""How to follow: names, sizes, times."""

import hashlib
import re
from dataclasses import dataclass, field
from typing import Literal


def slot_name(system: str) -> str:
    """The physical slot of a system: lower case letters, digits, underscores, at most 63 bytes; different systems never share one."""
    plain = re.sub(r"[^a-z0-9_]", "_", system.lower())
    if plain == system and len(plain) <= 50:
        return f"holdfast_{plain}"
    return f"holdfast_{plain[:40]}_{hashlib.sha256(system.encode('utf-8', 'surrogateescape')).hexdigest()[:10]}"


@dataclass(frozen=True, slots=True)
class Backlog:
    """WAL in bytes that the slot makes the server keep. Over ``warn`` it is told; over ``limit`` ``then`` happens: ``drop-slot`` frees the
    server's disk at the price of a gap. Nothing is ever acknowledged that is not stored.
    """

    warn: int = 50 << 30
    limit: int = 200 << 30
    then: Literal["keep", "drop-slot"] = "keep"


@dataclass(frozen=True, slots=True)
class FollowSettings:
    """``interval`` seconds at most between the first byte of an increment and its cut (0: as soon as the one before is stored, for
    synchronous commits); ``largest`` bytes of one increment (a power of two); ``buffer`` bytes held while the vault is away.

    ``heartbeat`` seconds between questions to an idle server; ``timeout`` seconds without a sign of life end a connection; ``retry``
    seconds at most between two tries. ``lease_patience``: seconds to wait for a branch that another follower holds (a backup lets
    go, and is always waited for). ``after_gap``: go on behind missing WAL instead of raising WalGap, because a new base is being taken.
    """

    slot: str = ""
    interval: float = 0.25
    largest: int = 16 << 20
    buffer: int = 64 << 20
    heartbeat: float = 1.0
    timeout: float = 30.0
    retry: float = 10.0
    lease_patience: float = 90.0
    after_gap: bool = False
    backlog: Backlog = field(default_factory=Backlog)

    @property
    def rest(self) -> float:
        """Seconds in which what comes from a server that is kept up with is let gather. None for synchronous commits, which wait."""
        return min(self.interval / 5, 0.1)
