"""Byte layout of a pack (docs/vault-format.md, "Packs"): pure functions over bytes."""

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import zstandard

from holdfast.vault.format import crypto
from holdfast.vault.format.expand import expand
from holdfast.vault.format.text import from_b64, from_json, to_b64, to_json

MAGIC = b"HFPACK1\n"
END = b"HFPEND1\n"
FRAME_MAGIC = b"HFFR"
FRAME_HEAD = struct.Struct("<4sIIIB3x")
HEAD_BYTES = 20
FOOTER = struct.Struct("<QI64s8s")
FOOTER_BYTES = 84
TAG = 16
STORED, ZSTD = 0, 1
TARGET = 32 << 20
MAX_PLAIN = 8 << 20
MAX_HEADER = 1 << 16
MAX_CHUNKS = 1 << 16
"""Chunks a pack may hold: bounds its trailer."""
_MAX_TRAILER = 32 << 20


@dataclass(frozen=True, slots=True)
class Header:
    """``boxes``: the pack's key for each recipient id. ``end`` is where the first frame begins."""

    vault: bytes
    pack: bytes
    kind: str
    scope: str
    epoch: int
    writer: str
    boxes: Mapping[bytes, bytes]
    end: int


@dataclass(frozen=True, slots=True)
class FrameEntry:
    """One frame in the trailer: offset in the pack, sealed length, its chunks' ids (32 bytes each, joined) and lengths."""

    offset: int
    sealed: int
    ids: bytes
    lengths: Sequence[int]


def pack_header(vault: bytes, pack: bytes, kind: str, scope: str, epoch: int, writer: str, boxes: Mapping[bytes, bytes]) -> bytes:
    document = {
        "vault": vault.hex(),
        "pack": pack.hex(),
        "kind": kind,
        "scope": scope,
        "epoch": epoch,
        "writer": writer,
        "boxes": [[to_b64(holder), to_b64(box)] for holder, box in boxes.items()],
    }
    body = to_json(document)
    return MAGIC + struct.pack("<I", len(body)) + body


def parse_header(data: bytes) -> Header:
    """From the first bytes of a pack; raises ValueError when it is none or ``data`` is too short for it."""
    if data[:8] != MAGIC or len(data) < 12:
        raise ValueError("it does not begin as a pack")
    (length,) = struct.unpack_from("<I", data, 8)
    if length > MAX_HEADER or len(data) < 12 + length:
        raise ValueError("its header is cut")
    try:
        document: dict[str, Any] = from_json(data[12 : 12 + length])
        boxes = {from_b64(holder): from_b64(box) for holder, box in document["boxes"]}
        return Header(
            bytes.fromhex(document["vault"]),
            bytes.fromhex(document["pack"]),
            str(document["kind"]),
            str(document["scope"]),
            int(document["epoch"]),
            str(document["writer"]),
            boxes,
            12 + length,
        )
    except (KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(f"its header lacks {error}") from None


def frame_nonce(number: int) -> bytes:
    return b"\0\0\0\0" + number.to_bytes(8, "little")


def trailer_nonce(frames: int) -> bytes:
    return b"\xff\xff\xff\xff" + frames.to_bytes(8, "little")


def frame_ad(vault: bytes, pack: bytes, head: bytes) -> bytes:
    return vault + pack + head


def trailer_ad(vault: bytes, pack: bytes) -> bytes:
    return vault + pack + b"trailer"


def pack_message(vault: bytes, pack: bytes, digest: bytes) -> bytes:
    """What the writer signs in the footer."""
    return b"holdfast pack 1\0" + vault + pack + digest


def encode_trailer(frames: Sequence[FrameEntry]) -> bytes:
    parts = [struct.pack("<I", len(frames))]
    for frame in frames:
        parts.append(struct.pack("<QII", frame.offset, frame.sealed, len(frame.lengths)))
        for i, length in enumerate(frame.lengths):
            parts.append(frame.ids[32 * i : 32 * i + 32])
            parts.append(struct.pack("<I", length))
    return zstandard.ZstdCompressor(level=1).compress(b"".join(parts))


def decode_trailer(plain: bytes) -> list[FrameEntry]:
    """Raises ValueError."""
    try:
        data = expand(plain, _MAX_TRAILER)
        (count,) = struct.unpack_from("<I", data)
        at = 4
        frames = []
        for _ in range(count):
            offset, sealed, chunks = struct.unpack_from("<QII", data, at)
            at += 16
            if len(data) - at < 36 * chunks:
                raise ValueError("it ends early")
            ids = b"".join(data[at + 36 * i : at + 36 * i + 32] for i in range(chunks))
            lengths = [struct.unpack_from("<I", data, at + 36 * i + 32)[0] for i in range(chunks)]
            at += 36 * chunks
            frames.append(FrameEntry(offset, sealed, ids, lengths))
    except (zstandard.ZstdError, struct.error) as error:
        raise ValueError(str(error)) from None
    if at != len(data):
        raise ValueError("bytes are left over")
    return frames


def open_frame(key: bytes, vault: bytes, pack: bytes, whole: bytes | memoryview, number: int | None = None) -> bytes:
    """The plain bytes of a frame with its header; raises ValueError for anything but what was written. ``number`` when it is known."""
    view = memoryview(whole)
    if len(view) < HEAD_BYTES + TAG:
        raise ValueError("a frame is cut")
    head = bytes(view[:HEAD_BYTES])
    magic, frame, plain_length, sealed, codec = FRAME_HEAD.unpack(head)
    if magic != FRAME_MAGIC or sealed != len(view) - HEAD_BYTES or plain_length > MAX_PLAIN or (number is not None and frame != number):
        raise ValueError("a frame's header does not fit")
    try:
        body = crypto.cipher(key).decrypt(frame_nonce(frame), view[HEAD_BYTES:], frame_ad(vault, pack, head))
    except crypto.InvalidTag:
        raise ValueError("a frame cannot be authenticated") from None
    if codec == ZSTD:
        try:
            body = expand(body, plain_length)
        except zstandard.ZstdError as error:
            raise ValueError(f"a frame cannot be decompressed: {error}") from None
    elif codec != STORED:
        raise ValueError(f"a frame has the unknown codec {codec}")
    if len(body) != plain_length:
        raise ValueError("a frame's length does not fit")
    return body
