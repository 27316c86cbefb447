"""Key slots: the bundle wrapped to a passphrase, the recovery key or a key file. Bytes only; ``keyring.py`` stores them."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import blake3
from argon2.exceptions import HashingError
from argon2.low_level import Type, hash_secret_raw

from holdfast.errors import Usage
from holdfast.vault import crypto
from holdfast.vault.errors import ObjectDamaged
from holdfast.vault.keys import secret_text
from holdfast.vault.keys.bundle import Bundle, Role
from holdfast.vault.text import from_b64, from_json, from_time, to_b64, to_json, to_time

_ROLES = ("owner", "reader", "writer")
_MAX_MEMORY_KIB = 1 << 20
_MAX_PASSES = 100
_MAX_WORK = 8 << 20
"""KiB filled, over all passes. Whoever can write into a location writes what a slot asks for, and each opening tries every slot: 1 GiB and
8 GiB of work (some seconds) are 40 times the default and no burden that stops an opening.
"""


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
    """A slot as stored: who may open it, not what is inside. ``id`` is 16 hex digits."""

    id: str
    kind: str
    role: Role
    label: str
    created: dt.datetime
    vault: bytes
    kdf: Mapping[str, Any]
    nonce: bytes
    sealed: bytes


def make(bundle: Bundle, secret: str, *, slot_id: str, label: str, now: dt.datetime, random: crypto.Random, cost: PassphraseCost) -> bytes:
    """The bytes of a slot that ``secret`` opens; its kind follows from the secret's form."""
    kind = secret_text.kind_of(secret)
    if not secret.strip():
        raise Usage("The passphrase is empty.", hint="Give a passphrase that is hard to guess; five random words are good.")
    salt, nonce = random(16), random(12)
    kdf: dict[str, Any] = {"name": "hkdf", "salt": to_b64(salt)}
    if kind == "passphrase":
        kdf = {"name": "argon2id", "salt": to_b64(salt), "memory_kib": cost.memory_kib, "passes": cost.passes, "lanes": cost.lanes}
    sealed = crypto.gcm_seal(_kek(secret, kind, kdf), nonce, to_json(bundle.to_json()), _ad(bundle.vault, slot_id, bundle.role))
    document = {
        "kind": kind,
        "role": bundle.role,
        "vault": bundle.vault.hex(),
        "label": label,
        "created": to_time(now),
        "kdf": kdf,
        "nonce": to_b64(nonce),
        "sealed": to_b64(sealed),
    }
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
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ObjectDamaged(
            f"The key slot {slot_id} is damaged: {error}", hint="Another location may hold a sound copy.", object=slot_id
        ) from None


def unlock(slot: Slot, secret: str) -> Bundle | None:
    """The bundle, None when the secret is not this slot's. Raises ObjectDamaged for a slot that no version of Holdfast wrote."""
    if slot.kind != secret_text.kind_of(secret):
        return None
    try:
        plain = crypto.gcm_open(_kek(secret, slot.kind, slot.kdf), slot.nonce, slot.sealed, _ad(slot.vault, slot.id, slot.role))
        bundle = Bundle.from_json(from_json(plain), slot.role)
    except crypto.CannotOpen:
        return None
    except (ValueError, KeyError, TypeError, AttributeError, HashingError) as error:
        raise ObjectDamaged(
            f"The key slot {slot.id} is none that Holdfast wrote: {error}", hint="Remove it from the location.", object=slot.id
        ) from None
    return bundle if bundle.vault == slot.vault else None


def _kek(secret: str, kind: str, kdf: Mapping[str, Any]) -> bytes:
    salt = from_b64(kdf["salt"])
    if kind != "passphrase":
        return crypto.hkdf(secret_text.from_text(secret), salt, b"holdfast slot 1")
    memory, passes, lanes = int(kdf["memory_kib"]), int(kdf["passes"]), int(kdf["lanes"])
    if not (8 <= memory <= _MAX_MEMORY_KIB and 1 <= passes <= _MAX_PASSES and memory * passes <= _MAX_WORK and 1 <= lanes <= 64):
        raise ObjectDamaged(
            "A key slot asks for an absurd amount of work.", hint="It was not written by Holdfast; remove it from the location."
        )
    return hash_secret_raw(secret.encode("utf-8", "surrogateescape"), salt, passes, memory, lanes, 32, Type.ID)


def _ad(vault: bytes, slot_id: str, role: str) -> bytes:
    return vault + slot_id.encode("ascii") + role.encode("ascii")


def _check(document: Mapping[str, Any]) -> str:
    return blake3.blake3(to_json(dict(document))).hexdigest()[:16]
