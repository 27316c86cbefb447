"""Writes down, where backups look for it, which packs are damaged wherever they lie; takes back what is sound again or gone."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import blake3

from holdfast.errors import Damaged, HoldfastError, Unreachable
from holdfast.storage.contract import ObjectLocked, ObjectMissing, Storage
from holdfast.vault.check.report import Found
from holdfast.vault.check.verify import Verifier, whole
from holdfast.vault.format import names
from holdfast.vault.keys.notary import Notary
from holdfast.vault.packs import damage

TOLD = " It is in no location whole: the next backup does not rely on it and stores again what of it is there still."


@dataclass(slots=True)
class _Copies:
    """Of one pack in all locations. ``holders``: those that hold some object under its name."""

    sound: bool = False
    silent: bool = False
    wrong: str = ""
    holders: list[Storage] = field(default_factory=list)


class Recorder:
    """``storages``: all locations of the vault, also those that were not checked: a pack is not lost that another one holds sound."""

    def __init__(self, storages: Sequence[Storage], notary: Notary, verifier: Verifier, now: Callable[[], datetime]) -> None:
        self._storages = storages
        self._notary = notary
        self._verifier = verifier
        self._now = now

    def settle(self, found: Sequence[Found]) -> list[Found]:
        """Packs in ``found`` that are not healed, and those of which records stand, are read once more in every location.

        Returns what is worth telling. Never raises for a location: what falls silent here is looked at by the next check.
        """
        standing: dict[bytes, list[tuple[Storage, str]]] = {}
        for storage in self._storages:
            try:
                for entry, why in damage.read(storage, self._notary).found.items():
                    standing.setdefault(entry, []).append((storage, why))
            except Unreachable:
                continue
        wrong: dict[bytes, list[Found]] = {}
        for one in found:
            parsed = names.parse_pack(one.object)
            if parsed is not None and one.severity == "damage" and not one.healed:
                wrong.setdefault(parsed[0] + parsed[1], []).append(one)
        told: list[Found] = []
        for entry in sorted(wrong.keys() | standing.keys()):
            copies = self._look(entry)
            if self._lost(copies, [why for _, why in standing.get(entry, ())]):
                told += self._put(entry, copies)
                for one in wrong.get(entry, ()):
                    one.detail += TOLD
            elif copies.sound or not copies.silent:
                told += [one for storage, _ in standing.get(entry, ()) for one in self._remove(storage, entry)]
        return told

    def _look(self, entry: bytes) -> _Copies:
        name = names.pack(entry[:16], entry[16:])
        copies = _Copies()
        for storage in self._storages:
            try:
                data = whole(storage, name)
            except ObjectMissing:
                continue
            except Unreachable:
                copies.silent = True
                continue
            except Damaged:
                data = b""
            copies.holders.append(storage)
            if self._verifier.problem(name, data) is None:
                copies.sound = True
            else:
                copies.wrong = damage.CONTENT if blake3.blake3(data).digest() == entry[16:] else damage.BYTES
        return copies

    def _lost(self, copies: _Copies, recorded: Sequence[str]) -> bool:
        if not copies.holders:
            return False
        # Who cannot open the pack does not see what was wrong inside, and no copy of these bytes can be better.
        return not copies.sound or (damage.CONTENT in recorded and not self._verifier.opens)

    def _put(self, entry: bytes, copies: _Copies) -> list[Found]:
        told = []
        for storage in copies.holders:
            try:
                damage.put(storage, self._notary, entry, copies.wrong or damage.CONTENT, self._now())
            except HoldfastError as error:
                detail = f"It is damaged, and that could not be recorded here, so a backup may rely on it: {error.message} {error.hint}"
                told.append(Found("notice", "not-recorded", storage.url, names.pack(entry[:16], entry[16:]), detail.strip()))
        return told

    @staticmethod
    def _remove(storage: Storage, entry: bytes) -> list[Found]:
        try:
            storage.delete(damage.name(entry))
        except (ObjectLocked, Unreachable) as error:
            detail = f"The pack is no longer damaged, and this record of it stays: {error.message} It costs space, no more."
            return [Found("notice", "record-stays", storage.url, damage.name(entry), detail)]
        return []
