"""The bytes between a served folder and its client: one question, one answer, in turn.

A message is ``u32 length ‖ JSON ‖ body``, little-endian; the JSON's "size" is the body's length (absent: 0). Questions have an "op":
``hello``, ``put`` (name; body), ``get`` (name, start, length), ``head`` (name), ``list`` (prefix, after: up to 1000 rows), ``folders``
(prefix), ``delete`` (name), ``now``. Answers: ``{"ok": …}``, or ``{"error": code, "message", "hint"}``.
"""

import json
import struct
from collections.abc import Sequence
from typing import Any, Protocol

from holdfast.storage.contract import Buffer

VERSION = 1
MOST_HEAD = 1 << 20
MOST_BODY = 256 << 20
PAGE = 1000


class Stream(Protocol):
    """A connection; ``read`` waits for exactly that many bytes, or raises EOFError."""

    def read(self, size: int) -> bytes: ...
    def write(self, data: Buffer) -> None: ...
    def flush(self) -> None: ...
    def close(self) -> None: ...


class BadMessage(ValueError):
    """What came is none of this protocol."""


def send(stream: Stream, head: dict[str, Any], body: Sequence[Buffer] = ()) -> None:
    views = [memoryview(part).cast("B") for part in body]
    text = json.dumps({**head, "size": sum(map(len, views))}, separators=(",", ":")).encode()
    stream.write(struct.pack("<I", len(text)) + text)
    for view in views:
        stream.write(view)
    stream.flush()


def receive(stream: Stream) -> tuple[dict[str, Any], bytes]:
    """Raises EOFError at the end of the connection, BadMessage."""
    (length,) = struct.unpack("<I", stream.read(4))
    if length > MOST_HEAD:
        raise BadMessage(f"a head of {length} bytes")
    try:
        head = json.loads(stream.read(length))
        size = head.get("size", 0)
    except (ValueError, AttributeError) as error:
        raise BadMessage(str(error)) from None
    if not isinstance(size, int) or not 0 <= size <= MOST_BODY:
        raise BadMessage(f"a body of {size!r} bytes")
    return head, stream.read(size)
