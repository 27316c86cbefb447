"""The key slots of a vault: list, add, label, prove, remove; rotate; writers; scopes. None of it rewrites a pack."""

import contextlib
import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, replace

from holdfast.errors import Damaged, Unreachable, Usage
from holdfast.storage.contract import Storage
from holdfast.vault.errors import KeyringPartly, LastSlot, ScopeClosed, SlotOld, SlotUnknown, SlotUnproved, WrongKey
from holdfast.vault.format import crypto, names
from holdfast.vault.format.text import to_b64, to_json, to_time
from holdfast.vault.keys import opening, secret_text, slots
from holdfast.vault.keys.bundle import SCOPE, Bundle, Epoch, Role, WriterKeys
from holdfast.vault.keys.change import Changes, Stale, removed
from holdfast.vault.keys.kms import Secret
from holdfast.vault.keys.notary import Notary
from holdfast.vault.keys.ring import Listed, Ring, RingMemory
from holdfast.vault.keys.scopes import Scopes
from holdfast.vault.keys.slots import DEFAULT_COST, PassphraseCost, Slot
from holdfast.vault.keys.writers import Writers
from holdfast.vault.locations import Locations

_TRIES = 20
_MOST_SLOTS = 250


@dataclass(frozen=True, slots=True)
class NewRecoveryKey:
    """Shown once; never stored."""

    slot: str
    text: str


@dataclass(frozen=True, slots=True)
class SlotState:
    """A slot and what the keyring knows of it. ``proved``: when its key was last seen to open it. ``scope``: its name, None: the vault's.

    ``damaged``: addresses of the locations in which it is damaged or missing, or that do not answer.
    """

    slot: Slot
    proved: dt.datetime | None
    writer: str | None
    scope: str | None
    damaged: tuple[str, ...]


class Keyring:
    """Management of an open vault's keys. Only an owner changes them."""

    def __init__(
        self,
        locations: Locations,
        notary: Notary,
        cost: PassphraseCost | None = None,
        *,
        opened_by: Sequence[str] = (),
        memory: RingMemory | None = None,
    ) -> None:
        self._locations = locations
        self._notary = notary
        self._cost = cost or DEFAULT_COST
        self._memory = memory
        self._opened_by = tuple(opened_by)
        self.changes = Changes(locations, notary, opened_by=opened_by, memory=memory)
        self.writers = Writers(self.changes)
        self.scopes = Scopes(self.changes, self._cost)

    # ------------------------------------------------------------ looking

    def list(self) -> list[Slot]:
        """Sound slots in force, of the vault and of its scopes, oldest first, under their present labels."""
        return [*self._listed(self.changes.current())]

    def _listed(self, ring: Ring) -> Sequence[Slot]:
        scopes = [SCOPE, *ring.scopes] if ring.generation else [SCOPE]
        found = [slot for scope in scopes for slot in opening.read_slots(self._locations, ring if ring.generation else None, scope)[0]]
        return [replace(slot, label=ring.labels.get(slot.id, slot.label)) for slot in sorted(found, key=lambda one: (one.created, one.id))]

    def states(self) -> Sequence[SlotState]:
        """The same with what the keyring knows of each."""
        ring = self.changes.current()
        states = []
        for slot in self._listed(ring):
            listed = ring.slots[slot.id]
            bad = tuple(storage.url for storage in self._locations.storages if not self._answers_with(storage, ring, slot.id))
            proved = self.changes.now() if slot.id in self._opened_by else listed.proved
            states.append(SlotState(slot, proved, listed.writer, ring.scope_names.get(slot.scope), bad))
        return states

    def tag(self, scope: str) -> str:
        """What stands for a scope's name in the vault's objects."""
        return self.scopes.tag(scope)

    @staticmethod
    def _answers_with(storage: Storage, ring: Ring, slot_id: str) -> bool:
        with contextlib.suppress(Unreachable):
            return _holds(storage, ring, slot_id)
        return False

    # ------------------------------------------------------------ slots

    def add(self, secret: Secret, *, role: Role = "owner", label: str = "", now: dt.datetime, scope: str | None = None) -> Slot:
        """A slot that ``secret`` (a passphrase, a key of ``new_key``, or a KMS) opens. A writer's slot gets its own certified pair.

        ``scope``: a scope's name, whose key must be open. Raises RoleLacking, ScopeClosed, Unreachable when a location does not answer.
        """
        slots.require_usable(secret)
        self.changes.require_owner(f"make a key of role {role!r}")
        self.changes.require_all()
        own = WriterKeys.new(self._notary.random) if role == "writer" and scope is None else None
        if own is not None:
            certify(self._locations, self._notary, own, label, now, role)
        tag = SCOPE if scope is None else self._opened(scope)
        for _ in range(_TRIES):
            try:
                return self._add(secret, role, label, now, tag, own)
            except Stale:
                continue
        raise KeyringPartly("Keys are being changed by others all the time.", hint="Try again.")

    def _add(self, secret: Secret, role: Role, label: str, now: dt.datetime, tag: str, own: WriterKeys | None) -> Slot:
        ring = self.changes.current()
        bundle, problem = opening.with_epochs(self._locations, self._notary.bundle, ring if ring.generation else None, tag)
        if problem is not None:
            raise problem
        if len(ring.in_scope(tag)) >= _MOST_SLOTS:
            raise Usage(f"There are {_MOST_SLOTS} key slots already.", hint="Remove some: holdfast vault key list.")
        part = self._part(bundle, role, tag, own)
        slot_id = self._notary.random(8).hex()
        shred = b"" if tag == SCOPE else opening.read_shred(self._locations, bundle, ring, tag)
        data = slots.make(part, secret, slot_id=slot_id, now=now, random=self._notary.random, cost=self._cost, scope=tag, shred=shred)
        slot = slots.parse(slot_id, data)
        # A KMS answers for itself, so its slot is tried at once; a person's key is proved when the person opens with it.
        proved = None
        if not isinstance(secret, str):
            if slots.unlock(slot, secret, shred) is None:
                raise WrongKey("The KMS does not unwrap what it wrapped.", hint="Nothing was changed. Is the key allowed to decrypt?")
            proved = now
        self.changes.put(names.slot(slot_id, tag), data)
        writer = part.writer.id if part.writer is not None else None
        listed = Listed(tag, slot.kind, role, crypto.digest_hex(data), slot.public, proved, writer)

        def edit(ring: Ring) -> Ring:
            if ring.epochs.get(tag) != max(part.epochs[tag]) or (tag != SCOPE and tag not in ring.scopes):
                raise Stale
            return replace(ring, slots={**ring.slots, slot_id: listed}, labels={**ring.labels, slot_id: label})

        self.changes.change(edit, bundle)
        return replace(slot, label=label)

    @staticmethod
    def _part(bundle: Bundle, role: Role, tag: str, own: WriterKeys | None) -> Bundle:
        if tag == SCOPE:
            return bundle.for_role(role, own).without_scopes()
        part = bundle.only(tag)
        return part if role == "owner" else part.for_role(role, None)

    def _opened(self, scope: str) -> str:
        tag = self.tag(scope)
        opening.require_scope(self.changes.current(), tag, scope)
        number_keys = self._notary.bundle.epochs.get(tag, {})
        if not any(epoch.private is not None for epoch in number_keys.values()):
            raise ScopeClosed(
                f"The scope {scope!r} is not open: a slot for it is made by who holds its key.",
                hint="Name its key in the plan: vault.scopes.",
                scope=scope,
            )
        return tag

    def new_key(
        self, kind: str = "recovery", *, role: Role = "owner", label: str = "", now: dt.datetime, scope: str | None = None
    ) -> NewRecoveryKey:
        """A slot for a fresh key of 256 random bits: "recovery" (to be written on paper) or "file"."""
        text = secret_text.to_text(self._notary.random(32), secret_text.RECOVERY if kind == "recovery" else secret_text.FILE)
        return NewRecoveryKey(self.add(text, role=role, label=label or kind, now=now, scope=scope).id, text)

    def label(self, id_or_label: str, label: str) -> Slot:
        """Give a slot another label."""
        self.changes.require_owner("label key slots")
        chosen = self._choose(id_or_label)

        def edit(ring: Ring) -> Ring:
            _require_listed(ring, chosen)
            return replace(ring, labels={**ring.labels, chosen.id: label})

        self.changes.change(edit)
        return replace(chosen, label=label)

    def prove(self, secret: Secret, scope: str | None = None) -> Slot:
        """Open a slot with its key, in every location by itself, and record that it was seen to open.

        Raises WrongKey, ObjectDamaged for a location in which it does not open.
        """
        self.changes.require_owner("record that a key was proved")
        slot: Slot | None = None
        for storage in self._locations.storages:
            alone = Locations([storage])
            if scope is None:
                slot = opening.unlock(alone, self._notary.vault, self._notary.bundle.root_public, secret).slot
            else:
                slot = opening.open_scope(alone, self._notary.bundle, self.changes.current(), scope, secret)[2]
        assert slot is not None
        chosen, now = slot, self.changes.now()

        def edit(ring: Ring) -> Ring:
            _require_listed(ring, chosen)
            return replace(ring, slots={**ring.slots, chosen.id: replace(ring.slots[chosen.id], proved=now)})

        ring = self.changes.change(edit)
        return replace(chosen, label=ring.labels.get(chosen.id, chosen.label))

    def remove(self, id_or_label: str) -> Slot:
        """Take one slot out of force and delete it from every location; returns it.

        Refused for the last one that could open the vault (or the scope), counted in each location that answers by itself, and when none of
        those that would remain was ever seen to open. Raises KeyringPartly when a location did not hear of it.
        """
        chosen = self.require_removable(id_or_label)
        remaining = self._require_others(self.changes.current(), [chosen.id], chosen.scope)
        now = to_time(self.changes.now())

        def edit(ring: Ring) -> Ring:
            if not any(one in ring.slots for one in remaining):
                raise self._last(chosen.id, chosen.scope, ring, "the vault's locations")
            return removed(ring, [chosen.id], now)

        self.changes.change(edit)
        return chosen

    def require_removable(self, id_or_label: str) -> Slot:
        """The slot that ``remove`` would take; raises what it would refuse with. Nothing is changed."""
        self.changes.require_owner("remove key slots")
        chosen = self._choose(id_or_label)
        self._require_others(self.changes.current(), [chosen.id], chosen.scope)
        return chosen

    def _choose(self, id_or_label: str) -> Slot:
        present = self.list()
        chosen = [slot for slot in present if slot.id == id_or_label] or [slot for slot in present if slot.label == id_or_label]
        if len(chosen) != 1:
            listed = ", ".join(f"{slot.id} ({slot.label or slot.kind})" for slot in present)
            what = "No key slot" if not chosen else f"{len(chosen)} key slots"
            raise SlotUnknown(f"{what} named {id_or_label!r}.", hint=f"Slots: {listed}.")
        return chosen[0]

    def _require_others(self, ring: Ring, going: Sequence[str], scope: str) -> "Sequence[str]":
        """Ids of the owner's slots that remain and were seen to open. Raises LastSlot, SlotUnproved."""
        others = [one for one, listed in ring.in_scope(scope).items() if listed.role == "owner" and one not in going]
        for storage in self._locations.storages:
            try:
                held = [one for one in others if _holds(storage, ring, one)]
            except Unreachable:
                continue  # it is told of at the end, and brought to the same state once it answers
            if not held:
                raise self._last(going[0], scope, ring, storage.url)
        proved = [one for one in others if ring.slots[one].proved is not None or one in self._opened_by]
        if not proved:
            listed = ", ".join(f"{one} ({ring.labels.get(one) or ring.slots[one].kind})" for one in others)
            raise SlotUnproved(
                f"None of the slots that would remain was ever seen to open: {listed}. A key that was copied wrongly or lost would"
                " be noticed when it is too late.",
                hint="Type one of those keys in once: holdfast vault key prove; then remove this slot.",
                remaining=others,
            )
        return proved

    @staticmethod
    def _last(slot_id: str, scope: str, ring: Ring, where: str) -> LastSlot:
        name = ring.scope_names.get(scope)
        what = "the vault" if scope == SCOPE else f"the scope {name!r}"
        return LastSlot(
            f"Slot {slot_id} is the last one with an owner's key of {what} in {where}: without it nobody could read or manage it there.",
            hint="Add another owner's slot first ('holdfast vault key add'), or heal that location: 'holdfast vault check --heal'."
            + ("" if scope == SCOPE else f" To destroy the scope on purpose: holdfast vault key erase-scope {name}."),
            url=where,
        )

    # ------------------------------------------------------------ epochs

    def rotate(self, scope: str | None = None) -> int:
        """A new epoch: what is written from now on is encrypted to a new key, given to every slot in force that may read.

        Returns its number. Writers that still know only the old epoch go on, readably. Raises SlotOld when a slot was made before epochs
        could follow it.
        """
        self.changes.require_owner("rotate keys")
        self.changes.require_all()
        tag = SCOPE if scope is None else self.tag(scope)
        if scope is not None:
            opening.require_scope(self.changes.current(), tag, scope)
        for _ in range(_TRIES):
            try:
                return self._rotate(tag)
            except Stale:
                continue
        raise KeyringPartly("Keys are being changed by others all the time.", hint="Try again.")

    def _rotate(self, tag: str) -> int:
        ring = self.changes.current()
        self.changes.complete()
        readers = {one: listed for one, listed in ring.in_scope(tag).items() if listed.role != "writer"}
        old = [f"{one} ({ring.labels.get(one) or listed.kind})" for one, listed in readers.items() if listed.public is None]
        if old:
            raise SlotOld(
                f"{len(old)} key slots were made before keys could be rotated, and would not open what is written from now on:"
                f" {', '.join(old)}.",
                hint="Add a new slot for each of these keys ('holdfast vault key add'), open with it once, and remove the old one.",
                slots=old,
            )
        number = max(ring.epochs.get(tag, 0), self.changes.epochs_taken(tag)) + 1
        private, public = crypto.new_box_pair(self._notary.random)
        name = names.epoch(tag, number)
        fields = {"scope": tag, "epoch": number, "public": to_b64(public)}
        boxed_to = [listed.public for listed in readers.values() if listed.public is not None]
        plain = to_json({"private": to_b64(private)})
        self.changes.put_new(name, self._notary.make(name, "epoch", self.changes.now(), fields, plain=plain, boxed_to=boxed_to))

        def edit(now_ring: Ring) -> Ring:
            same = {one: listed.public for one, listed in now_ring.in_scope(tag).items() if listed.role != "writer"}
            if same != {one: listed.public for one, listed in readers.items()} or now_ring.epochs.get(tag) != ring.epochs.get(tag):
                raise Stale
            return replace(now_ring, epochs={**now_ring.epochs, tag: number})

        bundle = self._notary.bundle
        if bundle.epochs.get(tag):
            readable = tag == SCOPE or any(epoch.private is not None for epoch in bundle.epochs[tag].values())
            bundle = bundle.with_epoch(tag, number, Epoch(public, private if readable else None))
        self.changes.change(edit, bundle)
        return number

    def accept(self) -> int:
        """Declare that the keyring in the locations is the right one, though this machine saw a newer one. Returns the new generation."""
        known = 0 if self._memory is None else self._memory.known()[0]
        self._notary.distrust = None

        def edit(ring: Ring) -> Ring:
            return ring

        ring = self.changes.change(edit)
        while ring.generation <= known:
            ring = self.changes.change(edit)
        return ring.generation


def _require_listed(ring: Ring, slot: Slot) -> None:
    if slot.id not in ring.slots:
        raise SlotUnknown(f"The key slot {slot.id} was removed meanwhile.", hint="See 'holdfast vault key list'.")


def _holds(storage: Storage, ring: Ring, slot_id: str) -> bool:
    """Whether a location holds this slot sound."""
    name = names.slot(slot_id, ring.slots[slot_id].scope)
    try:
        return ring.refusal(name, storage.get(name)) is None
    except Damaged:
        return False


def certify(locations: Locations, notary: Notary, writer: WriterKeys, label: str, now: dt.datetime, role: str = "writer") -> None:
    """The root's certificate for a writer, stored before the writer writes anything. The label is sealed: it may name a host."""
    fields = {
        "id": writer.id,
        "sign_public": to_b64(crypto.sign_public(writer.sign)),
        "box_public": to_b64(crypto.box_public(writer.box)),
        "role": role,
    }
    name = names.writer(writer.id)
    locations.put(name, [notary.make(name, "writer", now, fields, plain=to_json({"label": label}))])
