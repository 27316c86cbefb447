"""What lies in the cluster that a backup or a restore treats in its own way."""

from typing import TYPE_CHECKING, Any

from holdfast.errors import HoldfastError
from holdfast.systems.contract import Probe
from holdfast.systems.postgres.capture import facts
from holdfast.systems.postgres.link import connection
from holdfast.systems.postgres.settings import PostgresSettings

if TYPE_CHECKING:
    from holdfast.systems.postgres.link.connection import Connection

MOST_NAMED = 10


def tablespaces(session: "Connection", settings: PostgresSettings) -> list[Probe]:
    del settings
    found = facts.tablespaces(session)
    if not found:
        return []
    return [Probe("tablespaces", "ok", ", ".join(f"{one['name']} in {one['path']}" for one in found))]


def in_each_database(session: "Connection", settings: PostgresSettings) -> list[Probe]:
    """Unlogged tables (a restore empties them) and collations whose library changed, database by database."""
    dsn = session.info.dsn
    password = session.info.password
    unlogged: list[str] = []
    collations: list[str] = []
    closed: list[str] = []
    for database in facts.databases(session):
        if not database["connectable"]:
            continue
        name = str(database["name"])
        try:
            with connection.connect(connection.merged(dsn, dbname=name, password=password), timeout=settings.connect_timeout) as there:
                unlogged += [f"{name}.{one['name']}" for one in _unlogged(there)]
                collations += [f"{name}: {one['name']} ({one['recorded']} → {one['actual']})" for one in _collations(there)]
        except HoldfastError:
            closed.append(name)
    found = []
    if unlogged:
        detail = f"{_some(unlogged)}: unlogged, so empty after a restore"
        found.append(Probe("unlogged tables", "warn", detail, "ALTER TABLE … SET LOGGED for those that must survive."))
    if collations:
        detail = f"{_some(collations)}: the collation's library changed since indexes were built"
        found.append(Probe("collations", "warn", detail, "REINDEX what uses them, then ALTER COLLATION … REFRESH VERSION."))
    if closed:
        found.append(Probe("databases", "warn", f"{_some(closed)} could not be looked into", "Let the role connect, to have them checked."))
    return found


def _unlogged(there: "Connection") -> list[dict[str, Any]]:
    query = (
        "SELECT oid::regclass::text AS name FROM pg_catalog.pg_class WHERE relpersistence = 'u' AND relkind IN ('r', 'm', 'S') ORDER BY 1"
    )
    return connection.rows(there, query, what="Listing unlogged tables")


def _collations(there: "Connection") -> list[dict[str, Any]]:
    query = """
        SELECT collname AS name, collversion AS recorded, pg_catalog.pg_collation_actual_version(oid) AS actual
          FROM pg_catalog.pg_collation
         WHERE collversion IS NOT NULL AND collversion IS DISTINCT FROM pg_catalog.pg_collation_actual_version(oid)
    """
    if there.info.server_version >= 150000:
        query += """ UNION ALL
        SELECT 'database default', datcollversion, pg_catalog.pg_database_collation_actual_version(oid)
          FROM pg_catalog.pg_database
         WHERE datname = current_database() AND datcollversion IS DISTINCT FROM pg_catalog.pg_database_collation_actual_version(oid)
           AND datcollversion IS NOT NULL"""
    return connection.rows(there, query, what="Comparing collation versions")


def libraries(session: "Connection", settings: PostgresSettings) -> list[Probe]:
    """What a server on another machine must have installed before it can start on a restored copy."""
    del settings
    preload = facts.shown(session, "shared_preload_libraries")
    names = connection.rows(session, "SELECT extname AS name FROM pg_catalog.pg_extension WHERE extname <> 'plpgsql' ORDER BY 1")
    found = []
    if preload:
        detail = f"{preload}: a restored server needs these libraries to start"
        found.append(Probe("preload libraries", "ok", detail, "Have them installed where you restore."))
    if names:
        found.append(Probe("extensions", "ok", ", ".join(str(one["name"]) for one in names)))
    return found


def outside_config(session: "Connection", settings: PostgresSettings) -> list[Probe]:
    from holdfast.systems.postgres.capture import config

    data = facts.shown(session, "data_directory")
    files, missing = config.outside(session, data, local=False) if settings.data_directory is None else ([], [])
    found = []
    if files:
        found.append(Probe("configuration outside", "ok", ", ".join(one.original for one in files)))
    if missing:
        hint = "Grant pg_read_all_settings and pg_read_server_files, or keep these files by other means."
        found.append(Probe("configuration outside", "warn", f"not in the point: {'; '.join(missing)}", hint))
    return found


def _some(names: list[str]) -> str:
    rest = len(names) - MOST_NAMED
    return ", ".join(names[:MOST_NAMED]) + (f" and {rest} more" if rest > 0 else "")


ALL = (tablespaces, in_each_database, libraries, outside_config)
