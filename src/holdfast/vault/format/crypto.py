"""The few cryptographic building blocks of format 1: boxes to an X25519 key, HKDF, AES-256-GCM, Ed25519."""

import os
from collections.abc import Callable

import blake3
from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

__all__ = [
    "BOX_BYTES",
    "SYSTEM_RANDOM",
    "CannotOpen",
    "InvalidTag",
    "Random",
    "box",
    "box_public",
    "cipher",
    "digest_hex",
    "gcm_open",
    "gcm_seal",
    "hkdf",
    "new_box_pair",
    "new_sign_pair",
    "recipient",
    "sign",
    "sign_public",
    "signed_by",
    "unbox",
]

Random = Callable[[int], bytes]
"""Gives that many random bytes; ``os.urandom`` outside of tests."""

SYSTEM_RANDOM: Random = os.urandom
BOX_BYTES = 80
_ZERO_NONCE = bytes(12)


class CannotOpen(Exception):
    """Authentication failed: another key, or changed bytes. The caller knows which objects it was about and raises the user's error."""


def hkdf(secret: bytes, salt: bytes, info: bytes) -> bytes:
    """HKDF-SHA256 (RFC 5869), 32 bytes."""
    return HKDF(algorithm=SHA256(), length=32, salt=salt or None, info=info).derive(secret)


def gcm_open(key: bytes, nonce: bytes, sealed: bytes | memoryview, ad: bytes | None) -> bytes:
    """Raises CannotOpen."""
    try:
        return AESGCM(key).decrypt(nonce, sealed, ad)
    except InvalidTag:
        raise CannotOpen from None


def gcm_seal(key: bytes, nonce: bytes, plain: bytes, ad: bytes | None) -> bytes:
    return AESGCM(key).encrypt(nonce, plain, ad)


def digest_hex(data: bytes) -> str:
    """BLAKE3 of an object, as text."""
    return blake3.blake3(data).hexdigest()


def recipient(public: bytes) -> bytes:
    """The 8 bytes that name the holder of an X25519 public key."""
    return blake3.blake3(public).digest()[:8]


def new_box_pair(random: Random) -> tuple[bytes, bytes]:
    """(private, public) of X25519, raw 32 bytes each."""
    private = random(32)
    return private, box_public(private)


def new_sign_pair(random: Random) -> tuple[bytes, bytes]:
    """(private, public) of Ed25519, raw 32 bytes each."""
    private = random(32)
    return private, sign_public(private)


def box_public(private: bytes) -> bytes:
    return X25519PrivateKey.from_private_bytes(private).public_key().public_bytes_raw()


def sign_public(private: bytes) -> bytes:
    return Ed25519PrivateKey.from_private_bytes(private).public_key().public_bytes_raw()


def box(key: bytes, public: bytes, random: Random) -> bytes:
    """Wrap a 32-byte key to an X25519 public key: ephemeral public key 32 ‖ AES-256-GCM 48. Only the private key opens it again."""
    ephemeral = X25519PrivateKey.from_private_bytes(random(32))
    ephemeral_public = ephemeral.public_key().public_bytes_raw()
    shared = ephemeral.exchange(X25519PublicKey.from_public_bytes(public))
    return ephemeral_public + gcm_seal(hkdf(shared, ephemeral_public + public, b"holdfast box 1"), _ZERO_NONCE, key, None)


def unbox(boxed: bytes, private: bytes) -> bytes:
    """The 32-byte key in a box; raises CannotOpen."""
    if len(boxed) != BOX_BYTES:
        raise CannotOpen
    own = X25519PrivateKey.from_private_bytes(private)
    public = own.public_key().public_bytes_raw()
    try:
        shared = own.exchange(X25519PublicKey.from_public_bytes(boxed[:32]))
    except ValueError:
        raise CannotOpen from None
    return gcm_open(hkdf(shared, boxed[:32] + public, b"holdfast box 1"), _ZERO_NONCE, boxed[32:], None)


def sign(private: bytes, message: bytes) -> bytes:
    return Ed25519PrivateKey.from_private_bytes(private).sign(message)


def signed_by(public: bytes, signature: bytes, message: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True


def cipher(key: bytes) -> AESGCM:
    """AES-256-GCM for many calls with one key; raises InvalidTag from ``decrypt``."""
    return AESGCM(key)
