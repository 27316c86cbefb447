"""From a secret to the keys: which slots are in force, which one the secret opens, which epochs were made since."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

from holdfast.errors import Damaged
from holdfast.vault.errors import NotBelieved, ObjectDamaged, ScopeClosed, ScopeErased, ScopeUnknown, SlotRemoved, WrongKey
from holdfast.vault.format import crypto, envelope, names
from holdfast.vault.format.text import from_b64, from_json
from holdfast.vault.keys import slots
from holdfast.vault.keys.bundle import SCOPE, Bundle, Epoch
from holdfast.vault.keys.kms import Secret
from holdfast.vault.keys.ring import AT_ONCE, Found, Ring, newest
from holdfast.vault.keys.slots import Slot
from holdfast.vault.locations import Locations

_TRIES = 5


@dataclass(frozen=True, slots=True)
class Opened:
    """``problem``: an epoch in force that no location holds sound. What it keeps may be read; nothing more is written."""

    bundle: Bundle
    slot: Slot
    found: Found
    problem: Damaged | None = None

    @property
    def ring(self) -> Ring | None:
        return self.found.ring


def read_slots(locations: Locations, ring: Ring | None, scope: str = SCOPE, kind: str | None = None) -> tuple[list[Slot], list[str]]:
    """(sound slots in force, oldest first; ids of those that no location holds sound). ``kind``: only of that one.

    Without a keyring (a vault that was never changed since there are keyrings) every sound slot is in force.
    """
    found: list[Slot] = []
    damaged: list[str] = []
    if ring is None:
        wanted = {info.name.removeprefix(names.SLOTS): info.name for info in locations.list(names.SLOTS)} if scope == SCOPE else {}
    else:
        wanted = {one: names.slot(one, scope) for one, listed in ring.in_scope(scope).items() if kind is None or listed.kind == kind}
    for slot_id, name in wanted.items():
        try:
            slot = locations.read(name, partial(_accept, ring, slot_id, name))
        except Damaged:
            damaged.append(slot_id)
            continue
        if kind is None or slot.kind == kind:
            found.append(slot)
    return sorted(found, key=lambda slot: (slot.created, slot.id)), damaged


def _accept(ring: Ring | None, slot_id: str, name: str, data: bytes) -> Slot:
    slot = slots.parse(slot_id, data)
    refusal = None if ring is None else ring.refusal(name, data)
    if refusal is not None:
        raise NotBelieved(f"{name}: {refusal}.", hint="Another location may hold the right one.", object=name)
    return slot


def unlock(locations: Locations, vault: bytes, root_public: bytes, secret: Secret, *, first: str = "") -> Opened:
    """Try the slots in force; ``first`` is the id of the one that opened last time.

    Raises WrongKey when sound slots are there and none opens, SlotRemoved when the key is that of one no longer in force, ObjectDamaged
    when the right one may be among damaged slots, Unreachable, and what a KMS raises.
    """
    slots.require_usable(secret)
    found = newest(locations.storages, vault, root_public)
    for _ in range(_TRIES):
        try:
            return _unlock(locations, vault, root_public, secret, found, first)
        except Damaged:
            # A change of keys in between takes slots away that an older keyring lists.
            now = newest(locations.storages, vault, root_public)
            if now.data == found.data:
                raise
            found = now
    return _unlock(locations, vault, root_public, secret, found, first)


def _unlock(locations: Locations, vault: bytes, root_public: bytes, secret: Secret, found: Found, first: str) -> Opened:
    kind = slots.kind_of(secret)
    sound, damaged = read_slots(locations, found.ring, kind=kind)
    own = sorted((slot for slot in sound if slot.vault == vault), key=lambda slot: slot.id != first)
    for slot in own:
        try:
            bundle = slots.unlock(slot, secret)
        except ObjectDamaged:
            damaged.append(slot.id)  # one that was planted must not keep the others from opening
            continue
        if bundle is not None:
            if bundle.root_public != root_public:
                raise NotBelieved(
                    "config is not signed by this vault's root.", hint="Run 'holdfast vault check'; another location may hold a sound copy."
                )
            bundle, problem = with_epochs(locations, bundle, found.ring, SCOPE)
            return Opened(bundle, slot, found, problem)
    _require_not_removed(locations, found.ring, vault, secret)
    raise _not_opened(locations, found.ring, vault, kind, own, damaged)


def _require_not_removed(locations: Locations, ring: Ring | None, vault: bytes, secret: Secret) -> None:
    """Tell the holder of a key that was taken out of service that it is this, and no typing error."""
    if ring is None:
        return
    kind = slots.kind_of(secret)
    for info in locations.list(names.SLOTS):
        slot_id = info.name.removeprefix(names.SLOTS)
        if slot_id in ring.slots:
            continue
        try:
            slot = slots.parse(slot_id, locations.get(info.name))
            opens = slot.kind == kind and slot.vault == vault and slots.unlock(slot, secret) is not None
        except Damaged:
            continue
        if opens:
            when = ring.removed.get(slot_id)
            raise SlotRemoved(
                f"The key is that of the slot {slot_id}, which was removed at {when}."
                if when
                else f"The key opens the slot {slot_id}, which the vault's keyring does not list: adding it was never finished, or it was"
                " planted.",
                hint="Use another key; an owner can add a new slot with 'holdfast vault key add'. If a thief took it out of force, read"
                f" under an older keyring: HOLDFAST_KEYRING={max(ring.generation - 1, 1)} (this one is {ring.generation}).",
                slot=slot_id,
            )


def _not_opened(
    locations: Locations, ring: Ring | None, vault: bytes, kind: str, own: list[Slot], damaged: list[str]
) -> Damaged | WrongKey:
    every = ring.in_scope(SCOPE) if ring is not None else {slot.id: slot for slot in read_slots(locations, None)[0] if slot.vault == vault}
    if damaged or not every:
        what = f"{len(damaged)} key slots are damaged or missing ({', '.join(damaged)})" if damaged else "the vault's key slots are gone"
        return ObjectDamaged(
            f"None of the {len(own)} sound key slots of kind {kind} opens with this key, and {what}."
            if damaged
            else f"Cannot open: {what}.",
            hint="Try the recovery key, or another location: each holds all slots.",
            damaged=damaged,
        )
    kinds = ", ".join(sorted({listed.kind for listed in every.values()}))
    return WrongKey(
        f"The key opens none of the vault's {len(every)} slots (kinds: {kinds}).",
        hint="Check the passphrase (and its environment variable or file); the recovery key begins with 'hf1-'.",
        vault=vault.hex(),
    )


def open_scope(locations: Locations, bundle: Bundle, ring: Ring | None, name: str, secret: Secret) -> tuple[str, Bundle, Slot]:
    """(tag, the vault's keys joined with those of the scope ``name``, the slot).

    Raises ScopeUnknown, ScopeErased, ScopeClosed, ObjectDamaged, Unreachable.
    """
    tag = names.tag(bundle.identity[SCOPE], "scope", name)
    slots.require_usable(secret)
    for _ in range(_TRIES):
        try:
            return _open_scope(locations, bundle, ring, name, secret, tag)
        except Damaged:
            now = newest(locations.storages, bundle.vault, bundle.root_public).ring
            if now is None or ring is None or now.digest == ring.digest:
                raise
            ring = now
    return _open_scope(locations, bundle, ring, name, secret, tag)


def _open_scope(locations: Locations, bundle: Bundle, ring: Ring | None, name: str, secret: Secret, tag: str) -> tuple[str, Bundle, Slot]:
    require_scope(ring, tag, name)
    assert ring is not None
    kind = slots.kind_of(secret)
    shred = read_shred(locations, bundle, ring, tag)
    sound, damaged = read_slots(locations, ring, tag, kind)
    for slot in sound:
        try:
            opened = slots.unlock(slot, secret, shred)
        except ObjectDamaged:
            damaged.append(slot.id)
            continue
        if opened is not None and tag in opened.identity and opened.root_public == bundle.root_public:
            part, problem = with_epochs(locations, opened, ring, tag)
            if problem is not None:
                raise problem
            return tag, bundle.joined(tag, part), slot
    if damaged:
        raise ObjectDamaged(
            f"None of the {len(sound)} sound key slots of the scope {name!r} opens, and {len(damaged)} are damaged or missing"
            f" ({', '.join(damaged)}).",
            hint="Try another key of the scope, or another location.",
            damaged=damaged,
        )
    raise ScopeClosed(
        f"The key opens none of the {len(ring.in_scope(tag))} slots of the scope {name!r}.",
        hint="Check vault.scopes in the plan: each scope has a key of its own.",
        scope=name,
    )


def require_scope(ring: Ring | None, tag: str, name: str) -> None:
    """Raises ScopeErased, ScopeUnknown."""
    if ring is not None and tag in ring.erased:
        raise ScopeErased(
            f"The scope {name!r} was erased at {ring.erased[tag]}: its keys were destroyed and its history cannot be read any more.",
            hint="Give the systems another scope in the plan; an erased one never comes back.",
            scope=name,
        )
    if ring is None or tag not in ring.scopes:
        raise ScopeUnknown(
            f"The vault has no scope {name!r}.", hint=f"Make it with an owner's key: holdfast vault key add-scope {name}", scope=name
        )


def read_shred(locations: Locations, bundle: Bundle, ring: Ring, tag: str) -> bytes:
    """The part of a scope's slots' keys that is never locked; b"" for a scope that has none."""
    return shred_of(locations, bundle, tag) if ring.scopes[tag] == AT_ONCE else b""


def shred_of(locations: Locations, bundle: Bundle, tag: str) -> bytes:
    """The 32 bytes in a scope's shred. Raises ObjectMissing when it is gone, and with it every slot of the scope; NotBelieved."""
    name = names.shred(tag)

    def accept(data: bytes) -> bytes:
        parsed = envelope.parse(name, data)
        if parsed.kind != "shred" or parsed.writer != "root" or not envelope.verify(parsed, bundle.vault, bundle.root_public):
            raise NotBelieved(f"{name} is not signed by this vault's root.", object=name)
        try:
            return envelope.unseal(parsed, vault=bundle.vault, identity=bundle.identity[SCOPE], privates={})
        except crypto.CannotOpen:
            raise ObjectDamaged(f"{name} is signed but cannot be opened.", object=name) from None

    return locations.read(name, accept)


def with_epochs(locations: Locations, bundle: Bundle, ring: Ring | None, scope: str) -> tuple[Bundle, Damaged | None]:
    """The bundle with the epochs of ``scope`` that were put in force since its slot was made; and what kept one of them from being read."""
    if ring is None:
        return bundle, None
    problem: Damaged | None = None
    held = bundle.epochs[scope]
    # A slot holds all epochs up to its own making: what stands below the first of them was left by an init that never came to its end.
    for number in range(min(held, default=1), ring.epochs.get(scope, 0) + 1):
        if number in held:
            continue
        name = names.epoch(scope, number)
        try:
            epoch = locations.read(name, partial(_epoch, bundle, scope, number, name))
        except Damaged as error:
            if number == ring.epochs[scope]:  # a smaller one may be that of a rotation which never came to its end
                problem = error
            continue
        bundle = bundle.with_epoch(scope, number, epoch)
    return bundle, problem


def _epoch(bundle: Bundle, scope: str, number: int, name: str, data: bytes) -> Epoch:
    """Out of an epoch's object: its public key, and its private one where it was boxed to this slot."""
    parsed = envelope.parse(name, data)
    clear: Mapping[str, object] = parsed.clear
    if parsed.kind != "epoch" or parsed.writer != "root" or not envelope.verify(parsed, bundle.vault, bundle.root_public):
        raise NotBelieved(f"{name} is not signed by this vault's root.", hint="Run 'holdfast vault check'.", object=name)
    try:
        public = from_b64(str(clear.get("public")))
        if (clear.get("scope"), clear.get("epoch")) != (scope, number) or len(public) != 32:
            raise ValueError("it is another epoch than its name says")
        private = None
        holder = b"" if bundle.slot is None else crypto.recipient(crypto.box_public(bundle.slot))
        if bundle.slot is not None and holder in envelope.recipients(parsed):
            plain = envelope.unseal(parsed, vault=bundle.vault, identity=b"", privates={holder: bundle.slot})
            private = from_b64(str(from_json(plain)["private"]))
            if crypto.box_public(private) != public:
                raise ValueError("its private key is not that of its public one")
    except (ValueError, KeyError, TypeError, crypto.CannotOpen) as error:
        raise ObjectDamaged(f"{name} is signed but is no epoch: {error}", object=name) from None
    return Epoch(public, private)
