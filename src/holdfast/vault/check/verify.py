"""Is one object what it should be? Bytes in, a sentence or None out."""

import struct

import blake3

from holdfast.errors import Damaged
from holdfast.storage.contract import Storage
from holdfast.vault.errors import FormatNewer, ObjectDamaged, RoleLacking, SignedAfterRevocation
from holdfast.vault.format import config, crypto, envelope, names, selfdescription
from holdfast.vault.index import objects
from holdfast.vault.keys import slots
from holdfast.vault.keys.notary import Notary
from holdfast.vault.keys.ring import parse as ring_of
from holdfast.vault.logs import body
from holdfast.vault.packs import layout
from holdfast.vault.points.stored import decode

KINDS = {
    names.WRITERS: ("writer",),
    names.EPOCHS: ("epoch",),
    names.SHREDS: ("shred",),
    names.REVOKED: ("revoked",),
    names.INDEX: ("index",),
    names.SESSIONS: ("session",),
    names.POINTS: ("point", "abort", "drop"),
    names.CONDEMNED: ("condemned",),
    names.DAMAGED: ("damaged",),
    names.HOLDS: ("hold",),
    "journal/": ("journal",),
    "plan/": ("plan",),
    names.HOSTS: ("host",),
    names.ANCHORS: ("anchor",),
    names.EVIDENCE: ("evidence",),
}
"""Which envelopes may stand where."""

PROBES = "probe/"
_LARGEST_PACK = 128 << 20
_LISTS = 256 << 20
"""Of packs in a point: five million."""


def largest(name: str) -> int:
    """Bytes of an object of that name, at the most. What is larger is damaged, and is not read into memory to find out."""
    if name.startswith((names.PACKS, "aside/")):
        return _LARGEST_PACK
    kinds = ("log",) if name.startswith(names.LOGS) else next((kinds for prefix, kinds in KINDS.items() if name.startswith(prefix)), ("",))
    return max(envelope.largest(kind) for kind in kinds) + _LISTS


def whole(storage: Storage, name: str) -> bytes:
    """An object's bytes, if it is no larger than any of its name may be. Raises ObjectMissing, ObjectDamaged, Unreachable."""
    info = storage.head(name)
    if info is not None and info.size > largest(name):
        raise ObjectDamaged(
            f"{name} in {storage.url} has {info.size} bytes; none of its kind has more than {largest(name)}.",
            hint="Look at it, and delete it by hand.",
            object=name,
        )
    return storage.get(name)


class Verifier:
    """``opens``: this key may read content, so frames are opened and chunks named again."""

    def __init__(self, notary: Notary) -> None:
        self._notary = notary
        self.opens = notary.bundle.reads_content

    def known(self, name: str) -> bool:
        """Whether objects of this name belong to format 1."""
        return (
            name in {names.CONFIG, selfdescription.FORMAT, selfdescription.DECODER}
            or names.parse_pack(name) is not None
            or name.startswith((names.SLOTS, names.SCOPED, names.RINGS, names.LOGS, PROBES, *KINDS))
        )

    def void(self, name: str, data: bytes) -> tuple[str, str] | None:
        """(code, sentence) of what nobody believes or needs, so that it hurts nothing: what a revoked writer signed afterwards, and a slot
        that is not in force (removed, planted, or left by an addition that never came to its end).
        """
        if name.startswith((names.SLOTS, names.SCOPED)):
            if self.in_force(name):
                return None
            ring = self._notary.ring
            return "slot-not-in-force", f"{name}: {ring.refusal(name, data) if ring else ''}; it opens nothing."
        try:
            self._notary.check(name, data)
        except SignedAfterRevocation as error:
            return "signed-after-revocation", error.message
        except Damaged:
            return None
        return None

    def in_force(self, name: str) -> bool:
        """False for a key slot that the keyring does not list; True for everything else."""
        ring = self._notary.ring
        return ring is None or not name.startswith((names.SLOTS, names.SCOPED)) or name.rsplit("/", 1)[1] in ring.slots

    def problem(self, name: str, data: bytes) -> str | None:
        """What is wrong with an object's bytes."""
        try:
            if name == names.CONFIG:
                config.verify(config.parse(data), self._notary.bundle)
            elif name.startswith((names.SLOTS, names.SCOPED)):
                slots.parse(name.rsplit("/", 1)[1], data)
                ring = self._notary.ring
                refusal = None if ring is None else ring.refusal(name, data)
                return None if refusal is None else f"{name}: {refusal}; it opens nothing and is believed by nobody."
            elif name.startswith(names.RINGS):
                ring_of(name, data, self._notary.vault, self._notary.bundle.root_public)
            elif name.startswith(names.PACKS):
                return self._pack(name, data)
            elif name.startswith(names.LOGS):
                checked = body.check(self._notary, name, data)
                if self._notary.can_open(checked):
                    body.open_(self._notary, name, data)
            else:
                self._envelope(name, data)
        except FormatNewer as error:
            return error.message
        except Damaged as error:
            return error.message
        except RoleLacking:
            return None
        return None

    def _envelope(self, name: str, data: bytes) -> None:
        kinds = next((kinds for prefix, kinds in KINDS.items() if name.startswith(prefix)), None)
        if kinds is None:
            return
        checked = self._notary.check(name, data)
        if checked.kind not in kinds:
            raise Damaged(f"{name} is signed, but as a {checked.kind!r}, which may not stand there.")
        if checked.sealed and self._notary.can_open(checked):
            plain = self._notary.open(checked)
            if checked.kind == "point":
                decode(name, plain)
            elif checked.kind == "index":
                objects.decode(name, plain)

    def _pack(self, name: str, data: bytes) -> str | None:
        parsed = names.parse_pack(name)
        if parsed is None:
            return f"{name} is no name of a pack."
        if blake3.blake3(data).digest() != parsed[1]:
            return f"{name} holds other bytes than were written."
        try:
            return self._inside(name, parsed[0], data)
        except (ValueError, struct.error, crypto.CannotOpen) as error:
            return f"{name} was written wrongly: {error or 'it cannot be opened'}."

    def _inside(self, name: str, pack: bytes, data: bytes) -> str | None:
        """The signature; and with a reader's key every frame and chunk."""
        header = layout.parse_header(data)
        offset, length, signature, magic = layout.FOOTER.unpack(data[-layout.FOOTER_BYTES :])
        if magic != layout.END or header.pack != pack or header.vault != self._notary.vault:
            return f"{name} is not the pack that its name says."
        view = memoryview(data)
        digest = blake3.blake3(view[: -layout.FOOTER_BYTES]).digest()
        if not crypto.signed_by(
            self._notary.writer_public(header.writer), signature, layout.pack_message(header.vault, header.pack, digest)
        ):
            return f"{name} is not signed by a writer of this vault."
        privates = self._notary.privates()
        box = next((box for holder, box in header.boxes.items() if holder in privates), None)
        if box is None or header.scope not in self._notary.bundle.identity:
            return None
        key = crypto.unbox(box, next(privates[holder] for holder in header.boxes if holder in privates))
        frames = _count_frames(data, header.end, offset)
        trailer = crypto.gcm_open(
            key, layout.trailer_nonce(frames), data[offset : offset + length], layout.trailer_ad(header.vault, header.pack)
        )
        entries = layout.decode_trailer(trailer)
        if len(entries) != frames:
            return f"{name} holds {frames} frames; its trailer tells of {len(entries)}."
        for number, entry in enumerate(entries):
            plain = memoryview(
                layout.open_frame(
                    key, header.vault, header.pack, view[entry.offset : entry.offset + layout.HEAD_BYTES + entry.sealed], number
                )
            )
            at = 0
            for i, size in enumerate(entry.lengths):
                if (
                    blake3.blake3(plain[at : at + size], key=self._notary.bundle.identity[header.scope]).digest()
                    != entry.ids[32 * i : 32 * i + 32]
                ):
                    return f"{name} holds a chunk that is not what its id says (frame {number})."
                at += size
        return None


def _count_frames(data: bytes, start: int, end: int) -> int:
    count = 0
    while start < end:
        start += layout.HEAD_BYTES + layout.FRAME_HEAD.unpack_from(data, start)[3]
        count += 1
    if start != end:
        raise ValueError("its frames do not end where the trailer begins")
    return count
