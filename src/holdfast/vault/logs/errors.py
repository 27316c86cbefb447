"""What can go wrong with logs."""

from holdfast.errors import Damaged, Refused


class LogConflict(Refused):
    """Different bytes were offered for a range of the log that is stored already: two servers write under one name, or one was rewound."""

    code = "log-conflict"


class LogGap(Damaged):
    """A range of the log that was asked for is not in the vault."""

    code = "log-gap"


class LogFollowed(Refused):
    """Another follower holds the lease of this branch."""

    code = "log-followed"


class LeaseLost(Refused):
    """The follower's lease ran out, and another follower took the branch over."""

    code = "log-lease-lost"


def gap(branch: str, start: int, end: int | None) -> LogGap:
    """``end`` None: nothing is known of what comes behind ``start``."""
    upto = f" to {end:#x}" if end is not None else " on"
    return LogGap(
        f"The log {branch} is missing from {start:#x}{upto}.",
        hint="Restore to a moment before the gap, or take a new recovery point that begins behind it.",
        branch=branch,
        missing_from=start,
        missing_to=end,
    )
