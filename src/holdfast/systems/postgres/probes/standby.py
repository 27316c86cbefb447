"""What only the primary can tell: archiving, synchronous standbys."""

from typing import TYPE_CHECKING

from holdfast.systems.contract import Probe
from holdfast.systems.postgres import connection
from holdfast.systems.postgres.capture.facts import shown
from holdfast.systems.postgres.settings import PostgresSettings

if TYPE_CHECKING:
    from holdfast.systems.postgres.connection import Connection


def archiving(session: "Connection", settings: PostgresSettings) -> list[Probe]:
    """Holdfast needs no archive; one that fails fills the disk all the same."""
    del settings
    if shown(session, "archive_mode") in {None, "off"}:
        return []
    query = """
        SELECT failed_count::int8 AS failed, last_failed_wal AS last,
               coalesce(last_failed_time > last_archived_time, last_failed_time IS NOT NULL) AS failing
          FROM pg_catalog.pg_stat_archiver
    """
    state = connection.rows(session, query, what="Asking the archiver")[0]
    if state["failing"]:
        detail = f"archive_command fails ({state['failed']} times, last at {state['last']}): WAL piles up on the server"
        return [Probe("archiving", "warn", detail, "See the server's log for what the command says.")]
    return [Probe("archiving", "ok", "archive_mode is on, and the command works")]


def synchronous_standbys(session: "Connection", settings: PostgresSettings) -> list[Probe]:
    """A synchronous follower stops commits while it is away; under remote_apply it can never satisfy them, as it applies nothing."""
    del settings
    names = shown(session, "synchronous_standby_names") or ""
    if not names.strip():
        return []
    waiting = connection.rows(
        session,
        "SELECT application_name AS name FROM pg_catalog.pg_stat_replication WHERE sync_state IN ('sync', 'quorum') ORDER BY 1",
        what="Listing synchronous standbys",
    )
    held = [str(one["name"]) for one in waiting]
    found = []
    if not held:
        detail = f"synchronous_standby_names = {names}, and none is connected: commits wait"
        found.append(Probe("synchronous standbys", "warn", detail, "Bring one up, or empty the setting."))
    elif len(held) == 1 and held[0].startswith("holdfast"):
        detail = "the follower is the only synchronous standby: production stops when it stops"
        found.append(Probe("synchronous standbys", "warn", detail, "Name a second one, with ANY 1 (…)."))
    else:
        found.append(Probe("synchronous standbys", "ok", ", ".join(held)))
    if shown(session, "synchronous_commit") == "remote_apply" and "holdfast" in names:
        detail = "synchronous_commit = remote_apply: a follower applies nothing and must never be the only synchronous standby"
        found.append(Probe("remote_apply", "fail", detail, "Set synchronous_commit = on, or name a real standby beside it."))
    return found


PRIMARY = (archiving, synchronous_standbys)
