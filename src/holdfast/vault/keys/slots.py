"""Key slots: a bundle wrapped to a passphrase, a recovery key, a key file or a key in a KMS. Bytes only; ``keyring.py`` stores them."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import blake3

from holdfast.errors import Usage
from holdfast.vault.errors import ObjectDamaged
from holdfast.vault.format import crypto
from holdfast.vault.format.text import from_b64, from_json, from_time, to_b64, to_json, to_time
from holdfast.vault.keys import secret_text
from holdfast.vault.keys.bundle import SCOPE, Bundle, Role
from holdfast.vault.keys.kms import Kms, Secret
from holdfast.vault.keys.stretching import stretched

_ROLES = ("owner", "reader", "writer")
_KINDS = ("passphrase", "recovery", "file", "kms")
_MAX_MEMORY_KIB = 1 << 20
_MAX_PASSES = 100
_MAX_WORK = 8 << 20
"""KiB filled, over all passes. Whoever can write into a location writes what a slot asks for, and each opening tries every slot: 1 GiB and
8 GiB of work (some seconds) are 40 times the default and no burden that stops an opening.
"""
_MAX_WRAPPED = 4096


@dataclass(frozen=True, slots=True)
class PassphraseCost:
    """Argon2id's parameters (RFC 9106): memory, passes over it, lanes that may be filled side by side."""

    memory_kib: int = 65536
    passes: int = 3
    lanes: int = 1


DEFAULT_COST = PassphraseCost(lanes=4)
"""RFC 9106's choice where memory is short: 64 MiB, 3 passes, 4 lanes; a fifth of a second of CPU a guess, less waiting for the owner."""


@dataclass(frozen=True, slots=True)
class Slot:
    """A slot as stored: who may open it, not what is inside. ``id`` is 16 hex digits. ``scope``: whose keys it holds.

    ``public``: the slot's own X25519 key, to which later epochs are boxed; None in slots made before epochs could follow.
    """

    id: str
    kind: str
    role: Role
    label: str
    created: dt.datetime
    vault: bytes
    kdf: Mapping[str, Any]
    nonce: bytes
    sealed: bytes
    scope: str = SCOPE
    public: bytes | None = None


def kind_of(secret: Secret) -> str:
    """The kind of slot that a secret is for."""
    return secret_text.kind_of(secret) if isinstance(secret, str) else "kms"


def require_usable(secret: Secret) -> None:
    """Raises WrongKey for a written key that was copied wrongly, Usage for an empty passphrase."""
    if not isinstance(secret, str):
        return
    if not secret.strip():
        raise Usage("The passphrase is empty.", hint="Give a passphrase that is hard to guess; five random words are good.")
    if kind_of(secret) != "passphrase":
        secret_text.from_text(secret)


def make(
    bundle: Bundle,
    secret: Secret,
    *,
    slot_id: str,
    label: str = "",
    now: dt.datetime,
    random: crypto.Random,
    cost: PassphraseCost,
    scope: str = SCOPE,
    shred: bytes = b"",
) -> bytes:
    """The bytes of a slot that ``secret`` opens; its kind follows from the secret's form. ``shred``: 32 bytes without which it never opens.

    The slot gets an X25519 pair of its own. A KMS is asked to wrap the slot's key; it raises what it met.
    """
    require_usable(secret)
    kind = kind_of(secret)
    salt, nonce = random(16), random(12)
    ad = _ad(bundle.vault, slot_id, bundle.role, scope)
    kdf: dict[str, Any] = {"name": "hkdf", "salt": to_b64(salt)}
    if not isinstance(secret, str):
        fresh = random(32)
        wrapped = secret.wrap(fresh, ad)
        kdf = {"name": "kms", "salt": to_b64(salt), "provider": secret.provider, "key": dict(secret.names), "wrapped": to_b64(wrapped)}
        kek = _final(fresh, salt, shred)
    else:
        if kind == "passphrase":
            kdf = {"name": "argon2id", "salt": to_b64(salt), "memory_kib": cost.memory_kib, "passes": cost.passes, "lanes": cost.lanes}
        kek = _kek(secret, kind, kdf, shred)
    private, public = crypto.new_box_pair(random)
    sealed = crypto.gcm_seal(kek, nonce, to_json(replace(bundle, slot=private).to_json()), ad)
    document = {
        "kind": kind,
        "role": bundle.role,
        "vault": bundle.vault.hex(),
        "label": label,
        "created": to_time(now),
        "kdf": kdf,
        "nonce": to_b64(nonce),
        "sealed": to_b64(sealed),
        "public": to_b64(public),
    }
    if scope != SCOPE:
        document["scope"] = scope
    return to_json(document | {"check": _check(document)})


def parse(slot_id: str, data: bytes) -> Slot:
    """Raises ObjectDamaged when bytes were changed by accident: ``check`` tells damage from a wrong key without any key."""
    try:
        document = from_json(data)
        if (
            document.pop("check") != _check(document)
            or document["role"] not in _ROLES
            or to_json(document | {"check": _check(document)}) != data
        ):
            raise ValueError("its check value does not fit")
        public = document.get("public")
        if document["kind"] not in _KINDS or not isinstance(document["kdf"], dict) or not isinstance(document["label"], str):
            raise ValueError("a field of it is none that Holdfast writes")
        return Slot(
            slot_id,
            document["kind"],
            document["role"],
            document["label"],
            from_time(document["created"]),
            bytes.fromhex(document["vault"]),
            document["kdf"],
            from_b64(document["nonce"]),
            from_b64(document["sealed"]),
            str(document.get("scope", SCOPE)),
            None if public is None else from_b64(public),
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ObjectDamaged(
            f"The key slot {slot_id} is damaged: {error}", hint="Another location may hold a sound copy.", object=slot_id
        ) from None


def unlock(slot: Slot, secret: Secret, shred: bytes = b"") -> Bundle | None:
    """The bundle, None when the secret is not this slot's. Raises ObjectDamaged for a slot that no version of Holdfast wrote.

    A KMS is asked to unwrap; what it raises (not to be reached, a wrong PIN) is passed on.
    """
    if slot.kind != kind_of(secret):
        return None
    ad = _ad(slot.vault, slot.id, slot.role, slot.scope)
    try:
        if isinstance(secret, str):
            kek = _kek(secret, slot.kind, slot.kdf, shred)
        else:
            fresh = _unwrapped(secret, slot.kdf, ad)
            if fresh is None:
                return None
            kek = _final(fresh, from_b64(slot.kdf["salt"]), shred)
        bundle = Bundle.from_json(from_json(crypto.gcm_open(kek, slot.nonce, slot.sealed, ad)), slot.role)
    except crypto.CannotOpen:
        return None
    except (ValueError, KeyError, TypeError, AttributeError, HashingFailed) as error:
        raise ObjectDamaged(
            f"The key slot {slot.id} is none that Holdfast wrote: {error}", hint="Remove it from the location.", object=slot.id
        ) from None
    if slot.public is not None and (bundle.slot is None or crypto.box_public(bundle.slot) != slot.public):
        raise ObjectDamaged(f"The key slot {slot.id} holds another key than it shows.", hint="Remove it from the location.", object=slot.id)
    return bundle if bundle.vault == slot.vault else None


class HashingFailed(Exception):
    """Argon2id could not run with a slot's parameters."""


def _unwrapped(kms: Kms, kdf: Mapping[str, Any], ad: bytes) -> bytes | None:
    wrapped = from_b64(kdf["wrapped"])
    if kdf["name"] != "kms" or kdf["provider"] != kms.provider or len(wrapped) > _MAX_WRAPPED:
        return None
    fresh = kms.unwrap(wrapped, ad)
    return fresh if fresh is not None and len(fresh) == 32 else None


def _kek(secret: str, kind: str, kdf: Mapping[str, Any], shred: bytes) -> bytes:
    salt = from_b64(kdf["salt"])
    if kind != "passphrase":
        return _final(secret_text.from_text(secret), salt, shred)
    from argon2.exceptions import HashingError

    memory, passes, lanes = int(kdf["memory_kib"]), int(kdf["passes"]), int(kdf["lanes"])
    if not (8 <= memory <= _MAX_MEMORY_KIB and 1 <= passes <= _MAX_PASSES and memory * passes <= _MAX_WORK and 1 <= lanes <= 64):
        raise ObjectDamaged(
            "A key slot asks for an absurd amount of work.", hint="It was not written by Holdfast; remove it from the location."
        )
    try:
        key = stretched(secret.encode("utf-8", "surrogateescape"), salt, passes=passes, memory_kib=memory, lanes=lanes)
    except HashingError as error:
        raise HashingFailed(str(error)) from None
    return crypto.hkdf(key + shred, salt, b"holdfast slot 1 shred") if shred else key


def _final(key: bytes, salt: bytes, shred: bytes) -> bytes:
    return crypto.hkdf(key + shred, salt, b"holdfast slot 1 shred" if shred else b"holdfast slot 1")


def _ad(vault: bytes, slot_id: str, role: str, scope: str) -> bytes:
    return vault + slot_id.encode("ascii") + role.encode("ascii") + (b"" if scope == SCOPE else scope.encode("utf-8", "replace"))


def _check(document: Mapping[str, Any]) -> str:
    return blake3.blake3(to_json(dict(document))).hexdigest()[:16]
