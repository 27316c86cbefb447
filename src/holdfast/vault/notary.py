"""Makes and checks the vault's envelopes: who signs, who can read, whom to believe. One for each open vault; safe from many threads."""

import datetime as dt
from collections.abc import Callable, Mapping
from typing import Any

from holdfast.storage.contract import ObjectMissing
from holdfast.vault import crypto, envelope, names
from holdfast.vault.envelope import Envelope
from holdfast.vault.errors import NotBelieved, ObjectDamaged, RoleLacking
from holdfast.vault.keys import SCOPE, Bundle, writer_id
from holdfast.vault.text import from_b64, to_time

SHARED_KINDS = frozenset({"index", "writer"})
"""Sealed to all who hold the identity key (mode 2)."""
BOXED_KINDS = frozenset({"point", "log", "journal", "plan", "hold"})
"""Sealed to the epoch and to the writer itself (mode 1)."""
ROOT_KINDS = frozenset({"config", "writer", "epoch", "drop"})
"""Signed by the root: who holds only a writer's key makes none of them, so it cannot make a point vanish."""

Fetch = Callable[[str, Callable[[bytes], bytes]], bytes]
"""Reads an object by name from the first location whose copy the second argument accepts (it raises Damaged for others)."""


class Notary:
    """``fetch`` is used for certificates of writers not met before."""

    def __init__(self, bundle: Bundle, fetch: Fetch, random: crypto.Random = crypto.SYSTEM_RANDOM) -> None:
        self.bundle = bundle
        self.random = random
        self._fetch = fetch
        self._privates = bundle.box_privates()
        self._writers: dict[str, bytes] = {}

    @property
    def vault(self) -> bytes:
        return self.bundle.vault

    @property
    def writer(self) -> str:
        """The id under which this bundle signs; RoleLacking for a reader."""
        if self.bundle.writer is None:
            raise RoleLacking(f"A key of role {self.bundle.role!r} cannot write.", hint="Use a key of role owner or writer.")
        return self.bundle.writer.id

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
    ) -> bytes:
        """A signed envelope for ``name``. ``fields`` join the clear part, ``plain`` is sealed as the kind demands."""
        root = kind in ROOT_KINDS
        signer = self.bundle.root_private if root else None
        if root and signer is None:
            raise RoleLacking(
                "Only an owner's key may change configuration, keys and writers.", hint="Use an owner's passphrase or the recovery key."
            )
        by = "root" if root else self.writer
        if signer is None:
            assert self.bundle.writer is not None
            signer = self.bundle.writer.sign
        clear = dict(fields or {}) | {"kind": kind, "vault": self.vault.hex(), "writer": by, "at": to_time(at)}
        sealed = b"" if plain is None else self._seal(name, kind, plain, scope)
        return envelope.build(name, clear, vault=self.vault, sign_private=signer, packs=packs, sealed=sealed)

    def check(self, name: str, data: bytes, kind: str | None = None) -> Envelope:
        """Parse and verify. Raises ObjectDamaged, or NotBelieved for a wrong signature, name, vault, kind or writer."""
        parsed = envelope.parse(name, data)
        public = self.bundle.root_public if parsed.writer == "root" else self.writer_public(parsed.writer)
        if not envelope.verify(parsed, self.vault, public):
            raise NotBelieved(
                f"{name} is not what its writer signed.",
                hint="Run 'holdfast vault check'; another location may hold a sound copy.",
                object=name,
            )
        if (parsed.writer == "root") != (parsed.kind in ROOT_KINDS) or (kind is not None and parsed.kind != kind):
            raise NotBelieved(f"{name} is signed, but as a {parsed.kind!r} by {parsed.writer}, which may not stand there.", object=name)
        return parsed

    def open(self, checked: Envelope, scope: str = SCOPE, *, most: int | None = None) -> bytes:
        """The plain body of an envelope that ``check`` returned, or its first ``most`` bytes. RoleLacking when this key may not read it."""
        holders = envelope.recipients(checked)
        if checked.sealed[:1] == b"\x01" and not any(holder in self._privates for holder in holders):
            raise RoleLacking(
                f"The key's role {self.bundle.role!r} cannot read {checked.name}.",
                hint="Use an owner's or a reader's key.",
                object=checked.name,
            )
        try:
            return envelope.unseal(checked, vault=self.vault, identity=self.bundle.identity[scope], privates=self._privates, most=most)
        except crypto.CannotOpen:
            raise ObjectDamaged(
                f"{checked.name} is signed but cannot be opened.", hint="Run 'holdfast vault check'.", object=checked.name
            ) from None

    def can_open(self, checked: Envelope) -> bool:
        """Whether this key may read the body."""
        return checked.sealed[:1] != b"\x01" or any(holder in self._privates for holder in envelope.recipients(checked))

    def privates(self) -> Mapping[bytes, bytes]:
        """X25519 private keys by recipient id, for packs."""
        return self._privates

    def writer_public(self, writer: str) -> bytes:
        """The Ed25519 key of a certified writer; NotBelieved when the root never certified it."""
        public = self._writers.get(writer)
        if public is not None:
            return public
        name = names.writer(writer)
        if len(writer) != 16 or any(digit not in "0123456789abcdef" for digit in writer):
            raise NotBelieved(f"{writer!r} is no writer's id.")
        try:
            public = self._fetch(name, lambda data: self._certified(writer, name, data))
        except ObjectMissing as error:
            raise NotBelieved(
                f"The writer {writer} has no certificate in the vault.", hint="The object is forged, or the certificate was deleted."
            ) from error
        self._writers[writer] = public
        return public

    def _certified(self, writer: str, name: str, data: bytes) -> bytes:
        """The public key in a certificate; NotBelieved, ObjectDamaged."""
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
        return public

    def _seal(self, name: str, kind: str, plain: bytes, scope: str) -> bytes:
        if kind in SHARED_KINDS:
            return envelope.seal_shared(plain, kind, self.bundle.identity[scope], vault=self.vault, name=name, random=self.random)
        if kind not in BOXED_KINDS:
            raise ValueError(f"envelopes of kind {kind!r} have no sealed body")
        _, epoch = self.bundle.epoch(scope)
        assert self.bundle.writer is not None
        recipients = [epoch.public, crypto.box_public(self.bundle.writer.box)]
        # Bytes of a log are many, and level 3 makes them hardly smaller than level 1 at half the speed.
        level = 1 if kind == "log" else 3
        return envelope.seal_boxes(plain, recipients, vault=self.vault, name=name, random=self.random, level=level)
