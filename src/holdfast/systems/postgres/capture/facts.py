"""What a point says about the cluster it was taken of: enough to restore it without asking the server again."""

from typing import TYPE_CHECKING, Any

from holdfast.errors import HoldfastError
from holdfast.systems.postgres.controlfile import ControlFile
from holdfast.systems.postgres.link import connection

if TYPE_CHECKING:
    from holdfast.systems.postgres.link.connection import Connection

RECOVERY_SETTINGS = ("max_connections", "max_worker_processes", "max_wal_senders", "max_prepared_transactions", "max_locks_per_transaction")
"""A server in recovery refuses to start with less of these than the one that wrote the WAL."""


def shown(session: "Connection", name: str) -> str | None:
    """A setting's value; None when this role may not see it, or this version lacks it."""
    found = connection.rows(session, "SELECT setting FROM pg_catalog.pg_settings WHERE name = %s", (name,), what=f"Asking for {name}")
    return str(found[0]["setting"]) if found else None


def tablespaces(session: "Connection") -> list[dict[str, Any]]:
    """Tablespaces that lie outside the data directory: oid, path, name. (In-place ones, for developers, give a relative path.)"""
    query = """
        SELECT oid::int8 AS oid, pg_catalog.pg_tablespace_location(oid) AS path, spcname AS name
          FROM pg_catalog.pg_tablespace WHERE spcname NOT IN ('pg_default', 'pg_global') ORDER BY oid
    """
    return [one for one in connection.rows(session, query, what="Listing tablespaces") if str(one["path"]).startswith("/")]


def databases(session: "Connection") -> list[dict[str, Any]]:
    query = """
        SELECT oid::int8 AS oid, datname AS name, pg_catalog.pg_encoding_to_char(encoding) AS encoding,
               datcollate AS collate, datctype AS ctype, dattablespace::int8 AS tablespace,
               datistemplate AS template, datallowconn AS connectable
          FROM pg_catalog.pg_database ORDER BY oid
    """
    return connection.rows(session, query, what="Listing databases")


def collect(session: "Connection", role: str) -> dict[str, Any]:
    """JSON-ready facts that need no control file. A setting hidden from this role is left None."""
    libraries = shown(session, "shared_preload_libraries")
    settings = {name: int(connection.rows(session, f"SHOW {name}")[0][name]) for name in RECOVERY_SETTINGS}
    return {
        "version": str(connection.rows(session, "SHOW server_version")[0]["server_version"]),
        "version_num": session.info.server_version,
        "role": role,
        "tablespaces": tablespaces(session),
        "databases": databases(session),
        "encoding": str(connection.rows(session, "SHOW server_encoding")[0]["server_encoding"]),
        "settings": settings,
        "preload_libraries": None if libraries is None else [name.strip().strip('"') for name in libraries.split(",") if name.strip()],
        "data_directory": shown(session, "data_directory"),
    }


def from_control(control: ControlFile) -> dict[str, Any]:
    """JSON-ready facts of the control file. Sizes in bytes, but ``segment_size`` is that of WAL and ``segment_pages`` counts pages."""
    return {
        "system_identifier": str(control.system_identifier),
        "segment_size": control.wal_segment_size,
        "block_size": control.page_size,
        "segment_pages": control.segment_pages,
        "checksums": control.checksum_version > 0,
        "catalog_version": control.catalog_version,
    }


def relation_name(session: "Connection", dsn: str, database: int, tablespace: int, node: int) -> str | None:
    """What the server calls the relation of a file; None when nobody can tell (dropped, or no login to its database)."""
    try:
        names = {int(one["oid"]): str(one["name"]) for one in databases(session) if one["connectable"]}
        query = "SELECT pg_catalog.pg_filenode_relation(%s::oid, %s::oid)::regclass::text AS name"
        if database and database not in names:
            return None
        with connection.connect(connection.merged(dsn, dbname=names[database]) if database else dsn) as there:
            space = 0 if tablespace == 1663 else tablespace
            name = connection.rows(there, query, (space, node))[0]["name"]
        return None if name is None else f"{names[database]}.{name}" if database else str(name)
    except HoldfastError:
        return None
