"""The key slots of a vault: open one, list, add, remove. Adding and removing rewrites no pack."""

import datetime as dt
from dataclasses import dataclass

from holdfast.errors import Damaged, HoldfastError, Usage
from holdfast.storage.contract import Storage
from holdfast.vault import crypto, names
from holdfast.vault.errors import LastSlot, ObjectDamaged, RoleLacking, SlotUnknown, WrongKey
from holdfast.vault.keys import secret_text, slots
from holdfast.vault.keys.bundle import Bundle, Role, WriterKeys
from holdfast.vault.keys.slots import DEFAULT_COST, PassphraseCost, Slot
from holdfast.vault.locations import Locations
from holdfast.vault.notary import Notary
from holdfast.vault.text import to_b64, to_json


@dataclass(frozen=True, slots=True)
class NewRecoveryKey:
    """Shown once; never stored."""

    slot: str
    text: str


def read_slots(locations: Locations) -> tuple[list[Slot], list[str]]:
    """(sound slots, ids of damaged ones), each read from the first location that has it sound."""
    found: list[Slot] = []
    damaged: list[str] = []
    for info in locations.list(names.SLOTS):
        slot_id = info.name.removeprefix(names.SLOTS)
        try:
            found.append(locations.read(info.name, lambda data, slot_id=slot_id: slots.parse(slot_id, data)))  # type: ignore[misc]
        except Damaged:
            damaged.append(slot_id)
    return sorted(found, key=lambda slot: (slot.created, slot.id)), damaged


def unlock(locations: Locations, vault: bytes, secret: str) -> tuple[Bundle, Slot]:
    """Try each slot. WrongKey when sound slots are there and none opens; ObjectDamaged when the right one may be among damaged slots."""
    found, damaged = read_slots(locations)
    own = [slot for slot in found if slot.vault == vault]
    kind = secret_text.kind_of(secret)
    if kind != "passphrase":
        secret_text.from_text(secret)
    for slot in own:
        try:
            bundle = slots.unlock(slot, secret)
        except ObjectDamaged:
            damaged.append(slot.id)  # one that was planted must not keep the others from opening
            continue
        if bundle is not None:
            return bundle, slot
    if damaged or not own:
        what = f"{len(damaged)} key slots are damaged ({', '.join(damaged)})" if damaged else "the vault's key slots are gone"
        raise ObjectDamaged(
            f"None of the {len(own)} sound key slots opens with this key, and {what}." if damaged else f"Cannot open: {what}.",
            hint="Try the recovery key, or another location: each holds all slots.",
            damaged=damaged,
        )
    kinds = ", ".join(sorted({slot.kind for slot in own}))
    raise WrongKey(
        f"The key opens none of the vault's {len(own)} slots (kinds: {kinds}).",
        hint="Check the passphrase (and its environment variable or file); the recovery key begins with 'hf1-'.",
        vault=vault.hex(),
    )


class Keyring:
    """Management of an open vault's slots. Only an owner adds and removes."""

    def __init__(self, locations: Locations, notary: Notary, cost: PassphraseCost | None = None) -> None:
        self._locations = locations
        self._notary = notary
        self._cost = cost or DEFAULT_COST

    def list(self) -> list[Slot]:
        """Sound slots, oldest first."""
        return read_slots(self._locations)[0]

    def add(self, secret: str, *, role: Role = "owner", label: str = "", now: dt.datetime) -> Slot:
        """A slot that ``secret`` (a passphrase, or a key of ``new_key``) opens. A writer's slot gets its own certified pair."""
        if secret_text.kind_of(secret) != "passphrase":
            secret_text.from_text(secret)
        elif not secret.strip():
            raise Usage("The passphrase is empty.", hint="Give a passphrase that is hard to guess; five random words are good.")
        bundle = self._notary.bundle
        own = WriterKeys.new(self._notary.random) if role == "writer" else None
        part = bundle.for_role(role, own)
        if own is not None:
            certify(self._locations, self._notary, own, label, now)
        slot_id = self._notary.random(8).hex()
        data = slots.make(part, secret, slot_id=slot_id, label=label, now=now, random=self._notary.random, cost=self._cost)
        self._locations.put(names.slot(slot_id), [data])
        return slots.parse(slot_id, data)

    def new_key(self, kind: str = "recovery", *, role: Role = "owner", label: str = "", now: dt.datetime) -> NewRecoveryKey:
        """A slot for a fresh key of 256 random bits: "recovery" (to be written on paper) or "file"."""
        text = secret_text.to_text(self._notary.random(32), secret_text.RECOVERY if kind == "recovery" else secret_text.FILE)
        return NewRecoveryKey(self.add(text, role=role, label=label or kind, now=now).id, text)

    def remove(self, id_or_label: str) -> Slot:
        """Remove one slot from every location and return it. Refuses the last one of an owner, counted in each location by itself.

        Every location must answer before anything is removed. When one fails in between, the error names those that still hold the slot:
        the key opens the vault there until the removal is repeated.
        """
        if self._notary.bundle.role != "owner":
            raise RoleLacking("Only an owner's key may remove key slots.", hint="Use an owner's passphrase or the recovery key.")
        present = self.list()
        chosen = [slot for slot in present if slot.id == id_or_label] or [slot for slot in present if slot.label == id_or_label]
        if len(chosen) != 1:
            listed = ", ".join(f"{slot.id} ({slot.label or slot.kind})" for slot in present)
            what = "No key slot" if not chosen else f"{len(chosen)} key slots"
            raise SlotUnknown(f"{what} named {id_or_label!r}.", hint=f"Slots: {listed}.")
        for storage in self._locations.storages:
            if not any(slot.role == "owner" for slot in _sound(storage) if slot.id != chosen[0].id):
                raise LastSlot(
                    f"Slot {chosen[0].id} is the last one with an owner's key in {storage.url}: without it nobody could read or manage the"
                    " vault there.",
                    hint="Add another owner's slot first ('holdfast vault key add'), or heal that location: 'holdfast vault check --heal'.",
                    url=storage.url,
                )
        self._delete_everywhere(names.slot(chosen[0].id))
        return chosen[0]

    def _delete_everywhere(self, name: str) -> None:
        """The last location first: while the first one holds the slot, it is listed, so that a removal that failed can be repeated."""
        left: dict[str, HoldfastError] = {}
        for storage in reversed(self._locations.storages):
            try:
                storage.delete(name)
            except HoldfastError as error:
                left[storage.url] = error
        if left:
            first = next(iter(left.values()))
            raise type(first)(
                f"The key slot is still in {', '.join(left)}, where its key opens the vault: {first.message}",
                hint="Remove it again when the location answers.",
                **{**first.details, "left": list(left)},
            ) from first


def _sound(storage: Storage) -> list[Slot]:
    """The sound slots of one location."""
    found = []
    for info in list(storage.list(names.SLOTS)):
        try:
            found.append(slots.parse(info.name.removeprefix(names.SLOTS), storage.get(info.name)))
        except Damaged:
            continue
    return found


def certify(locations: Locations, notary: Notary, writer: WriterKeys, label: str, now: dt.datetime) -> None:
    """The root's certificate for a writer, stored before the writer writes anything. The label is sealed: it may name a host."""
    fields = {"id": writer.id, "sign_public": to_b64(crypto.sign_public(writer.sign)), "box_public": to_b64(crypto.box_public(writer.box))}
    name = names.writer(writer.id)
    locations.put(name, [notary.make(name, "writer", now, fields, plain=to_json({"label": label}))])
