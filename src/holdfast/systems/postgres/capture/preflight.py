"""What must be there before a backup begins, asked in SQL: a refused connection tells its reason in the server's own language only."""

from typing import TYPE_CHECKING

from holdfast.systems.postgres import faults
from holdfast.systems.postgres.cluster.members import Member
from holdfast.systems.postgres.link import connection

if TYPE_CHECKING:
    from holdfast.systems.postgres.link.connection import Connection

_STATE = """
SELECT current_setting('wal_level') AS wal_level,
       current_setting('max_wal_senders')::int AS senders,
       (SELECT count(*)::int FROM pg_catalog.pg_stat_get_wal_senders()) AS senders_used,
       rolname AS role, rolsuper OR rolreplication AS replication
  FROM pg_catalog.pg_roles WHERE rolname = current_user
"""
BACKUP_FUNCTIONS = ("pg_backup_start(text,boolean)", "pg_backup_stop(boolean)")
BACKUP_FUNCTIONS_14 = ("pg_start_backup(text,boolean,boolean)", "pg_stop_backup(boolean,boolean)")


def preflight(session: "Connection", member: Member, *, in_place: bool) -> None:
    """Raises WalLevelMinimal, NoReplicationRight, NoRight, NoWalSender; each names numbers and what to change.

    A backup takes one WAL sender for its WAL, a second one when the data comes over the protocol too.
    """
    state = connection.rows(session, _STATE, what="Asking what a backup needs")[0]
    where = member.address
    if state["wal_level"] == "minimal":
        raise faults.WalLevelMinimal(
            f"{where} runs with wal_level = minimal: it cannot be backed up while it runs.",
            hint="Set wal_level = replica (or logical) and max_wal_senders in postgresql.conf, and restart the server.",
        )
    if not state["replication"]:
        raise connection.no_replication_right(where, str(state["role"]))
    if in_place:
        _functions(session, where, str(state["role"]))
    need = 1 if in_place else 2
    if state["senders"] - state["senders_used"] < need:
        raise faults.NoWalSender(
            f"{state['senders_used']} of {state['senders']} WAL senders of {where} are in use (max_wal_senders); the backup needs {need}.",
            hint="Raise max_wal_senders and restart the server, or end a standby or backup that is no longer needed.",
            used=state["senders_used"],
            most=state["senders"],
        )


def slot_free(session: "Connection", where: str) -> None:
    """Raises NoSlotFree: a backup whose WAL no follower brings needs a temporary slot."""
    query = """
        SELECT current_setting('max_replication_slots')::int AS slots,
               (SELECT count(*)::int FROM pg_catalog.pg_replication_slots) AS slots_used
    """
    state = connection.rows(session, query, what="Counting replication slots")[0]
    if state["slots_used"] >= state["slots"]:
        raise faults.NoSlotFree(
            f"All {state['slots']} replication slots of {where} are in use (max_replication_slots); the backup needs a temporary one.",
            hint="Raise max_replication_slots and restart the server, or drop a slot that nobody uses.",
            most=state["slots"],
        )


def _functions(session: "Connection", where: str, role: str) -> None:
    names = BACKUP_FUNCTIONS if session.info.server_version >= 150000 else BACKUP_FUNCTIONS_14
    for name in names:
        allowed = connection.rows(session, "SELECT has_function_privilege(%s, 'EXECUTE') AS allowed", (f"pg_catalog.{name}",))[0]
        if not allowed["allowed"]:
            raise faults.NoRight(
                f"The role {role} may not call {name.split('(', maxsplit=1)[0]} on {where}.",
                hint=f'As a superuser: GRANT EXECUTE ON FUNCTION pg_catalog.{name} TO "{role}";',
                role=role,
            )
