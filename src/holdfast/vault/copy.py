"""Brings one location to the state of another, byte for byte and without a key: packs, then index, then points; logs and the rest.

Additive and resumable: what the target has is not sent again, nothing is ever removed there. Everything is checked on the way: packs
against the BLAKE3 in their names, small objects against the signatures that the vault's root vouches for. A point is copied only when
the target holds every pack that it needs, and ``config`` comes last: until then the target is no vault.
"""

import datetime as dt
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import blake3

from holdfast.errors import Damaged
from holdfast.model import Progress, Silent
from holdfast.storage.contract import ObjectExists, ObjectInfo, ObjectMissing, Storage
from holdfast.vault import config, envelope, names
from holdfast.vault.envelope import PACK_ENTRY
from holdfast.vault.errors import ObjectDamaged, VaultMissing, VaultMixed
from holdfast.vault.keys import slots, writer_id
from holdfast.vault.lock import attach, before_copied
from holdfast.vault.text import from_b64

_THREADS = 4
_PLAIN = ("FORMAT.md", "decoder.py")
_ORDER = (names.SLOTS, names.WRITERS, names.EPOCHS, names.PACKS, names.INDEX, names.HOLDS, names.POINTS, names.LOGS, "journal/", "plan/")


@dataclass(frozen=True, slots=True)
class Copied:
    """``there`` objects were in the target already. ``refused``: sentences about objects that were not copied, and why."""

    objects: int
    bytes: int
    there: int
    refused: Sequence[str]


def copy(source: Storage, target: Storage, *, progress: Progress | None = None) -> Copied:
    """Raises VaultMissing, VaultMixed (the target holds another vault), FormatNewer, and the storages' errors: run it again to go on."""
    attach((source, target))
    return _Copy(source, target, progress or Silent()).run()


class _Copy:
    def __init__(self, source: Storage, target: Storage, progress: Progress) -> None:
        self._source = source
        self._target = target
        self._progress = progress
        self._writers: dict[str, bytes] = {}
        self._present: set[str] = set()
        self._refused: list[str] = []
        self._sent = self._bytes = self._there = 0
        self._locked_here: dict[str, dt.datetime] = {}

    def run(self) -> Copied:
        try:
            self._config = self._source.get(names.CONFIG)
        except ObjectMissing:
            raise VaultMissing(f"There is no vault in {self._source.url}.", hint="Check the address.", url=self._source.url) from None
        parsed = config.parse(self._config)
        self._vault = bytes.fromhex(str(parsed.clear["vault"]))
        self._root = from_b64(str(parsed.clear["root_public"]))
        if not envelope.verify(parsed, self._vault, self._root):
            raise ObjectDamaged(f"config in {self._source.url} is damaged.", hint="Copy from another location.", object=names.CONFIG)
        held = self._target.head(names.CONFIG)
        if held is not None and self._target.get(names.CONFIG) != self._config:
            raise VaultMixed(f"{self._target.url} holds another vault.", hint="Name an empty location.", url=self._target.url)
        plain = [info for name in _PLAIN if (info := self._source.head(name)) is not None and self._target.head(name) is None]
        self._send(plain, lambda _name, _data: None)
        for prefix in _ORDER:
            self._part(prefix)
        if held is None:
            self._put(names.CONFIG, self._config)
        return Copied(self._sent, self._bytes, self._there, self._refused)

    def _part(self, prefix: str) -> None:
        sizes = {info.name: info.size for info in self._target.list(prefix)}
        wanted = list(self._source.list(prefix))
        missing = [info for info in wanted if info.name not in sizes]
        self._there += len(wanted) - len(missing)
        self._refused += [
            f"{info.name}: the target holds another object of that name." for info in wanted if sizes.get(info.name, info.size) != info.size
        ]
        if prefix == names.PACKS:
            self._present = set(sizes)
        self._progress.phase(f"copying {prefix}", sum(info.size for info in missing))
        self._send(missing, self._pack if prefix == names.PACKS else self._slot if prefix == names.SLOTS else self._envelope)

    def _send(self, infos: Sequence[ObjectInfo], problem: Callable[[str, bytes], str | None]) -> None:
        def one(info: ObjectInfo) -> None:
            try:
                data = self._source.get(info.name)
            except ObjectMissing:
                return  # pruned since it was listed
            wrong = problem(info.name, data)
            if wrong is not None:
                self._refused.append(f"{info.name}: {wrong}")
                return
            self._put(info.name, data)
            if info.name.startswith(names.PACKS):
                self._present.add(info.name)
            self._progress.advance(info.size)

        with ThreadPoolExecutor(_THREADS, thread_name_prefix="copy") as pool:
            _all(pool.map(one, infos))

    def _put(self, name: str, data: bytes) -> None:
        try:
            self._target.put_if_absent(name, [data])
        except ObjectExists:
            self._there += 1
            return
        self._sent += 1
        self._bytes += len(data)

    @staticmethod
    def _pack(name: str, data: bytes) -> str | None:
        parsed = names.parse_pack(name)
        if parsed is None:
            return "this is no name of a pack."
        return None if blake3.blake3(data).digest() == parsed[1] else "it holds other bytes than were written; heal it first."

    @staticmethod
    def _slot(name: str, data: bytes) -> str | None:
        try:
            slots.parse(name[len(names.SLOTS) :], data)
        except Damaged as error:
            return error.message
        return None

    def _envelope(self, name: str, data: bytes) -> str | None:
        try:
            parsed = envelope.parse(name, data)
            public = self._root if parsed.writer == "root" else self._writer(parsed.writer)
        except (Damaged, ValueError) as error:
            return f"it cannot be believed ({error})."
        if not envelope.verify(parsed, self._vault, public):
            return "it is not what its writer signed; heal it first."
        if parsed.kind == "point":
            packs = [parsed.packs[at : at + PACK_ENTRY] for at in range(0, len(parsed.packs), PACK_ENTRY)]
            lacking = sum(names.pack(entry[:16], entry[16:]) not in self._present for entry in packs)
            if lacking:
                return f"{lacking} packs that it needs are not in the target."
            before_copied(self._target, (names.pack(entry[:16], entry[16:]) for entry in packs), self._locked_here)
        return None

    def _writer(self, writer: str) -> bytes:
        if writer not in self._writers:
            name = names.writer(writer)
            parsed = envelope.parse(name, self._source.get(name))
            public = from_b64(str(parsed.clear.get("sign_public", "")))
            if not envelope.verify(parsed, self._vault, self._root) or writer_id(public) != writer:
                raise ObjectDamaged(f"The certificate of writer {writer} is not signed by the vault's root.", object=name)
            self._writers[writer] = public
        return self._writers[writer]


def _all(results: Iterable[None]) -> None:
    """Waits, and raises the first error."""
    for _ in results:
        pass
