"""Scopes: systems with a key of their own, so that destroying it erases their history and nobody else's - with a certificate of it.

Each scope has its own identity key, epochs and slots; nothing of it is reused outside of it, so deduplication neither tells what is inside
nor dies with it. Holding the vault's key opens none of it.
"""

import contextlib
import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from holdfast.errors import Damaged, HoldfastError, Usage
from holdfast.storage.contract import ObjectExists, ObjectLocked, Storage, versions_of
from holdfast.vault.errors import NotBelieved, ScopeErased, ScopeExists, ScopeUnknown
from holdfast.vault.format import crypto, names
from holdfast.vault.format.text import from_b64, to_b64, to_json, to_time
from holdfast.vault.keys import opening, slots
from holdfast.vault.keys.bundle import SCOPE, Bundle, Epoch
from holdfast.vault.keys.change import Changes, removed
from holdfast.vault.keys.kms import Secret
from holdfast.vault.keys.ring import AFTER_LOCK, AT_ONCE, Listed, Ring
from holdfast.vault.keys.slots import PassphraseCost, Slot
from holdfast.vault.locations import put_same

CERTIFICATE = "holdfast scope erasure 1"
_MEANS = (
    "Every key slot of the scope that is listed as destroyed was removed from the locations listed as erased, and the vault's signed"
    " keyring says so: no copy, heal or rebuild of Holdfast brings one back. Without a slot, what was encrypted for it cannot be read."
)


@dataclass(frozen=True, slots=True)
class ErasePlan:
    """What an erasure would destroy. ``objects``: names by location's address, None for one that did not answer. ``points``: sessions."""

    name: str
    tag: str
    way: str
    slots: Mapping[str, str]
    objects: Mapping[str, Sequence[str] | None]
    locked: Mapping[str, str]
    points: tuple[str, ...]
    again: bool

    def to_json(self) -> dict[str, Any]:
        return {
            "scope": self.name,
            "erased_before": self.again,
            "takes_effect": self.way,
            "slots": dict(self.slots),
            "objects": {url: None if found is None else list(found) for url, found in self.objects.items()},
            "locked_until": dict(self.locked),
            "points": len(self.points),
        }


class Scopes:
    """``changes`` as in ``Keyring``."""

    def __init__(self, changes: Changes, cost: PassphraseCost) -> None:
        self._changes = changes
        self._notary = changes.notary
        self._locations = changes.locations
        self._cost = cost

    def tag(self, name: str) -> str:
        """What stands for the name in the vault's objects."""
        return names.tag(self._notary.bundle.identity[SCOPE], "scope", name)

    def present(self) -> dict[str, tuple[str, int]]:
        """Name → (how it is erased, number of slots)."""
        ring = self._changes.current()
        return {ring.scope_names.get(tag, tag): (way, len(ring.in_scope(tag))) for tag, way in ring.scopes.items()}

    def add(self, name: str, secret: Secret, *, label: str = "", now: dt.datetime, erase: str = AFTER_LOCK) -> Slot:
        """A new scope with its first slot, opened by ``secret``. It is open in this process from then on.

        ``erase``: "after-lock" locks its slots like the rest, so an erasure takes effect in a locked location when that lock ends;
        "at-once" puts a part of their key into an object that is never locked: whoever may delete there can destroy the history, too.
        Raises ScopeExists, ScopeErased, Unreachable when a location does not answer.
        """
        if erase not in (AFTER_LOCK, AT_ONCE):
            raise Usage(f"A scope is erased 'after-lock' or 'at-once', not {erase!r}.")
        slots.require_usable(secret)
        self._changes.require_owner("make scopes")
        self._changes.require_all()
        tag, notary = self.tag(name), self._notary
        ring = self._changes.current()
        self._require_new(ring, tag, name)
        number = self._changes.epochs_taken(tag) + 1
        private, public = crypto.new_box_pair(notary.random)
        base = notary.bundle
        part = Bundle(base.vault, "owner", base.root_public, {tag: notary.random(32)}, {tag: {number: Epoch(public, private)}})
        epoch_name = names.epoch(tag, number)
        fields = {"scope": tag, "epoch": number, "public": to_b64(public)}
        self._changes.put(epoch_name, notary.make(epoch_name, "epoch", now, fields))
        shred = self._new_shred(tag, now) if erase == AT_ONCE else b""
        slot_id = notary.random(8).hex()
        data = slots.make(part, secret, slot_id=slot_id, now=now, random=notary.random, cost=self._cost, scope=tag, shred=shred)
        slot = slots.parse(slot_id, data)
        self._changes.put(names.slot(slot_id, tag), data)
        # As with the vault's first key: it came from where the plan says it is.
        listed = Listed(tag, slot.kind, "owner", crypto.digest_hex(data), slot.public, now)

        def edit(ring: Ring) -> Ring:
            self._require_new(ring, tag, name)
            return replace(
                ring,
                slots={**ring.slots, slot_id: listed},
                labels={**ring.labels, slot_id: label},
                epochs={**ring.epochs, tag: number},
                scopes={**ring.scopes, tag: erase},
                scope_names={**ring.scope_names, tag: name},
            )

        self._changes.change(edit, base.joined(tag, part))
        return replace(slot, label=label)

    def _require_new(self, ring: Ring, tag: str, name: str) -> None:
        if tag in ring.erased:
            raise ScopeErased(
                f"A scope {name!r} was erased at {ring.erased[tag]}.", hint="Choose another name: it never comes back.", scope=name
            )
        if tag in ring.scopes:
            raise ScopeExists(f"The vault has a scope {name!r} already.", hint="holdfast vault key list shows its slots.", scope=name)

    def _new_shred(self, tag: str, now: dt.datetime) -> bytes:
        """One that another process put there is shared with it: of two that make the scope at once, the keyring decides."""
        name, notary = names.shred(tag), self._notary
        made = notary.make(name, "shred", now, plain=notary.random(32))
        with contextlib.suppress(ObjectExists):
            self._locations.first.put_if_absent(name, [made])
        stands = self._locations.first.get(name)
        for storage in self._locations.storages[1:]:
            put_same(storage, name, [stands])
        return opening.shred_of(self._locations, notary.bundle, tag)

    # ------------------------------------------------------------ erasing

    def plan(self, name: str) -> ErasePlan:
        """What ``erase`` would destroy; nothing is changed. Raises ScopeUnknown."""
        ring = self._changes.current()
        tag = self.tag(name)
        if tag not in ring.scopes and tag not in ring.erased:
            raise ScopeUnknown(
                f"The vault has no scope {name!r}.", hint=f"Scopes: {', '.join(sorted(ring.scope_names.values())) or 'none'}.", scope=name
            )
        objects: dict[str, Sequence[str] | None] = {}
        locked: dict[str, str] = {}
        for storage in self._locations.storages:
            try:
                objects[storage.url] = found = _objects(storage, tag)
                until = _locked(storage, found)
            except HoldfastError:
                objects[storage.url] = None
                continue
            if until is not None:
                locked[storage.url] = to_time(until)
        listed = ring.in_scope(tag)
        return ErasePlan(
            name,
            tag,
            ring.scopes.get(tag, AFTER_LOCK),
            {one: ring.labels.get(one) or each.kind for one, each in listed.items()},
            objects,
            locked,
            tuple(self._points(tag)),
            tag in ring.erased,
        )

    def _points(self, tag: str) -> list[str]:
        found = []
        for info in self._locations.list(names.POINTS):
            try:
                checked = self._locations.read(info.name, lambda data, name=info.name: self._notary.check(name, data))  # type: ignore[misc]
            except Damaged:
                continue
            if checked.kind == "point" and checked.clear.get("scope") == tag:
                found.append(info.name.removeprefix(names.POINTS))
        return found

    def erase(self, plan: ErasePlan, by: Mapping[str, str]) -> dict[str, Any]:
        """Destroy every slot of the scope in every location that answers; returns the certificate, signed by the root.

        May be repeated: what a location that did not answer still holds is then destroyed there. ``by``: who did it (host, user).
        Raises Unreachable when the first location does not answer: nothing was changed then.
        """
        self._changes.require_owner("erase scopes")
        tag, now = plan.tag, to_time(self._changes.now())
        listed: dict[str, Listed] = {}

        def edit(ring: Ring) -> Ring:
            listed.update(ring.in_scope(tag))
            gone = removed(ring, ring.in_scope(tag), now)
            return replace(
                gone,
                scopes={one: way for one, way in ring.scopes.items() if one != tag},
                epochs={one: number for one, number in ring.epochs.items() if one != tag},
                erased={tag: now, **ring.erased},
            )

        bundle = self._notary.bundle
        without = replace(
            bundle,
            identity={scope: key for scope, key in bundle.identity.items() if scope != tag},
            epochs={scope: numbers for scope, numbers in bundle.epochs.items() if scope != tag},
        )
        try:
            self._changes.change(edit, without)
        except HoldfastError:
            # In force, where the first location took it; each location tells below what is left in it.
            if self._notary.ring is None or tag not in self._notary.ring.erased:
                raise
        ring = self._notary.ring
        assert ring is not None
        locations = [self._location(storage, tag, plan) for storage in self._locations.storages]
        certificate = {
            "certificate": CERTIFICATE,
            "vault": bundle.vault.hex(),
            "scope": plan.name,
            "tag": tag,
            "erased_at": ring.erased[tag],
            "certified_at": now,
            "by": dict(by),
            "keyring": {"generation": ring.generation, "blake3": ring.digest},
            "slots": {one: {"kind": each.kind, "role": each.role, "blake3": each.sum} for one, each in sorted(listed.items())},
            "points_unreadable": len(plan.points),
            "locations": locations,
            "complete": all(one["state"] == "erased" for one in locations),
            "means": _MEANS,
            "does_not_cover": _caveats(plan, locations),
        }
        assert bundle.root_private is not None
        signature = crypto.sign(bundle.root_private, _message(certificate))
        return {**certificate, "root_public": to_b64(bundle.root_public), "signature": to_b64(signature)}

    def _location(self, storage: Storage, tag: str, plan: ErasePlan) -> dict[str, Any]:
        """What is so in one location after the deletions: looked at, not concluded."""
        told: dict[str, Any] = {"url": storage.url}
        try:
            for name in _objects(storage, tag):
                try:
                    storage.delete(name)
                except ObjectLocked:
                    continue
            left = _objects(storage, tag)
            until = _locked(storage, left)
        except HoldfastError as error:
            return {**told, "state": "not-reached", "why": error.message}
        before = plan.objects.get(storage.url)
        told["destroyed"] = sorted(set(before or ()) - set(left))
        shred_gone = plan.way == AT_ONCE and names.shred(tag) not in left
        if not left or (shred_gone and until is not None):
            told["state"] = "erased"
            if left:
                told["locked_without_use"] = left
        elif until is not None:
            told |= {"state": "locked", "left": left, "until": to_time(until)}
        else:
            told |= {"state": "not-erased", "left": left}
        return told


def _objects(storage: Storage, tag: str) -> list[str]:
    """All that could open the scope: its slots, its epochs (their private keys are boxed to slots), its shred."""
    prefixes = (f"{names.SCOPED}{tag}/", f"{names.EPOCHS}{tag}/", names.shred(tag))
    return [info.name for prefix in prefixes for info in storage.list(prefix)]


def _locked(storage: Storage, objects: Sequence[str]) -> dt.datetime | None:
    layer = versions_of(storage)
    if layer is None:
        return None
    now = layer.time()
    ends = [until for name in objects if (until := layer.locked_until(name)) is not None and until > now]
    return max(ends, default=None)


def _caveats(plan: ErasePlan, locations: Sequence[Mapping[str, Any]]) -> list[str]:
    told = [
        (
            "Copies of a location that were made outside of Holdfast (snapshots, disks, tapes) hold the slots still: who has such a copy"
            " and a key of the scope can read it."
        ),
        "Data that was restored, exported or printed before; keys and data in the memory of processes that still run.",
    ]
    for one in locations:
        if one["state"] == "not-reached":
            told.append(f"{one['url']} was not reached: the scope is NOT erased there yet. Repeat the erasure.")
        elif one["state"] == "locked":
            told.append(
                f"{one['url']} holds slots under a lock until {one['until']}: until then who has a key of the scope can read it there."
                " Destroy that key."
            )
        elif one["state"] == "not-erased":
            told.append(f"{one['url']} still holds {', '.join(one['left'])}.")
    if plan.way == AT_ONCE:
        told.append("Slots that lie under a lock lack the part of their key that was destroyed: none of their keys opens them.")
    return told


def verify_certificate(document: Mapping[str, Any], vault: bytes, root_public: bytes) -> None:
    """That this vault's root signed it. Raises NotBelieved."""
    plain = {key: value for key, value in document.items() if key not in ("root_public", "signature")}
    try:
        signature = from_b64(str(document["signature"]))
    except (ValueError, KeyError):
        signature = b""
    if (
        plain.get("certificate") != CERTIFICATE
        or plain.get("vault") != vault.hex()
        or not crypto.signed_by(root_public, signature, _message(plain))
    ):
        raise NotBelieved("The certificate is not signed by this vault's root.", hint="It was changed, or belongs to another vault.")


def _message(certificate: Mapping[str, Any]) -> bytes:
    return CERTIFICATE.encode("ascii") + b"\0" + to_json(dict(certificate))
