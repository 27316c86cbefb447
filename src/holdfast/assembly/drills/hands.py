"""What a drill does by hand in each kind of system: write marks and find them, spoil a copy, ask whether it is there."""

import contextlib
import datetime as dt
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, cast

from holdfast.drills.contract import CONTROLS, Control, Look, Mark
from holdfast.drills.errors import DrillUsage, NotTornDown, SentinelUnwritable

if TYPE_CHECKING:
    from holdfast.assembly.platform import Platform
    from holdfast.systems.contract import Isolated

TABLE = "holdfast_sentinel"
FILE = ".holdfast-sentinel-"


class Hands(Protocol):
    """Of one system."""

    controls: Sequence[Control]
    """With what a system of the kind can be fed."""

    def ready(self) -> str:
        """Looks whether a mark could be written; in words. Raises SentinelUnwritable."""
        ...

    def plant(self, nonce: str, n: int) -> Mark: ...

    def unplant(self, nonce: str) -> str:
        """Returns the proof that it is gone. Raises NotTornDown."""
        ...

    def marks(self, view: "Isolated", nonce: str) -> list[Mark]: ...

    def own(self, name: str) -> bool:
        """Whether that piece of a digest is the marks' own."""
        ...

    def spoil(self, view: "Isolated", table: str | None, share: float) -> dict[str, Any]:
        """Change content of a throw-away copy. ``share`` of the rows of ``table`` (None: the largest), at least one."""
        ...

    def isolation(self, view: "Isolated") -> list[dict[str, Any]]: ...

    def look(self, view: "Isolated") -> Look | None:
        """Is it there? None for a kind that has nothing standing to look at."""
        ...


def hands(platform: "Platform", system: str, place: str | None = None) -> Hands | None:
    """None where no mark may be written: see ``unmarked``. ``place``: where marks lie already, whatever the plan says by now."""
    from holdfast.assembly.drills.lakes import BucketHands, DeltaHands

    kind = platform.plan.effective(system).kind
    place = place if place is not None else platform.plan.document.drills.marks.get(system)
    if place is not None and kind in ("bucket", "delta"):
        return BucketHands(platform, system, place) if kind == "bucket" else DeltaHands(platform, system, place)
    if kind == "postgres":
        return PostgresHands(platform, system)
    return FilesHands(platform, system) if kind == "files" else None


def whereabouts(platform: "Platform", system: str) -> dict[str, str]:
    """What a later process, of another plan perhaps, has to know to find the marks again."""
    effective = platform.plan.effective(system)
    place, spec = platform.plan.document.drills.marks.get(system), cast("Any", effective.spec)
    return {"place": place, "url": str(spec.url)} if place is not None and effective.kind in ("bucket", "delta") else {}


def unmark(platform: "Platform", undo: Mapping[str, Any]) -> str:
    """``undo``: the system, the nonce and the whereabouts. Returns the proof that no mark is left. Raises NotTornDown."""
    system, nonce = str(undo["system"]), str(undo["nonce"])
    own = hands(platform, system, undo.get("place"))
    if own is None:
        raise NotTornDown(
            f"The plan has no place for marks in {system} any more, so nobody knows where those of {nonce} are.",
            hint=f"Give it back until they are gone: drills: {{marks: {{{system}: …}}}}",
            system=system,
        )
    url, spec = undo.get("url"), cast("Any", platform.plan.effective(system).spec)
    if url is not None and url != str(spec.url):
        raise NotTornDown(
            f"The marks of {nonce} were written to {url}; {system} has another address in the plan now.",
            hint=f"Remove what has {nonce} in its name below {url}/{undo['place']}, or give the address back.",
            system=system,
        )
    return own.unplant(nonce)


def unmarked(platform: "Platform", system: str) -> str:
    """Why no mark is written into it, in words."""
    kind = platform.plan.effective(system).kind
    if kind in ("bucket", "delta"):
        return f"no mark can be written into it: the plan gives no place for one (drills: marks: {{{system}: …}})"
    return f"no mark can be written into a system of kind {kind}"


class PostgresHands:
    """Marks are rows of the table ``holdfast_sentinel`` in the database that the plan's dsn names."""

    controls: Sequence[Control] = CONTROLS

    def __init__(self, platform: "Platform", system: str, dsn: str | None = None) -> None:
        self._platform, self._system, self._dsn = platform, system, dsn

    def dsn(self) -> str:
        """Of the primary."""
        if self._dsn is not None:
            return self._dsn
        connect = self._platform.postgres_recovery(self._system).connect
        assert connect is not None
        return connect("primary")

    def ready(self) -> str:
        # Whether the role may make a table says only trying; nothing is written before a drill begins.
        return f"database {self._database()}"

    def _database(self) -> str:
        from holdfast.systems.postgres.link import connection

        return connection.parse(self.dsn()).get("dbname") or connection.parse(self.dsn()).get("user") or "postgres"

    def plant(self, nonce: str, n: int) -> Mark:
        """Raises SentinelUnwritable."""
        from holdfast.systems.postgres.link import connection

        try:
            with connection.connect(self.dsn(), application="holdfast drill") as session:
                session.execute(  # its name is our own constant
                    f"create table if not exists public.{TABLE}"
                    " (nonce text, n integer, at timestamptz not null, about text, primary key (nonce, n))"
                )
                about = "written by a Holdfast drill, and removed at its end"
                row = session.execute(
                    f"insert into public.{TABLE} values (%s, %s, clock_timestamp(), %s) returning at",  # noqa: S608 - our own constant
                    (nonce, n, about),
                ).fetchone()
                # What follows the log sees it soon, also on an idle server.
                assert row is not None
                return Mark(nonce, n, row[0])
        except Exception as error:
            if type(error).__module__.partition(".")[0] != "psycopg":
                raise
            said = str(error).strip().partition("\n")[0]
            raise SentinelUnwritable(
                f"No mark can be written into {self._system}: {said}",
                hint=f"As a superuser: create table public.{TABLE} (nonce text, n integer, at timestamptz not null, about text,"
                " primary key (nonce, n)); and grant all on it to the plan's role. Or leave sentinel out of the scenario's criteria.",
                system=self._system,
            ) from error

    def unplant(self, nonce: str) -> str:
        from holdfast.systems.postgres.link import connection

        with connection.connect(self.dsn(), application="holdfast drill") as session, session.transaction():
            if session.execute("select to_regclass(%s)", (f"public.{TABLE}",)).fetchone() == (None,):
                return "the table of marks is not there"
            session.execute(f"delete from public.{TABLE} where nonce = %s", (nonce,))  # noqa: S608 - our own constant
            [left] = session.execute(f"select count(*) from public.{TABLE} where nonce = %s", (nonce,)).fetchone() or (None,)  # noqa: S608
            [others] = session.execute(f"select count(*) from public.{TABLE}").fetchone() or (None,)  # noqa: S608
            mine = session.execute(
                "select pg_has_role(relowner, 'usage') from pg_class where oid = %s::regclass", (f"public.{TABLE}",)
            ).fetchone()
            dropped = others == 0 and mine == (True,)
            if dropped:
                session.execute(f"drop table public.{TABLE}")
        if left:
            raise NotTornDown(f"{left} marks are still in {self._system}.", hint=f"Empty the table public.{TABLE}.", system=self._system)
        return f"no mark of {nonce} is left{', nor their table' if dropped else ''}"

    def marks(self, view: "Isolated", nonce: str) -> list[Mark]:
        database = self._database()
        [[there]] = view.query(f"select to_regclass('public.{TABLE}') is not null", database=database)
        if not there:
            return []
        assert nonce.isalnum()
        rows = view.query(f"select n, at from public.{TABLE} where nonce = '{nonce}' order by n", database=database)  # noqa: S608 - hex digits
        return [Mark(nonce, int(n), at) for n, at in rows]

    def own(self, name: str) -> bool:
        return name.rpartition(".")[2].strip('"') == TABLE

    def spoil(self, view: "Isolated", table: str | None, share: float) -> dict[str, Any]:
        from holdfast.systems.postgres.link import connection

        for database in [self._database(), *self._databases(view)]:
            with connection.connect(connection.merged(view.connection, dbname=database), application="holdfast drill") as session:
                chosen = table or _largest(session)
                if chosen is None or session.execute("select to_regclass(%s)", (chosen,)).fetchone() == (None,):
                    continue
                [rows] = session.execute(f"select count(*) from {chosen}").fetchone() or (0,)  # noqa: S608 - a name of the catalogue or the plan
                if not rows:
                    continue
                gone = max(int(rows * share), 1)
                # As an accident in the tables would: no trigger and no foreign key stands in the way.
                session.execute("set session_replication_role = replica")
                session.execute(f"delete from {chosen} where ctid in (select ctid from {chosen} limit {gone})")  # noqa: S608
                return {"database": database, "table": chosen, "rows": rows, "gone": gone}
        raise DrillUsage(
            f"{self._system} has no {f'table {table} with rows' if table else 'table with rows'} to harm.",
            hint="Name a table that has rows: disaster: {table: …}",
            system=self._system,
        )

    def _databases(self, view: "Isolated") -> list[str]:
        rows = view.query("select datname from pg_database where datallowconn and not datistemplate order by oid")
        return [name for (name,) in rows]

    def isolation(self, view: "Isolated") -> list[dict[str, Any]]:
        rows = view.query(
            "select current_setting('listen_addresses'), current_setting('archive_mode'), current_setting('primary_conninfo')"
        )
        listens, archives, follows = rows[0]
        return [
            {"name": "addresses of the network that it listens on", "expected": "", "actual": str(listens)},
            {"name": "it archives its log", "expected": "off", "actual": str(archives)},
            {"name": "the server that it follows", "expected": "", "actual": str(follows)},
        ]

    def look(self, view: "Isolated") -> Look:
        view.query("select 1")
        return Look(True, 1)


def _largest(session: Any) -> str | None:
    row = session.execute(
        "select format('%%I.%%I', nspname, relname) from pg_class join pg_namespace n on n.oid = relnamespace where relkind = 'r'"
        " and nspname !~ '^(pg_|information_schema)' and relname <> %s order by pg_relation_size(pg_class.oid) desc, relname limit 1",
        (TABLE,),
    ).fetchone()
    return str(row[0]) if row else None


class FilesHands:
    """Marks are lines of one file in the first path that is a folder."""

    controls: Sequence[Control] = CONTROLS

    def __init__(self, platform: "Platform", system: str) -> None:
        self._platform, self._system = platform, system

    def _path(self, nonce: str) -> Path:
        spec: Any = self._platform.plan.effective(self._system).spec
        folder = next((path for path in map(Path, spec.paths or ()) if path.is_dir()), None)
        if folder is None:
            raise SentinelUnwritable(
                f"No path of {self._system} is a folder that a mark could be written into.",
                hint="Leave sentinel out of the scenario's criteria.",
                system=self._system,
            )
        return folder / f"{FILE}{nonce}"

    def ready(self) -> str:
        folder = self._path("").parent
        if not os.access(folder, os.W_OK):
            raise SentinelUnwritable(
                f"No mark may be written into {folder}.",
                hint="Run the drill as an account that may write there, or leave sentinel out of the scenario's criteria.",
                system=self._system,
            )
        return str(folder)

    def plant(self, nonce: str, n: int) -> Mark:
        """Raises SentinelUnwritable."""
        mark = Mark(nonce, n, self._platform.clock.now())
        try:
            path = self._path(nonce)
            with path.open("a", encoding="ascii") as file:
                file.write(json.dumps({"n": n, "at": mark.at.isoformat()}) + "\n")
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise SentinelUnwritable(
                f"No mark can be written into {self._system}: {error}.",
                hint="Run the drill as an account that may write there, or leave sentinel out of the scenario's criteria.",
                system=self._system,
            ) from error
        return mark

    def unplant(self, nonce: str) -> str:
        spec: Any = self._platform.plan.effective(self._system).spec
        # In whichever path it was: the first one may be gone by now.
        for path in (Path(one) / f"{FILE}{nonce}" for one in spec.paths or ()):
            try:
                path.unlink()
            except (FileNotFoundError, NotADirectoryError):
                continue
            except OSError as error:
                raise NotTornDown(f"{path} could not be removed: {error}.", hint="Remove it.", system=self._system) from error
        return f"no path of {self._system} holds {FILE}{nonce}"

    def marks(self, view: "Isolated", nonce: str) -> list[Mark]:
        path = Path(view.connection) / str(self._path(nonce)).lstrip("/")
        found = []
        with contextlib.suppress(FileNotFoundError):
            for line in path.read_text(encoding="ascii").splitlines():
                said: Mapping[str, Any] = json.loads(line)
                found.append(Mark(nonce, int(said["n"]), dt.datetime.fromisoformat(said["at"])))
        return found

    def own(self, name: str) -> bool:
        del name
        return False

    def spoil(self, view: "Isolated", table: str | None, share: float) -> dict[str, Any]:
        del share
        root = Path(view.connection).resolve()
        # A link in the copy may lead to what it led to in production: only files that lie in the copy itself are written to.
        files = [
            path
            for path in root.rglob(table or "*")
            if path.resolve() == path and path.is_relative_to(root) and path.is_file() and not path.name.startswith(FILE)
        ]
        chosen = max(files, key=lambda path: (path.stat().st_size, str(path)), default=None)
        if chosen is None or not chosen.stat().st_size:
            raise DrillUsage(f"{self._system} has no file with content to harm.", system=self._system)
        with chosen.open("r+b") as file:
            first = file.read(1)
            file.seek(0)
            file.write(bytes([first[0] ^ 0xFF]))
        return {"file": str(chosen.relative_to(root)), "bytes": 1}

    def isolation(self, view: "Isolated") -> list[dict[str, Any]]:
        spec: Any = self._platform.plan.effective(self._system).spec
        inside = [path for path in spec.paths or () if Path(view.connection).is_relative_to(path)]
        return [{"name": "protected paths that the copy lies in", "expected": [], "actual": inside}]

    def look(self, view: "Isolated") -> Look:
        there = Path(view.connection).is_dir()
        return Look(there, None, "" if there else f"{view.connection} is not there")
