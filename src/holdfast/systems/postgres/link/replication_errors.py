"""What can go wrong in streaming replication, told apart by the server's SQLSTATE."""

import re

from holdfast.errors import FoundWrong, HoldfastError, Refused, Unreachable
from holdfast.systems.postgres import faults, lsn


class ReplicationLost(Unreachable):
    """The connection broke or the server failed a command: worth trying again. ``sqlstate`` as the server gave it, if it did."""

    code = "pg-replication-lost"

    def __init__(self, message: str, *, hint: str = "", sqlstate: str | None = None) -> None:
        super().__init__(message, hint=hint, sqlstate=sqlstate)
        self.sqlstate = sqlstate


class SlotBusy(ReplicationLost):
    """Another process streams from the slot."""

    code = "pg-slot-busy"


class SlotMissing(ReplicationLost):
    """The slot does not exist, or the server invalidated it."""

    code = "pg-slot-missing"


class TimelineUnknown(FoundWrong):
    """The server's history does not hold the timeline, or left it before the position asked for."""

    code = "pg-timeline-unknown"


class WalAhead(Refused):
    """The server has not reached the position asked for: it lags, or it lost WAL that was already stored."""

    code = "pg-wal-ahead"


class WalRemoved(FoundWrong):
    """The server no longer has the WAL at a position."""

    code = "pg-wal-removed"

    def __init__(self, position: int, timeline: int, segment: str, text: str) -> None:
        super().__init__(
            f"The server no longer has WAL from {lsn.show(position)} on timeline {timeline} (segment {segment}).",
            hint="Take a new base backup; a replication slot or a larger wal_keep_size keeps WAL for a follower that is away.",
            position=position,
            timeline=timeline,
            server=text,
        )
        self.position = position
        self.timeline = timeline


def from_server(text: str, state: str | None) -> HoldfastError:
    """The error that fits a server's answer to a command."""
    if "replication slots are in use" in text:
        return faults.NoSlotFree(
            f"The server has no slot left: {text}", hint="Raise max_replication_slots, or drop a slot that nobody uses."
        )
    if "max_wal_senders" in text or state in {"53300", "53400"}:
        return faults.NoWalSender(f"The server takes no further connection: {text}", hint="Raise max_wal_senders.")
    if "wal_level" in text:
        return faults.WalLevelMinimal(
            f"The server's WAL cannot be followed: {text}", hint="Set wal_level = replica and restart the server."
        )
    if state == "42501":
        return faults.NoReplicationRight(
            f"The server refuses replication: {text}", hint="Give the role REPLICATION: alter role … replication."
        )
    if state == "55006" or "is active for PID" in text:
        return SlotBusy(
            f"Another process streams from the slot: {text}",
            hint="One follower per system; end the other one, or wait until the server notices that it is gone.",
            sqlstate=state,
        )
    if (state == "42704" and "slot" in text) or re.search("can no longer (get changes from|access) replication slot", text):
        return SlotMissing(
            f"The slot cannot be used: {text}", hint="It is created again; what is missing meanwhile is reported as a gap.", sqlstate=state
        )
    return ReplicationLost(f"The server said: {text}", sqlstate=state)


def from_start(text: str, state: str | None, position: int, timeline: int, segment: str) -> HoldfastError:
    """The error that fits a refused START_REPLICATION."""
    if state == "58P01" or "has already been removed" in text:
        return WalRemoved(position, timeline, segment, text)
    if "is ahead of the WAL flush position" in text:
        return WalAhead(
            f"The server has not reached {lsn.show(position)} on timeline {timeline}: {text}",
            hint="Is it a lagging standby, or a server that was rolled back?",
            position=position,
        )
    if "not in this server's history" in text or "is not in the history" in text or ("timeline" in text and state == "XX000"):
        return TimelineUnknown(
            f"The server does not follow timeline {timeline} at {lsn.show(position)}: {text}",
            hint="Check that the plan names members of one cluster.",
            timeline=timeline,
        )
    return from_server(text, state)
