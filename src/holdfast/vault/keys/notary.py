"""Makes and checks the vault's envelopes: who signs, who can read, whom to believe. One for each open vault; safe from many threads."""

import contextlib
import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import blake3

from holdfast.errors import HoldfastError, Unreachable
from holdfast.storage.contract import ObjectMissing
from holdfast.vault.errors import NotBelieved, ObjectDamaged, ObjectTooLarge, RoleLacking, SignedAfterRevocation, WriterRevoked
from holdfast.vault.format import crypto, envelope, names
from holdfast.vault.format.envelope import PACK_ENTRY, Envelope
from holdfast.vault.format.text import from_b64, to_time
from holdfast.vault.keys import SCOPE, Bundle, writer_id

if TYPE_CHECKING:
    from holdfast.vault.keys.ring import Ring

SHARED_KINDS = frozenset({"index", "writer", "ring", "shred", "host", "anchor"})
"""Sealed to all who hold the identity key (mode 2)."""
BOXED_KINDS = frozenset({"point", "log", "journal", "plan", "hold", "evidence"})
"""Sealed to the epoch and to the writer itself (mode 1)."""
ROOT_KINDS = frozenset({"config", "writer", "epoch", "drop", "ring", "shred", "revoked"})
"""Signed by the root: who holds only a writer's key makes none of them, so it cannot make a point vanish."""

_LOOK = dt.timedelta(minutes=10)
"""How often a process that writes for months looks whether keys were changed."""

Fetch = Callable[[str, Callable[[bytes], bytes]], bytes]
"""Reads an object by name from the first location whose copy the second argument accepts (it raises Damaged for others)."""


def _owners_only(name: str, kind: str) -> bool:
    """What a writer's key may not say: that packs are condemned, that a hold is released."""
    return kind == "condemned" or (kind == "hold" and name.endswith(".released"))


def inventory_entry(name: str, digest: bytes) -> bytes:
    """48 bytes for an object in the list of what a revoked writer had signed: of its name, of everything before its signature."""
    return blake3.blake3(name.encode("ascii")).digest()[:16] + digest


class Notary:
    """``fetch`` is used for certificates of writers not met before."""

    def __init__(self, bundle: Bundle, fetch: Fetch, random: crypto.Random = crypto.SYSTEM_RANDOM, ring: "Ring | None" = None) -> None:
        self.random = random
        self.distrust: HoldfastError | None = None
        self.renew: Callable[[], None] | None = None
        self._fetch = fetch
        self._writers: dict[str, tuple[bytes, str]] = {}
        self._inventories: dict[str, frozenset[bytes]] = {}
        self._looked: dt.datetime | None = None
        self.take(bundle, ring)

    def take(self, bundle: Bundle, ring: "Ring | None") -> None:
        """These keys and this keyring from now on: a key was changed."""
        self.bundle = bundle
        self.ring = ring
        self._privates = bundle.box_privates()

    @property
    def vault(self) -> bytes:
        return self.bundle.vault

    @property
    def writer(self) -> str:
        """The id under which this bundle signs; RoleLacking for a reader, WriterRevoked."""
        if self.bundle.writer is None:
            raise RoleLacking(f"A key of role {self.bundle.role!r} cannot write.", hint="Use a key of role owner or writer.")
        own = self.bundle.writer.id
        if self.ring is not None and own in self.ring.revoked:
            raise WriterRevoked(
                f"The writer {own}, whose keys were opened, was revoked at {self.ring.revoked[own]}: nothing that it signs is believed.",
                hint="An owner makes a new one: holdfast vault key add --role writer --kind file --label HOST",
                writer=own,
            )
        return own

    def tag(self, kind: str, name: str, scope: str = SCOPE) -> str:
        return names.tag(self.bundle.identity[scope], kind, name)

    def make(
        self,
        name: str,
        kind: str,
        at: dt.datetime,
        fields: Mapping[str, Any] | None = None,
        *,
        plain: bytes | None = None,
        packs: bytes = b"",
        scope: str = SCOPE,
        boxed_to: Sequence[bytes] | None = None,
    ) -> bytes:
        """A signed envelope for ``name``. ``fields`` join the clear part, ``plain`` is sealed as the kind demands.

        ``boxed_to``: X25519 public keys that alone may read it. Raises RoleLacking, WriterRevoked, and ``distrust`` where that is set:
        under a keyring that was set back nothing is signed, since its epochs may be those that were given up.
        """
        if self.distrust is not None:
            raise self.distrust
        self._look(at, kind)
        root = kind in ROOT_KINDS
        signer = self.bundle.root_private if root else None
        if root and signer is None:
            raise RoleLacking(
                "Only an owner's key may change configuration, keys and writers.", hint="Use an owner's passphrase or the recovery key."
            )
        if self.bundle.role == "writer" and _owners_only(name, kind):
            raise RoleLacking(f"A writer's key cannot make a {kind!r} as {name}.", hint="Use an owner's key.")
        by = "root" if root else self.writer
        if signer is None:
            assert self.bundle.writer is not None
            signer = self.bundle.writer.sign
        clear = dict(fields or {}) | {"kind": kind, "vault": self.vault.hex(), "writer": by, "at": to_time(at)}
        if scope != SCOPE:
            clear["scope"] = scope
        sealed = b"" if plain is None else self._seal(name, kind, plain, scope, boxed_to)
        return envelope.build(name, clear, vault=self.vault, sign_private=signer, packs=packs, sealed=sealed)

    def check(self, name: str, data: bytes, kind: str | None = None) -> Envelope:
        """Parse and verify. Raises ObjectDamaged, or NotBelieved for a wrong signature, name, vault, kind or writer."""
        parsed = envelope.parse(name, data)
        public, role = (self.bundle.root_public, "root") if parsed.writer == "root" else self._writer(parsed.writer)
        if not envelope.verify(parsed, self.vault, public):
            raise NotBelieved(
                f"{name} is not what its writer signed.",
                hint="Run 'holdfast vault check'; another location may hold a sound copy.",
                object=name,
            )
        if (parsed.writer == "root") != (parsed.kind in ROOT_KINDS) or (kind is not None and parsed.kind != kind):
            raise NotBelieved(f"{name} is signed, but as a {parsed.kind!r} by {parsed.writer}, which may not stand there.", object=name)
        if role == "writer" and _owners_only(name, parsed.kind):
            raise NotBelieved(
                f"{name} is signed by the writer {parsed.writer}, whose role may not make it.",
                hint="That writer's key was misused: revoke it with 'holdfast vault key revoke'.",
                object=name,
            )
        self._require_not_revoked(parsed)
        return parsed

    def _require_not_revoked(self, parsed: Envelope) -> None:
        """What a revoked writer signed is believed when it was there as it was revoked: the root signed the list of it."""
        if self.ring is None or parsed.writer not in self.ring.revoked:
            return
        if inventory_entry(parsed.name, parsed.digest) not in self._inventory(parsed.writer):
            raise SignedAfterRevocation(
                f"{parsed.name} is signed by the writer {parsed.writer}, which was revoked at {self.ring.revoked[parsed.writer]}, and was"
                " not there then.",
                hint="A backup that ran at that time, or somebody who has the writer's key. Nobody needs the object.",
                object=parsed.name,
            )

    def _inventory(self, writer: str) -> frozenset[bytes]:
        assert self.ring is not None
        found = self._inventories.get(writer)
        if found is None:
            name = names.revoked(writer, self.ring.revoked[writer])

            def accept(data: bytes) -> bytes:
                parsed = envelope.parse(name, data)
                if parsed.kind != "revoked" or parsed.writer != "root" or not envelope.verify(parsed, self.vault, self.bundle.root_public):
                    raise NotBelieved(f"{name} is not signed by the vault's root.", object=name)
                return parsed.packs

            raw = self._fetch(name, accept)
            found = self._inventories[writer] = frozenset(raw[at : at + PACK_ENTRY] for at in range(0, len(raw), PACK_ENTRY))
        return found

    def open(self, checked: Envelope, scope: str | None = None, *, most: int | None = None) -> bytes:
        """The plain body of an envelope that ``check`` returned, or its first ``most`` bytes. RoleLacking when this key may not read it.

        ``scope``: by default the one that the envelope names.
        """
        scope = str(checked.clear.get("scope", SCOPE)) if scope is None else scope
        holders = envelope.recipients(checked)
        if checked.sealed[:1] == b"\x01" and not any(holder in self._privates for holder in holders):
            raise RoleLacking(
                f"The key's role {self.bundle.role!r} cannot read {checked.name}.",
                hint="Use an owner's or a reader's key.",
                object=checked.name,
            )
        identity = self.bundle.identity.get(scope)
        if identity is None:
            raise RoleLacking(
                f"{checked.name} belongs to a scope whose key was not given.",
                hint="Name it in the plan: vault.scopes.",
                object=checked.name,
            )
        try:
            return envelope.unseal(checked, vault=self.vault, identity=identity, privates=self._privates, most=most)
        except crypto.CannotOpen:
            raise ObjectDamaged(
                f"{checked.name} is signed but cannot be opened.", hint="Run 'holdfast vault check'.", object=checked.name
            ) from None

    def can_open(self, checked: Envelope) -> bool:
        """Whether this key may read the body."""
        if checked.sealed[:1] == b"\x01":
            return any(holder in self._privates for holder in envelope.recipients(checked))
        return str(checked.clear.get("scope", SCOPE)) in self.bundle.identity

    def privates(self) -> Mapping[bytes, bytes]:
        """X25519 private keys by recipient id, for packs."""
        return self._privates

    def writer_public(self, writer: str) -> bytes:
        """The Ed25519 key of a certified writer; NotBelieved when the root never certified it."""
        return self._writer(writer)[0]

    def _writer(self, writer: str) -> tuple[bytes, str]:
        """(public key, role) of a certified writer. The role of certificates that name none is "owner"."""
        known = self._writers.get(writer)
        if known is not None:
            return known
        name = names.writer(writer)
        if len(writer) != 16 or any(digit not in "0123456789abcdef" for digit in writer):
            raise NotBelieved(f"{writer!r} is no writer's id.")
        try:
            raw = self._fetch(name, lambda data: self._certified(writer, name, data))
        except ObjectMissing as error:
            raise NotBelieved(
                f"The writer {writer} has no certificate in the vault.", hint="The object is forged, or the certificate was deleted."
            ) from error
        known = self._writers[writer] = raw[:32], raw[32:].decode()
        return known

    def _certified(self, writer: str, name: str, data: bytes) -> bytes:
        """The public key in a certificate, and behind it the role; NotBelieved, ObjectDamaged."""
        parsed = envelope.parse(name, data)
        try:
            public = from_b64(str(parsed.clear.get("sign_public", "")))
        except ValueError:
            public = b""
        if (
            parsed.writer != "root"
            or parsed.kind != "writer"
            or not envelope.verify(parsed, self.vault, self.bundle.root_public)
            or writer_id(public) != writer
        ):
            raise NotBelieved(f"The certificate of writer {writer} is not signed by the vault's root.", object=name)
        return public + str(parsed.clear.get("role", "owner")).encode()

    def _look(self, at: dt.datetime, kind: str) -> None:
        """A follower runs for months: now and then it must hear of a new epoch, and of its own revocation.

        A location that does not answer is no reason to stop: what is written for an older epoch can be read by all who may.
        """
        if self.renew is None or kind in ROOT_KINDS:
            return
        if self._looked is None:
            self._looked = at
        elif abs(at - self._looked) >= _LOOK:
            self._looked = at
            with contextlib.suppress(Unreachable):
                self.renew()

    def _seal(self, name: str, kind: str, plain: bytes, scope: str, boxed_to: Sequence[bytes] | None) -> bytes:
        if len(plain) > envelope.largest(kind):
            raise ObjectTooLarge(
                f"{name} would hold {len(plain)} bytes; the format allows {envelope.largest(kind)} in a {kind!r}.",
                hint="Runbooks, labels or facts are too large." if kind != "index" else "This is a bug.",
                object=name,
            )
        if boxed_to is not None:
            return envelope.seal_boxes(plain, boxed_to, vault=self.vault, name=name, random=self.random)
        if kind in SHARED_KINDS:
            return envelope.seal_shared(plain, kind, self.bundle.identity[scope], vault=self.vault, name=name, random=self.random)
        if kind not in BOXED_KINDS:
            raise ValueError(f"envelopes of kind {kind!r} have no sealed body")
        recipients = self.bundle.manifest_holders(scope)
        # Bytes of a log are many, and level 3 makes them hardly smaller than level 1 at half the speed.
        level = 1 if kind == "log" else 3
        return envelope.seal_boxes(plain, recipients, vault=self.vault, name=name, random=self.random, level=level)
