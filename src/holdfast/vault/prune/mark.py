"""What one location holds and what of it is needed."""

from array import array
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from holdfast.errors import Damaged
from holdfast.storage.contract import ObjectInfo, ObjectMissing, Storage
from holdfast.vault import lock
from holdfast.vault.errors import SignedAfterRevocation
from holdfast.vault.format import names
from holdfast.vault.format.envelope import Envelope
from holdfast.vault.keys.notary import Notary
from holdfast.vault.packs.condemned import entries
from holdfast.vault.prune.errors import PruneUnsure

if TYPE_CHECKING:
    Numbers = array[int]

_THREADS = 8
_BATCH = 2048


@dataclass(slots=True)
class Marked:
    """``points``, ``coming``, ``aborted`` and ``dropped`` hold session ids; ``packs`` the 48-byte entries that the points here need.

    ``coming``: points that a copy is bringing here: what they need of this location is needed already. ``dropped``: ids that this location
    records as going (a prune that is at work, or was interrupted); nothing they name is needed. ``final``: ids aborted for good (their
    point was dropped), so that no copy brings them; other aborts only say that a session came too late. ``standing``:
    those of ``packs`` that points need which stand here already.
    """

    points: set[str] = field(default_factory=set)
    coming: set[str] = field(default_factory=set)
    aborted: set[str] = field(default_factory=set)
    final: set[str] = field(default_factory=set)
    dropped: set[str] = field(default_factory=set)
    packs: set[bytes] = field(default_factory=set)
    standing: set[bytes] = field(default_factory=set)

    @property
    def decided(self) -> set[str]:
        """Sessions that can change nothing here any more."""
        return self.points | self.aborted | self.dropped


class PackLists:
    """Lists of points already read, so that they are read once in a prune: 4 bytes a pack and point.

    Points never change: what was read under a name, size and time stays true until the object goes.
    """

    def __init__(self) -> None:
        self._numbers: dict[bytes, int] = {}
        self._entries: list[bytes] = []
        self._rows: dict[tuple[str, str, int], tuple[str, Numbers]] = {}

    def known(self, storage: Storage, info: ObjectInfo) -> "tuple[str, Numbers] | None":
        """(kind, numbers of the packs)."""
        return self._rows.get(self._key(storage, info))

    def add(self, storage: Storage, info: ObjectInfo, envelope: Envelope) -> "tuple[str, Numbers]":
        numbers: Numbers = array("I")
        for entry in entries(envelope):
            number = self._numbers.setdefault(entry, len(self._entries))
            if number == len(self._entries):
                self._entries.append(entry)
            numbers.append(number)
        kind = "final" if envelope.kind == "abort" and envelope.clear.get("why") != "lease" else envelope.kind
        row = self._rows[self._key(storage, info)] = (kind, numbers)
        return row

    def packs(self, numbers: Iterable[int]) -> set[bytes]:
        return {self._entries[number] for number in numbers}

    @staticmethod
    def _key(storage: Storage, info: ObjectInfo) -> tuple[str, str, int]:
        # An abort that took a point's name is told by its size, as in the cache of points.
        return storage.url, info.name, info.size


def everywhere(storages: Sequence[Storage], prefix: str) -> dict[str, ObjectInfo]:
    """All objects of any location by name, sorted; of several copies the youngest. Raises when a location does not answer."""
    found: dict[str, ObjectInfo] = {}
    for storage in storages:
        for info in storage.list(prefix):
            other = found.get(info.name)
            if other is None or info.modified > other.modified:
                found[info.name] = info
    return dict(sorted(found.items()))


def mark(storage: Storage, notary: Notary, lists: PackLists | None = None, without: Collection[str] = ()) -> Marked:
    """Read every point of one location. ``without``: ids whose packs do not count (points about to go).

    Raises PruneUnsure when an object is damaged or not believed: what it needs cannot be known.
    """
    lists = lists or PackLists()
    marked = Marked()
    bodies: list[ObjectInfo] = []
    drops: list[ObjectInfo] = []
    # What is staged first, in a listing of its own: it goes only when its point stands, so one of the two listings has it.
    coming = [info for info in storage.list(names.POINTS) if names.parse_coming(info.name) is not None]
    for info in storage.list(names.POINTS):
        parsed = names.parse_point(info.name)
        if parsed is not None:
            (drops if parsed[1] else bodies).append(info)
    marked.dropped = {info.name[len(names.POINTS) : -len(names.DROPPED)] for info, _ in _read_all(storage, notary, drops, {"drop"}, lists)}
    marked.dropped -= lock.void_drops([storage], marked.dropped)
    numbers: set[int] = set()
    for info, (kind, packs) in _read_all(storage, notary, bodies, {"point", "abort"}, lists):
        session = info.name[len(names.POINTS) :]
        if kind != "point":
            marked.aborted.add(session)
            if kind == "final":
                marked.final.add(session)
        elif session not in marked.dropped:
            marked.points.add(session)
            if session not in without:
                numbers.update(packs)
    arrived: list[str] = []
    staged = list(_read_all(storage, notary, coming, {"point"}, lists, arrived))
    for info, (kind, packs) in _read_all(storage, notary, _stand(storage, arrived), {"point", "abort"}, lists):
        session = info.name[len(names.POINTS) :]
        if kind == "point" and session not in marked.dropped:
            marked.points.add(session)
            if session not in without:
                numbers.update(packs)
    marked.standing = lists.packs(numbers)
    for info, (_, packs) in staged:
        session = info.name[len(names.POINTS) : -len(names.COMING)]
        # Where the point itself stands its own list counts, and what was dropped does not come.
        if session not in marked.final | marked.points | marked.dropped:
            marked.coming.add(session)
            if session not in without:
                numbers.update(packs)
    marked.packs = lists.packs(numbers)
    return marked


def stored_packs(storage: Storage) -> Mapping[bytes, ObjectInfo]:
    """48-byte entries of all packs in a location."""
    found = {}
    for info in storage.list(names.PACKS):
        parsed = names.parse_pack(info.name)
        if parsed is not None:
            found[parsed[0] + parsed[1]] = info
    return found


def _stand(storage: Storage, arrived: Iterable[str]) -> list[ObjectInfo]:
    """The points whose staged objects went after they were listed: a copy puts the point first. None stands for one that was dropped."""
    found = [storage.head(name.removesuffix(names.COMING)) for name in arrived]
    return [info for info in found if info is not None]


def _read_all(
    storage: Storage,
    notary: Notary,
    wanted: Sequence[ObjectInfo],
    kinds: set[str],
    lists: PackLists,
    gone: list[str] | None = None,
) -> Iterable[tuple[ObjectInfo, "tuple[str, Numbers]"]]:
    """``gone`` is told the names of those that were removed since they were listed."""

    def read(info: ObjectInfo) -> tuple[ObjectInfo, Envelope] | None:
        # A staged point is the point's own bytes: signed under the name that it will have.
        parsed = names.parse_coming(info.name)
        name = info.name if parsed is None else names.point(parsed)
        try:
            checked = notary.check(name, storage.get(info.name))
            if checked.kind not in kinds:
                raise PruneUnsure(
                    f"{info.name} in {storage.url} holds a {checked.kind!r}.", hint="Run 'holdfast vault check'.", object=info.name
                )
        except ObjectMissing:
            if gone is not None:
                gone.append(info.name)
            return None  # removed since it was listed, by another prune or by a copy
        except SignedAfterRevocation:
            return None  # a revoked writer went on: nobody believes it, so nothing is needed by it
        except Damaged as error:
            raise PruneUnsure(
                f"{info.name} in {storage.url} cannot be believed, so nobody knows which packs it needs: {error.message}",
                hint="Run 'holdfast vault check' (it heals from another location), or remove the object by hand; then prune again.",
                object=info.name,
                url=storage.url,
            ) from error
        return info, checked

    unread = []
    for info in wanted:
        known = lists.known(storage, info)
        if known is None:
            unread.append(info)
        else:
            yield info, known
    for info, checked in parallel(read, unread):
        yield info, lists.add(storage, info, checked)


def parallel(
    action: Callable[[ObjectInfo], tuple[ObjectInfo, Envelope] | None], wanted: Sequence[ObjectInfo]
) -> Iterable[tuple[ObjectInfo, Envelope]]:
    """Results in order, without None; few at a time are held."""
    if len(wanted) < _THREADS:
        yield from (result for result in map(action, wanted) if result is not None)
        return
    with ThreadPoolExecutor(_THREADS, thread_name_prefix="mark") as pool:
        for at in range(0, len(wanted), _BATCH):
            yield from (result for result in pool.map(action, wanted[at : at + _BATCH]) if result is not None)
