"""What a slot unlocks: the bundle of keys, cut down to its role."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import blake3

from holdfast.vault.errors import RoleLacking
from holdfast.vault.format import crypto
from holdfast.vault.format.text import from_b64, to_b64

Role = Literal["owner", "reader", "writer"]
SCOPE = "vault"
"""The default scope: one identity key and one line of epochs for everything in the vault."""


@dataclass(frozen=True, slots=True)
class Epoch:
    """An X25519 pair that content is encrypted to. ``private`` None for who may only write."""

    public: bytes
    private: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class WriterKeys:
    """``sign`` (Ed25519) signs what is written; ``box`` (X25519) reads back one's own manifests."""

    id: str
    sign: bytes = field(repr=False)
    box: bytes = field(repr=False)

    @classmethod
    def new(cls, random: crypto.Random) -> "WriterKeys":
        sign, public = crypto.new_sign_pair(random)
        box, _ = crypto.new_box_pair(random)
        return cls(writer_id(public), sign, box)


def writer_id(sign_public: bytes) -> str:
    """16 hex digits out of the writer's Ed25519 public key: an id cannot be claimed by another key."""
    return blake3.blake3(sign_public).digest()[:8].hex()


@dataclass(frozen=True, slots=True)
class Bundle:
    """All keys that one role holds. ``vault`` is the vault's id (16 bytes); ``identity`` and ``epochs`` are by scope."""

    vault: bytes
    role: Role
    root_public: bytes
    identity: Mapping[str, bytes] = field(repr=False)
    epochs: Mapping[str, Mapping[int, Epoch]]
    root_private: bytes | None = field(default=None, repr=False)
    writer: WriterKeys | None = None
    slot: bytes | None = field(default=None, repr=False)
    """The X25519 private key of the slot that was opened: epochs made later are boxed to it."""

    @classmethod
    def new(cls, random: crypto.Random, epoch: int = 1) -> "Bundle":
        """A new vault's owner; ``epoch`` is the first one's number."""
        root_private, root_public = crypto.new_sign_pair(random)
        private, public = crypto.new_box_pair(random)
        return cls(
            vault=random(16),
            role="owner",
            root_public=root_public,
            identity={SCOPE: random(32)},
            epochs={SCOPE: {epoch: Epoch(public, private)}},
            root_private=root_private,
            writer=WriterKeys.new(random),
        )

    def for_role(self, role: Role, writer: WriterKeys | None) -> "Bundle":
        """The part that ``role`` may hold. Only an owner can make bundles for others; ``writer`` is the new holder's own pair."""
        if self.role != "owner":
            raise RoleLacking(
                f"A key of role {self.role!r} cannot make a key of role {role!r}.", hint="Use an owner's passphrase or the recovery key."
            )
        if role == "owner":
            return self
        if role == "reader":
            return replace(self, role=role, root_private=None, writer=None)
        public_only = {scope: {number: Epoch(epoch.public) for number, epoch in numbers.items()} for scope, numbers in self.epochs.items()}
        return replace(self, role=role, root_private=None, writer=writer, epochs=public_only)

    def only(self, scope: str) -> "Bundle":
        """The keys of one scope: what its slots hold."""
        return replace(
            self, root_private=None, writer=None, slot=None, identity={scope: self.identity[scope]}, epochs={scope: self.epochs[scope]}
        )

    def without_scopes(self) -> "Bundle":
        """Only what belongs to the whole vault: its slots hold no key of a scope."""
        return replace(self, identity={SCOPE: self.identity[SCOPE]}, epochs={SCOPE: self.epochs[SCOPE]})

    def joined(self, scope: str, other: "Bundle") -> "Bundle":
        """With the keys of ``scope`` out of another bundle."""
        return replace(
            self,
            identity={**self.identity, scope: other.identity[scope]},
            epochs={**self.epochs, scope: {**self.epochs.get(scope, {}), **other.epochs[scope]}},
        )

    def with_epoch(self, scope: str, number: int, epoch: Epoch) -> "Bundle":
        return replace(self, epochs={**self.epochs, scope: {**self.epochs.get(scope, {}), number: epoch}})

    def epoch(self, scope: str = SCOPE) -> tuple[int, Epoch]:
        """The newest epoch of a scope: (number, keys)."""
        number = max(self.epochs[scope])
        return number, self.epochs[scope][number]

    def manifest_holders(self, scope: str = SCOPE) -> list[bytes]:
        """X25519 public keys that may read a manifest written now: the epoch's, and the writer's own where it cannot open the epoch.

        An owner reads by the epoch alone: a removed owner's slot must not read on by the writer's key that owners share.
        """
        _, epoch = self.epoch(scope)
        if epoch.private is not None or self.writer is None:
            return [epoch.public]
        return [epoch.public, crypto.box_public(self.writer.box)]

    def box_privates(self) -> dict[bytes, bytes]:
        """X25519 private keys by recipient id: what this bundle can open."""
        keys = {
            crypto.recipient(e.public): e.private for numbers in self.epochs.values() for e in numbers.values() if e.private is not None
        }
        if self.writer is not None:
            keys[crypto.recipient(crypto.box_public(self.writer.box))] = self.writer.box
        return keys

    @property
    def reads_content(self) -> bool:
        return any(epoch.private is not None for numbers in self.epochs.values() for epoch in numbers.values())

    def to_json(self) -> dict[str, Any]:
        document: dict[str, Any] = {
            "vault": self.vault.hex(),
            "root_public": to_b64(self.root_public),
            "identity": {scope: to_b64(key) for scope, key in self.identity.items()},
            "epochs": {
                scope: {
                    str(number): {"public": to_b64(epoch.public)}
                    | ({"private": to_b64(epoch.private)} if epoch.private is not None else {})
                    for number, epoch in numbers.items()
                }
                for scope, numbers in self.epochs.items()
            },
        }
        if self.root_private is not None:
            document["root_private"] = to_b64(self.root_private)
        if self.slot is not None:
            document["slot_private"] = to_b64(self.slot)
        if self.writer is not None:
            document["writer"] = {"id": self.writer.id, "sign_private": to_b64(self.writer.sign), "box_private": to_b64(self.writer.box)}
        return document

    @classmethod
    def from_json(cls, document: Mapping[str, Any], role: Role) -> "Bundle":
        """Raises ValueError or KeyError when it is no bundle."""
        writer = document.get("writer")
        slot = document.get("slot_private")
        root = document.get("root_private")
        return cls(
            vault=bytes.fromhex(document["vault"]),
            role=role,
            root_public=from_b64(document["root_public"]),
            identity={scope: from_b64(key) for scope, key in document["identity"].items()},
            epochs={
                scope: {
                    int(number): Epoch(from_b64(keys["public"]), from_b64(keys["private"]) if "private" in keys else None)
                    for number, keys in numbers.items()
                }
                for scope, numbers in document["epochs"].items()
            },
            root_private=from_b64(root) if root else None,
            writer=WriterKeys(writer["id"], from_b64(writer["sign_private"]), from_b64(writer["box_private"])) if writer else None,
            slot=from_b64(slot) if slot else None,
        )
