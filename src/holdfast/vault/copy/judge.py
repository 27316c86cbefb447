"""Is an object what its name says? Told without any key: by BLAKE3 in a pack's name, by signatures that the vault's root vouches for."""

from collections.abc import Sequence

import blake3

from holdfast.errors import Damaged
from holdfast.storage.contract import ObjectMissing, Storage
from holdfast.vault.errors import NotBelieved, ObjectDamaged, VaultMissing, VaultMixed
from holdfast.vault.format import config, envelope, names
from holdfast.vault.format.envelope import PACK_ENTRY, Envelope
from holdfast.vault.format.text import from_b64
from holdfast.vault.keys import slots, writer_id
from holdfast.vault.keys.notary import ROOT_KINDS, inventory_entry
from holdfast.vault.keys.ring import Ring, newest
from holdfast.vault.logs.names import parse as parse_log

PLAIN = ("FORMAT.md", "decoder.py")
_KINDS = {
    names.POINTS: ("point", "abort", "drop"),
    names.LOGS: ("log",),
    names.INDEX: ("index",),
    names.HOLDS: ("hold",),
    names.JOURNAL: ("journal",),
    names.PLAN: ("plan",),
    names.HOSTS: ("host",),
    names.ANCHORS: ("anchor",),
    names.EVIDENCE: ("evidence",),
    names.WRITERS: ("writer",),
    names.EPOCHS: ("epoch",),
    names.RINGS: ("ring",),
    names.SHREDS: ("shred",),
    names.REVOKED: ("revoked",),
    names.CONDEMNED: ("condemned",),
    names.DAMAGED: ("damaged",),
}


class Judge:
    """Of one vault, whose configuration is read from the first of ``storages`` that has it sound. Safe from many threads.

    ``ring`` is the newest keyring of any of them: what it does not list is no key slot. Raises VaultMissing, VaultMixed (two of the
    locations hold different vaults), FormatNewer, ObjectDamaged, Unreachable.
    """

    config: bytes

    def __init__(self, storages: Sequence[Storage], target: Storage | None = None) -> None:
        """``target``: one that is a vault already and must be of this one; it is asked for its keyring too."""
        self._storages = storages
        self._writers: dict[str, bytes] = {}
        self._inventories: dict[str, frozenset[bytes]] = {}
        first: Envelope | None = None
        wrong: Damaged | None = None
        for storage in storages:
            try:
                parsed, data = _configuration(storage)
            except Damaged as error:
                wrong = error if wrong is None or isinstance(wrong, ObjectMissing) else wrong
                continue
            if first is None:
                first, self.config = parsed, data
            elif data != self.config:
                raise _mixed(storage, storages[0])
        if first is None:
            if wrong is not None and not isinstance(wrong, ObjectMissing):
                raise wrong
            urls = ", ".join(storage.url for storage in storages)
            raise VaultMissing(f"There is no vault in {urls}.", hint="Check the address.", url=urls)
        if target is not None and _configuration(target)[1] != self.config:
            raise _mixed(target, storages[0])
        self.vault = bytes.fromhex(str(first.clear["vault"]))
        self.root = from_b64(str(first.clear["root_public"]))
        self.ring: Ring | None = newest([*storages, *([target] if target is not None else [])], self.vault, self.root).ring

    def withheld(self, name: str) -> str | None:
        """Why an object was removed on purpose and must not come back, in a sentence; None for all others."""
        if self.ring is None:
            return None
        if name.startswith((names.SLOTS, names.SCOPED)):
            slot_id = name.rsplit("/", 1)[1]
            if slot_id in self.ring.removed:
                return f"{name}: the key slot was removed at {self.ring.removed[slot_id]}; it is not brought back."
            return None if slot_id in self.ring.slots else f"{name}: the keyring lists no such key slot; it is not copied."
        if name.startswith(names.EPOCHS) and name.split("/")[2] in self.ring.erased:
            return f"{name}: the scope was erased at {self.ring.erased[name.split('/')[2]]}; its epochs are not brought back."
        if name.startswith(names.SHREDS) and name[len(names.SHREDS) :] in self.ring.erased:
            return f"{name}: the scope was erased at {self.ring.erased[name[len(names.SHREDS) :]]}; what erased it is not brought back."
        return None

    def problem(self, name: str, data: bytes) -> str | None:
        """What is wrong with an object, in words that follow 'because'; None for nothing."""
        if name in PLAIN:
            return None
        if name == names.CONFIG:
            return None if data == self.config else "it is another configuration"
        if name.startswith(names.PACKS):
            parsed = names.parse_pack(name)
            if parsed is None:
                return "this is no name of a pack"
            return None if blake3.blake3(data).digest() == parsed[1] else "it holds other bytes than were written; heal it first"
        if name.startswith((names.SLOTS, names.SCOPED)):
            return self._slot(name, data)
        try:
            self.envelope(name, data)
        except (Damaged, ValueError) as error:
            return f"it cannot be believed ({error}); heal it first"
        return None

    def envelope(self, name: str, data: bytes) -> Envelope:
        """A believed one. Raises ObjectDamaged, NotBelieved."""
        parsed = envelope.parse(name, data)
        kinds = next((kinds for prefix, kinds in _KINDS.items() if name.startswith(prefix)), ())
        if parsed.kind not in kinds or (parsed.writer == "root") != (parsed.kind in ROOT_KINDS):
            raise NotBelieved(f"{name} is a {parsed.kind!r} by {parsed.writer}, which may not stand there.", object=name)
        if not envelope.verify(parsed, self.vault, self.root if parsed.writer == "root" else self._writer(parsed.writer)):
            raise NotBelieved(f"{name} is not what its writer signed.", object=name)
        if parsed.kind == "log":
            clear = parsed.clear
            if (clear.get("system"), clear.get("branch"), clear.get("start"), clear.get("end")) != parse_log(name):
                raise NotBelieved(f"{name} does not hold what its name says.", object=name)
        revoked = self.ring is not None and parsed.writer in self.ring.revoked
        if revoked and inventory_entry(name, parsed.digest) not in self._inventory(parsed.writer):
            raise NotBelieved(f"{name} is signed by a writer that had been revoked.", object=name)
        return parsed

    def check(self, name: str, data: bytes, kind: str | None = None) -> Envelope:
        """As ``Notary.check``, for who has no key."""
        parsed = self.envelope(name, data)
        if kind is not None and parsed.kind != kind:
            raise NotBelieved(f"{name} is a {parsed.kind!r}, which may not stand there.", object=name)
        return parsed

    def _slot(self, name: str, data: bytes) -> str | None:
        try:
            slots.parse(name.rsplit("/", 1)[1], data)
        except Damaged as error:
            return error.message
        return None if self.ring is None else self.ring.refusal(name, data)

    def _writer(self, writer: str) -> bytes:
        if writer not in self._writers:
            name = names.writer(writer)
            parsed = self._root_signed(name, "writer")
            public = from_b64(str(parsed.clear.get("sign_public", "")))
            if writer_id(public) != writer:
                raise NotBelieved(f"The certificate of writer {writer} is not signed by the vault's root.", object=name)
            self._writers[writer] = public
        return self._writers[writer]

    def _inventory(self, writer: str) -> frozenset[bytes]:
        if writer not in self._inventories:
            assert self.ring is not None
            raw = self._root_signed(names.revoked(writer, self.ring.revoked[writer]), "revoked").packs
            self._inventories[writer] = frozenset(raw[at : at + PACK_ENTRY] for at in range(0, len(raw), PACK_ENTRY))
        return self._inventories[writer]

    def _root_signed(self, name: str, kind: str) -> Envelope:
        """From the first location whose copy holds."""
        why: Damaged | None = None
        for storage in self._storages:
            try:
                parsed = envelope.parse(name, storage.get(name))
            except Damaged as error:
                why = why or error
                continue
            if parsed.kind == kind and parsed.writer == "root" and envelope.verify(parsed, self.vault, self.root):
                return parsed
        raise NotBelieved(f"{name} is not signed by the vault's root.", object=name) from why


def _configuration(storage: Storage) -> tuple[Envelope, bytes]:
    """A location's configuration, signed by the root that it names. Raises ObjectMissing, ObjectDamaged, FormatNewer, Unreachable."""
    data = storage.get(names.CONFIG)
    parsed = config.parse(data)
    try:
        sound = envelope.verify(parsed, bytes.fromhex(str(parsed.clear["vault"])), from_b64(str(parsed.clear["root_public"])))
    except (ValueError, KeyError):
        sound = False
    if not sound:
        raise ObjectDamaged(
            f"config in {storage.url} is damaged.", hint="Heal it from another location: holdfast vault check --heal", object=names.CONFIG
        )
    return parsed, data


def _mixed(storage: Storage, other: Storage) -> VaultMixed:
    return VaultMixed(
        f"{storage.url} holds another vault than {other.url}.", hint="Look at the plan's addresses; nothing was written.", url=storage.url
    )
