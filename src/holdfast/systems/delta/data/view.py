"""What validation looks at: tables at a version, in a restored copy, in the lake itself, or gathered from the vault."""

import contextlib
import hashlib
import shutil
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from holdfast.errors import HoldfastError
from holdfast.model import Progress
from holdfast.systems.contract import Draw, Isolated, Relation, Sampled, Structural, TableUnknown
from holdfast.systems.delta.capture.pin import Wanted
from holdfast.systems.delta.capture.run import opener
from holdfast.systems.delta.data import by_file, rows, sql
from holdfast.systems.delta.data.relation import written
from holdfast.systems.delta.data.rows import TableAt
from holdfast.systems.delta.data.scan import sums
from holdfast.systems.delta.errors import FileBroken, QueryFailed
from holdfast.systems.delta.held import Held, pinned_in
from holdfast.systems.delta.log.listing import StoredLog
from holdfast.systems.delta.settings import DeltaSettings
from holdfast.systems.delta.store import LocalStore, Missing, Store
from holdfast.systems.delta.tables import find, prefix

Scan = Callable[[Mapping[str, TableAt]], dict[str, dict[str, Any]]]
"""Digests of tables, made by somebody else."""


class LakeView:
    """Satisfies ``systems.contract.Isolated``. A table is a view under its name, and under the last part of it where that is clear."""

    def __init__(
        self, tables: Mapping[str, TableAt], reached: Mapping[str, Any], place: str, folder: Path, scan: Scan | None = None
    ) -> None:
        self._scan = scan
        self._tables = dict(tables)
        self._reached = reached
        self._place = place
        self._folder = folder
        self._made: Any = None
        self._created: set[str] = set()
        self._digests: dict[str, dict[str, Any]] = {}
        self._relations: list[Path] = []

    @property
    def reached(self) -> Mapping[str, Any]:
        return self._reached

    @property
    def connection(self) -> str:
        return self._place

    @property
    def tables(self) -> Mapping[str, TableAt]:
        return self._tables

    def query(self, statement: str, *, database: str | None = None, timeout: float | None = None) -> Sequence[Sequence[Any]]:
        del database
        import duckdb

        connection = self._connection()
        self._create_named(statement)
        timer = threading.Timer(timeout, connection.interrupt) if timeout else None
        if timer is not None:
            timer.start()
        try:
            return _fetched(connection.sql(statement))
        except duckdb.InterruptException as error:
            raise QueryFailed(f"The query took longer than {timeout:g} s.", hint="Give the check a longer timeout.") from error
        except duckdb.Error as error:
            for table in self._tables.values():
                if self._view(table.name) in self._created and isinstance(found := rows.broken(table, error), FileBroken):
                    raise found from error
            raise QueryFailed(str(error).strip().splitlines()[0], hint=f"Tables are: {', '.join(self._names())}") from error
        finally:
            if timer is not None:
                timer.cancel()

    def structure(self, progress: Progress | None = None) -> Iterator[Structural]:
        """Each table is scanned whole, counted against the statistics of its log, and held against what its capture recorded."""
        del progress
        for name, table in self._tables.items():
            told = table.pinned.snapshot.rows()
            label = f"{table.label} version {table.pinned.snapshot.version}"
            try:
                digest = self.digest((name,))[name]
                found = digest["rows"]
            except HoldfastError as error:
                yield Structural(label, "failed", error.message)
                continue
            if told is not None and told != found:
                yield Structural(label, "failed", f"{found} rows where the log's statistics say {told}")
            elif table.recorded is not None and table.recorded != digest["hash"]:
                yield Structural(
                    label, "failed", f"{found} rows that hash to {digest['hash'][:16]}…, and {table.recorded[:16]}… was captured"
                )
            else:
                same = "" if table.recorded is None else ", the same content as captured"
                yield Structural(label, "passed", f"{found} rows of {len(table.pinned.snapshot.files)} files read{same}")

    def digest(self, selection: Sequence[str] = ()) -> Mapping[str, Any]:
        """For each table its version, rows and a hash over all of them in any order."""
        wanted = {name: table for name, table in self._tables.items() if not selection or name in selection}
        fresh = {name: table for name, table in wanted.items() if name not in self._digests}
        if self._scan is not None and fresh:
            self._digests |= self._scan(fresh)
            fresh = {}
        for name, table in fresh.items():
            # Files that were fetched for the scan alone do not stay: a table may be larger than this machine's disk.
            self._digests[name] = rows.summed(table, [sums(table, done=self._done(name))])
        return {name: self._digests[name] for name in wanted}

    def sample(self, draw: Draw, selection: Sequence[str] = ()) -> Mapping[str, Sampled]:
        """Data files drawn by their names: a table has no key. See ``by_file.sample``."""
        wanted = {name: table for name, table in self._tables.items() if not selection or name in selection}
        return {name: by_file.sample(table, draw, self._done(name)) for name, table in wanted.items()}

    def differences(self, other: Isolated, name: str, limit: int = 5) -> Mapping[str, Any]:
        """Narrowed down to files, then to the rows that only one of two copies has: a changed row is one missing and one too many."""
        theirs = other.tables.get(name) if isinstance(other, LakeView) else None
        mine = self._tables.get(name)
        if mine is None or theirs is None:
            return {"missing": None, "extra": None, "changed": None, "examples": [], "absent": "here" if mine is None else "there"}
        return by_file.differing(mine, theirs, self._folder, limit)

    def _done(self, name: str) -> Callable[[Path], None] | None:
        """What a scan does with files that were fetched for it alone."""
        return None if self._view(name) in self._created else self._tables[name].drop

    def relation(self, table: str, database: str | None = None) -> Relation:
        del database
        names = self._names()
        if table == "table" and "" in names:
            table = ""
        if table not in names:
            raise TableUnknown.among(table, names)
        relation, folder = written(self._tables[names[table]], self._folder)
        self._relations.append(folder)
        return relation

    def close(self) -> None:
        if self._made is not None:
            self._made.close()
        while self._relations:
            shutil.rmtree(self._relations.pop())

    # ------------------------------------------------------------ views

    def _connection(self) -> Any:
        if self._made is None:
            self._made = rows.connect(self._folder)
        return self._made

    def _names(self) -> dict[str, str]:
        """What a table may be called → the table."""
        last: dict[str, list[str]] = {}
        for name in self._tables:
            last.setdefault(name.rpartition("/")[2], []).append(name)
        short = {part: names[0] for part, names in last.items() if len(names) == 1}
        return {**short, **{name: name for name in self._tables}}

    def _view(self, name: str) -> str:
        return sql.name(name or "table")

    def _create_named(self, statement: str) -> None:
        import duckdb

        names = self._names()
        try:
            wanted = [one for one in self._connection().get_table_names(statement) if one in names]
        except duckdb.Error:
            wanted = []  # the statement itself will say what is wrong with it
        for one in wanted:
            self._create(names[one])
            if self._view(one) not in self._created:
                self._connection().execute(f"CREATE VIEW {self._view(one)} AS SELECT * FROM {self._view(names[one])}")
                self._created.add(self._view(one))

    def _create(self, name: str) -> None:
        if self._view(name) not in self._created:
            rows.create(self._connection(), self._tables[name], self._view(name))
            self._created.add(self._view(name))


def _fetched(result: Any) -> list[tuple[Any, ...]]:
    """By way of Arrow: DuckDB's own conversion of time zones needs a package more."""
    if result is None:
        return []
    table = result.to_arrow_table()
    return list(zip(*(column.to_pylist() for column in table.columns), strict=True)) if table.num_columns else []


class Fetch:
    """Files of a store on this machine: where they lie, or fetched into ``folder`` once."""

    def __init__(self, settings: DeltaSettings, store: Store, folder: Path) -> None:
        self._store, self._folder = store, folder
        self._opener = opener(settings, store)
        self._fetched: set[Path] = set()

    def __call__(self, wanted: Wanted) -> Path:
        """Raises FileBroken where it is gone."""
        store, key = (self._store, wanted.key) if wanted.address is None else self._opener(wanted.address)
        here = store.local(key)
        if here is not None:
            if not Path(here).exists():
                raise FileBroken(f"{store.url}/{key} is gone.")
            return Path(here)
        place = cached(self._folder, wanted)
        if not place.exists():
            thing = store.head(key)
            if thing is None:
                raise FileBroken(f"{store.url}/{key} is gone.")
            fetch(store, key, thing.size, place)
            self._fetched.add(place)
        return place

    def drop(self, path: Path) -> None:
        """What was fetched is removed; what lies where it belongs is not."""
        if path in self._fetched:
            self._fetched.discard(path)
            path.unlink(missing_ok=True)


def cached(folder: Path, wanted: Wanted) -> Path:
    suffix = ".parquet" if wanted.path.endswith(".parquet") else ".bin"
    return folder / "files" / (hashlib.sha256(wanted.path.encode()).hexdigest() + suffix)


def fetch(store: Store, key: str, size: int, place: Path) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    aside = place.with_suffix(".part")
    try:
        with aside.open("wb") as file:
            buffer = memoryview(bytearray(8 << 20))
            at = 0
            while at < size:
                got = store.read_into(key, at, buffer[: min(len(buffer), size - at)])
                if not got:
                    break
                file.write(buffer[:got])
                at += got
    except Missing as error:
        raise FileBroken(f"{store.url}/{key} is gone.") from error
    aside.rename(place)


@contextlib.contextmanager
def restored_view(into: Path, helds: Sequence[Held], reached: Mapping[str, Any], folder: Path) -> Iterator[LakeView]:
    """A restored copy, by what its own logs say."""
    store = LocalStore(into)
    located = Fetch(DeltaSettings(str(into)), store, folder)
    tables = {one.name: TableAt(one.name, pinned_in(StoredLog(store, prefix(one.name)), one.name), located, one.recorded) for one in helds}
    view = LakeView(tables, reached, str(into), folder)
    try:
        yield view
    finally:
        view.close()


@contextlib.contextmanager
def source_view(settings: DeltaSettings, versions: Mapping[str, int] | None, folder: Path, scan: Scan | None = None) -> Iterator[LakeView]:
    """The lake itself, at ``versions`` or as it is now. Raises LogBroken where a version is gone already."""
    store = settings.open(settings.url)
    wanted = versions if versions is not None else dict.fromkeys(find(store, settings.tables))
    located = Fetch(settings, store, folder / "source")
    tables = {
        name: TableAt(name, pinned_in(StoredLog(store, prefix(name)), name, version), located, drop=located.drop)
        for name, version in wanted.items()
    }
    reached = {"versions": {name: one.pinned.snapshot.version for name, one in tables.items()}}
    view = LakeView(tables, reached, settings.url, folder, scan)
    try:
        yield view
    finally:
        view.close()
