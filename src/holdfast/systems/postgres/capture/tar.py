"""Takes apart the tar archives that a server streams: ustar headers as in its src/port/tar.c, fed in pieces of any size."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from holdfast.systems.contract import Buffer
from holdfast.systems.postgres.faults import StreamMalformed

BLOCK = 512


@dataclass(frozen=True, slots=True)
class TarMember:
    """``mtime`` in seconds since the Unix epoch; ``target`` of a link."""

    path: str
    kind: Literal["file", "dir", "symlink"]
    size: int
    mode: int
    uid: int
    gid: int
    mtime: int
    target: str | None = None


Take = Callable[[Buffer], None]


class TarStream:
    """Feed bytes; ``member`` is called for each entry and returns what takes its content, or None; ``ended`` after a file."""

    def __init__(self, member: Callable[[TarMember], Take | None], ended: Callable[[], None]) -> None:
        self._member = member
        self._ended = ended
        self._header = bytearray()
        self._left = 0
        self._padding = 0
        self._take: Take | None = None
        self._zeros = 0
        self._inside = False

    def feed(self, data: memoryview) -> None:
        """Raises StreamMalformed for a header that is none. ``data`` may be reused by the caller afterwards."""
        at, size = 0, len(data)
        while at < size:
            if self._left:
                piece = data[at : at + self._left]
                if self._take is not None:
                    self._take(piece)
                self._left -= len(piece)
                at += len(piece)
                if not self._left:
                    self._close()
            elif self._padding:
                step = min(self._padding, size - at)
                self._padding -= step
                at += step
            else:
                step = min(BLOCK - len(self._header), size - at)
                self._header += data[at : at + step]
                at += step
                if len(self._header) == BLOCK:
                    self._begin(bytes(self._header))
                    self._header.clear()

    def finish(self) -> None:
        """The archive ended. Raises StreamMalformed when it ended inside an entry."""
        if self._left or self._header:
            raise _malformed("the archive ends in the middle of an entry")
        self._padding = 0
        self._zeros = 0

    def _begin(self, header: bytes) -> None:
        if not header.strip(b"\0"):
            self._zeros += 1
            return
        if self._zeros:
            raise _malformed("an entry follows the archive's end")
        member = parse_header(header)
        self._left = member.size if member.kind == "file" else 0
        self._padding = -self._left % BLOCK
        self._take = self._member(member)
        self._inside = member.kind == "file"
        if not self._left:
            self._close()

    def _close(self) -> None:
        if self._inside:
            self._inside = False
            self._take = None
            self._ended()


def parse_header(header: bytes) -> TarMember:
    """One 512-byte ustar header. Raises StreamMalformed for a wrong checksum or an entry type that no server sends."""
    given = _number(header[148:156])
    if sum(header) - sum(header[148:156]) + 8 * 32 != given:
        raise _malformed("a header has a wrong checksum")
    kinds: dict[bytes, Literal["file", "dir", "symlink"]] = {b"0": "file", b"\0": "file", b"5": "dir", b"2": "symlink"}
    kind = kinds.get(header[156:157])
    if kind is None:
        raise _malformed(f"an entry of the unknown type {header[156:157]!r}")
    name = _text(header[0:100])
    prefix = _text(header[345:500])
    path = f"{prefix}/{name}" if prefix else name
    path = path.removeprefix("./").rstrip("/")
    if path.startswith("/") or ".." in path.split("/"):
        raise _malformed("an entry lies outside the data directory")
    return TarMember(
        path=path,
        kind=kind,
        size=_number(header[124:136]),
        mode=_number(header[100:108]) & 0o7777,
        uid=_number(header[108:116]),
        gid=_number(header[116:124]),
        mtime=_number(header[136:148]),
        target=_text(header[157:257]) if kind == "symlink" else None,
    )


def _text(field: bytes) -> str:
    import os

    return os.fsdecode(field.split(b"\0", 1)[0])


def _number(field: bytes) -> int:
    """Octal digits, or base 256 when the first bit is set (sizes of 8 GiB and more)."""
    if field[0] & 0x80:
        return int.from_bytes(bytes([field[0] & 0x7F]) + field[1:], "big")
    digits = field.split(b"\0", 1)[0].strip()
    try:
        return int(digits or b"0", 8)
    except ValueError:
        raise _malformed("a header holds a number that is none") from None


def _malformed(what: str) -> StreamMalformed:
    return StreamMalformed(
        f"The server's tar stream is malformed: {what}.", hint="Report it with the server's version; take the backup in place meanwhile."
    )
