"""What a location holds and what of it is needed: read from every location, so that no copy's needs are overlooked."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from holdfast.errors import Damaged
from holdfast.storage.contract import ObjectInfo, ObjectMissing, Storage
from holdfast.vault import names
from holdfast.vault.envelope import PACK_ENTRY, Envelope
from holdfast.vault.notary import Notary
from holdfast.vault.prune.errors import PruneUnsure

_THREADS = 8


@dataclass(slots=True)
class Marked:
    """``points``, ``aborted`` and ``dropped`` hold session ids; ``packs`` the 48-byte entries that points of any location need.

    ``dropped``: ids that some location records as going (a prune that is at work, or was interrupted); nothing they name is needed.
    ``uneven``: aborted ids that not every location records as aborted, though none holds their point.
    """

    points: set[str] = field(default_factory=set)
    aborted: set[str] = field(default_factory=set)
    dropped: set[str] = field(default_factory=set)
    uneven: set[str] = field(default_factory=set)
    packs: set[bytes] = field(default_factory=set)


def everywhere(storages: Sequence[Storage], prefix: str) -> dict[str, ObjectInfo]:
    """All objects of any location by name, sorted; of several copies the youngest. Raises when a location does not answer."""
    found: dict[str, ObjectInfo] = {}
    for storage in storages:
        for info in storage.list(prefix):
            other = found.get(info.name)
            if other is None or info.modified > other.modified:
                found[info.name] = info
    return dict(sorted(found.items()))


def mark(storages: Sequence[Storage], notary: Notary, without: Iterable[str] = ()) -> Marked:
    """Read every copy of every point. ``without``: ids whose packs do not count (points about to go).

    A point counts as long as any location holds it, whatever another one says under its name: only the record of a drop, which the root
    signs, makes a point's needs void. Raises PruneUnsure when a copy is damaged or not believed: what it needs cannot be known.
    """
    marked = Marked()
    left_out = set(without)
    listed = [[info.name for info in storage.list(names.POINTS)] for storage in storages]
    for storage, found in zip(storages, listed, strict=True):
        drops = [name for name in found if (parsed := names.parse_point(name)) is not None and parsed[1]]
        marked.dropped.update(name[len(names.POINTS) : -len(names.DROPPED)] for name, _ in _read_all(storage, notary, drops, {"drop"}))
    times: dict[str, int] = {}
    for storage, found in zip(storages, listed, strict=True):
        bodies = [name for name in found if (parsed := names.parse_point(name)) is not None and not parsed[1]]
        for name, envelope in _read_all(storage, notary, bodies, {"point", "abort"}):
            session = name[len(names.POINTS) :]
            if envelope.kind == "abort":
                times[session] = times.get(session, 0) + 1
            elif session not in marked.dropped:
                marked.points.add(session)
                if session not in left_out:
                    marked.packs.update(entries(envelope))
    marked.aborted = times.keys() - marked.points
    marked.uneven = {session for session in marked.aborted - marked.dropped if times[session] < len(storages)}
    return marked


def entries(envelope: Envelope) -> Iterable[bytes]:
    """The pack entries of a list, 48 bytes each."""
    return (envelope.packs[at : at + PACK_ENTRY] for at in range(0, len(envelope.packs), PACK_ENTRY))


def stored_packs(storages: Sequence[Storage]) -> Mapping[bytes, ObjectInfo]:
    """48-byte entries of all packs in any location."""
    found = {}
    for name, info in everywhere(storages, names.PACKS).items():
        parsed = names.parse_pack(name)
        if parsed is not None:
            found[parsed[0] + parsed[1]] = info
    return found


def _read_all(storage: Storage, notary: Notary, wanted: Sequence[str], kinds: set[str]) -> Iterable[tuple[str, Envelope]]:
    def read(name: str) -> tuple[str, Envelope] | None:
        try:
            checked = notary.check(name, storage.get(name))
            if checked.kind not in kinds:
                raise PruneUnsure(f"{name} in {storage.url} holds a {checked.kind!r}.", hint="Run 'holdfast vault check'.", object=name)
            return name, checked
        except ObjectMissing:
            return None  # removed since it was listed, by another prune
        except Damaged as error:
            raise PruneUnsure(
                f"{name} in {storage.url} cannot be believed, so nobody knows which packs it needs: {error.message}",
                hint="Run 'holdfast vault check' (it heals from another location), or remove the object by hand; then prune again.",
                object=name,
                url=storage.url,
            ) from error

    return parallel(read, wanted)


def parallel(action: Callable[[str], tuple[str, Envelope] | None], wanted: Sequence[str]) -> Iterable[tuple[str, Envelope]]:
    """Results in order, without None."""
    with ThreadPoolExecutor(_THREADS, thread_name_prefix="mark") as pool:
        yield from (result for result in pool.map(action, wanted) if result is not None)
