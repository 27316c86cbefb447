"""One increment as bytes: meta and log sealed in a signed envelope (docs/vault-format.md, "Log increments")."""

import datetime as dt
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import blake3

from holdfast.storage.contract import Buffer
from holdfast.vault.errors import ObjectDamaged, RoleLacking
from holdfast.vault.format import crypto
from holdfast.vault.format.envelope import Envelope
from holdfast.vault.format.text import from_json, to_json
from holdfast.vault.keys import SCOPE
from holdfast.vault.keys.notary import Notary
from holdfast.vault.logs.names import parse


@dataclass(frozen=True, slots=True)
class Opened:
    """``meta`` as the system gave it; ``system`` and ``branch`` are the names that the tags in the object's name stand for."""

    system: str
    branch: str
    start: int
    end: int
    meta: Mapping[str, Any]
    data: memoryview
    scope: str = SCOPE


def seal(
    notary: Notary, name: str, *, system: str, branch: str, data: Buffer, meta: Mapping[str, Any], at: dt.datetime, scope: str = SCOPE
) -> bytes:
    """The object for ``name``. Its clear part carries a keyed hash of ``data``, so that a writer who cannot read compares."""
    system_tag, branch_tag, start, end = _parts(name)
    head = to_json({"system": system, "branch": branch, "start": start, "end": end, "meta": dict(meta)})
    fields = {"system": system_tag, "branch": branch_tag, "start": start, "end": end, "sum": keyed_sum(notary, data, scope)}
    return notary.make(name, "log", at, fields, plain=b"".join((struct.pack("<I", len(head)), head, data)), scope=scope)


def keyed_sum(notary: Notary, data: Buffer, scope: str = SCOPE) -> str:
    """Hides what it is the hash of from all who lack the scope's identity key."""
    key = crypto.hkdf(notary.bundle.identity[scope], b"", b"holdfast log sum")
    return blake3.blake3(data, key=key).hexdigest()


def same(notary: Notary, clear: Mapping[str, Any], data: Buffer) -> bool:
    """Whether a stored increment (the clear part of its envelope) holds these bytes. RoleLacking when its scope's key is not open."""
    scope = str(clear.get("scope", SCOPE))
    if scope not in notary.bundle.identity:
        raise RoleLacking(
            "The log holds increments of a scope whose key was not given.", hint="Name it in the plan: vault.scopes.", scope=scope
        )
    return bool(clear.get("sum") == keyed_sum(notary, data, scope))


def check(notary: Notary, name: str, stored: bytes) -> Envelope:
    """Believe an object: signed, and what its name says. Raises ObjectDamaged, NotBelieved."""
    envelope = notary.check(name, stored, "log")
    system_tag, branch_tag, start, end = _parts(name)
    clear = envelope.clear
    if (clear.get("system"), clear.get("branch"), clear.get("start"), clear.get("end")) != (system_tag, branch_tag, start, end):
        raise ObjectDamaged(f"{name} does not hold what its name says.", hint="Run 'holdfast vault check --read all'.", object=name)
    return envelope


@dataclass(frozen=True, slots=True)
class Head:
    """What stands before the bytes of an increment."""

    system: str
    branch: str
    start: int
    end: int
    meta: Mapping[str, Any]


HEAD = 1 << 16
"""Bytes opened at first to read a head."""


def open_head(notary: Notary, name: str, stored: bytes) -> Head:
    """Without expanding the bytes of the log; believed as all of it. Raises what ``open_`` raises."""
    envelope = check(notary, name, stored)
    most: int | None = HEAD
    while True:
        plain = notary.open(envelope, most=most)
        if len(plain) < 4 or 4 + struct.unpack_from("<I", plain)[0] <= len(plain) or most is None:
            return _head(notary, name, plain)
        most = None


def open_(notary: Notary, name: str, stored: bytes) -> Opened:
    """Raises ObjectDamaged, NotBelieved, and RoleLacking for a key that may not read."""
    envelope = check(notary, name, stored)
    plain = notary.open(envelope)
    head = _head(notary, name, plain)
    data = memoryview(plain)[4 + struct.unpack_from("<I", plain)[0] :]
    if len(data) != head.end - head.start:
        raise _unsound(name)
    return Opened(head.system, head.branch, head.start, head.end, head.meta, data, str(envelope.clear.get("scope", SCOPE)))


def _head(notary: Notary, name: str, plain: bytes) -> Head:
    system_tag, branch_tag, start, end = _parts(name)
    try:
        (length,) = struct.unpack_from("<I", plain)
        told = from_json(plain[4 : 4 + length])
        head = Head(told["system"], told["branch"], told["start"], told["end"], told["meta"])
        sound = (
            (head.start, head.end) == (start, end)
            and notary.tag("system", head.system) == system_tag
            and notary.tag("branch", head.branch) == branch_tag
        )
    except (ValueError, KeyError, TypeError, struct.error):
        sound = False
    if not sound:
        raise _unsound(name)
    return head


def _unsound(name: str) -> ObjectDamaged:
    return ObjectDamaged(f"{name} does not hold what its name says.", hint="Run 'holdfast vault check --read all'.", object=name)


def _parts(name: str) -> tuple[str, str, int, int]:
    parts = parse(name)
    if parts is None:
        raise ObjectDamaged(f"{name} is no name of a log increment.", object=name)
    return parts
