"""Logical dumps of chosen databases besides the physical copy: ``pg_dump``'s custom format, streamed into the point.

A dump has its own snapshot: it is not of the same moment as the physical copy beside it.
"""

import subprocess
import urllib.parse
from collections.abc import Callable, Mapping, Sequence
from typing import IO, Any, Protocol

from holdfast.model import Entry, Progress
from holdfast.systems.contract import CaptureWriter
from holdfast.systems.postgres.faults import DumpFailed
from holdfast.systems.postgres.link import connection
from holdfast.systems.postgres.settings import PostgresSettings

FOLDER = "holdfast/logical"
READ = 1 << 20


class Child(Protocol):
    """What is used of ``subprocess.Popen``."""

    stdout: IO[bytes] | None
    stderr: IO[bytes] | None

    def wait(self, timeout: float | None = None) -> int: ...

    def kill(self) -> None: ...


Launch = Callable[[Sequence[str], Mapping[str, str]], Child]


def launch(command: Sequence[str], environment: Mapping[str, str]) -> Child:
    """Start a program without a shell, with pipes for what it prints."""
    return subprocess.Popen(list(command), env=dict(environment), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def environment(dsn: str, database: str, base: Mapping[str, str]) -> dict[str, str]:
    """Libpq's variables for a connection string. The password travels here, never in the arguments that a process list shows."""
    from psycopg import pq

    settings = {**connection.parse(dsn), "dbname": database, "application_name": "holdfast pg_dump", "client_encoding": "UTF8"}
    found = dict(base)
    for option in pq.Conninfo.get_defaults():
        name = option.keyword.decode()
        if option.envvar and name in settings:
            found[option.envvar.decode()] = settings[name]
    return found


def extra_of(
    writer: CaptureWriter, dsn: str, settings: PostgresSettings, environ: Mapping[str, str], progress: Progress
) -> Mapping[str, Any]:
    """The dumps that the plan asks for, as facts of the point: {} when it asks for none."""
    if not settings.databases:
        return {}
    found = dump(writer, dsn, settings.databases, program=settings.pg_dump, base_environment=environ, progress=progress)
    return {"dumps": found}


def dump(
    writer: CaptureWriter,
    dsn: str,
    databases: Sequence[str],
    *,
    program: str,
    base_environment: Mapping[str, str],
    progress: Progress,
    start: Launch = launch,
) -> list[dict[str, Any]]:
    """Dump each database to ``holdfast/logical/<quoted name>.dump``; returns a fact for each. Raises DumpFailed, naming the database."""
    facts = []
    for name in sorted(databases):
        path = f"{FOLDER}/{urllib.parse.quote(name, safe='')}.dump"
        progress.phase(f"dump {name}")
        try:
            child = start([program, "--format=custom", "--compress=0", "--no-password"], environment(dsn, name, base_environment))
        except OSError as error:
            raise DumpFailed(
                f"{program} cannot be started: {error.strerror}.",
                hint="Install PostgreSQL's client programs, or name pg_dump in the plan; it must not be older than the server.",
            ) from error
        size = _pump(writer, path, child, name)
        facts.append({"database": name, "entry": path, "bytes": size, "format": "custom"})
    return facts


def _pump(writer: CaptureWriter, path: str, child: Child, name: str) -> int:
    assert child.stdout is not None
    assert child.stderr is not None
    size, ended = 0, False
    sink = writer.stream(Entry(path))
    try:
        while data := child.stdout.read(READ):
            sink.write(data)
            size += len(data)
        # pg_dump says little: a pipe's buffer holds it until the end.
        said = child.stderr.read().decode("utf-8", "replace")
        status = child.wait()
        ended = True
    finally:
        if not ended:
            child.kill()
            child.wait()
        child.stdout.close()
        child.stderr.close()
    if status:
        raise DumpFailed(
            f"pg_dump of database {name} ended with status {status}: {' '.join(said.split())[:500]}",
            hint="No point was committed. Check the database's name and the role's rights (SELECT on all tables).",
            database=name,
        )
    sink.close()
    return size
