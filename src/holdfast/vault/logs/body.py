"""One increment as bytes: meta and log sealed in a signed envelope (docs/vault-format.md, "Log increments")."""

import datetime as dt
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import blake3

from holdfast.storage.contract import Buffer
from holdfast.vault import crypto
from holdfast.vault.envelope import Envelope
from holdfast.vault.errors import ObjectDamaged
from holdfast.vault.keys import SCOPE
from holdfast.vault.logs.names import parse
from holdfast.vault.notary import Notary
from holdfast.vault.text import from_json, to_json


@dataclass(frozen=True, slots=True)
class Opened:
    """``meta`` as the system gave it; ``system`` and ``branch`` are the names that the tags in the object's name stand for."""

    system: str
    branch: str
    start: int
    end: int
    meta: Mapping[str, Any]
    data: memoryview


def seal(notary: Notary, name: str, *, system: str, branch: str, data: Buffer, meta: Mapping[str, Any], at: dt.datetime) -> bytes:
    """The object for ``name``. Its clear part carries a keyed hash of ``data``, so that a writer who cannot read compares."""
    system_tag, branch_tag, start, end = _parts(name)
    head = to_json({"system": system, "branch": branch, "start": start, "end": end, "meta": dict(meta)})
    fields = {"system": system_tag, "branch": branch_tag, "start": start, "end": end, "sum": keyed_sum(notary, data)}
    return notary.make(name, "log", at, fields, plain=b"".join((struct.pack("<I", len(head)), head, data)))


def keyed_sum(notary: Notary, data: Buffer) -> str:
    """Hides what it is the hash of from all who lack the identity key."""
    key = crypto.hkdf(notary.bundle.identity[SCOPE], b"", b"holdfast log sum")
    return blake3.blake3(data, key=key).hexdigest()


def check(notary: Notary, name: str, stored: bytes) -> Envelope:
    """Believe an object: signed, and what its name says. Raises ObjectDamaged, NotBelieved."""
    envelope = notary.check(name, stored, "log")
    system_tag, branch_tag, start, end = _parts(name)
    clear = envelope.clear
    if (clear.get("system"), clear.get("branch"), clear.get("start"), clear.get("end")) != (system_tag, branch_tag, start, end):
        raise ObjectDamaged(f"{name} does not hold what its name says.", hint="Run 'holdfast vault check'.", object=name)
    return envelope


def open_(notary: Notary, name: str, stored: bytes) -> Opened:
    """Raises ObjectDamaged, NotBelieved, and RoleLacking for a key that may not read."""
    plain = notary.open(check(notary, name, stored))
    try:
        (length,) = struct.unpack_from("<I", plain)
        head = from_json(plain[4 : 4 + length])
        opened = Opened(head["system"], head["branch"], head["start"], head["end"], head["meta"], memoryview(plain)[4 + length :])
        system_tag, branch_tag, start, end = _parts(name)
        sound = (
            (opened.start, opened.end, len(opened.data)) == (start, end, end - start)
            and notary.tag("system", opened.system) == system_tag
            and notary.tag("branch", opened.branch) == branch_tag
        )
    except (ValueError, KeyError, TypeError, struct.error):
        sound = False
    if not sound:
        raise ObjectDamaged(f"{name} does not hold what its name says.", hint="Run 'holdfast vault check'.", object=name)
    return opened


def _parts(name: str) -> tuple[str, str, int, int]:
    parts = parse(name)
    if parts is None:
        raise ObjectDamaged(f"{name} is no name of a log increment.", object=name)
    return parts
