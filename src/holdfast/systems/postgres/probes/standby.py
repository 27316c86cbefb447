"""What only the primary can tell: archiving, synchronous standbys."""

import re
from typing import TYPE_CHECKING

from holdfast.systems.contract import Probe
from holdfast.systems.postgres.capture.facts import shown
from holdfast.systems.postgres.link import connection
from holdfast.systems.postgres.settings import PostgresSettings

if TYPE_CHECKING:
    from holdfast.systems.postgres.link.connection import Connection


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
    names = shown(session, "synchronous_standby_names") or ""
    found = _follower_named(names, settings)
    if not names.strip():
        return found
    waiting = connection.rows(
        session,
        "SELECT application_name AS name FROM pg_catalog.pg_stat_replication WHERE sync_state IN ('sync', 'quorum') ORDER BY 1",
        what="Listing synchronous standbys",
    )
    held = [str(one["name"]) for one in waiting]
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


def _follower_named(names: str, settings: PostgresSettings) -> list[Probe]:
    """Whether the server and the plan agree on the follower's being a synchronous standby."""
    name, slot = "synchronous follower", settings.follower_slot
    if slot is None:
        return []
    words = {word.lower() for word in re.findall(r"[A-Za-z0-9_$*]+", names)}
    named = slot.lower() in words or "*" in words
    if settings.synchronous and not named:
        setting = f"synchronous_standby_names = {names or '(empty)'}"
        detail = f"the plan says synchronous, and the server waits for no follower ({setting}): a crash can lose commits"
        return [Probe(name, "fail", detail, f"ALTER SYSTEM SET synchronous_standby_names = '{slot}'; SELECT pg_reload_conf();")]
    if slot.lower() in words and not settings.synchronous:
        detail = f"the server waits for {slot} at each commit, and the plan does not say synchronous: the follower takes its time"
        return [Probe(name, "warn", detail, "Set synchronous: true in the plan, or take it out of synchronous_standby_names.")]
    return [Probe(name, "ok", f"{slot}: commits are acknowledged when the vault has them")] if settings.synchronous else []


PRIMARY = (archiving, synchronous_standbys)
