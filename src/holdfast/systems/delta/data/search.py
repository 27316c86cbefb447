"""The history of a lake, version by version: which versions can still be read, in the vault or in the lake itself."""

import contextlib
import datetime as dt
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from holdfast.errors import HoldfastError
from holdfast.systems.contract import Isolated, Moment
from holdfast.systems.delta.capture.pin import Pinned, Wanted
from holdfast.systems.delta.data.rows import TableAt
from holdfast.systems.delta.data.view import Fetch, LakeView, cached
from holdfast.systems.delta.errors import FileBroken, LogBroken
from holdfast.systems.delta.held import Lake, content, pinned_in, tables_of, version_times
from holdfast.systems.delta.log.listing import LogFiles, StoredLog, listing
from holdfast.systems.delta.log.snapshot import Snapshot, commit_actions, replay
from holdfast.systems.delta.settings import DeltaSettings
from holdfast.systems.delta.store import Store
from holdfast.systems.delta.tables import prefix

_GONE = 1 << 62


class Places:
    """Where files of the lake can be had: in the lake itself, else in any point."""

    def __init__(self, settings: DeltaSettings, lake: Lake, folder: Path | None = None) -> None:
        self._lake, self._folder = lake, folder
        self.store: Store | None = None
        with contextlib.suppress(HoldfastError):
            self.store = settings.open(settings.url)
        self._fetch = Fetch(settings, self.store, folder / "source") if self.store is not None and folder is not None else None
        self._listed: dict[str, dict[str, int]] = {}
        self._in_vault: dict[str, bool] = {}

    def logs(self, name: str) -> Iterator[LogFiles]:
        """The lake's own log, then those of the points, newest first; only of the table that the newest point knows under the name."""
        holding = [point for point in self._lake.points if name in tables_of(point)]
        identity = tables_of(holding[-1])[name]["id"]
        if self.store is not None:
            live = StoredLog(self.store, prefix(name))
            with contextlib.suppress(HoldfastError):
                if replay(live).id == identity:
                    yield live
        for point in reversed(holding):
            if tables_of(point)[name]["id"] == identity:
                yield self._lake.log(point, name)

    def there(self, name: str, wanted: Wanted) -> bool:
        if self._in_lake(name, wanted):
            return True
        if wanted.path not in self._in_vault:
            self._in_vault[wanted.path] = self._stored(wanted) is not None
        return self._in_vault[wanted.path]

    def locate(self, name: str, wanted: Wanted) -> Path:
        """The file on this machine. Raises FileBroken where it is in neither."""
        if self._fetch is not None and self._in_lake(name, wanted):
            return self._fetch(wanted)
        assert self._folder is not None
        place = cached(self._folder, wanted)
        if not place.exists():
            found = self._stored(wanted)
            if found is None:
                raise FileBroken(f"{wanted.key or wanted.address} is neither in the lake nor in the vault.")
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(content(*found))
        return place

    def _in_lake(self, name: str, wanted: Wanted) -> bool:
        if self.store is None or wanted.address is not None:
            return False
        if name not in self._listed:
            self._listed[name] = {}
            with contextlib.suppress(HoldfastError):
                self._listed[name] = {thing.key: thing.size for thing in self.store.things(prefix(name))}
        size = self._listed[name].get(wanted.key)
        return size is not None and wanted.size in (None, size)

    def _stored(self, wanted: Wanted) -> Any:
        for point in reversed(self._lake.points):
            stored = self._lake.reader(point).find(wanted.path)
            if stored is not None:
                return self._lake.reader(point), stored
        return None


def moments(settings: DeltaSettings, lake: Lake) -> list[Moment]:
    """Every version of every table that can be read whole, in the order of commits; the point at which a table was missed first, too.

    ``until`` names each table's version, and as ``empty`` the first version of those that were not there yet: they held no rows.
    """
    places = Places(settings, lake)
    events: list[tuple[dt.datetime, str, int]] = []
    first: dict[str, int] = {}
    for name in dict.fromkeys(name for point in lake.points for name in tables_of(point)):
        known: dict[int, dt.datetime] = {}
        for log in places.logs(name):
            times = version_times(log)
            if not times or times.keys() <= known.keys():
                continue
            readable = _readable(places, log, name)
            known |= {version: when for version, when in times.items() if version in readable and version not in known}
        events += [(when, name, version) for version, when in known.items()]
        first[name] = min(known, default=-1)
        last = max(number for number, point in enumerate(lake.points) if name in tables_of(point))
        if last + 1 < len(lake.points):
            events.append((lake.points[last + 1].committed_at, name, _GONE))
    # By version within a table, whatever clocks said.
    events.sort()
    found = []
    state: dict[str, int] = {}
    waiting = {name: version for name, version in first.items() if version >= 0}
    for position, (when, name, version) in enumerate(events):
        if version != _GONE and version < state.get(name, -1):
            continue
        waiting.pop(name, None)
        before = state.pop(name, None)
        at = "gone" if version == _GONE else version
        shown = {"version": f"{name}@{at}" if len(first) > 1 else at, "time": when.isoformat()}
        if version != _GONE:
            state[name] = version
            if before is not None and version > before + 1:
                # Nobody can say whether it was good then: some of their files or commits are nowhere any more.
                shown["unreadable_before"] = f"{before + 1} to {version - 1}" if version > before + 2 else str(before + 1)
        found.append(Moment(position, {"kind": "versions", "versions": dict(sorted(state.items())), "empty": dict(waiting)}, shown))
    return found


def _readable(places: Places, log: LogFiles, name: str) -> set[int]:
    """Versions whose files are all somewhere. One pass over the log."""
    there = listing(log)
    newest = there.newest
    if newest is None:
        return set()
    found: set[int] = set()
    lacking: set[Any] = set()
    state: Snapshot | None = None
    for version in range(min([*there.commits, newest]), newest + 1):
        if state is None or version not in there.commits:
            try:
                state = replay(log, version, there)
            except LogBroken:
                state = None
                continue
            lacking = {key for key, add in state.files.items() if not _all_there(places, name, state, add)}
        else:
            try:
                actions = list(commit_actions(log, version))
            except LogBroken:
                state = None
                continue
            for action, value in actions:
                state.apply(action, value)
                if action == "add" and not _all_there(places, name, state, value):
                    lacking.add((value["path"], _vector(value)))
                elif action in ("add", "remove"):
                    lacking.discard((value["path"], _vector(value)))
            state.version = version
        if not lacking:
            found.add(version)
    return found


def _vector(add: Mapping[str, Any]) -> str:
    from holdfast.systems.delta.log import vectors

    return vectors.unique_id(add.get("deletionVector"))


def _all_there(places: Places, name: str, state: Snapshot, add: Mapping[str, Any]) -> bool:
    one = Snapshot(state.version, state.protocol, state.metadata, {(add["path"], ""): dict(add)})
    single = Pinned(name, one, listing(_Nothing()), None, 0, None)
    return all(places.there(name, wanted) for wanted in (*single.data(), *single.vectors()))


class _Nothing:
    def things(self) -> Iterator[Any]:
        return iter(())

    def get(self, key: str) -> bytes:
        raise LookupError(key)


class LakeWalker:
    """Opens moment after moment; files that were fetched for one serve the next. Satisfies ``systems.contract.Walker``."""

    def __init__(self, settings: DeltaSettings, lake: Lake, folder: Path) -> None:
        self._places = Places(settings, lake, folder)
        self._folder = folder

    @contextlib.contextmanager
    def at(self, moment: Moment) -> Iterator[Isolated]:
        tables = {}
        for name, version in moment.until["versions"].items():
            tables[name] = TableAt(name, self._pinned(name, version), lambda wanted, name=name: self._places.locate(name, wanted))  # type: ignore[misc]
        for name, version in moment.until.get("empty", {}).items():
            pinned = self._pinned(name, version)
            pinned.snapshot.files.clear()
            tables[name] = TableAt(name, pinned, lambda wanted, name=name: self._places.locate(name, wanted))  # type: ignore[misc]
        view = LakeView(tables, moment.shown, "", self._folder)
        try:
            yield view
        finally:
            view.close()

    def keep(self, moment: Moment) -> None:
        """Nothing to keep: files are shared anyway."""
        del moment

    def _pinned(self, name: str, version: int) -> Pinned:
        trouble: LogBroken | None = None
        for log in self._places.logs(name):
            try:
                return pinned_in(log, name, version)
            except LogBroken as error:
                trouble = error
        raise trouble or LogBroken(f"No log of {name} reaches version {version}.")
