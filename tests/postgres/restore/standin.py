"""A vault's face over plain folders: what restore reads, taken from a running server by copying. The real vault is tested beside it."""

import contextlib
import dataclasses
import datetime as dt
import os
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from holdfast.model import Entry, Extracted, Finding, Increment, Progress, RecoveryPoint, Totals
from holdfast.systems.postgres import controlfile, layout
from holdfast.systems.postgres import lsn as positions
from holdfast.systems.postgres.restore.planning.history import BranchLog, Holdings, Mark, Marks
from holdfast.systems.postgres.restore.planning.plan import bases
from holdfast.systems.postgres.wal.format import Kind
from holdfast.systems.postgres.wal.records import scanner


@dataclasses.dataclass(frozen=True)
class Stored:
    entry: Entry
    content: bytes = b""


class FolderReader:
    """A point held in memory."""

    def __init__(self, point: RecoveryPoint, stored: Sequence[Stored]) -> None:
        self.point = point
        self._stored = list(stored)
        self.before_file: Callable[[str], None] = lambda path: None

    def entries(self, prefix: str = "") -> Iterator[Stored]:
        return (one for one in self._stored if one.entry.path.startswith(prefix))

    def find(self, path: str) -> Stored | None:
        return next((one for one in self._stored if one.entry.path == path), None)

    def read(self, stored: Any) -> bytes:
        return stored.content

    def extract(self, wanted: Iterable[Any], *, delta: bool = False, progress: Progress | None = None) -> Extracted:
        files = written = kept = 0
        for stored, opened in wanted:
            self.before_file(stored.entry.path)
            target = opened()
            step = 1 << 16
            for at in range(0, len(stored.content), step):
                part = stored.content[at : at + step]
                there = bytearray(len(part))
                if delta and target.existing(at, memoryview(there)) == len(part) and there == part:
                    kept += len(part)
                    continue
                target.write(at, memoryview(part))
                written += len(part)
            target.close()
            files += 1
        return Extracted(files, written, kept, written)


class FolderLog:
    """One branch's WAL, kept as segment files by name; ``limits`` tell how far the newest one is filled."""

    def __init__(self, branch: str, timeline: int, size: int) -> None:
        self.branch, self.timeline, self.size = branch, timeline, size
        self.segments: dict[int, bytes] = {}
        self.end = 0
        self.history = b""

    def increments(self, start: int = 0) -> Iterator[Increment]:
        for at in sorted(self.segments):
            end = min(at + self.size, self.end)
            if end > start and end > at:
                yield Increment(at, end, positions.show(at), dt.datetime.now(dt.UTC))

    def meta(self, increment: Increment) -> Mapping[str, Any]:
        return {}

    def read(self, increment: Increment) -> bytes:
        return self.segments[increment.start][: increment.end - increment.start]

    def stretches(self) -> tuple[tuple[int, int], ...]:
        found: list[tuple[int, int]] = []
        for one in self.increments():
            if found and found[-1][1] == one.start:
                found[-1] = (found[-1][0], one.end)
            else:
                found.append((one.start, one.end))
        return tuple(found)

    def marks(self) -> Marks:
        found = []
        for low, high in self.stretches():
            scan = scanner(low, self.size, full=True)
            for at in sorted(self.segments):
                if low <= at < high:
                    for event in scan.feed(self.segments[at][: min(at + self.size, high) - at]):
                        if event.kind in (Kind.COMMIT, Kind.RESTORE_POINT):
                            time = dt.datetime.fromtimestamp(event.time / 1e6, dt.UTC) if event.time else None
                            name = event.name.decode() if event.kind == Kind.RESTORE_POINT else None
                            found.append(Mark(event.start, event.end, time, event.xid if name is None else None, name))
        return Marks(tuple(found))


class FolderHistory:
    """Points and logs of one cluster."""

    def __init__(self) -> None:
        self.readers: dict[str, FolderReader] = {}
        self.branches_: dict[str, FolderLog] = {}
        self.covered: dict[str, dt.datetime] = {}

    def points(self) -> list[RecoveryPoint]:
        return sorted((reader.point for reader in self.readers.values()), key=lambda point: point.committed_at)

    def open(self, point: str) -> FolderReader:
        return self.readers[point]

    def logs(self) -> "FolderHistory":
        return self

    def branches(self) -> list[str]:
        return list(self.branches_)

    def reader(self, branch: str) -> FolderLog:
        return self.branches_[branch]

    def writer(self, branch: str, by: str = "follower") -> Any:
        raise NotImplementedError

    def holdings(self) -> Holdings:
        logs = {
            name: BranchLog(name, log.timeline, log.history, log.stretches(), self.covered.get(name), log.marks())
            for name, log in self.branches_.items()
        }
        return Holdings(bases(self.points()), logs)

    # ------------------------------------------------------------ taking it

    def take_wal(self, server: Any) -> None:
        """Copy what is in the server's pg_wal, as far as it was flushed."""
        control = controlfile.parse((server.data / controlfile.PATH).read_bytes())
        recovering = server.value("select pg_is_in_recovery()")
        end = positions.parse(server.value("select pg_last_wal_replay_lsn()" if recovering else "select pg_current_wal_flush_lsn()"))
        timeline = (
            server.value("select timeline_id from pg_control_checkpoint()")
            if recovering
            else int(server.value("select pg_walfile_name(pg_current_wal_insert_lsn())")[:8], 16)
        )
        size = control.wal_segment_size
        moment = dt.datetime.now(dt.UTC)
        wal = server.data / "pg_wal"
        for path in sorted(wal.iterdir()):
            if len(path.name) != 24:
                continue
            tli, at = positions.segment_start(path.name, size)
            history_path = wal / f"{tli:08X}.history"
            history = history_path.read_bytes() if history_path.exists() else b""
            name = positions.branch(control.system_identifier, tli, history)
            if at >= end or (tli != timeline and name not in self.branches_):
                continue
            log = self.branches_.setdefault(name, FolderLog(name, tli, size))
            log.history = history
            if tli == timeline:
                log.segments[at] = path.read_bytes()
                log.end = max(log.end, end)
                self.covered[name] = moment

    def take_point(self, server: Any, *, label: str | None = None) -> RecoveryPoint:
        """A base backup by copying while the server runs."""
        new = server.version >= 15
        started = dt.datetime.now(dt.UTC)
        with server.connect() as connection:
            name = "pg_backup_start" if new else "pg_start_backup"
            start = connection.execute(f"select {name}('x', {'true' if new else 'true, false'})::text").fetchone()[0]
            stored = [Stored(*one) for one in _copied(server.data)]
            spaces = connection.execute(
                "select oid::int, spcname, pg_tablespace_location(oid) from pg_tablespace where spcname not like 'pg\\_%'"
            ).fetchall()
            for oid, _, path in spaces:
                stored += [Stored(*one) for one in _copied(Path(path), f"pg_tblspc/{oid}/")]
            stop, label_text, _ = connection.execute(
                "select lsn::text, labelfile, spcmapfile from " + ("pg_backup_stop(false)" if new else "pg_stop_backup(false, false)")
            ).fetchone()
            stored.append(Stored(Entry("backup_label"), label_text.encode()))
            control_bytes = (server.data / controlfile.PATH).read_bytes()
            stored.append(Stored(Entry(controlfile.PATH), control_bytes))
            control = controlfile.parse(control_bytes)
            version = connection.info.server_version
        self.take_wal(server)
        timeline = int(server.value("select pg_walfile_name(pg_current_wal_insert_lsn())")[:8], 16)
        history_path = server.data / "pg_wal" / f"{timeline:08X}.history"
        branch = positions.branch(control.system_identifier, timeline, history_path.read_bytes() if history_path.exists() else b"")
        now = dt.datetime.now(dt.UTC)
        point = RecoveryPoint(
            id=uuid.uuid4().hex,
            system="db",
            kind="postgres",
            method="full",
            label=label,
            started_at=started,
            committed_at=now,
            start={"timeline": timeline, "lsn": start, "time": started.isoformat()},
            stop={"timeline": timeline, "lsn": stop, "time": now.isoformat()},
            logs=branch,
            facts={
                "system_identifier": str(control.system_identifier),
                "version_num": version,
                "segment_size": control.wal_segment_size,
                "tablespaces": [{"oid": oid, "name": name, "path": path} for oid, name, path in spaces],
                "settings": {},
                "preload_libraries": ["pg_stat_statements"],
            },
            totals=Totals(bytes=sum(len(one.content) for one in stored)),
        )
        self.readers[point.id] = FolderReader(point, stored)
        return point

    def mark_point(self, point: RecoveryPoint, finding: Finding) -> None:
        reader = self.readers[point.id]
        reader.point = point.model_copy(update={"findings": [finding]})


def _copied(top: Path, prefix: str = "") -> Iterator[tuple[Entry, bytes]]:
    for folder, folders, files in os.walk(top):
        parent = Path(folder).relative_to(top).as_posix().removeprefix(".")
        for name in folders:
            yield Entry(f"{prefix}{parent + '/' if parent else ''}{name}", "dir", mode=0o700), b""
        if not prefix and parent.split("/")[0] in layout.EMPTIED:
            continue
        if parent == "pg_tblspc" and not prefix:
            continue
        folders[:] = [name for name in folders if not (Path(folder) / name).is_symlink()]
        for name in files:
            path = f"{parent + '/' if parent else ''}{name}"
            if (not prefix and layout.left_out(parent, name)) or path == controlfile.PATH:
                continue
            with contextlib.suppress(FileNotFoundError):
                content = (Path(folder) / name).read_bytes()
                yield Entry(prefix + path, "file", len(content), 0o600), content
