"""Looks at a vault, location by location: structure always, content as far as asked, healing from another location if asked."""

import contextlib
import math
import random
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

from holdfast.errors import Damaged, Refused, Unreachable
from holdfast.model import Increment, Progress, RecoveryPoint, Silent
from holdfast.storage.contract import ObjectInfo, ObjectMissing, Storage, StorageDenied
from holdfast.vault import lock
from holdfast.vault.check.gaps import judge
from holdfast.vault.check.heal import ASIDE, Healer
from holdfast.vault.check.hurt import name_files
from holdfast.vault.check.record import Recorder
from holdfast.vault.check.report import Found, Report
from holdfast.vault.check.vanished import STALE, Vanished
from holdfast.vault.check.verify import Verifier, largest
from holdfast.vault.copy import Copied
from holdfast.vault.copy.logs import covers
from holdfast.vault.format import names, selfdescription
from holdfast.vault.format.envelope import PACK_ENTRY
from holdfast.vault.index import objects
from holdfast.vault.locations import get_if_there
from holdfast.vault.logs.names import furthest, increments
from holdfast.vault.packs import damage
from holdfast.vault.vault import Vault

_THREADS = 2
_GONE = "It was listed and is gone."
_LACKING = ("missing", "not-everywhere", "not-indexed")
Choose = Callable[[Sequence[ObjectInfo], int], Sequence[ObjectInfo]]


class Check:
    """One run over some of a vault's locations. ``share`` of packs and logs is read, 0 to 1; ``choose`` picks which (tests fix it)."""

    def __init__(
        self,
        vault: Vault,
        *,
        share: float = 0.0,
        heal: bool = False,
        only: str | None = None,
        progress: Progress | None = None,
        choose: Choose | None = None,
    ) -> None:
        self._vault = vault
        self._storages = [storage for storage in vault.locations.storages if only is None or storage.url == only]
        if not self._storages:
            raise ValueError(f"no location {only!r} in this vault")
        self._share = min(1.0, max(0.0, share))
        self._silent: dict[str, Unreachable] = {}
        self._heal = heal
        self._judge: Healer | None = None
        self._vanished = Vanished((), vault.notary)
        self._progress = progress or Silent()
        self._choose = choose or (lambda infos, count: random.SystemRandom().sample(infos, count))
        self._verifier = Verifier(vault.notary)
        self._found: list[Found] = []
        self._points: Sequence[RecoveryPoint] = ()
        self._systems: dict[str, str] = {}
        self._elsewhere: dict[str, ObjectInfo] = {}
        self._read = 0

    def run(self) -> Report:
        """What is wrong in the vault is in the report, and which locations fell silent at first or on the way. Unreachable when all did."""
        held: dict[str, dict[str, ObjectInfo]] = {}
        for storage in self._storages:
            with self._listening(storage):
                held[storage.url] = {info.name: info for info in storage.list()}
        if not held:
            raise next(iter(self._silent.values()))
        self._points = self._vault.points()
        self._systems = {point.id: point.system for point in self._points}
        for storage in self._vault.locations.storages:
            if storage.url not in self._silent:
                with self._listening(storage):
                    for prefix in (names.CONFIG, "keys/", names.POINTS):
                        self._elsewhere.update({info.name: info for info in storage.list(prefix)})
        # Those that answered: what one of the others holds cannot be told from what is lost.
        heard = [storage for storage in self._vault.locations.storages if storage.url not in self._silent]
        self._judge = Healer(heard, self._vault.notary, self._verifier)
        self._vanished = Vanished(heard, self._vault.notary)
        for storage in self._answering():
            with self._listening(storage):
                self._location(storage, held[storage.url])
                self._lock_again(storage, held[storage.url])
        self._gaps({name: info for infos in held.values() for name, info in infos.items() if name.startswith(names.LOGS)})
        if self._heal:
            self._complete()
        self._found += Recorder(self._vault.locations.storages, self._vault.notary, self._verifier, self._vault.now).settle(self._found)
        name_files(self._vault, self._found)
        return Report(
            found=self._found,
            objects={url: len(infos) for url, infos in held.items()},
            bytes={url: sum(info.size for info in infos.values()) for url, infos in held.items()},
            read=self._read,
            deep=self._verifier.opens and self._share > 0,
            silent={storage.url: self._silent[storage.url].message for storage in self._storages if storage.url in self._silent},
        )

    def _lock_again(self, storage: Storage, held: Mapping[str, ObjectInfo]) -> None:
        """Who may only read checks too: then the locks are as long as they were, and that is told."""
        try:
            lock.keep_records(storage, self._vault.cache, held)
        except (StorageDenied, Refused) as error:
            detail = f"The locks of the newest copies of journal and plan were not made longer: {error.message}"
            self._notice("lock-not-extended", storage, names.JOURNAL, detail)

    def _answering(self) -> list[Storage]:
        return [storage for storage in self._storages if storage.url not in self._silent]

    @contextlib.contextmanager
    def _listening(self, storage: Storage) -> Iterator[None]:
        """A location that falls silent is left out from then on, and told of; the others are checked all the same."""
        try:
            yield
        except Unreachable as error:
            self._silent.setdefault(storage.url, error)
            if storage in self._storages:
                self._progress.note(f"{storage.url} is not checked to the end: {error.message}")

    def _location(self, storage: Storage, held: Mapping[str, ObjectInfo]) -> None:
        small = [info for info in held.values() if not info.name.startswith((names.PACKS, names.LOGS))]
        self._progress.phase(f"structure of {storage.url}", len(small), "objects")
        sound: dict[str, bytes] = {}
        for info, data in self._all(storage, small):
            self._progress.advance(1)
            if data is None and not self._vanished.lost(storage, info.name):
                continue  # gone since it was listed, by who may remove it
            problem = _too_large(info) or (_GONE if data is None else self._verifier.problem(info.name, data))
            if info.name.startswith(ASIDE):
                self._notice("put-aside", storage, info.name, "A heal replaced this; look at it, then delete it by hand.")
            elif names.parse_coming(info.name) is not None:
                self._staged(storage, info, data)
            elif not self._verifier.known(info.name):
                self._notice("unknown-object", storage, info.name, "This object does not belong to format 1; nobody needs it.")
            elif info.name in selfdescription.parts():
                if data != selfdescription.parts()[info.name]:
                    self._notice(
                        "description-differs", storage, info.name, "It differs from what this version ships; do not run it unread."
                    )
            elif problem is not None and data is not None and (void := self._verifier.void(info.name, data)) is not None:
                self._notice(void[0], storage, info.name, void[1])
            elif problem is not None and info.name.startswith(names.DAMAGED):
                self._notice("record-not-believed", storage, info.name, f"{problem} Nobody heeds it; a prune removes it.")
            elif problem is not None:
                code = "missing" if data is None else "damaged"
                if self._wrong(code, storage, info.name, problem, self._hurt_by(info.name)):
                    sound |= _read_back(storage, info.name)
            elif data is not None:
                sound[info.name] = data
        for name in self._elsewhere.keys() - held.keys():
            if names.parse_coming(name) is not None:
                continue  # what a copy stages elsewhere is nobody's loss here
            if name.startswith(names.POINTS):
                self._notice("not-everywhere", storage, name, "Another location holds this point; 'holdfast vault copy' brings it here.")
            elif (
                self._judge is not None
                and self._judge.withheld(name) is None
                and self._vanished.lost(storage, name)
                and self._wrong("missing", storage, name, "Another location holds this; without it this one cannot be opened alone.", {})
            ):
                sound |= _read_back(storage, name)
        needs = self._needs(sound)
        sizes = self._sizes(sound)
        self._packs(storage, held, needs, sizes)
        self._content(storage, held, needs)

    def _staged(self, storage: Storage, info: ObjectInfo, data: bytes | None) -> None:
        """The bytes of a point that a copy is bringing, under a name of their own until it is there."""
        if data is None:
            return
        problem = self._verifier.problem(info.name.removesuffix(names.COMING), data)
        if problem is not None:
            self._wrong("damaged", storage, info.name, f"Staged by a copy: {problem}", {})
            return
        told = "A copy is bringing this point, or was cut off: holdfast vault copy goes on."
        age = storage.now() - info.modified
        if age >= STALE:
            lone = info.name.removesuffix(names.COMING) not in self._elsewhere and not self._silent
            how = "No location holds the point any more: delete this object by hand." if lone else "Run: holdfast vault copy"
            told = f"A copy that began {age.days} days ago did not finish with this point; until one does, no old log is deleted. {how}"
        self._notice("unfinished-copy", storage, info.name, told)

    def _needs(self, sound: Mapping[str, bytes]) -> dict[str, dict[str, str]]:
        """Pack's name → points (id: system) that need it, by the clear lists of this location's points."""
        needs: dict[str, dict[str, str]] = {}
        for name, data in sound.items():
            if name.startswith(names.POINTS):
                packs = self._vault.notary.check(name, data).packs
                point = name[len(names.POINTS) :]
                for at in range(0, len(packs), PACK_ENTRY):
                    pack = names.pack(packs[at : at + 16], packs[at + 16 : at + PACK_ENTRY])
                    needs.setdefault(pack, {})[point] = self._systems.get(point, "")
        return needs

    def _sizes(self, sound: Mapping[str, bytes]) -> dict[str, int]:
        """Pack's name → size, by the index."""
        sizes = {}
        for name, data in sound.items():
            if name.startswith(names.INDEX):
                checked = self._vault.notary.check(name, data)
                if not self._vault.notary.can_open(checked):
                    continue  # of a scope whose key was not given
                for pack in objects.decode(name, self._vault.notary.open(checked)):
                    sizes[names.pack(pack.id, pack.digest)] = pack.size
        return sizes

    def _packs(
        self, storage: Storage, held: Mapping[str, ObjectInfo], needs: Mapping[str, dict[str, str]], sizes: Mapping[str, int]
    ) -> None:
        for name, points in needs.items():
            if name not in held:
                if self._vanished.pack_lost(storage, name, points):
                    self._wrong("missing", storage, name, "The pack is missing.", points)
            elif name in sizes and held[name].size != sizes[name]:
                self._wrong("damaged", storage, name, f"The pack has {held[name].size} bytes instead of {sizes[name]}.", points)
            elif name not in sizes:
                self._notice("not-indexed", storage, name, "No index object tells of the pack; its chunks are stored again when met.")
        for name in held:
            if name.startswith(names.PACKS) and names.parse_pack(name) is None:
                self._notice("unknown-object", storage, name, "This is no name of a pack; nobody needs it.")

    def _content(self, storage: Storage, held: Mapping[str, ObjectInfo], needs: Mapping[str, dict[str, str]]) -> None:
        """Read the share of packs and logs."""
        known_wrong = {one.object for one in self._found if one.location == storage.url and one.severity == "damage"}
        large = [
            info
            for info in held.values()
            if info.name not in known_wrong
            and (names.parse_pack(info.name) is not None or (info.name.startswith(names.LOGS) and self._verifier.known(info.name)))
        ]
        count = math.ceil(len(large) * self._share)
        wanted = large if count == len(large) else self._choose(large, count)
        # What is known to be damaged is looked at each time: a check that reads nothing else tells of it still, or that it is healed.
        known = {names.pack(entry[:16], entry[16:]) for entry in damage.read(storage, self._vault.notary).found}
        wanted = [*wanted, *(info for info in large if info.name in known.difference(one.name for one in wanted))]
        self._progress.phase(f"reading {storage.url}", sum(info.size for info in wanted))
        for info, problem in self._verdicts(storage, wanted):
            self._read += info.size
            self._progress.advance(info.size)
            if problem == _GONE:
                # Of logs the gaps are told, of packs what points need.
                if self._vanished.pack_lost(storage, info.name, needs.get(info.name, {})):
                    self._wrong("missing", storage, info.name, problem, needs[info.name])
            elif problem is not None:
                self._wrong("damaged", storage, info.name, problem, needs.get(info.name, {}))

    def _verdicts(self, storage: Storage, wanted: Sequence[ObjectInfo]) -> Iterable[tuple[ObjectInfo, str | None]]:
        def judge(info: ObjectInfo) -> tuple[ObjectInfo, str | None]:
            if (large := _too_large(info)) is not None:
                return info, large
            try:
                data = storage.get(info.name)
            except ObjectMissing:
                return info, _GONE
            except Damaged as error:
                return info, error.message
            problem = self._verifier.problem(info.name, data)
            if problem is not None and (void := self._verifier.void(info.name, data)) is not None:
                self._notice(void[0], storage, info.name, void[1])
                return info, None
            return info, problem

        with ThreadPoolExecutor(_THREADS, thread_name_prefix="check") as pool:
            yield from pool.map(judge, wanted)

    @staticmethod
    def _all(storage: Storage, infos: Sequence[ObjectInfo]) -> Iterable[tuple[ObjectInfo, bytes | None]]:
        """None for what is gone; nothing of what is too large."""

        def fetch(info: ObjectInfo) -> tuple[ObjectInfo, bytes | None]:
            if _too_large(info) is not None:
                return info, b""
            try:
                return info, storage.get(info.name)
            except ObjectMissing:
                # Another object may take its place at any moment: an abort a point's, a point an abort's.
                return info, get_if_there(storage, info.name)
            except Damaged:
                return info, b""

        with ThreadPoolExecutor(8, thread_name_prefix="check") as pool:
            yield from pool.map(fetch, infos)

    def _gaps(self, held: Mapping[str, ObjectInfo]) -> None:
        """Ranges of logs that one location lacks and another has are missing there; those that no location has are gaps."""
        folders = sorted({name.rsplit("/", 1)[0] for name in held})
        for folder in folders:
            whole = list(furthest(_in_order(info for name, info in held.items() if name.startswith(f"{folder}/")), 0))
            if any(behind.start > before.end for before, behind in pairwise(whole)):
                # Not out of a listing during which some were put and others went.
                whole = list(furthest(_in_order(self._vault.locations.list(f"{folder}/")), 0))
            for before, behind in pairwise(whole):
                if behind.start > before.end:
                    found = judge(self._vault, self._points, folder, before, behind)
                    if self._silent and found.severity != "notice":
                        found.severity = "notice"
                        found.detail = f"{found.detail} Unless {', '.join(self._silent)} has it, which did not answer."
                    self._found.append(found)
            for storage in self._answering():
                with self._listening(storage):
                    own = {info.name: info for info in storage.list(f"{folder}/")}
                    covered = list(furthest(_in_order(own.values()), 0))
                    for one in whole:
                        there = one.name in own or covers(covered, one.start, one.end)
                        if not there and self._vanished.log_lost(storage, one, covered, self._points):
                            self._wrong("missing", storage, one.name, "The log increment is missing here; another location has it.", {})

    def _hurt_by(self, name: str) -> dict[str, str]:
        if name.startswith(names.POINTS):
            point = name[len(names.POINTS) :]
            return {point: self._systems.get(point, "")}
        return {}

    def _notice(self, code: str, storage: Storage, name: str, detail: str) -> None:
        self._found.append(Found("notice", code, storage.url, name, detail))

    def _wrong(self, code: str, storage: Storage, name: str, detail: str, hurts: Mapping[str, str]) -> bool:
        """True when it was healed."""
        found = Found("damage", code, storage.url, name, detail, dict(hurts))
        self._found.append(found)
        if self._heal and self._judge is not None:
            found.unhealed = self._judge.heal(storage, name)
            found.healed = not found.unhealed
        return found.healed

    def _complete(self) -> None:
        """Whole objects that a location lacks are copied there; the findings about them say then whether they were healed, or why not."""
        assert self._judge is not None
        for storage in self._answering():
            own = [one for one in self._found if one.location == storage.url and one.code in _LACKING and not one.healed]
            if not own:
                continue
            done = self._judge.complete(storage, self._progress)
            with self._listening(storage):
                for one in own:
                    if one.code == "not-indexed":
                        one.healed = isinstance(done, Copied) and not done.refused
                    else:
                        one.healed = storage.head(one.object) is not None
                    if not one.healed:
                        one.unhealed = done if isinstance(done, str) else next(iter((*done.refused, *done.later, *done.left)), one.unhealed)


def _read_back(storage: Storage, name: str) -> dict[str, bytes]:
    """What a heal put, by its name; nothing where a prune took it away at once."""
    data = get_if_there(storage, name)
    return {} if data is None else {name: data}


def _too_large(info: ObjectInfo) -> str | None:
    most = largest(info.name)
    return None if info.size <= most else f"{info.name} has {info.size} bytes; none of its kind has more than {most}."


def _in_order(infos: Iterable[ObjectInfo]) -> list[Increment]:
    return sorted(increments(infos), key=lambda one: (one.start, one.end))
