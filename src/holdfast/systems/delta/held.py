"""What the vault holds of a lake: at which versions tables can be had, and where their files lie."""

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from holdfast.model import RecoveryPoint
from holdfast.systems.contract import History, PointReader, StoredEntry
from holdfast.systems.delta.capture.pin import Pinned, Wanted
from holdfast.systems.delta.errors import LogBroken, NoVersion
from holdfast.systems.delta.log import names
from holdfast.systems.delta.log.listing import LogFiles, last_version, listing
from holdfast.systems.delta.log.snapshot import replay, time_of
from holdfast.systems.delta.store import Missing, Thing

_READ = 32 << 20


class _Memory:
    def __init__(self, size: int) -> None:
        self.data = bytearray(size)

    def write(self, offset: int, data: memoryview) -> None:
        self.data[offset : offset + len(data)] = data

    def existing(self, offset: int, buffer: memoryview) -> int:
        del offset, buffer
        return 0

    def close(self) -> None:
        pass


def content(reader: PointReader, stored: StoredEntry) -> bytes:
    """The whole of a file of a point, however large."""
    if stored.entry.size <= _READ:
        return reader.read(stored)
    memory = _Memory(stored.entry.size)
    reader.extract([(stored, lambda: memory)])
    return bytes(memory.data)


class PointLog:
    """The log of a table as a point holds it. Satisfies ``LogFiles``."""

    def __init__(self, reader: PointReader, name: str) -> None:
        self._reader = reader
        self._prefix = f"tables/{name}/{names.LOG}" if name else f"tables/{names.LOG}"
        self._entries: dict[str, StoredEntry] | None = None

    @property
    def entries(self) -> Mapping[str, StoredEntry]:
        if self._entries is None:
            found = self._reader.entries(self._prefix)
            self._entries = {one.entry.path[len(self._prefix) :]: one for one in found if one.entry.path.startswith(self._prefix)}
        return self._entries

    def things(self) -> Iterator[Thing]:
        for key, stored in self.entries.items():
            entry = stored.entry
            yield Thing(key, entry.size, entry.mtime_ns, entry.extra.get("e", ""))

    def get(self, key: str) -> bytes:
        stored = self.entries.get(key)
        if stored is None:
            raise Missing(key)
        return content(self._reader, stored)


@dataclass
class Held:
    """A table at a version, out of the vault. ``files``: where each needed file lies; ``lacking``: those that lie in no point."""

    name: str
    point: RecoveryPoint
    reader: PointReader
    log: PointLog
    pinned: Pinned
    files: dict[str, tuple[Wanted, PointReader, StoredEntry]] = field(default_factory=dict)
    lacking: list[Wanted] = field(default_factory=list)

    @property
    def version(self) -> int:
        return self.pinned.snapshot.version

    @property
    def recorded(self) -> str | None:
        """What its rows hashed to when the point was taken, where that was recorded."""
        told = tables_of(self.point).get(self.name, {})
        found = self.point.expected.get(self.name, {}).get("hash") if told.get("version") == self.version else None
        return None if found is None else str(found)

    @property
    def size(self) -> int:
        return sum(stored.entry.size for _, _, stored in self.files.values())

    @property
    def known_lost(self) -> set[str]:
        """Paths of files that the point says it lacks, or that were broken already when it was taken."""
        return {str(one.where.get("path")) for one in self.point.findings if one.code in ("delta-file-lost", "delta-file-broken")}


def narrowed(asked: Mapping[str, int], only: Sequence[str]) -> Mapping[str, int]:
    """Of the versions asked for those of the tables that are meant: what a search found for a whole lake may be used for one table of it.

    Raises NoVersion.
    """
    if "*" in asked or not only:
        return asked
    lacking = [name for name in only if name not in asked]
    if lacking:
        raise NoVersion(f"No version of {', '.join(lacking)} was given.", hint=f"Versions were given of: {', '.join(asked)}")
    return {name: asked[name] for name in only}


def pinned_in(files: LogFiles, name: str, version: int | None = None) -> Pinned:
    """A table at a version out of any log. Raises LogBroken."""
    there = listing(files)
    state = replay(files, version, there)
    based = max((one.version for one in there.checkpoints if one.version <= state.version), default=-1)
    first = there.first_joined(state.version) if state.version in there.commits else state.version
    last = last_version(files) if there.last is not None else None
    return Pinned(name, state, there, time_of(state, there), first, last, -1 if state.damaged else based)


class Lake:
    """The points of one system."""

    def __init__(self, system: str, history: History) -> None:
        self.system = system
        self._history = history
        self.points = sorted(history.points(), key=lambda one: one.committed_at)
        self._readers: dict[str, PointReader] = {}
        self._logs: dict[tuple[str, str], PointLog] = {}

    def reader(self, point: RecoveryPoint) -> PointReader:
        if point.id not in self._readers:
            self._readers[point.id] = self._history.open(point.id)
        return self._readers[point.id]

    def log(self, point: RecoveryPoint, name: str) -> PointLog:
        key = (point.id, name)
        if key not in self._logs:
            self._logs[key] = PointLog(self.reader(point), name)
        return self._logs[key]

    def chosen(self, until: Mapping[str, Any], only: Sequence[str] = ()) -> tuple[list[Held], str]:
        """(each table at its version, the target in words). Raises NoVersion, LogBroken."""
        kind = until.get("kind", "latest")
        if not self.points:
            raise NoVersion(f"{self.system} has no recovery point.", hint=f"Take one: holdfast backup {self.system}")
        if kind == "versions":
            return self._versions(narrowed(until["versions"], only), only)
        if kind == "time":
            moment = dt.datetime.fromisoformat(until["time"])
            tables = list(only) or list(tables_of(self.points[-1]))
            return [self.at_time(name, moment) for name in tables], f"each table's version at {moment.isoformat()}"
        if kind == "point":
            wanted = str(until["point"])
            found = [one for one in self.points if one.label == wanted or (len(wanted) >= 4 and one.id.startswith(wanted))]
            if not found:
                raise NoVersion(f"{self.system} has no point {wanted!r}.", hint=f"See: holdfast points {self.system}")
            point, words = found[-1], f"point {wanted}"
        else:
            point, words = self.points[-1], "latest"
        held = tables_of(point)
        for name in only:
            if name not in held:
                raise NoVersion(f"The point {point.id[:14]} holds no table {name!r}.", hint=f"It holds: {', '.join(held)}")
        return [self.held(point, name, int(held[name]["version"])) for name in only or held], words

    def _versions(self, asked: Mapping[str, int], only: Sequence[str]) -> tuple[list[Held], str]:
        known = dict.fromkeys(name for point in reversed(self.points) for name in tables_of(point))
        found = []
        for given, version in asked.items():
            names_ = list(only) or list(known) if given == "*" else [given]
            if given == "*" and len(names_) != 1:
                raise NoVersion(
                    f"{self.system} holds {len(names_)} tables: of which is version {version} meant?",
                    hint=f"Write version:TABLE@{version}, or add --table. There are: {', '.join(known)}",
                )
            if names_[0] not in known:
                raise NoVersion(f"No point of {self.system} holds a table {names_[0]!r}.", hint=f"There are: {', '.join(known)}")
            found.append(self.at_version(names_[0], version))
        return found, ", ".join(f"version {one.version} of {one.name or self.system}" for one in found)

    def at_version(self, name: str, version: int) -> Held:
        """Out of the point that lies nearest behind it. Files may come from any point. Raises NoVersion where some are in none."""
        holding = [point for point in self.points if name in tables_of(point)]
        newest = tables_of(holding[-1])[name]["id"]
        fitting = [point for point in holding if tables_of(point)[name]["version"] >= version]
        # A table made again under the name counts from 0 anew: the present one is meant first.
        fitting.sort(key=lambda one: (tables_of(one)[name]["id"] != newest, tables_of(one)[name]["version"], -one.committed_at.timestamp()))
        trouble = ""
        for point in fitting:
            try:
                held = self.held(point, name, version)
            except LogBroken as error:
                trouble = trouble or error.message
                continue
            if not held.lacking:
                return held
            trouble = f"{len(held.lacking)} of its files were gone again before a point was taken."
            break
        kept = sorted({int(tables_of(point)[name]["version"]) for point in holding})
        near = [str(one) for one in kept if abs(kept.index(one) - sum(1 for other in kept if other < version)) <= 2]
        raise NoVersion(
            f"Version {version} of {name or self.system} cannot be made from the vault. {trouble}".strip(),
            hint=f"Points hold it at version {', '.join(near)}. The table itself may still have it: --rewind looks there, too.",
            table=name,
            version=version,
        )

    def at_time(self, name: str, moment: dt.datetime) -> Held:
        """The version that was the newest at ``moment``. Raises NoVersion."""
        best: tuple[dt.datetime, int] | None = None
        covered = False
        for point in reversed([one for one in self.points if name in tables_of(one)]):
            times = version_times(self.log(point, name))
            covered = covered or point.committed_at >= moment or any(when > moment for when in times.values())
            for version, when in times.items():
                if when <= moment and (best is None or (when, version) > best):
                    best = (when, version)
            if best is not None:
                break
        if best is None:
            raise NoVersion(
                f"The vault knows no version of {name or self.system} from before {moment.isoformat()}.", hint="See: holdfast points"
            )
        newest = max(one.committed_at for one in self.points)
        if not covered and moment > newest:
            raise NoVersion(
                f"What {name or self.system} was at {moment.isoformat()} is not in the vault: the newest point is of {newest.isoformat()}.",
                hint="Leave --to out for the newest point.",
            )
        return self.at_version(name, best[1])

    def held(self, point: RecoveryPoint, name: str, version: int) -> Held:
        """Raises LogBroken."""
        log = self.log(point, name)
        pinned = pinned_in(log, name, version)
        found = Held(name, point, self.reader(point), log, pinned)
        others = [
            one
            for one in reversed(self.points)
            if one.id != point.id and tables_of(one).get(name, {}).get("id") == tables_of(point)[name]["id"]
        ]
        for wanted in (*pinned.data(), *pinned.vectors()):
            for reader in (found.reader, *(self.reader(one) for one in others if wanted.path not in found.files)):
                stored = reader.find(wanted.path)
                if stored is not None:
                    found.files[wanted.path] = wanted, reader, stored
                    break
            else:
                if wanted.path not in found.known_lost:
                    found.lacking.append(wanted)
        return found


def tables_of(point: RecoveryPoint) -> Mapping[str, Any]:
    found: Mapping[str, Any] = point.facts.get("tables") or {}
    return found


def version_times(log: LogFiles) -> dict[int, dt.datetime]:
    """When each kept version was committed, as the store told it at capture; never running backwards, as Delta reads it."""
    there = listing(log)
    found: dict[int, dt.datetime] = {}
    before = dt.datetime.fromtimestamp(0, dt.UTC)
    for version in sorted(there.commits):
        when = dt.datetime.fromtimestamp(there.commits[version].mtime_ns / 1e9, dt.UTC)
        before = when if when > before else before + dt.timedelta(milliseconds=1)
        found[version] = before
    return found
