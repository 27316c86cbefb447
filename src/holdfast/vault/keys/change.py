"""One key change: the next keyring, decided in the first location, then brought everywhere; at any point another process may go on.

Order: what the change needs (a slot, an epoch) is durable in every location; then the keyring that puts it in force; then what went out of
force is deleted. A process that dies before the keyring leaves objects that nobody believes; behind it, work that the next change finishes.
"""

import contextlib
import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from holdfast.errors import Damaged, HoldfastError, Unreachable
from holdfast.storage.contract import ObjectExists, ObjectLocked, Storage
from holdfast.vault.errors import KeyringBusy, KeyringPartly, RoleLacking
from holdfast.vault.format import crypto, envelope, names
from holdfast.vault.format.text import to_json
from holdfast.vault.keys import opening
from holdfast.vault.keys.bundle import SCOPE, Bundle
from holdfast.vault.keys.notary import Notary
from holdfast.vault.keys.ring import Found, Listed, Ring, RingMemory, newest
from holdfast.vault.locations import Locations, get_if_there, put_same

_TRIES = 20


class Stale(Exception):
    """Another key change came in between, and what was prepared does not fit any more: prepare it again."""


class Changes:
    """``opened_by``: ids of the slots that this process opened: the next keyring says that they were seen to open."""

    def __init__(self, locations: Locations, notary: Notary, *, opened_by: Sequence[str] = (), memory: RingMemory | None = None) -> None:
        self.locations = locations
        self.notary = notary
        self._opened_by = tuple(opened_by)
        self._memory = memory
        self.locked: list[str] = []
        """Sentences about objects that the last change took out of force and that stay where they are until their lock ends."""

    def require_owner(self, what: str) -> None:
        """Raises RoleLacking; and ``Notary.distrust``, under which no key is changed."""
        if self.notary.bundle.role != "owner":
            raise RoleLacking(f"Only an owner's key may {what}.", hint="Use an owner's passphrase or the recovery key.")
        if self.notary.distrust is not None:
            raise self.notary.distrust

    def require_all(self) -> None:
        """Every location answers, or Unreachable: what is added must be everywhere."""
        for storage in self.locations.storages:
            storage.head(names.CONFIG)

    def now(self) -> dt.datetime:
        """The first location's time: what is in force when is judged by one clock."""
        return self.locations.first.now()

    def found(self) -> Found:
        """The first location must answer: it decides."""
        self.locations.first.head(names.CONFIG)
        return newest(self.locations.storages, self.notary.vault, self.notary.bundle.root_public)

    def current(self) -> Ring:
        """The newest keyring, with its labels. A vault that has none gets one of generation 0: every sound slot that is there."""
        return self._current(self.found())

    def _current(self, found: Found) -> Ring:
        if found.ring is None:
            return self._adopted()
        checked = self.notary.check(names.ring(found.ring.generation), found.data, "ring")
        return found.ring.with_labels(self.notary.open(checked))

    def _adopted(self) -> Ring:
        sound, _ = opening.read_slots(self.locations, None)
        own = [slot for slot in sound if slot.vault == self.notary.vault]
        listed = {}
        for slot in own:
            data = self.locations.read(names.slot(slot.id), lambda data: data)
            listed[slot.id] = Listed(SCOPE, slot.kind, slot.role, crypto.digest_hex(data), slot.public)
        return Ring(0, slots=listed, epochs={SCOPE: self.notary.bundle.epoch()[0]}, labels={slot.id: slot.label for slot in own})

    def change(self, edit: Callable[[Ring], Ring], bundle: Bundle | None = None) -> Ring:
        """Put the keyring that ``edit`` makes of the newest one in force. ``edit`` may be called again, when another change came first.

        ``bundle``: this process's keys from then on. Raises KeyringPartly when a location did not take it (it is in force all the same),
        KeyringBusy, Unreachable, and what ``edit`` raises.
        """
        self.require_owner("change keys")
        for _ in range(_TRIES):
            found = self.found()
            ring = self._current(found)
            now = self.now()
            edited = self._proved(edit(ring), now)
            number = ring.generation + 1
            while names.ring(number) in found.wrong:
                number += 1  # somebody put rubbish there; it must not stop anyone
            edited = replace(edited, generation=number, previous=ring.digest)
            name = names.ring(number)
            data = self.notary.make(name, "ring", now, edited.fields(), plain=to_json(edited.hidden()))
            try:
                self.locations.first.put_if_absent(name, [data])
            except ObjectExists:
                continue
            edited = replace(edited, digest=crypto.digest_hex(data))
            self.notary.take(bundle or self.notary.bundle, edited)
            if self._memory is not None:
                self._memory.remember(edited)
            self._spread(edited, data)
            return edited
        raise KeyringBusy(f"Other key changes came first {_TRIES} times.", hint="Try again when nobody else changes keys.")

    def _proved(self, ring: Ring, now: dt.datetime) -> Ring:
        seen = {one: replace(ring.slots[one], proved=now) for one in self._opened_by if one in ring.slots}
        return replace(ring, slots={**ring.slots, **seen}) if seen else ring

    def _spread(self, ring: Ring, data: bytes) -> None:
        """Into the other locations; all are tried. Then each is brought to the state that the keyring describes."""
        left: dict[str, HoldfastError] = {}
        self.locked = []
        for storage in self.locations.storages:
            try:
                self.level(storage, ring, data)
            except HoldfastError as error:
                left[storage.url] = error
        if left:
            first = next(iter(left.values()))
            raise KeyringPartly(
                f"The change is in force (keyring {ring.generation}), but not complete in {', '.join(left)}: {first.message}",
                hint="Keys that it took out of service may still open that location's copy. It is completed by the next key change, or by"
                " 'holdfast vault key complete', once the location answers.",
                left=list(left),
                generation=ring.generation,
            ) from first

    def complete(self) -> Ring:
        """Bring every location to the newest keyring: what a change that died, or a location that did not answer, left undone."""
        found = self.found()
        ring = self._current(found)
        if found.ring is not None:
            self._spread(ring, found.data)
        return ring

    def level(self, storage: Storage, ring: Ring, data: bytes) -> None:
        """What the keyring puts in force is there, what it took out of force is gone.

        Slots that it never heard of stay: an addition may be under way.
        """
        held = {info.name for info in storage.list("keys/")}
        if names.ring(ring.generation) not in held:
            put_same(storage, names.ring(ring.generation), [data])
        wanted = {names.slot(one, listed.scope) for one, listed in ring.slots.items()}
        for other in self.locations.storages:
            if other is not storage:
                with contextlib.suppress(Unreachable):
                    wanted |= {info.name for info in other.list("keys/") if not info.name.startswith((names.SLOTS, names.SCOPED))}
        for name in sorted(wanted - held):
            if not ring.is_out(name):
                self._bring(storage, name, ring)
        for name in sorted(held):
            if ring.is_out(name):
                try:
                    storage.delete(name)
                except ObjectLocked as error:
                    self.locked.append(error.message)

    def _bring(self, storage: Storage, name: str, ring: Ring) -> None:
        """From the first other location that has it sound. None has the epoch of a rotation that never came to its end."""
        for other in self.locations.storages:
            if other is storage:
                continue
            with contextlib.suppress(Damaged, Unreachable):
                data = other.get(name)
                if self._sound(name, data, ring):
                    put_same(storage, name, [data])
                    return

    def _sound(self, name: str, data: bytes, ring: Ring) -> bool:
        if name.startswith((names.SLOTS, names.SCOPED)):
            return ring.refusal(name, data) is None
        parsed = envelope.parse(name, data)
        return parsed.writer == "root" and envelope.verify(parsed, self.notary.vault, self.notary.bundle.root_public)

    def put(self, name: str, data: bytes) -> None:
        """Something new, in every location."""
        self.locations.put(name, [data])

    def put_new(self, name: str, data: bytes) -> None:
        """The same under a name that another change could take: the first location decides. Raises Stale."""
        try:
            self.locations.first.put_if_absent(name, [data])
        except ObjectExists:
            if get_if_there(self.locations.first, name) != data:
                raise Stale from None
        self.locations.put(name, [data])

    def epochs_taken(self, scope: str) -> int:
        """The highest number that any location has an epoch's object for, in force or not."""
        prefix = f"{names.EPOCHS}{scope}/"
        return max((int(info.name.removeprefix(prefix), 16) for info in self.locations.list(prefix) if _hex(info.name, prefix)), default=0)


def _hex(name: str, prefix: str) -> bool:
    rest = name.removeprefix(prefix)
    return len(rest) == 4 and all(digit in "0123456789abcdef" for digit in rest)


def removed(ring: Ring, slots: Mapping[str, Listed] | Sequence[str], now: str) -> Ring:
    """Without these slots, which are remembered as removed."""
    gone = set(slots)
    return replace(
        ring,
        slots={one: listed for one, listed in ring.slots.items() if one not in gone},
        labels={one: label for one, label in ring.labels.items() if one not in gone},
        removed={**ring.removed, **dict.fromkeys(sorted(gone), now)},
    )
