"""What lies in a table's ``_delta_log``, and which of it makes a version."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from holdfast.systems.delta.log import names
from holdfast.systems.delta.log.names import LogName
from holdfast.systems.delta.store import Missing, Store, Thing


class LogFiles(Protocol):
    """A log to be read: of a table in its store, or in a recovery point. Keys are below ``_delta_log``."""

    def things(self) -> Iterable[Thing]: ...

    def get(self, key: str) -> bytes:
        """Raises Missing."""
        ...


class StoredLog:
    """The log of a table in its store. ``prefix``: the table's folder with its slash, or empty. Satisfies ``LogFiles``."""

    def __init__(self, store: Store, prefix: str) -> None:
        self._store = store
        self._prefix = prefix + names.LOG

    def things(self) -> Iterable[Thing]:
        for thing in self._store.things(self._prefix):
            yield Thing(thing.key[len(self._prefix) :], thing.size, thing.mtime_ns, thing.etag)

    def get(self, key: str) -> bytes:
        return self._store.get(self._prefix + key)


@dataclass(frozen=True)
class Checkpoint:
    """A complete checkpoint: the keys of its files below ``_delta_log``."""

    version: int
    kind: str
    keys: tuple[str, ...]


@dataclass(frozen=True)
class Listing:
    """``commits`` by version; ``checkpoints`` ascending, multi-part ones only when whole; ``others``: checksums and compactions;
    ``sidecars`` by key; ``last``: the hint, if there.
    """

    commits: Mapping[int, Thing]
    checkpoints: Sequence[Checkpoint]
    others: Sequence[tuple[LogName, Thing]]
    sidecars: Mapping[str, Thing]
    things: Mapping[str, Thing] = field(default_factory=dict)
    last: Thing | None = None

    @property
    def newest(self) -> int | None:
        """The newest version; None without any."""
        return max([*self.commits, *(one.version for one in self.checkpoints)], default=None)

    def first_joined(self, version: int) -> int:
        """The oldest commit from which commits reach ``version`` without a gap."""
        first = version
        while first - 1 in self.commits:
            first -= 1
        return first


def listing(files: LogFiles) -> Listing:
    """Raises what the store raises."""
    commits: dict[int, Thing] = {}
    found: dict[tuple[int, str], list[tuple[LogName, str]]] = {}
    others: list[tuple[LogName, Thing]] = []
    sidecars: dict[str, Thing] = {}
    things: dict[str, Thing] = {}
    last = None
    for thing in files.things():
        if thing.key == names.LAST:
            last = thing
        elif thing.key.startswith(names.SIDECARS):
            sidecars[thing.key] = thing
            things[thing.key] = thing
        elif (name := names.parse(thing.key)) is not None:
            things[thing.key] = thing
            if name.kind == "commit":
                commits[name.version] = thing
            elif name.checkpoint:
                which = {"classic": "classic", "part": f"part/{name.parts}"}.get(name.kind, thing.key)
                found.setdefault((name.version, which), []).append((name, thing.key))
            else:
                others.append((name, thing))
    whole = [
        Checkpoint(version, parts[0][0].kind, tuple(sorted(key for _, key in parts)))
        for (version, _), parts in found.items()
        if len(parts) == parts[0][0].parts
    ]
    return Listing(commits, sorted(whole, key=lambda one: (one.version, one.kind)), others, sidecars, things, last)


def last_version(files: LogFiles) -> int | None:
    """The version that ``_last_checkpoint`` speaks of; None when it is not there or no sense can be made of it."""
    try:
        return int(json.loads(files.get(names.LAST))["version"])
    except (Missing, ValueError, KeyError, TypeError):
        return None
