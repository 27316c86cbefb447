"""The signed envelope that every small object of a vault is (docs/vault-format.md, "Envelope"): bytes only, no storage.

``magic ‖ clear ‖ packs ‖ sealed ‖ signature``. What is parsed is not believed until ``verify`` was called; ``Notary`` does both.
"""

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import blake3
import zstandard

from holdfast.vault.errors import ObjectDamaged
from holdfast.vault.format import crypto
from holdfast.vault.format.expand import expand
from holdfast.vault.format.text import from_json, to_json

MAGIC = b"HFENV1\r\n"
PACK_ENTRY = 48
"""Bytes of one pack in a point's list: id 16 ‖ BLAKE3 32."""
_SIGNATURE = 64
_SHARED_INFO = b"holdfast shared "
_MAX_PLAIN = {"index": 256 << 20, "point": 256 << 20, "log": 96 << 20, "plan": 64 << 20}
_MAX_OTHER = 16 << 20


def largest(kind: str) -> int:
    """Bytes of a sealed body before compression, at the most: who writes keeps to it, and who reads expands no more."""
    return _MAX_PLAIN.get(kind, _MAX_OTHER)


@dataclass(frozen=True, slots=True)
class Envelope:
    """A parsed envelope. ``packs`` is the raw list (48 bytes a pack), ``sealed`` the sealed body as stored, '' when there is none."""

    name: str
    clear: Mapping[str, Any]
    packs: bytes
    sealed: bytes
    digest: bytes
    signature: bytes

    @property
    def kind(self) -> str:
        return str(self.clear["kind"])

    @property
    def writer(self) -> str:
        return str(self.clear["writer"])


def signed_message(vault: bytes, name: str, digest: bytes) -> bytes:
    """What is signed: it binds the vault and the object's name, so that an object under another name is not believed."""
    raw = name.encode("ascii")
    return b"holdfast envelope 1\0" + vault + struct.pack("<H", len(raw)) + raw + digest


def build(name: str, clear: Mapping[str, Any], *, vault: bytes, sign_private: bytes, packs: bytes = b"", sealed: bytes = b"") -> bytes:
    """The bytes of an envelope. ``clear`` needs "kind", "vault", "writer" and "at"; ``sealed`` comes from seal_boxes or seal_shared."""
    body = to_json(clear)
    head = b"".join((MAGIC, struct.pack("<I", len(body)), body, struct.pack("<Q", len(packs)), packs, struct.pack("<Q", len(sealed))))
    digest = blake3.blake3(head).update(sealed).digest()
    return b"".join((head, sealed, crypto.sign(sign_private, signed_message(vault, name, digest))))


def parse(name: str, data: bytes) -> Envelope:
    """Raises ObjectDamaged when the bytes are no envelope. Says nothing about who wrote it: see ``verify``."""
    try:
        return _parse(name, data)
    except (ValueError, struct.error, KeyError, RecursionError) as error:
        raise ObjectDamaged(
            f"{name} is damaged: {error}", hint="Run 'holdfast vault check'; another location may hold a sound copy.", object=name
        ) from None


def _parse(name: str, data: bytes) -> Envelope:
    if data[:8] != MAGIC:
        raise ValueError("it does not begin as an envelope")
    at = 8
    parts = []
    for width, form in ((4, "<I"), (8, "<Q"), (8, "<Q")):
        (length,) = struct.unpack_from(form, data, at)
        at += width
        if length > len(data) - at:
            raise ValueError("it ends early")
        parts.append(data[at : at + length])
        at += length
    if len(data) - at != _SIGNATURE:
        raise ValueError("its length does not fit")
    clear = from_json(parts[0])
    if not isinstance(clear, dict) or not all(isinstance(clear.get(key), str) for key in ("kind", "vault", "writer", "at")):
        raise ValueError("its clear part lacks a field")
    if len(parts[1]) % PACK_ENTRY:
        raise ValueError("its list of packs is cut")
    return Envelope(name, clear, parts[1], parts[2], blake3.blake3(memoryview(data)[:at]).digest(), data[at:])


def verify(envelope: Envelope, vault: bytes, public: bytes) -> bool:
    """True when ``public`` (Ed25519) signed this envelope under this name in this vault."""
    if envelope.clear["vault"] != vault.hex():
        return False
    return crypto.signed_by(public, envelope.signature, signed_message(vault, envelope.name, envelope.digest))


def seal_boxes(plain: bytes, recipients: Sequence[bytes], *, vault: bytes, name: str, random: crypto.Random, level: int = 3) -> bytes:
    """Mode 1: a fresh key, boxed to each X25519 public key in ``recipients``. ``level`` of zstd."""
    key, nonce = random(32), random(12)
    boxes = b"".join(crypto.recipient(public) + crypto.box(key, public, random) for public in recipients)
    body = crypto.gcm_seal(key, nonce, zstandard.ZstdCompressor(level=level).compress(plain), _ad(vault, name))
    return struct.pack("<BB", 1, len(recipients)) + boxes + nonce + body


def seal_shared(plain: bytes, kind: str, identity: bytes, *, vault: bytes, name: str, random: crypto.Random) -> bytes:
    """Mode 2: readable by all who hold the identity key."""
    nonce = random(12)
    body = crypto.gcm_seal(_shared_key(identity, kind), nonce, zstandard.ZstdCompressor(level=3).compress(plain), _ad(vault, name))
    return b"\x02" + nonce + body


def recipients(envelope: Envelope) -> list[bytes]:
    """Recipient ids (8 bytes each) of a mode 1 body; [] for the other modes."""
    sealed = envelope.sealed
    if len(sealed) < 2 or sealed[0] != 1:
        return []
    step = 8 + crypto.BOX_BYTES
    return [sealed[2 + i * step : 10 + i * step] for i in range(sealed[1])]


def unseal(envelope: Envelope, *, vault: bytes, identity: bytes, privates: Mapping[bytes, bytes], most: int | None = None) -> bytes:
    """The plain body, or its first ``most`` bytes (all of it is authenticated in either case).

    ``privates``: X25519 private keys by recipient id. Raises CannotOpen when no key fits or bytes were changed.
    """
    sealed = envelope.sealed
    if not sealed:
        return b""
    ad = _ad(vault, envelope.name)
    if sealed[0] == 2:
        compressed = crypto.gcm_open(_shared_key(identity, envelope.kind), sealed[1:13], sealed[13:], ad)
    elif sealed[0] == 1:
        compressed = _open_boxes(sealed, ad, recipients(envelope), privates)
    else:
        raise crypto.CannotOpen
    try:
        if most is not None:
            with zstandard.ZstdDecompressor().stream_reader(compressed) as reader:
                return reader.read(most)
        return expand(compressed, largest(envelope.kind))
    except zstandard.ZstdError:
        raise crypto.CannotOpen from None


def _open_boxes(sealed: bytes, ad: bytes, holders: Sequence[bytes], privates: Mapping[bytes, bytes]) -> bytes:
    step = 8 + crypto.BOX_BYTES
    rest = 2 + len(holders) * step
    for i, holder in enumerate(holders):
        private = privates.get(holder)
        if private is not None:
            key = crypto.unbox(sealed[2 + i * step + 8 : 2 + (i + 1) * step], private)
            return crypto.gcm_open(key, sealed[rest : rest + 12], memoryview(sealed)[rest + 12 :], ad)
    raise crypto.CannotOpen


def _shared_key(identity: bytes, kind: str) -> bytes:
    return crypto.hkdf(identity, b"", _SHARED_INFO + kind.encode("ascii"))


def _ad(vault: bytes, name: str) -> bytes:
    return vault + name.encode("ascii")
