"""A backup by reading the data directory of a running server on the same host."""

import contextlib
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from holdfast.model import Clock, Entry, Progress, RecoveryPoint
from holdfast.systems.contract import CaptureWriter
from holdfast.systems.postgres import controlfile, layout, lsn
from holdfast.systems.postgres.capture import config, facts, label, session, summaries
from holdfast.systems.postgres.capture.closing import close_point
from holdfast.systems.postgres.capture.source import FileSource
from holdfast.systems.postgres.capture.wal import BackupWal
from holdfast.systems.postgres.capture.walk import Walk
from holdfast.systems.postgres.cluster.members import Member
from holdfast.systems.postgres.controlfile import ControlFile
from holdfast.systems.postgres.faults import DataDirectoryDiffers, DataDirectoryUnreadable
from holdfast.systems.postgres.pages.check import PageLedger
from holdfast.systems.postgres.settings import PostgresSettings
from holdfast.systems.postgres.wal.timeline import parse_history

if TYPE_CHECKING:
    from holdfast.systems.postgres.link.connection import Connection

SMALL = 1 << 20
"""Files up to this many bytes that are no relations are read at once, so that one which vanishes is not in the point at all."""


def read_control(root: Path) -> tuple[bytes, ControlFile]:
    """The control file of a data directory, read until its CRC holds. Raises DataDirectoryUnreadable, ControlFileBad."""
    place = root / controlfile.PATH
    try:
        return controlfile.read_steady(place.read_bytes, str(place))
    except OSError as error:
        raise DataDirectoryUnreadable(
            f"{place} cannot be read: {error.strerror}.",
            hint="Check data_directory in the plan, and run as the server's user (or root).",
            path=str(place),
        ) from error


@dataclass(slots=True)
class InPlace:
    """One backup in place. ``wal`` was not prepared yet; the caller closes ``wal`` and ``server``."""

    writer: CaptureWriter
    server: "Connection"
    member: Member
    settings: PostgresSettings
    root: Path
    wal: BackupWal
    clock: Clock
    progress: Progress
    extra: Callable[[], Mapping[str, Any]] = dict
    """Adds further entries while the data is read, and returns facts about them."""

    def run(self) -> RecoveryPoint:
        """Raises the faults of this room; nothing is committed then."""
        _, control = read_control(self.root)
        if str(control.system_identifier) != self.member.system_identifier:
            raise DataDirectoryDiffers(
                f"{self.root} belongs to system {control.system_identifier}, "
                f"the server at {self.member.address} to {self.member.system_identifier}.",
                hint="Correct data_directory or the connection in the plan.",
            )
        if (control.state == "in production") != (self.member.role == "primary"):
            raise DataDirectoryDiffers(
                f"The server in {self.root} is {control.state}, the one at {self.member.address} a {self.member.role}.",
                hint="Is data_directory that of another member? Or was it promoted just now: then take the backup again.",
            )
        about = {**facts.collect(self.server, self.member.role or "primary"), **facts.from_control(control)}
        self.wal.prepare()
        self.progress.phase("checkpoint")
        started = session.start(self.server, f"holdfast {self.writer.session}", fast=self.settings.fast)
        self.wal.begin(started.position, started.timeline)
        ledger = PageLedger(started.position, control.page_size, control.segment_pages)
        self._data(about, control, started, ledger)
        control_bytes, _ = read_control(self.root)
        stopped = session.stop(self.server)
        begun = label.parse(stopped.label)
        session.same_timeline(begun.timeline, stopped.timeline, self.member.address)
        self.progress.phase("wal")
        branch = self.wal.finish(stopped.position)
        return close_point(
            self.writer,
            label_bytes=stopped.label,
            map_bytes=stopped.map,
            control_bytes=control_bytes,
            start={"timeline": begun.timeline, "lsn": lsn.show(begun.start), "time": started.time.isoformat()},
            stop={"timeline": stopped.timeline, "lsn": lsn.show(stopped.position), "time": stopped.time.isoformat()},
            branch=branch,
            facts={**about, "timeline_history": self.wal.history.decode("utf-8", "replace"), "method": "in-place"},
            bad=ledger.settled(stopped.position),
            torn=ledger.torn,
            server=self.server,
            dsn=self.member.dsn,
        )

    def _data(self, about: dict[str, Any], control: ControlFile, started: session.Started, ledger: PageLedger) -> None:
        changed = self._changes(started)
        spaces = {int(one["oid"]): one for one in about["tablespaces"]}
        major = self.server.info.server_version // 10000
        walk = Walk(os.fspath(self.root), spaces, f"PG_{major}_{control.catalog_version}")
        entries = walk.run()
        for note in walk.notes:
            self.progress.note(note)
        outside, missing = config.outside(self.server, about["data_directory"] or os.fspath(self.root), local=True)
        about["config_files"] = [one.fact() for one in outside]
        about["config_missing"] = missing
        extra = {one.entry: one for one in outside}
        self.progress.phase("data", sum(one.size for one in entries))
        base = _Base.of(self.writer) if changed is not None else None
        for entry in sorted([*entries, *(one.as_entry() for one in outside)], key=lambda one: one.path):
            if entry.path in extra:
                self.writer.add(entry, extra[entry.path].content)
            elif entry.kind == "file":
                self._file(entry, control, ledger, changed, base)
            else:
                self.writer.add(entry)
            self.wal.check()
        about.update(self.extra())
        self.writer.flush()

    def _changes(self, started: session.Started) -> summaries.Changes | None:
        base = self.writer.base
        if base is None or base.point.facts.get("system_identifier") != self.member.system_identifier:
            return None
        if base.point.facts.get("version_num", 0) // 10000 != self.server.info.server_version // 10000:
            return None
        return summaries.changes(
            self.server,
            base_start=base.point.start,
            base_stop=base.point.stop,
            timeline=started.timeline,
            start=started.position,
            history=[(one.timeline, one.position) for one in parse_history(self.wal.history)],
            clock=self.clock,
            progress=self.progress,
            patience=self.settings.summary_wait,
        )

    def _file(
        self, entry: Entry, control: ControlFile, ledger: PageLedger, changed: summaries.Changes | None, base: "_Base | None"
    ) -> None:
        place = os.fsencode(self.root / entry.path)
        relation = layout.relation(entry.path)
        if relation is None:
            self._plain(entry, place)
            return
        inspect = ledger.inspector(entry.path, relation, reread=True) if control.checksum_version else None
        ranges = None
        if changed is not None and base is not None and entry.path in base.sizes and entry.path not in base.suspect:
            ranges = changed.ranges(relation, entry.size, base.sizes[entry.path], control.page_size, control.segment_pages)
        if ranges == [] and base is not None and base.sizes[entry.path] == entry.size and self.writer.reuse(entry, again=True):
            return
        self.writer.add(entry, FileSource(place), inspect=inspect, changed=ranges)

    def _plain(self, entry: Entry, place: bytes) -> None:
        if entry.size > SMALL:
            self.writer.add(entry, FileSource(place))
            return
        with contextlib.suppress(FileNotFoundError):
            content = Path(os.fsdecode(place)).read_bytes()
            self.writer.add(_sized(entry, len(content)), content)


def _sized(entry: Entry, size: int) -> Entry:
    if entry.size == size:
        return entry
    return Entry(entry.path, entry.kind, size, entry.mode, entry.uid, entry.gid, entry.mtime_ns, entry.target, entry.extra)


@dataclass(frozen=True, slots=True)
class _Base:
    """Files of the base by path with their sizes, and those with a bad page: they are read again whole, so that the finding is not lost."""

    sizes: Mapping[str, int]
    suspect: frozenset[str]

    @classmethod
    def of(cls, writer: CaptureWriter) -> "_Base":
        assert writer.base is not None
        sizes = {one.entry.path: one.entry.size for one in writer.base.entries() if one.entry.kind == "file"}
        findings: Sequence[Any] = writer.base.point.findings
        return cls(sizes, frozenset(str(one.where.get("path")) for one in findings if one.code == "pg-bad-page"))
