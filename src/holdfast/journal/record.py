"""One entry of a chain and its bytes.

An entry is one line of canonical JSON (ASCII only, keys sorted, no spaces, ended by a newline) with ``at``, ``hash``, ``kind``, ``n``,
``payload``, ``prev``. ``hash`` is SHA-256, in hex, of the same line without its ``hash`` and without the newline; ``prev`` is the hash of
entry ``n`` - 1. The first entry's ``prev`` is SHA-256 of ``"holdfast journal <host tag>"``, so that entries of two hosts cannot be
exchanged.
"""

import datetime as dt
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Record:
    """``at``: aware, UTC, microseconds. ``payload``: JSON-ready."""

    n: int
    prev: str
    kind: str
    at: dt.datetime
    payload: Mapping[str, Any]
    hash: str
    line: bytes
    """The entry as stored, newline included: what is exported, so that every copy is equal byte for byte."""


def origin(tag: str) -> str:
    """What the first entry of a host's chain gives as ``prev``."""
    return hashlib.sha256(f"holdfast journal {tag}".encode()).hexdigest()


def make(n: int, prev: str, kind: str, at: dt.datetime, payload: Mapping[str, Any]) -> Record:
    """Raises TypeError when the payload is not JSON-ready (times and paths are taken as text)."""
    body: dict[str, Any] = {
        "n": n,
        "prev": prev,
        "kind": kind,
        "at": at.astimezone(dt.UTC).isoformat(timespec="microseconds"),
        "payload": payload,
    }
    digest = hashlib.sha256(canonical(body)).hexdigest()
    return parse(canonical({**body, "hash": digest}) + b"\n")


def parse(line: bytes) -> Record:
    """The entry of a stored line. Raises ValueError when it is not one, or its hash is not that of its content."""
    if not line.endswith(b"\n"):
        raise ValueError("the line is not ended")
    document = json.loads(line)
    if not isinstance(document, dict) or set(document) != {"n", "prev", "kind", "at", "payload", "hash"}:
        raise ValueError("not a journal entry")
    if canonical(document) + b"\n" != line:
        raise ValueError("not in canonical form")
    digest = document.pop("hash")
    if hashlib.sha256(canonical(document)).hexdigest() != digest:
        raise ValueError("the content does not match its hash")
    return Record(
        document["n"], document["prev"], document["kind"], dt.datetime.fromisoformat(document["at"]), document["payload"], digest, line
    )


def canonical(document: Mapping[str, Any]) -> bytes:
    """The one notation of what is hashed and signed; times and paths become text. Raises TypeError, ValueError (NaN)."""
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False, default=_text).encode()


def _text(value: object) -> str:
    if isinstance(value, dt.datetime):
        return value.isoformat()
    if isinstance(value, (dt.timedelta, bytes, set)):
        raise TypeError(f"{type(value).__name__} has no JSON form")
    return str(value)
