"""The chain of this host, in files.

In ``folder``: ``host`` (the tag of the chain in use), ``<tag>.jsonl`` (entries), ``<tag>.head`` (number and hash of the newest entry),
``exported.json`` (how far each location has copies). Order of a write: the entry is appended and fsynced, then the head is replaced; so
the head never runs ahead.

Each entry's payload gets a ``clock``: the monotonic clock's seconds and the boot that they count from, so that a wall clock that was set
is seen.

A chain that turns out damaged is never mended: it is left as it is, and a new chain begins whose first entry says what was found. A line
that a crash tore off was never acknowledged: it is set aside, and an entry says so.
"""

import collections
import contextlib
import fcntl
import functools
import hashlib
import itertools
import json
import os
import secrets
import socket
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

from holdfast.connect.durable import sync_folder
from holdfast.errors import Damaged, Unreachable
from holdfast.journal.chain import Problem, check
from holdfast.journal.record import Record, make, origin, parse
from holdfast.model import Clock


class JournalBroken(Damaged):
    """A chain was cut, edited or reordered."""

    code = "journal-broken"


class JournalUnwritable(Unreachable):
    """An entry could not be made durable."""

    code = "journal-unwritable"


class Copies(Protocol):
    """Where copies go: one location of the vault."""

    def put(self, name: str, data: bytes) -> None:
        """Store under ``name`` for good; returns when durable. The same bytes again are fine; other bytes under a taken name raise."""
        ...


class Journal:
    """Append and read. Safe from several processes of one host (one lock file)."""

    def __init__(self, folder: Path, clock: Clock, about: Callable[[str, Mapping[str, Any]], Mapping[str, Any]] | None = None) -> None:
        """``about``: what joins an entry as its ``context``, from its kind and payload: who asked, by which plan. {} for nothing."""
        self.folder = folder
        self._clock = clock
        self._about = about
        self.written: collections.deque[Record] = collections.deque(maxlen=1000)
        """What this process recorded last."""

    def record(self, kind: str, **payload: Any) -> Record:
        """Append one entry; durable when it returns. Raises JournalUnwritable; TypeError for a payload that has no JSON form."""
        context = self._about(kind, payload) if self._about else {}
        said = {**payload, "context": dict(context)} if context else payload
        try:
            with self._locked():
                tag, last = self._tail()
                record = self._append(tag, last, kind, said)
        except OSError as error:
            raise JournalUnwritable(
                f"The journal in {self.folder} cannot be written: {error}.",
                hint="What ran is done, but not recorded. Free or repair the folder and run it again.",
                folder=str(self.folder),
                kind=kind,
            ) from error
        self.written.append(record)
        return record

    def head(self) -> tuple[str, int, str] | None:
        """(tag of the chain in use, number and hash of its newest entry); None before the first one. Raises JournalUnwritable."""
        try:
            with self._locked():
                if not (self.folder / "host").exists():
                    return None
                tag, last = self._tail()
        except OSError as error:
            raise JournalUnwritable(f"The journal in {self.folder} cannot be read: {error}.", folder=str(self.folder)) from error
        return None if last is None else (tag, last.n, last.hash)

    def lines(self, tag: str, begin: int = 0) -> Iterator[bytes]:
        """The stored lines of a chain from entry ``begin`` on, unchecked: line i is entry i."""
        yield from itertools.islice(self._lines(tag), begin, None)

    def entries(self, tag: str | None = None) -> Iterator[Record]:
        """The entries of one chain, oldest first; without ``tag``, those of all chains of this host.

        Raises JournalBroken behind the last entry that can be believed.
        """
        for each in [tag] if tag else self.chains():
            records, problems = check(each, self._lines(each), head=self._head(each))
            yield from records
            broken = [problem for problem in problems if problem.kind != "torn"]
            if broken:
                raise JournalBroken(
                    f"The journal {each} is not whole: {broken[0].text}.",
                    hint="Compare with the copies under journal/ in the vault's locations.",
                    chain=each,
                    entry=broken[0].n,
                )

    def believed(self, tag: str) -> list[Record]:
        """The entries of one chain up to the first that cannot be believed."""
        return check(tag, self._lines(tag), head=self._head(tag))[0]

    def mentioning(self, text: str) -> Iterator[Record]:
        """Entries of all chains of this host whose line holds ``text`` (ASCII), oldest first within each chain.

        Each is believed for itself (its own hash); whether the chains are whole says ``verify``, which takes longer. Raises JournalBroken.
        """
        needle = text.encode("ascii")
        for tag in self.chains():
            for line in self._lines(tag):
                if needle in line and line.endswith(b"\n"):
                    try:
                        yield parse(line)
                    except ValueError as error:
                        raise JournalBroken(
                            f"The journal {tag} is not whole: an entry was changed: {error}.",
                            hint="Compare with the copies under journal/ in the vault's locations.",
                            chain=tag,
                        ) from error

    def chains(self) -> list[str]:
        """Tags of this host's chains; more than one only after damage or loss. In order of their beginning."""
        files = sorted(
            self.folder.glob("*.jsonl"), key=lambda path: (path.stat().st_ctime_ns if not path.stat().st_size else _begun(path), path.name)
        )
        return [path.stem for path in files]

    def verify(self) -> list[Problem]:
        """Every cut, edit, reorder and torn end in every chain here; empty when all are whole."""
        found: list[Problem] = []
        for tag in self.chains():
            head = self._head(tag)
            records, problems = check(tag, self._lines(tag), head=head)
            if head is None and len(records) > 1 and not problems:
                problems = [
                    Problem("cut", tag, len(records), "the note of the newest entry is missing, so a cut at the end could not be seen")
                ]
            found += problems
        return found

    def export(self, location: str, copies: Copies) -> int:
        """Copy what ``location`` does not have yet, as ``journal/<host tag>/<number, 16 hex>``; returns how many.

        Goes on where it stopped; an entry may be put again after a crash.
        """
        done = 0
        for tag in self.chains():
            begin = self._exported().get(location, {}).get(tag, 0)
            records, _ = check(tag, self._lines(tag))
            for record in records[begin:]:
                copies.put(f"journal/{tag}/{record.n:016x}", record.line)
                done += 1
            if len(records) > begin:
                with self._locked():
                    known = self._exported()
                    known.setdefault(location, {})[tag] = len(records)
                    self._replace(self.folder / "exported.json", json.dumps(known, sort_keys=True).encode())
        return done

    # ------------------------------------------------------------ below the lock

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = os.open(self.folder / "lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
        finally:
            os.close(lock)

    def _tail(self) -> tuple[str, Record | None]:
        """The chain to append to and its newest entry, after setting a torn end aside or leaving a damaged chain behind."""
        host = self.folder / "host"
        if not host.exists():
            return self._begin(None), None
        tag = json.loads(host.read_text(encoding="utf-8"))["tag"]
        path = self._path(tag)
        if not path.exists():
            return self._leave(tag, "its file is gone")
        last_line, torn = _last_line(path)
        if torn:
            self._set_aside(tag, path, torn)
            record, problem = self._believed(tag, last_line)
            if problem:
                return self._leave(tag, problem)
            digest = hashlib.sha256(torn).hexdigest()
            return tag, self._append(tag, record, "journal.torn", {"bytes": len(torn), "sha256": digest})
        record, problem = self._believed(tag, last_line)
        return self._leave(tag, problem) if problem else (tag, record)

    def _believed(self, tag: str, line: bytes) -> tuple[Record | None, str]:
        head = self._head(tag)
        if not line:
            return None, f"entry {head[0]} was written, but the file is empty" if head else ""
        try:
            record = parse(line)
        except ValueError as error:
            return None, f"its last entry was changed: {error}"
        if head and (record.n < head[0] or (record.n == head[0] and record.hash != head[1])):
            return None, f"it ends at entry {record.n}, which is not what was written (newest: {head[0]})"
        return record, ""

    def _begin(self, cause: str | None) -> str:
        tag = secrets.token_hex(8)
        self._replace(self.folder / "host", json.dumps({"tag": tag, "host": socket.gethostname(), "cause": cause}).encode())
        descriptor = os.open(self._path(tag), os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o600)
        os.close(descriptor)
        sync_folder(self.folder)
        return tag

    def _leave(self, old: str, problem: str) -> tuple[str, Record]:
        tag = self._begin(problem)
        return tag, self._append(tag, None, "journal.broken", {"chain": old, "problem": problem, "host": socket.gethostname()})

    def _append(self, tag: str, last: Record | None, kind: str, payload: dict[str, Any]) -> Record:
        if last is None and not kind.startswith("journal."):
            last = self._append(tag, None, "journal.begin", {"host": socket.gethostname()})
        clock = {"boot": boot(), "mono": round(self._clock.monotonic(), 6)}
        said = {**payload, "clock": clock}
        record = make(last.n + 1 if last else 0, last.hash if last else origin(tag), kind, self._clock.now(), said)
        descriptor = os.open(self._path(tag), os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
        try:
            size = os.fstat(descriptor).st_size
            try:
                _write_all(descriptor, record.line)
                os.fsync(descriptor)
            except OSError:
                # Not acknowledged, so it must not stay: a full disk leaves a part of the line.
                os.ftruncate(descriptor, size)
                raise
        finally:
            os.close(descriptor)
        self._replace(self.folder / f"{tag}.head", f"{record.n} {record.hash}\n".encode())
        return record

    def _set_aside(self, tag: str, path: Path, torn: bytes) -> None:
        self._replace(self.folder / f"{tag}.torn-{self._clock.now():%Y%m%dT%H%M%S%f}", torn)
        with path.open("r+b") as file:
            file.truncate(path.stat().st_size - len(torn))
            os.fsync(file.fileno())

    def _replace(self, path: Path, data: bytes) -> None:
        new = path.with_name(path.name + ".new")
        descriptor = os.open(new, os.O_CREAT | os.O_WRONLY | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            _write_all(descriptor, data)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        new.replace(path)
        sync_folder(self.folder)

    def _path(self, tag: str) -> Path:
        return self.folder / f"{tag}.jsonl"

    def _lines(self, tag: str) -> Iterator[bytes]:
        with self._path(tag).open("rb") as file:
            yield from file

    def _head(self, tag: str) -> tuple[int, str] | None:
        try:
            number, digest = (self.folder / f"{tag}.head").read_text(encoding="utf-8").split()
        except FileNotFoundError:
            return None
        return int(number), digest

    def _exported(self) -> dict[str, dict[str, int]]:
        try:
            known: dict[str, dict[str, int]] = json.loads((self.folder / "exported.json").read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}
        return known


@functools.cache
def boot() -> str:
    """Which boot of the machine this is, as 8 hex digits: monotonic clocks compare only within one. '' where the system does not tell."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii")[:8]
    except OSError:
        return ""


def _write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def _begun(path: Path) -> int:
    with path.open("rb") as file:
        try:
            return int(parse(file.readline()).at.timestamp() * 1e9)
        except ValueError:
            return path.stat().st_ctime_ns


def _last_line(path: Path) -> tuple[bytes, bytes]:
    """(the last ended line, what follows it without an end). Reads backwards in blocks, whatever the file's size."""
    with path.open("rb") as file:
        position = file.seek(0, os.SEEK_END)
        data = b""
        while position and data.count(b"\n") < 2:
            step = min(position, 1 << 16)
            position -= step
            file.seek(position)
            data = file.read(step) + data
    ended, newline, torn = data.rpartition(b"\n")
    if not newline:
        return b"", data
    return ended.rpartition(b"\n")[2] + b"\n", torn
