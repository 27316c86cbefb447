"""Version, rights, and the settings without which a backup or following cannot work."""

from typing import TYPE_CHECKING

from holdfast.systems.contract import Probe
from holdfast.systems.postgres.capture.facts import shown
from holdfast.systems.postgres.capture.preflight import BACKUP_FUNCTIONS, BACKUP_FUNCTIONS_14
from holdfast.systems.postgres.link import connection
from holdfast.systems.postgres.settings import PostgresSettings

if TYPE_CHECKING:
    from holdfast.systems.postgres.link.connection import Connection


def version(session: "Connection", settings: PostgresSettings) -> list[Probe]:
    del settings
    return [Probe("version", "ok", f"PostgreSQL {connection.shown_version(session.info.server_version)}")]


def rights(session: "Connection", settings: PostgresSettings) -> list[Probe]:
    """REPLICATION or superuser for the protocol, EXECUTE on the backup functions for a backup in place, and reading settings."""
    names = BACKUP_FUNCTIONS if session.info.server_version >= 150000 else BACKUP_FUNCTIONS_14
    row = connection.rows(
        session,
        """
        SELECT rolname AS role, rolsuper AS super, rolreplication AS replication,
               has_function_privilege(%s, 'EXECUTE') AND has_function_privilege(%s, 'EXECUTE') AS functions,
               pg_has_role('pg_read_all_settings', 'USAGE') AS settings
          FROM pg_catalog.pg_roles WHERE rolname = current_user
        """,
        tuple(f"pg_catalog.{name}" for name in names),
        what="Asking for rights",
    )[0]
    role, found = row["role"], []
    if row["super"] or row["replication"]:
        found.append(Probe("right to replicate", "ok", f"{role} has it"))
    else:
        found.append(Probe("right to replicate", "fail", f"{role} lacks REPLICATION", f'As a superuser: ALTER ROLE "{role}" REPLICATION;'))
    if settings.data_directory is not None and not row["functions"]:
        grants = " ".join(f'GRANT EXECUTE ON FUNCTION pg_catalog.{name} TO "{role}";' for name in names)
        found.append(Probe("right to back up in place", "fail", f"{role} may not call the backup functions", f"As a superuser: {grants}"))
    if not row["settings"]:
        detail = f"{role} cannot see where configuration files lie: those outside the data directory are not in the point"
        found.append(Probe("right to read settings", "warn", detail, f'As a superuser: GRANT pg_read_all_settings TO "{role}";'))
    return found


def wal_level(session: "Connection", settings: PostgresSettings) -> list[Probe]:
    del settings
    level = shown(session, "wal_level")
    if level == "minimal":
        return [Probe("wal_level", "fail", "minimal: no backup of the running server is possible", "Set wal_level = replica, and restart.")]
    return [Probe("wal_level", "ok", str(level))]


def wal_senders(session: "Connection", settings: PostgresSettings) -> list[Probe]:
    """A backup takes two (data and WAL) over the protocol, one in place; following takes one more."""
    used = connection.rows(session, "SELECT count(*)::int AS used FROM pg_catalog.pg_stat_get_wal_senders()", what="Counting WAL senders")
    most, taken = int(shown(session, "max_wal_senders") or 0), int(used[0]["used"])
    need = 1 if settings.data_directory is not None else 2
    detail = f"{taken} of {most} in use"
    if most - taken < need:
        return [Probe("max_wal_senders", "fail", f"{detail}; a backup needs {need}", "Raise max_wal_senders and restart the server.")]
    return [Probe("max_wal_senders", "ok", detail)]


def replication_slots(session: "Connection", settings: PostgresSettings) -> list[Probe]:
    """Room for the backup's temporary slot, backlog of each slot, and logical slots: no restore brings them back."""
    slots = connection.rows(
        session,
        """
        SELECT slot_name AS name, slot_type AS type, active, database, wal_status,
               CASE WHEN restart_lsn IS NOT NULL THEN pg_catalog.pg_wal_lsn_diff(
                   CASE WHEN pg_catalog.pg_is_in_recovery() THEN pg_catalog.pg_last_wal_receive_lsn()
                        ELSE pg_catalog.pg_current_wal_lsn() END,
                   restart_lsn)::int8 END AS backlog
          FROM pg_catalog.pg_replication_slots WHERE NOT temporary ORDER BY 1
        """,
        what="Listing replication slots",
    )
    most = int(shown(session, "max_replication_slots") or 0)
    found = []
    if len(slots) >= most:
        detail = f"all {most} in use: a backup without a follower needs a temporary one"
        found.append(Probe("max_replication_slots", "fail", detail, "Raise max_replication_slots, or drop a slot that nobody uses."))
    for one in slots:
        name = f"slot {one['name']}"
        backlog = int(one["backlog"] or 0)
        limit = settings.wal_backlog_warn
        if one["wal_status"] in {"lost", "unreserved"}:
            found.append(
                Probe(
                    name, "warn", f"its WAL is {one['wal_status']}", "Drop it and build what used it anew, or raise max_slot_wal_keep_size."
                )
            )
        elif limit is not None and backlog > limit:
            detail = f"holds back {backlog / 2**30:.1f} GiB of WAL{'' if one['active'] else ', and nobody reads from it'}"
            found.append(Probe(name, "warn", detail, "Start its reader, or drop it before the disk is full."))
        elif one["name"] == settings.follower_slot and not one["active"]:
            found.append(Probe(name, "warn", f"the follower does not run; {backlog / 2**20:.0f} MiB wait", "Start `holdfast follow`."))
    logical = [f"{one['name']} ({one['database']})" for one in slots if one["type"] == "logical"]
    if logical:
        detail = f"{', '.join(logical)}: logical slots are lost by any restore"
        found.append(Probe("logical slots", "warn", detail, "After a restore create them anew and resynchronise their subscribers."))
    return found


def summarize_wal(session: "Connection", settings: PostgresSettings) -> list[Probe]:
    """On 17 and newer incrementals can skip unchanged blocks without reading them."""
    if session.info.server_version < 170000 or settings.data_directory is None:
        return []
    if shown(session, "summarize_wal") == "on":
        return [Probe("summarize_wal", "ok", "on: incrementals read changed blocks only")]
    return [
        Probe("summarize_wal", "warn", "off: every incremental reads all data", "Set summarize_wal = on and reload; no restart is needed.")
    ]


def checksums(session: "Connection", settings: PostgresSettings) -> list[Probe]:
    del settings
    if shown(session, "data_checksums") == "on":
        return [Probe("page checksums", "ok", "on: every page read is verified")]
    detail = "off: damage to a page cannot be seen when it is backed up"
    return [Probe("page checksums", "warn", detail, "Stop the server and run pg_checksums --enable.")]


def full_page_writes(session: "Connection", settings: PostgresSettings) -> list[Probe]:
    del settings
    if shown(session, "full_page_writes") == "on":
        return []
    detail = "off: a page torn by a crash cannot be repaired, and no standby can be backed up"
    return [Probe("full_page_writes", "warn", detail, "Set full_page_writes = on.")]


ALL = (version, rights, wal_level, wal_senders, replication_slots, summarize_wal, checksums, full_page_writes)
