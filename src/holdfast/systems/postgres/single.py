"""One database or one table out of a moment of the past: dumped from an isolated copy, into another server or into files."""

import glob
import os
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from holdfast.connect.durable import sync_folder
from holdfast.errors import FoundWrong, Refused, Usage
from holdfast.systems.postgres import digest as digests
from holdfast.systems.postgres.identifiers import behind_database, quoted, shown
from holdfast.systems.postgres.link import connection as connections
from holdfast.systems.postgres.restore.planning.ground import is_empty
from holdfast.systems.postgres.running import binaries as programs
from holdfast.systems.postgres.view import PostgresView


class TargetExists(Refused):
    """The table, database or folder to restore into is there already."""

    code = "restore-target-exists"


class NotInCopy(Refused):
    """The database or table was not there at that moment."""

    code = "restore-not-there-then"


class DumpMissing(Usage):
    """No pg_dump and pg_restore that are new enough."""

    code = "pg-dump-missing"


class DumpFailed(FoundWrong):
    """pg_dump or pg_restore ended with an error."""

    code = "pg-dump-or-restore-failed"


class ContentDiffers(FoundWrong):
    """What arrived in the target is not what the copy holds."""

    code = "restore-content-differs"


@dataclass(frozen=True, slots=True)
class Wanted:
    """``table`` None: the whole database. ``into`` is a connection string or a new directory."""

    database: str
    table: str | None
    into: str

    @property
    def what(self) -> str:
        return f"table {self.table} of {self.database}" if self.table else f"database {self.database}"

    @property
    def to_server(self) -> bool:
        return "://" in self.into or "=" in self.into.split("/", 1)[0]


def wanted(database: str | None, table: str | None, into: str) -> Wanted:
    """``table`` may be ``table``, ``schema.table`` or ``database.schema.table``, quoted as in SQL where it must be."""
    if table is not None and database is None:
        database, table = behind_database(table)
    return Wanted(database or "postgres", table, into)


def steps(one: Wanted) -> list[str]:
    """What would be done, in words."""
    where = connections.address(one.into) if one.to_server else one.into
    return [
        "restore the whole cluster into an isolated copy",
        f"dump {one.what} from it into {where}",
        "compare what arrived by content",
        "tear the copy down",
    ]


def refuse(one: Wanted) -> None:
    """Before anything is restored: is the target free? Raises TargetExists, or the faults of connecting."""
    if not one.to_server:
        if not is_empty(Path(one.into)):
            raise TargetExists(f"{one.into} is not empty.", hint="Choose a new directory.")
        return
    if one.table is None:
        with connections.connect(_maintenance(one.into)) as session:
            if session.execute("select 1 from pg_catalog.pg_database where datname = %s", (_target_database(one),)).fetchone():
                raise TargetExists(
                    f"{connections.address(one.into)} has a database {_target_database(one)} already.",
                    hint="Name another one in --into (dbname=…).",
                )
        return
    with connections.connect(one.into) as session:
        if session.execute("select to_regclass(%s)", (one.table,)).fetchone()[0] is not None:  # type: ignore[index]
            raise TargetExists(
                f"{connections.address(one.into)} has a table {one.table} already.",
                hint="Rename it first, or restore into another database (dbname=…).",
            )


def run(one: Wanted, view: PostgresView, major: int, *, bin_: str | None = None) -> dict[str, Any]:
    """Copy. ``{"what", "into", "rows", "tables", "reached", "files"}``. Raises NotInCopy, DumpMissing, DumpFailed, ContentDiffers."""
    if one.database not in view.databases():
        raise NotInCopy(f"There was no database {one.database} at that moment.", hint="There were: " + ", ".join(view.databases()))
    parts = _parts(view, one) if one.table else []
    if one.table and not parts:
        raise NotInCopy(
            f"There was no table {one.table} in {one.database} at that moment.",
            hint="When was it last there? holdfast when … --dropped",
        )
    tools = _tools(major, bin_)
    source = connections.merged(view.connection, dbname=one.database)
    selection = [word for schema, name in parts for word in ("--table", f"{quoted(schema)}.{quoted(name)}")]
    names = [glob.escape(shown(one.database, schema, name)) for schema, name in parts]
    expected = view.digest(names) if names else _of(view, one.database)
    result: dict[str, Any] = {
        "what": one.what,
        "into": connections.address(one.into) if one.to_server else one.into,
        "tables": len(expected),
        "rows": sum(value["rows"] for value in expected.values()),
        "reached": dict(view.reached),
        "files": [],
    }
    if not one.to_server:
        folder = Path(one.into)
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{(one.table or one.database).replace('/', '_')}.dump"
        with path.open("xb") as file:
            _call([str(tools[0]), "--format=custom", *selection, "--dbname", source], stdout=file)
            file.flush()
            os.fsync(file.fileno())
        sync_folder(folder)
        result["files"] = [str(path)]
        return result
    into = one.into
    if one.table is None:
        name = _target_database(one)
        with connections.connect(_maintenance(one.into)) as session:
            session.execute(f"create database {quoted(name)} template template0")
        into = connections.merged(one.into, dbname=name)
    with tempfile.TemporaryDirectory(prefix="holdfast-dump-") as folder_name:
        path = Path(folder_name, "dump")
        with path.open("wb") as file:
            _call([str(tools[0]), "--format=custom", *selection, "--dbname", source], stdout=file)
        arguments, environment = _without_password(into)
        _call(
            [str(tools[1]), "--exit-on-error", "--no-owner", "--no-privileges", "--single-transaction", "--dbname", arguments, str(path)],
            environment,
        )
    _compare(expected, PostgresView(into, {}), one, names)
    return result


def _of(view: PostgresView, database: str) -> Mapping[str, Any]:
    with view.connect(database) as session:
        return dict(digests.of_database(session, database, ["*"]))


def _parts(view: PostgresView, one: Wanted) -> list[tuple[str, str]]:
    """(schema, name) of the table and of its partitions, whose rows are the table's; [] when it was not there."""
    query = """
        select n.nspname, c.relname from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
         where c.oid = to_regclass(%(table)s) or c.oid in (select relid from pg_catalog.pg_partition_tree(to_regclass(%(table)s)))
         order by c.oid <> to_regclass(%(table)s), 1, 2
    """
    with view.connect(one.database) as session:
        return [(schema, name) for schema, name in session.execute(query, {"table": one.table}).fetchall()]


def _compare(expected: Mapping[str, Any], there: PostgresView, one: Wanted, names: Sequence[str]) -> None:
    with there.connect() as session:
        arrived = dict(digests.of_database(session, one.database, names or ["*"]))
    wrong = digests.compare(expected, {name: value for name, value in arrived.items() if name in expected})
    if wrong:
        raise ContentDiffers(
            f"{len(wrong)} of {len(expected)} tables differ in the target: {', '.join(each['name'] for each in wrong[:5])}.",
            hint="Does something write to the target, or is its version older?",
            differences=wrong[:20],
        )


def _target_database(one: Wanted) -> str:
    name = connections.parse(one.into).get("dbname")
    return one.database if name in (None, "postgres", "template1") else str(name)


def _maintenance(dsn: str) -> str:
    return connections.merged(dsn, dbname="postgres")


def _without_password(dsn: str) -> tuple[str, dict[str, str]]:
    """(connection string fit for a process list, environment with the password)."""
    settings = connections.parse(dsn)
    password = settings.pop("password", None)
    text = " ".join(f"{name}='" + value.replace("\\", "\\\\").replace("'", "\\'") + "'" for name, value in settings.items())
    return text, {"PGPASSWORD": password} if password else {}


def _tools(major: int, bin_: str | None) -> tuple[Path, Path]:
    """pg_dump and pg_restore: of the copy's own version, else the next newer one."""
    fitting = sorted((one for one in programs.available(bin_) if one.major >= major), key=lambda one: one.major)
    for one in fitting:
        dump, restore = one.tool("pg_dump"), one.tool("pg_restore")
        if dump and restore:
            return dump, restore
    raise DumpMissing(
        f"No pg_dump and pg_restore of PostgreSQL {major} or newer are on this machine.",
        hint="Install the client tools, or set HOLDFAST_PG_BIN.",
    )


def _call(command: Sequence[str], environment: Mapping[str, str] | None = None, stdout: Any = subprocess.DEVNULL) -> None:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, stdout=stdout, stderr=subprocess.PIPE, env={**clean, **(environment or {})}, check=False
    )
    if done.returncode:
        raise DumpFailed(
            f"{Path(command[0]).name} ended with status {done.returncode}: {done.stderr.decode('utf-8', 'replace').strip()[-800:]}"
        )
