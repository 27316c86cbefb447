"""How long a restore should take: from what earlier ones took, else from stated defaults."""

from collections.abc import Sequence
from dataclasses import dataclass

COPY_RATE = 150 << 20
REPLAY_RATE = 40 << 20
START_SECONDS = 5.0
"""Defaults, on the slow side: bytes of data and of log a second, and seconds to start a server."""


@dataclass(frozen=True, slots=True)
class Past:
    """An earlier restore of this system: bytes and seconds of each phase."""

    bytes: int
    log_bytes: int
    restore: float
    replay: float | None = None


@dataclass(frozen=True, slots=True)
class Estimate:
    """``seconds`` in all; ``basis`` says what it rests on."""

    seconds: float
    basis: str


def estimate(size: int, log_bytes: int, past: Sequence[Past] = ()) -> Estimate:
    """Linear in the bytes, at the median rate of earlier restores of at least a mebibyte."""
    copy = sorted((one.bytes + one.log_bytes) / one.restore for one in past if one.restore > 0 and one.bytes >= 1 << 20)
    replay = sorted(one.log_bytes / one.replay for one in past if one.replay and one.log_bytes >= 1 << 20)
    copy_rate = copy[len(copy) // 2] if copy else COPY_RATE
    replay_rate = replay[len(replay) // 2] if replay else REPLAY_RATE
    seconds = (size + log_bytes) / copy_rate + log_bytes / replay_rate + START_SECONDS
    basis = (
        f"{len(copy)} earlier restore(s)"
        if copy
        else f"assumed {COPY_RATE >> 20} MiB/s of data and {REPLAY_RATE >> 20} MiB/s of log; no restore was measured yet"
    )
    return Estimate(seconds, basis)
