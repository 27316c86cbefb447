"""The state of a table at a version (Delta protocol, "Action Reconciliation")."""

import datetime as dt
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

from holdfast.systems.delta.errors import LogBroken
from holdfast.systems.delta.log import checkpoint as checkpoints
from holdfast.systems.delta.log import vectors
from holdfast.systems.delta.log.features import features
from holdfast.systems.delta.log.listing import Listing, LogFiles, listing
from holdfast.systems.delta.store import Missing

FileKey = tuple[str, str]
"""(path as the log writes it, id of the deletion vector)."""


@dataclass
class Snapshot:
    """``files``: the ``add`` actions by (path, vector). ``damaged``: checkpoints that could not be read and were gone round, in words."""

    version: int
    protocol: dict[str, Any] = field(default_factory=dict)
    metadata: dict[str, Any] = field(default_factory=dict)
    files: dict[FileKey, dict[str, Any]] = field(default_factory=dict)
    txns: dict[str, dict[str, Any]] = field(default_factory=dict)
    domains: dict[str, dict[str, Any]] = field(default_factory=dict)
    in_commit_time: int | None = None
    damaged: list[str] = field(default_factory=list)
    shared: dict[tuple[tuple[str, Any], ...], dict[str, Any]] = field(default_factory=dict, repr=False)
    """Partition values, each combination once however many files have it; nobody changes them."""

    @property
    def id(self) -> str:
        return str(self.metadata.get("id", ""))

    @property
    def configuration(self) -> Mapping[str, str]:
        return self.metadata.get("configuration") or {}

    @property
    def features(self) -> frozenset[str]:
        return features(self.protocol)

    @property
    def size(self) -> int:
        return sum(int(add["size"]) for add in self.files.values())

    def paths(self) -> dict[str, int]:
        """Size of each data file, by its path as the log writes it."""
        return {path: int(add["size"]) for (path, _), add in self.files.items()}

    def descriptors(self) -> Iterator[Mapping[str, Any]]:
        for add in self.files.values():
            if add.get("deletionVector"):
                yield add["deletionVector"]

    def rows(self) -> int | None:
        """By the statistics, less what vectors delete; None when a file has none. No proof of anything."""
        total = 0
        for add in self.files.values():
            try:
                count = json.loads(add.get("stats") or "{}").get("numRecords")
            except ValueError:
                count = None
            if count is None:
                return None
            total += int(count) - int((add.get("deletionVector") or {}).get("cardinality", 0))
        return total

    def apply(self, name: str, action: Mapping[str, Any]) -> None:
        if name == "add":
            values = action.get("partitionValues") or {}
            one = self.shared.setdefault(tuple(values.items()), values)
            self.files[action["path"], vectors.unique_id(action.get("deletionVector"))] = {**action, "partitionValues": one}
        elif name == "remove":
            self.files.pop((action["path"], vectors.unique_id(action.get("deletionVector"))), None)
        elif name == "metaData":
            self.metadata = dict(action)
        elif name == "protocol":
            self.protocol = dict(action)
        elif name == "txn":
            self.txns[action["appId"]] = dict(action)
        elif name == "domainMetadata":
            if action.get("removed"):
                self.domains.pop(action["domain"], None)
            else:
                self.domains[action["domain"]] = dict(action)
        elif name == "commitInfo":
            self.in_commit_time = action.get("inCommitTimestamp")


def absolute(path: str) -> bool:
    """Whether a path of the log is a whole address (protocol, "Add File and Remove File")."""
    return path.startswith("/") or ("://" in path.partition("/")[0] + "//" and ":" in path.partition("/")[0])


def key_of(path: str) -> str:
    """The key below the table of a relative path of the log: a URI, percent-encoded once."""
    return unquote(path)


def replay(files: LogFiles, version: int | None = None, found: Listing | None = None) -> Snapshot:
    """The state at ``version`` (None: the newest). A damaged checkpoint is gone round by an older one where commits allow it.

    Raises LogBroken: no such version, a commit that is missing or damaged, no readable checkpoint below a log that was cleaned up.
    """
    there = found or listing(files)
    newest = there.newest
    if newest is None:
        raise LogBroken("The table's log is empty.")
    target = newest if version is None else version
    if target > newest or target < 0:
        raise LogBroken(f"The log has no version {target}: the newest is {newest}.", version=target)
    damaged: list[str] = []
    for one in [*reversed([one for one in there.checkpoints if one.version <= target]), None]:
        start = -1 if one is None else one.version
        lacking = [number for number in range(start + 1, target + 1) if number not in there.commits]
        if lacking:
            if damaged:
                raise LogBroken(
                    f"Version {target} cannot be made: {' '.join(damaged)} The commits {_ranges(lacking)} that could stand in are gone.",
                    hint="Every version up to the next whole checkpoint is lost with it. Restore the table from a recovery point.",
                )
            at = f"the checkpoint of version {start}" if one else "the beginning"
            raise LogBroken(
                f"The log lacks the commit{'s' if len(lacking) > 1 else ''} {_ranges(lacking)} between {at} and version {target}.",
                hint=f"Versions from {lacking[0]} on cannot be read any more. Restore version {lacking[0] - 1} or older.",
                missing=lacking[:100],
            )
        state = Snapshot(target, damaged=damaged)
        try:
            if one is not None:
                for name, action in checkpoints.actions(files, one):
                    state.apply(name, action)
                _require_whole(state, f"The checkpoint of version {start}")
        except LogBroken as error:
            damaged.append(error.message)
            continue
        for number in range(start + 1, target + 1):
            for name, action in commit_actions(files, number):
                state.apply(name, action)
        _require_whole(state, "The log")
        if target in there.commits and start == target:
            infos = (action for name, action in commit_actions(files, target) if name == "commitInfo")
            state.in_commit_time = next((info.get("inCommitTimestamp") for info in infos), None)
        return state
    raise LogBroken(f"Version {target} cannot be made.")


def commit_actions(files: LogFiles, version: int) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Raises LogBroken."""
    key = f"{version:020}.json"
    try:
        data = files.get(key)
    except Missing as error:
        raise LogBroken(f"The commit {key} is gone from the log.", missing=[version]) from error
    for line in checkpoints.lines(data, key):
        yield from line.items()


def time_of(state: Snapshot, there: Listing) -> dt.datetime | None:
    """When the version was committed: in-commit timestamp, else what the store says of the commit; None when that is gone."""
    if state.configuration.get("delta.enableInCommitTimestamps", "").lower() == "true" and state.in_commit_time is not None:
        return dt.datetime.fromtimestamp(state.in_commit_time / 1000, dt.UTC)
    thing = there.commits.get(state.version)
    return dt.datetime.fromtimestamp(thing.mtime_ns / 1e9, dt.UTC) if thing else None


def _require_whole(state: Snapshot, what: str) -> None:
    if not state.metadata or not state.protocol:
        raise LogBroken(f"{what} holds no {'metadata' if not state.metadata else 'protocol'} of the table.")


def _ranges(numbers: Iterable[int]) -> str:
    found: list[list[int]] = []
    for number in numbers:
        if found and found[-1][1] == number - 1:
            found[-1][1] = number
        else:
            found.append([number, number])
    return ", ".join(f"{first} to {last}" if last > first else str(first) for first, last in found[:10])
