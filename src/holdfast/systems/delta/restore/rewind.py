"""A table brought back by a commit on itself (Delta protocol, "Actions", "Writer requirements").

The commit removes what the version lacks and adds what it had, sets the metadata back, and sets the ``txn`` of every application back to
its value at the version: a stream that is restarted from an older checkpoint would otherwise find its batches done already and skip them.
-1 is what Spark takes for "never seen".
"""

import contextlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from holdfast.model import Clock
from holdfast.systems.contract import Obstacle, PointReader, StoredEntry
from holdfast.systems.delta.capture.pin import Pinned, Wanted
from holdfast.systems.delta.errors import LogBroken, NoVersion, RestoreUsage, RewindRefused, TableMoved
from holdfast.systems.delta.held import Held, Lake, narrowed, pinned_in, tables_of, version_times
from holdfast.systems.delta.log import names
from holdfast.systems.delta.log.features import require_known
from holdfast.systems.delta.log.listing import StoredLog, listing
from holdfast.systems.delta.log.snapshot import Snapshot, replay
from holdfast.systems.delta.restore.place import same
from holdfast.systems.delta.settings import DeltaSettings
from holdfast.systems.delta.store import Store
from holdfast.systems.delta.tables import prefix

_KEPT = ("delta.enableInCommitTimestamps", "delta.inCommitTimestampEnablementVersion", "delta.inCommitTimestampEnablementTimestamp")
_MARK = "delta.identity.highWaterMark"
_HIGHEST = "delta.columnMapping.maxColumnId"


@dataclass
class Rewind:
    """``back``: files that are put back from the vault first."""

    name: str
    version: int
    state: Snapshot
    live: Snapshot
    live_time: int
    back: list[tuple[Wanted, PointReader, StoredEntry]] = field(default_factory=list)

    @property
    def bytes(self) -> int:
        return sum(stored.entry.size for _, _, stored in self.back)

    @property
    def differs(self) -> int:
        """How many actions the commit would have: 0 where the table is already what it was."""
        return len(actions(self, 0)) - 1

    def txns(self) -> dict[str, tuple[int, int]]:
        """By application: (version now, version to be)."""
        changed = {}
        for app, txn in self.live.txns.items():
            now, then = int(txn["version"]), int(self.state.txns.get(app, {}).get("version", -1))
            if now != then:
                changed[app] = (now, then)
        for app, txn in self.state.txns.items():
            if app not in self.live.txns:
                changed[app] = (-1, int(txn["version"]))
        return changed

    def steps(self) -> list[str]:
        removed = len(self.live.files.keys() - self.state.files.keys())
        added = len(self.state.files.keys() - self.live.files.keys())
        said = [f"put {len(self.back)} files of {self.name} back from the vault"] if self.back else []
        said.append(
            f"commit version {self.live.version + 1} of {self.name}: version {self.version} again, {removed} files removed, {added} added"
        )
        return said + [f"set application {app} back from {now} to {then}" for app, (now, then) in self.txns().items()]


def look(
    settings: DeltaSettings, lake: Lake, until: Mapping[str, Any], only: Sequence[str], url: str
) -> tuple[list[Rewind], list[Held], str, list[Obstacle], list[str]]:
    """What would be committed; nothing is written. Raises NoVersion, LogBroken, RestoreUsage."""
    store = settings.open(settings.url)
    if not lake.points:
        raise NoVersion(f"{lake.system} has no recovery point.", hint=f"Take one: holdfast backup {lake.system}")
    asked, words = _asked(store, lake, until, only)
    if not any(same(url, f"{settings.url.rstrip('/')}/{name}") for name in ("", *asked)):
        raise RestoreUsage(f"--rewind commits to the table itself: --into is {settings.url} then, not {url}.", hint="Leave --rewind out.")
    found, tables = [], []
    obstacles: list[Obstacle] = []
    warnings: list[str] = []
    for name, version in asked.items():
        live = pinned_in(StoredLog(store, prefix(name)), name)
        require_known(name, live.snapshot.protocol)
        held = _held(store, lake, name, version)
        tables.append(held)
        made = Rewind(name, version, held.pinned.snapshot, live.snapshot, _millis(live))
        _refuse(made, obstacles)
        _present(store, held, made, obstacles)
        known = {told["id"] for told in (held.point.facts.get("streams") or {}).values()}
        for app, (now, then) in made.txns().items():
            if app not in known:
                warnings.append(
                    f"The query {app} wrote {name} up to its batch {now}; it is set back to {then}. Its checkpoint is not in the plan: put"
                    f" it back to that batch before it is started, or rows of the batches between are never written again."
                )
        found.append(made)
    return found, tables, words, obstacles, warnings


def _asked(store: Store, lake: Lake, until: Mapping[str, Any], only: Sequence[str]) -> tuple[dict[str, int], str]:
    import datetime as dt

    kind = until.get("kind", "latest")
    known = list(tables_of(lake.points[-1]))
    if kind == "versions":
        given = dict(until["versions"])
        if "*" in given:
            chosen = list(only) or known
            if len(chosen) != 1:
                raise NoVersion("Of which table is the version meant?", hint=f"Write version:TABLE@N. There are: {', '.join(known)}")
            given = {chosen[0]: given["*"]}
        given = dict(narrowed(given, only))
        return given, ", ".join(f"version {version} of {name or lake.system}" for name, version in given.items())
    if kind == "time":
        moment = dt.datetime.fromisoformat(until["time"])
        found = {}
        for name in only or known:
            times = version_times(StoredLog(store, prefix(name)))
            before = [version for version, when in times.items() if when <= moment]
            found[name] = max(before) if before else lake.at_time(name, moment).version
        return found, f"each table's version at {moment.isoformat()}"
    tables, words = lake.chosen(until, only)
    return {one.name: one.version for one in tables}, words


def _held(store: Store, lake: Lake, name: str, version: int) -> Held:
    """The version out of the table's own log, or out of the vault's where that does not reach back."""
    holding = [point for point in lake.points if name in tables_of(point)]
    if not holding:
        raise NoVersion(f"No point of {lake.system} holds a table {name!r}.", hint=f"See: holdfast points {lake.system}")
    point = holding[-1]
    with contextlib.suppress(LogBroken):
        pinned = pinned_in(StoredLog(store, prefix(name)), name, version)
        # A table made again under the name has versions of the same numbers.
        if pinned.snapshot.id == tables_of(point)[name]["id"]:
            return Held(name, point, lake.reader(point), lake.log(point, name), pinned)
    return lake.at_version(name, version)


def _millis(live: Pinned) -> int:
    times = [int(live.time.timestamp() * 1000)] if live.time else [0]
    return max([*times, live.snapshot.in_commit_time or 0])


def _refuse(made: Rewind, obstacles: list[Obstacle]) -> None:
    state, live = made.state, made.live
    other = "Use --in-place, which moves the table aside and copies it from the vault."
    whys = []
    if state.id != live.id:
        whys.append("it was dropped and made again since: its id is another")
    if live.configuration.get("delta.appendOnly", "").lower() == "true" and live.files.keys() - state.files.keys():
        whys.append("it only takes appends (delta.appendOnly)")
    if "rowTracking" in live.features and any("baseRowId" not in add for add in state.files.values()):
        whys.append("it tracks rows, and files of that version have no row ids")
    if not state.features <= live.features and live.protocol.get("minWriterVersion", 0) >= 7:
        whys.append(f"that version uses {', '.join(sorted(state.features - live.features))}, which was dropped since")
    obstacles += [
        Obstacle(RewindRefused.code, f"{made.name} cannot be brought back to version {made.version} by a commit: {why}.", other)
        for why in whys
    ]


def _present(store: Store, held: Held, made: Rewind, obstacles: list[Obstacle]) -> None:
    """Every file of the version is there, or comes out of the vault."""
    folder = prefix(made.name)
    there = {thing.key: thing.size for thing in store.things(folder) if not thing.key.startswith(folder + names.LOG)}
    lacking, wrong = [], []
    for wanted in (*held.pinned.data(), *held.pinned.vectors()):
        if wanted.address is not None:
            continue  # another table's: reading it is its owner's promise
        size = there.get(wanted.key)
        if size is None:
            lacking.append(wanted)
        elif wanted.size is not None and size != wanted.size:
            wrong.append(f"{wanted.key} is {size} bytes long where the log says {wanted.size}")
    for wanted in lacking:
        place = held.files.get(wanted.path) or held_elsewhere(held, wanted)
        if place is None:
            wrong.append(f"{wanted.key} is neither there nor in the vault")
        else:
            made.back.append(place)
    if wrong:
        more = f" (and {len(wrong) - 3} more)" if len(wrong) > 3 else ""
        obstacles.append(
            Obstacle(
                RewindRefused.code,
                f"{made.name} cannot be brought back to version {made.version} by a commit: {'; '.join(wrong[:3])}{more}.",
                "Use --in-place, which moves the table aside and copies it from the vault.",
            )
        )


def held_elsewhere(held: Held, wanted: Wanted) -> tuple[Wanted, PointReader, StoredEntry] | None:
    stored = held.reader.find(wanted.path)
    return (wanted, held.reader, stored) if stored is not None else None


def run(store: Store, made: Rewind, clock: Clock) -> int:
    """Commits; the files that were lacking are there already. Returns the new version. Raises TableMoved when somebody else committed."""
    now = int(clock.now().timestamp() * 1000)
    version = made.live.version + 1
    data = "\n".join(json.dumps(action, ensure_ascii=False, separators=(",", ":")) for action in actions(made, now)) + "\n"
    log = StoredLog(store, prefix(made.name))
    newest = listing(log).newest
    if newest != made.live.version or not store.put_new(prefix(made.name) + names.commit(version), data.encode()):
        raise TableMoved(
            f"Somebody committed to {made.name} meanwhile: version {made.live.version} is not its newest any more. Nothing was changed.",
            hint="Stop what writes the table, and try again.",
        )
    after = replay(log, version)
    if after.files.keys() != made.state.files.keys():
        raise RewindRefused(
            f"Version {version} of {made.name} is not what version {made.version} was: {len(after.files)} files instead of"
            f" {len(made.state.files)}.",
            hint="This is a defect; restore with --in-place.",
        )
    return version


def actions(made: Rewind, now: int) -> list[dict[str, Any]]:
    """The commit's actions, in order. ``now`` in ms since the epoch."""
    state, live = made.state, made.live
    info: dict[str, Any] = {
        "timestamp": now,
        "operation": "RESTORE",
        "operationParameters": {"version": made.version, "timestamp": None},
        "readVersion": live.version,
        "isolationLevel": "Serializable",
        "isBlindAppend": False,
        "engineInfo": "holdfast",
    }
    if live.configuration.get("delta.enableInCommitTimestamps", "").lower() == "true":
        info = {"inCommitTimestamp": max(now, made.live_time + 1), **info}
    found: list[dict[str, Any]] = [{"commitInfo": info}]
    metadata = _metadata(state, live)
    if metadata != live.metadata:
        found.append({"metaData": metadata})
    found += [{"remove": _removed(add, now)} for key, add in live.files.items() if key not in state.files]
    found += [{"add": {**add, "dataChange": True}} for key, add in state.files.items() if key not in live.files]
    found += [{"txn": {"appId": app, "version": then, "lastUpdated": now}} for app, (_, then) in sorted(made.txns().items())]
    for domain in sorted(live.domains.keys() | state.domains.keys()):
        if domain == "delta.rowTracking" or live.domains.get(domain) == state.domains.get(domain):
            continue  # a high-water mark never goes back
        was = state.domains.get(domain)
        action = was or {"domain": domain, "configuration": live.domains[domain].get("configuration", ""), "removed": True}
        found.append({"domainMetadata": action})
    return found


def _metadata(state: Snapshot, live: Snapshot) -> dict[str, Any]:
    """The version's own, but for what may not go back."""
    configuration = dict(state.configuration)
    for key in _KEPT:
        configuration.pop(key, None)
        if key in live.configuration:
            configuration[key] = live.configuration[key]
    highest = [int(one.configuration[_HIGHEST]) for one in (state, live) if _HIGHEST in one.configuration]
    if highest and "delta.columnMapping.mode" in configuration:
        configuration[_HIGHEST] = str(max(highest))
    return {**state.metadata, "configuration": configuration, "schemaString": _schema(state, live)}


def _schema(state: Snapshot, live: Snapshot) -> str:
    """The version's own, but identity columns go on behind the newest value that was ever given out: none is given out twice (protocol,
    "Identity Columns").
    """
    text = str(state.metadata.get("schemaString", ""))
    if _MARK not in text and _MARK not in str(live.metadata.get("schemaString", "")):
        return text
    schema = json.loads(text)
    given = {field["name"]: field.get("metadata", {}) for field in json.loads(live.metadata["schemaString"])["fields"]}
    changed = False
    for column in schema["fields"]:
        own, now = column.get("metadata", {}), given.get(column["name"], {}).get(_MARK)
        if now is None or own.get("delta.identity.step") is None:
            continue
        was = own.get(_MARK, now)
        furthest = max(was, now) if own["delta.identity.step"] > 0 else min(was, now)
        changed |= own.get(_MARK) != furthest
        own[_MARK] = furthest
    return json.dumps(schema, ensure_ascii=False, separators=(",", ":")) if changed else text


def _removed(add: Mapping[str, Any], now: int) -> dict[str, Any]:
    kept = ("partitionValues", "size", "tags", "deletionVector", "baseRowId", "defaultRowCommitVersion")
    more = {name: add[name] for name in kept if name in add}
    return {"path": add["path"], "deletionTimestamp": now, "dataChange": True, "extendedFileMetadata": True, **more}
