"""Tables written out of the vault into a place of their own, and proved there."""

import hashlib
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from urllib.parse import quote

from holdfast.model import Extracted, Progress
from holdfast.systems.contract import PointReader, StoredEntry, Target
from holdfast.systems.delta.capture.pin import Wanted
from holdfast.systems.delta.errors import LogBroken, PointNonsense
from holdfast.systems.delta.held import Held, content
from holdfast.systems.delta.log import vectors
from holdfast.systems.delta.log.listing import StoredLog
from holdfast.systems.delta.log.snapshot import replay
from holdfast.systems.delta.restore.rewrite import rewritten
from holdfast.systems.delta.store import Store, Writing

_ELSEWHERE = "from-elsewhere"
_SMALL = 4 << 20
"""Bytes of the largest file that a reader hands over whole."""


class _Into:
    """A target of the vault's reader over a store."""

    def __init__(self, writing: Writing) -> None:
        self._writing = writing

    def write(self, offset: int, data: memoryview) -> None:
        self._writing.write(offset, data)

    def existing(self, offset: int, buffer: memoryview) -> int:
        del offset, buffer
        return 0

    def close(self) -> None:
        self._writing.close()


Job = tuple[PointReader, StoredEntry, str]
"""(reader, entry, key in the target)."""


def write(store: Store, jobs: Iterable[Job], progress: Progress) -> Extracted:
    """Each entry to its key; all of them are there when it returns. Raises what the store and the vault raise."""
    by_reader: dict[int, tuple[PointReader, dict[str, tuple[StoredEntry, str]]]] = {}
    for reader, stored, key in jobs:
        _require_plain(key)
        by_reader.setdefault(id(reader), (reader, {}))[1][stored.entry.path] = stored, key
    total = Extracted()
    for reader, wanted in by_reader.values():
        done = _write_many(store, reader, wanted, progress)
        total = Extracted(total.files + done.files, total.written + done.written, total.kept + done.kept, total.fetched + done.fetched)
    return total


def _write_many(store: Store, reader: PointReader, wanted: Mapping[str, tuple[StoredEntry, str]], progress: Progress) -> Extracted:
    many = store.many()
    if many is None:
        return reader.extract(_targets(store, wanted.values()), progress=progress)
    with many:

        def small(files: Sequence[tuple[StoredEntry, memoryview | bytes]]) -> None:
            for stored, data in files:
                many.put(wanted[stored.entry.path][1], data)

        def targets() -> Iterator[tuple[StoredEntry, Callable[[], Target] | None]]:
            for stored, key in wanted.values():
                size = stored.entry.size
                yield stored, None if size <= _SMALL else lambda key=key, size=size: many.large(key, size)  # type: ignore[misc]

        done = reader.extract(targets(), progress=progress, small=small)
        many.wait()
    return done


def _targets(store: Store, wanted: Iterable[tuple[StoredEntry, str]]) -> Iterator[tuple[StoredEntry, Callable[[], Target]]]:
    for stored, key in wanted:
        entry = stored.entry
        if entry.size == 0:
            store.writing(key, 0, entry.mtime_ns).close()
            continue
        yield stored, lambda key=key, entry=entry: _Into(store.writing(key, entry.size, entry.mtime_ns))  # type: ignore[misc]


def table(store: Store, held: Held, folder: str, progress: Progress) -> Extracted:
    """One table at its version below ``folder``: its files first, then its log; then read back and compared."""
    places = {wanted.path: _key(wanted, held) for wanted, _, _ in held.files.values()}
    done = write(store, ((reader, stored, folder + places[path]) for path, (_, reader, stored) in held.files.items()), progress)
    changes = [
        (held.reader, stored, folder + wanted.key[len(held.pinned.folder) :])
        for wanted in held.pinned.changes(_log(held))
        if (stored := held.reader.find(wanted.path)) is not None
    ]
    more = write(store, changes, progress)
    last = _write_log(store, held, folder, progress)
    require_whole(store, held, folder)
    return Extracted(
        done.files + more.files + last.files, done.written + more.written + last.written, 0, done.fetched + more.fetched + last.fetched
    )


def _write_log(store: Store, held: Held, folder: str, progress: Progress) -> Extracted:
    wanted = [(one, stored) for one in held.pinned.log(_log(held)) if (stored := held.reader.find(one.path)) is not None]
    elsewhere = {one.address: one for one, _, _ in held.files.values() if one.address is not None}
    if not elsewhere:
        return write(store, ((held.reader, stored, folder + one.key[len(held.pinned.folder) :]) for one, stored in wanted), progress)
    places = {address: quote(_key(one, held), safe="/=-._~") for address, one in elsewhere.items()}
    # Relative like those that the table writes itself: an absolute one would hold for one place, and for readers who know its scheme.
    names = {address: vectors.relative(_ELSEWHERE, _name(address)) for address in _vectors(held)}
    written = 0
    for one, stored in wanted:
        data = rewritten(one.key, content(held.reader, stored), places, names)
        target = store.writing(folder + one.key[len(held.pinned.folder) :], len(data), stored.entry.mtime_ns)
        target.write(0, memoryview(data))
        target.close()
        written += len(data)
    return Extracted(len(wanted), written)


def _log(held: Held) -> StoredLog:
    # A point's log reads like that of a store: the two share what they are asked for.
    return held.log  # type: ignore[return-value]


def _vectors(held: Held) -> set[str]:
    """Addresses of vectors in other tables' places."""
    return {str(one["pathOrInlineDv"]) for one in held.pinned.snapshot.descriptors() if one["storageType"] == "p"}


def _name(address: str) -> uuid.UUID:
    return uuid.UUID(bytes=hashlib.sha256(address.encode()).digest()[:16])


def _key(wanted: Wanted, held: Held) -> str:
    """Below the restored table."""
    if wanted.address is None:
        return wanted.key[len(held.pinned.folder) :]
    if wanted.size is None:  # of a vector the log does not tell it
        return f"{_ELSEWHERE}/deletion_vector_{_name(wanted.address)}.bin"
    base = wanted.path.rpartition("/")[2]
    return f"{_ELSEWHERE}/{hashlib.sha256(wanted.address.encode()).hexdigest()[:24]}-{base}"


def _require_plain(key: str) -> None:
    """Whoever holds a writer's key signs any point: nothing is written outside of the target."""
    if key.startswith("/") or "\0" in key or not {"", ".", ".."}.isdisjoint(key.split("/")):
        raise PointNonsense(f"The point holds a file that leads out of its place: {key!r}.", hint="Look at who made the point.")


def require_whole(store: Store, held: Held, folder: str) -> None:
    """The restored log says the version, and every file that it names is there in its size. Raises PointNonsense."""
    try:
        state = replay(StoredLog(store, folder))
    except LogBroken as error:
        raise PointNonsense(f"The restored log of {held.name} cannot be read: {error.message}", hint=error.hint) from error
    there = {thing.key: thing.size for thing in store.things(folder)}
    wrong = []
    lost = held.known_lost
    for wanted, _, stored in held.files.values():
        key = folder + _key(wanted, held)
        if there.get(key) != stored.entry.size or (
            wanted.size is not None and stored.entry.size != wanted.size and wanted.path not in lost
        ):
            wrong.append(key)
    if state.version != held.version or len(state.files) != len(held.pinned.snapshot.files) or wrong:
        raise PointNonsense(
            f"What was restored of {held.name} is not version {held.version}: the log says version {state.version} with"
            f" {len(state.files)} files, and {len(wrong)} files are not as it says{': ' + ', '.join(wrong[:3]) if wrong else ''}.",
            hint="Try an older point, and: holdfast vault check --read all",
        )
