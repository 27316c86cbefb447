"""Damaged and missing objects are made good from another location: by bytes that were verified first, and only what belongs there.

A damaged object is put aside under ``aside/`` before it goes, so that nothing is destroyed on one verdict alone; then it is deleted, and
the sound bytes take its name. A process killed in between leaves an object aside, or one that is missing: the next heal brings it.
"""

import contextlib
from collections.abc import Sequence

import blake3

from holdfast.errors import Damaged, HoldfastError, Unreachable
from holdfast.model import Progress
from holdfast.storage.contract import ObjectExists, ObjectLocked, ObjectMissing, Storage
from holdfast.vault.check.verify import Verifier, whole
from holdfast.vault.copy import Copied, copy
from holdfast.vault.copy.judge import Judge
from holdfast.vault.format import names
from holdfast.vault.keys.notary import Notary
from holdfast.vault.packs import condemned

ASIDE = "aside/"


class Healer:
    """``storages``: all locations of the vault, in the plan's order. What raises Unreachable in them leaves an object unhealed."""

    def __init__(self, storages: Sequence[Storage], notary: Notary, verifier: Verifier) -> None:
        self._storages = tuple(storages)
        self._notary = notary
        self._verifier = verifier
        self._judge: Judge | None = None
        self._going: dict[str, set[str] | None] = {}

    def withheld(self, name: str) -> str | None:
        """Why an object was removed on purpose and must not come back; None for all others."""
        if self._judge is None:
            self._judge = Judge(self._storages)
        return self._judge.withheld(name)

    def heal(self, storage: Storage, name: str) -> str:
        """'' when a sound copy stands under ``name`` now, read back; else why not."""
        try:
            return self._heal(storage, name)
        except HoldfastError as error:
            return error.message

    def complete(self, storage: Storage, progress: Progress) -> Copied | str:
        """What else ``storage`` lacks is copied from the others: points with their packs, indexes, logs. A sentence when it cannot be."""
        try:
            return copy([other for other in self._storages if other is not storage], storage, progress=progress)
        except HoldfastError as error:
            return error.message

    def _heal(self, storage: Storage, name: str) -> str:
        why = self.withheld(name)
        if why is not None:
            return why
        if name.startswith(names.PACKS) and not self._may_return(storage, name):
            return "A prune is deleting it here, or may be: what is needed is healed when that is over."
        if names.parse_coming(name) is not None:
            self._aside(storage, name, storage.get(name))
            return ""  # nobody needs it: the next copy stages the point anew
        sound, told = self._sound(storage, name)
        if sound is None:
            return told or "No other location holds a sound copy."
        try:
            wrong = whole(storage, name)
        except ObjectMissing:
            wrong = None
        if wrong == sound:
            return ""
        if wrong is not None:
            self._aside(storage, name, wrong)
        with contextlib.suppress(ObjectExists):
            storage.put_if_absent(name, [sound])
        return "" if storage.get(name) == sound else "What was put there did not come back as it was put."

    @staticmethod
    def _aside(storage: Storage, name: str, wrong: bytes) -> None:
        with contextlib.suppress(ObjectExists):
            storage.put_if_absent(f"{ASIDE}{name}.{blake3.blake3(wrong).hexdigest()[:16]}", [wrong])
        # What is locked cannot go: the sound copy is put over it, and is the version that is found from then on.
        with contextlib.suppress(ObjectLocked):
            storage.delete(name)

    def _sound(self, storage: Storage, name: str) -> tuple[bytes | None, str]:
        """From the first other location that has it sound. Of a point that one of them records as aborted the abort: a prune removed it."""
        found: list[bytes] = []
        told = ""
        for other in self._storages:
            if other is storage:
                continue
            try:
                data = whole(other, name)
            except Unreachable as error:
                told = error.message
                continue
            except Damaged:
                continue
            if self._verifier.problem(name, data) is None:
                found.append(data)
        if name.startswith(names.POINTS):
            found.sort(key=lambda data: self._notary.check(name, data).kind != "abort")
        return (found[0], "") if found else (None, told)

    def _may_return(self, storage: Storage, name: str) -> bool:
        if storage.url not in self._going:
            lists = condemned.read(storage, self._notary)
            self._going[storage.url] = None if lists.unknown else {names.pack(entry[:16], entry[16:]) for entry in lists.going}
        going = self._going[storage.url]
        return going is not None and name not in going
