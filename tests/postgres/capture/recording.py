"""A writer that keeps a point as plain files in a folder: enough to look at, to start a server on, and to serve as the next base.

The contract of ``systems.contract.CaptureWriter``, and no more: an entry is written when it is added.
"""

import datetime as dt
from pathlib import Path

from holdfast.model import Entry, RecoveryPoint
from holdfast.systems.postgres import lsn

RUN = 1 << 20


class Stored:
    def __init__(self, entry):
        self.entry = entry


class RecordedPoint:
    def __init__(self, folder, entries, point):
        self.folder, self._entries, self.point = folder, entries, point

    def entries(self, prefix=""):
        return iter([Stored(one) for path, one in self._entries.items() if path.startswith(prefix)])

    def find(self, path):
        return Stored(self._entries[path]) if path in self._entries else None

    def read(self, stored):
        return (self.folder / stored.entry.path).read_bytes()


class FolderWriter:
    """``read`` counts bytes read from sources; ``reused`` the files taken from the base untouched."""

    def __init__(self, folder: Path, base: RecordedPoint | None = None):
        self.session = "0" * 32
        self.folder, self.base = folder, base
        self.entries: dict[str, Entry] = {}
        self.order: list[str] = []
        self.read = 0
        self.reused: list[str] = []
        self.before_read = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def _note(self, entry, size):
        assert entry.path not in self.entries, entry.path
        self.order.append(entry.path)
        self.entries[entry.path] = Entry(
            entry.path, entry.kind, size, entry.mode, entry.uid, entry.gid, entry.mtime_ns, entry.target, entry.extra
        )

    def add(self, entry, content=None, *, inspect=None, changed=None):
        place = self.folder / entry.path
        if entry.kind == "dir":
            place.mkdir(parents=True, exist_ok=True)
            self._note(entry, 0)
            return
        place.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, (bytes, bytearray, memoryview)):
            place.write_bytes(content)
            self._note(entry, len(content))
            return
        if self.before_read is not None:
            self.before_read(entry)
        ranges = [(0, entry.size)] if changed is None else changed
        old = (self.base.folder / entry.path).read_bytes()[: entry.size] if changed is not None else b""
        whole = bytearray(old.ljust(entry.size, b"\0"))
        end = len(old) if changed is not None and not (ranges and ranges[-1][1] >= entry.size) else 0
        for start, stop in ranges:
            for at in range(start, stop, RUN):
                view = memoryview(bytearray(min(RUN, stop - at)))
                got = content.read_into(at, view)
                self.read += got
                if inspect is not None and got:
                    inspect(content, at, view[:got])
                whole[at : at + got] = view[:got]
                end = max(end, at + got)
                if got < len(view):
                    break
        content.close()
        del whole[end:]
        place.write_bytes(whole)
        self._note(entry, len(whole))

    def reuse(self, entry, *, again=False):
        if self.base is None or self.base.find(entry.path) is None or self.base.find(entry.path).entry.size != entry.size:
            return False
        self.reused.append(entry.path)
        place = self.folder / entry.path
        place.write_bytes((self.base.folder / entry.path).read_bytes())
        self._note(entry, entry.size)
        return True

    def stream(self, entry, *, inspect=None):
        writer = self
        place = self.folder / entry.path
        place.parent.mkdir(parents=True, exist_ok=True)

        class Sink:
            data = bytearray()

            def write(self, data):
                self.data += data

            def close(self):
                writer.read += len(self.data)
                if inspect is not None:
                    for at in range(0, len(self.data), RUN):
                        inspect(None, at, memoryview(self.data)[at : at + RUN])
                place.write_bytes(self.data)
                writer._note(entry, len(self.data))

        sink = Sink()
        sink.data = bytearray()
        return sink

    def flush(self):
        pass

    def commit(self, *, kind, start, stop, logs=None, facts=None, expected=None, findings=(), method=""):
        now = dt.datetime.now(dt.UTC)
        self.point = RecoveryPoint(
            id=self.session,
            system="s",
            kind=kind,
            method=method,
            started_at=now,
            committed_at=now,
            start=dict(start),
            stop=dict(stop),
            logs=logs,
            facts=dict(facts or {}),
            findings=list(findings),
        )
        return self.point

    def abort(self):
        pass

    def done(self) -> RecordedPoint:
        return RecordedPoint(self.folder, self.entries, self.point)


class MemoryLogs:
    """Branches as lists of (start, bytes, meta). ``held``: branches whose lease another process holds."""

    def __init__(self):
        self.pieces: dict[str, list] = {}
        self.held: set[str] = set()
        self.fault: Exception | None = None

    def branches(self):
        return sorted(self.pieces)

    def reader(self, branch):
        logs = self

        class Reader:
            def coverage(self, start=0):
                found = []
                for at, data, _ in sorted(logs.pieces.get(branch, []), key=lambda one: one[0]):
                    if at + len(data) <= start:
                        continue
                    if found and at <= found[-1][1]:
                        found[-1] = (found[-1][0], max(found[-1][1], at + len(data)))
                    else:
                        found.append((max(at, start), at + len(data)))
                return found

            remembered = coverage

        return Reader()

    def writer(self, branch, by="follower"):
        from holdfast.vault.logs.errors import LogFollowed

        if branch in self.held:
            raise LogFollowed("Another follower holds it.")
        logs = self

        class Writer:
            wanted = False

            @property
            def end(self):
                return max((at + len(data) for at, data, _ in logs.pieces.get(branch, [])), default=None)

            def append(self, start, data, meta):
                if logs.fault is not None:
                    raise logs.fault
                logs.pieces.setdefault(branch, []).append((start, bytes(data), dict(meta)))

            def close(self):
                pass

        return Writer()

    def write_segments(self, branch, folder: Path, segment_size=lsn.SEGMENT):
        """The branch's WAL as segment files, as a restore would lay them down."""
        timeline = int(branch.split("-")[1])
        for at, data, _ in self.pieces[branch]:
            done = 0
            while done < len(data):
                position = at + done
                name = lsn.segment_name(timeline, position, segment_size)
                room = min(segment_size - position % segment_size, len(data) - done)
                with (folder / name).open("r+b" if (folder / name).exists() else "w+b") as file:
                    file.truncate(segment_size)
                    file.seek(position % segment_size)
                    file.write(data[done : done + room])
                done += room


def restore_by_hand(point: RecordedPoint, logs: MemoryLogs, target: Path) -> None:
    """Lay a recorded point down as a data directory that a server can start on; tablespaces go into real folders beside it."""
    import shutil

    shutil.copytree(point.folder, target)
    shutil.rmtree(target / "holdfast", ignore_errors=True)
    for space in point.point.facts["tablespaces"]:
        inside = target / "pg_tblspc" / str(space["oid"])
        outside = target.parent / f"{target.name}-{space['oid']}"
        shutil.move(inside, outside)
        inside.symlink_to(outside)
    label = (target / "tablespace_map").exists()
    if label:
        (target / "tablespace_map").unlink()
    logs.write_segments(point.point.logs, target / "pg_wal", point.point.facts["segment_size"])
    with (target / "postgresql.auto.conf").open("a") as conf:
        conf.write("archive_mode = off\nprimary_conninfo = ''\n")
