"""A backup over the replication protocol: nothing but a login with REPLICATION is needed, from any host."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from holdfast.model import Clock, Entry, Progress, RecoveryPoint
from holdfast.systems.contract import CaptureWriter, Sink
from holdfast.systems.postgres import controlfile, layout, lsn
from holdfast.systems.postgres.capture import config, facts, label, session
from holdfast.systems.postgres.capture.closing import close_point
from holdfast.systems.postgres.capture.protocol import ArchiveBegins, ArchiveData, BaseBackup
from holdfast.systems.postgres.capture.tar import Take, TarMember, TarStream
from holdfast.systems.postgres.capture.wal import BackupWal
from holdfast.systems.postgres.cluster.members import Member
from holdfast.systems.postgres.faults import StreamMalformed
from holdfast.systems.postgres.pages.check import PageLedger
from holdfast.systems.postgres.settings import PostgresSettings

if TYPE_CHECKING:
    from holdfast.systems.postgres.link.connection import Connection

_HELD = frozenset({"backup_label", "tablespace_map", controlfile.PATH})


@dataclass(slots=True)
class Remote:
    """One backup over the protocol. ``wal`` was not prepared yet; the caller closes ``wal`` and ``server``."""

    writer: CaptureWriter
    server: "Connection"
    member: Member
    settings: PostgresSettings
    wal: BackupWal
    clock: Clock
    progress: Progress
    extra: Callable[[], Mapping[str, Any]] = dict
    """Adds further entries, and returns facts about them."""
    _held: dict[str, bytearray] = field(default_factory=dict)
    _ledger: PageLedger | None = None
    _sink: Sink | None = None
    _prefix: str = ""

    def run(self) -> RecoveryPoint:
        """Raises the faults of this room; nothing is committed then."""
        about = facts.collect(self.server, self.member.role or "primary")
        self.wal.prepare()
        backup = BaseBackup(self.member.dsn, timeout=self.settings.connect_timeout)
        try:
            self.progress.phase("checkpoint")
            time = session.now(self.server)
            begun = backup.start(f"holdfast {self.writer.session}", fast=self.settings.fast, rate=self.settings.rate)
            self.wal.begin(begun.position, begun.timeline)
            self._ledger = self._new_ledger(begun.position)
            self.progress.phase("data", sum(size for _, _, size in backup.spaces))
            self._data(backup, {int(one["oid"]): one for one in about["tablespaces"]})
            self._config(about)
            about.update(self.extra())
            self.writer.flush()
            if backup.stopped is None:
                raise StreamMalformed("The server told no stop position.", hint="See the server's log.")
            session.same_timeline(begun.timeline, backup.stopped.timeline, self.member.address)
            stopped_at = session.now(self.server)
            self.progress.phase("wal")
            branch = self.wal.finish(backup.stopped.position)
        finally:
            backup.close()
        for name in ("backup_label", controlfile.PATH):
            if name not in self._held:
                raise StreamMalformed(f"The server's base backup holds no {name}.", hint="See the server's log.")
        control = controlfile.parse(bytes(self._held[controlfile.PATH]))
        written = label.parse(bytes(self._held["backup_label"]))
        bad = self._ledger.settled(backup.stopped.position) if self._ledger is not None and control.checksum_version else []
        return close_point(
            self.writer,
            label_bytes=bytes(self._held["backup_label"]),
            map_bytes=bytes(self._held.get("tablespace_map", b"")),
            control_bytes=bytes(self._held[controlfile.PATH]),
            start={"timeline": written.timeline, "lsn": lsn.show(written.start), "time": time.isoformat()},
            stop={"timeline": backup.stopped.timeline, "lsn": lsn.show(backup.stopped.position), "time": stopped_at.isoformat()},
            branch=branch,
            facts={
                **about,
                **facts.from_control(control),
                "timeline_history": self.wal.history.decode("utf-8", "replace"),
                "method": "remote",
            },
            bad=bad,
            torn=0,
            server=self.server,
            dsn=self.member.dsn,
        )

    def _new_ledger(self, start: int) -> PageLedger | None:
        """Pages are looked at only when they carry sums; these settings are open to every role."""
        from holdfast.systems.postgres.link import connection

        query = """
            SELECT pg_catalog.current_setting('data_checksums') AS sums, pg_catalog.current_setting('block_size')::int AS page,
                   (SELECT setting::int8 FROM pg_catalog.pg_settings WHERE name = 'segment_size') AS pages
        """
        row = connection.rows(self.server, query, what="Asking for the page size")[0]
        return PageLedger(start, int(row["page"]), int(row["pages"])) if row["sums"] == "on" else None

    def _data(self, backup: BaseBackup, spaces: Mapping[int, Mapping[str, Any]]) -> None:
        tar: TarStream | None = None
        for event in backup.events():
            if isinstance(event, ArchiveData):
                if tar is None:
                    raise StreamMalformed("The server sent data before an archive began.", hint="See the server's log.")
                tar.feed(event.data)
            else:
                if tar is not None:
                    tar.finish()
                tar = TarStream(self._member, self._end)
                self._begin(event, spaces)
        if tar is not None:
            tar.finish()

    def _begin(self, archive: ArchiveBegins, spaces: Mapping[int, Mapping[str, Any]]) -> None:
        self.wal.check()
        self._prefix = f"pg_tblspc/{archive.tablespace}/" if archive.tablespace else ""
        if archive.tablespace:
            space = spaces.get(archive.tablespace, {})
            extra = {"tablespace": space.get("path"), "name": space.get("name")}
            self.writer.add(Entry(self._prefix.rstrip("/"), "dir", mode=0o700, extra=extra))

    def _member(self, member: TarMember) -> Take | None:
        path = self._prefix + member.path
        parent, _, name = path.rpartition("/")
        entry = Entry(path, member.kind, member.size, member.mode, member.uid, member.gid, member.mtime * 10**9, member.target)
        if path in _HELD:
            held = self._held[path] = bytearray()
            return held.extend
        if not path or path == self._prefix.rstrip("/") or layout.left_out(parent, name):
            return None
        if member.kind != "file":
            self.writer.add(entry)
            return None
        self.wal.check()
        relation = layout.relation(path)
        inspect = self._ledger.inspector(path, relation, reread=False) if self._ledger is not None and relation is not None else None
        self._sink = self.writer.stream(entry, inspect=inspect)
        return self._sink.write

    def _end(self) -> None:
        if self._sink is not None:
            self._sink.close()
            self._sink = None

    def _config(self, about: dict[str, Any]) -> None:
        outside, missing = config.outside(self.server, about["data_directory"], local=False)
        about["config_files"] = [one.fact() for one in outside]
        about["config_missing"] = missing
        for one in outside:
            self.writer.add(one.as_entry(), one.content)
        for text in missing:
            self.progress.note(f"Not in the point: {text}")
