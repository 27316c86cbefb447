"""The server's backup mode, non-exclusive: one SQL session, open from start to stop. Losing it ends the backup on the server too."""

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from holdfast.systems.postgres import faults, lsn
from holdfast.systems.postgres.link import connection

if TYPE_CHECKING:
    from holdfast.systems.postgres.link.connection import Connection


@dataclass(frozen=True, slots=True)
class Started:
    """``time`` is the server's clock just before the start."""

    position: int
    timeline: int
    time: dt.datetime


@dataclass(frozen=True, slots=True)
class Stopped:
    """``time`` is the server's clock after the stop; ``map`` is empty without tablespaces."""

    position: int
    timeline: int
    time: dt.datetime
    label: bytes
    map: bytes


def now(session: "Connection") -> dt.datetime:
    """The server's clock, in UTC."""
    value: dt.datetime = connection.rows(session, "SELECT pg_catalog.clock_timestamp() AS now", what="Asking for the time")[0]["now"]
    return value.astimezone(dt.UTC)


def timeline(session: "Connection") -> int:
    """The timeline that the server writes, or replays, now."""
    query = """
        SELECT CASE WHEN pg_catalog.pg_is_in_recovery()
                    THEN greatest((SELECT min_recovery_end_timeline FROM pg_catalog.pg_control_recovery()),
                                  (SELECT timeline_id FROM pg_catalog.pg_control_checkpoint()))
                    ELSE ('x' || substr(pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_lsn()), 1, 8))::bit(32)::int END AS timeline
    """
    # CASE does not keep pg_walfile_name from being planned, only from being run: it fails on a standby.
    return int(connection.rows(session, query, what="Asking for the timeline")[0]["timeline"])


def start(session: "Connection", label: str, *, fast: bool) -> Started:
    """Enter backup mode. Waits for a checkpoint, which is immediate when ``fast``."""
    function = "pg_backup_start(%s, %s)" if session.info.server_version >= 150000 else "pg_start_backup(%s, %s, false)"
    time = now(session)
    answer = connection.rows(session, f"SELECT pg_catalog.{function}::text AS position", (label, fast), what="Starting the backup")
    return Started(lsn.parse(answer[0]["position"]), timeline(session), time)


def stop(session: "Connection") -> Stopped:
    """Leave backup mode. The server does not wait for its archiver: this backup brings its own WAL."""
    function = "pg_backup_stop(false)" if session.info.server_version >= 150000 else "pg_stop_backup(false, false)"
    query = f"SELECT lsn::text AS position, labelfile AS label, spcmapfile AS map FROM pg_catalog.{function}"  # noqa: S608
    try:
        answer: dict[str, Any] = connection.rows(session, query, what="Ending the backup")[0]
    except faults.QueryFailed as error:
        if error.details.get("sqlstate") == "55000":
            raise faults.BackupBroken(error.message, hint="The server left backup mode. See its log, then take the backup again.") from None
        raise
    return Stopped(
        position=lsn.parse(answer["position"]),
        timeline=timeline(session),
        time=now(session),
        label=answer["label"].encode(),
        map=(answer["map"] or "").encode("utf-8", "surrogateescape"),
    )


def same_timeline(begun: int, ended: int, where: str) -> None:
    """Raises PromotedDuringBackup: a point that crosses a promotion is not made."""
    if begun != ended:
        raise faults.PromotedDuringBackup(
            f"{where} went from timeline {begun} to {ended} during the backup.",
            hint="Take the backup again; roles are found anew at each run.",
        )
