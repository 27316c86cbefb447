"""The keyring: one signed list of what is in force - slots, epochs, scopes, revoked writers - with a number that only grows.

``keys/ring/<generation>`` is created only if absent, so of two key changes at once one wins and the other starts anew; the newest
generation that the root signed counts. What it does not list is no slot, whatever lies in a location: a removed slot that a copy, a heal
or an attacker puts back opens nothing, and a planted one is given no key. An older keyring put in the place of a newer one is seen by
every reader that knows the newer one: another location, or this machine's own memory of the highest generation (``RingMemory``).
"""

import contextlib
import datetime as dt
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import blake3

from holdfast.errors import Damaged, Unreachable
from holdfast.storage.contract import ObjectMissing, Storage
from holdfast.vault.errors import KeyringForked, KeyringRolledBack, NotBelieved, ObjectDamaged
from holdfast.vault.format import envelope, names
from holdfast.vault.format.text import from_b64, from_json, from_time, to_b64, to_time
from holdfast.vault.keys.bundle import SCOPE, Role

AFTER_LOCK, AT_ONCE = "after-lock", "at-once"


@dataclass(frozen=True, slots=True)
class Listed:
    """A slot in force. ``public``: its X25519 key, to which later epochs are given (None: made before there were keyrings, or a writer's).

    ``sum``: BLAKE3 of the slot's object, hex. ``proved``: when its key was last seen to open it, None for never. ``writer``: the id of the
    writer whose keys are in it.
    """

    scope: str
    kind: str
    role: Role
    sum: str
    public: bytes | None = None
    proved: dt.datetime | None = None
    writer: str | None = None

    def to_json(self) -> dict[str, Any]:
        return {
            "scope": self.scope,
            "kind": self.kind,
            "role": self.role,
            "sum": self.sum,
            "public": None if self.public is None else to_b64(self.public),
            "proved": None if self.proved is None else to_time(self.proved),
            "writer": self.writer,
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> "Listed":
        """Raises ValueError, KeyError, TypeError."""
        role = document["role"]
        if role not in ("owner", "reader", "writer"):
            raise ValueError(f"a slot of the unknown role {role!r}")
        public, proved = document["public"], document["proved"]
        return cls(
            str(document["scope"]),
            str(document["kind"]),
            role,
            str(document["sum"]),
            None if public is None else from_b64(public),
            None if proved is None else from_time(proved),
            document["writer"],
        )


@dataclass(frozen=True, slots=True)
class Ring:
    """``slots`` by id; ``removed`` slot id → time; ``epochs`` scope → number in force; ``scopes`` tag → how it is erased; ``erased`` tag →
    time; ``revoked`` writer → time. ``labels`` (by slot id) and ``scope_names`` (by tag) are sealed: empty for who reads without a key.
    ``digest``: BLAKE3 of the object, hex.
    """

    generation: int
    previous: str = ""
    slots: Mapping[str, Listed] = field(default_factory=dict)
    removed: Mapping[str, str] = field(default_factory=dict)
    epochs: Mapping[str, int] = field(default_factory=dict)
    scopes: Mapping[str, str] = field(default_factory=dict)
    erased: Mapping[str, str] = field(default_factory=dict)
    revoked: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    scope_names: Mapping[str, str] = field(default_factory=dict)
    digest: str = ""

    def fields(self) -> dict[str, Any]:
        """The clear part."""
        return {
            "generation": self.generation,
            "previous": self.previous,
            "slots": {one: listed.to_json() for one, listed in self.slots.items()},
            "removed": dict(self.removed),
            "epochs": dict(self.epochs),
            "scopes": dict(self.scopes),
            "erased": dict(self.erased),
            "revoked": dict(self.revoked),
        }

    def hidden(self) -> dict[str, Any]:
        """The sealed part."""
        return {"labels": dict(self.labels), "scopes": dict(self.scope_names)}

    def in_scope(self, scope: str) -> dict[str, Listed]:
        return {one: listed for one, listed in self.slots.items() if listed.scope == scope}

    def refusal(self, name: str, data: bytes) -> str | None:
        """Why an object below ``keys/slots/`` or ``keys/scopes/`` must not be copied, healed or believed; None for one in force.

        A sentence without a key's help: whoever copies or heals asks here.
        """
        slot_id = name.rsplit("/", 1)[1]
        if slot_id in self.removed:
            return f"it is the key slot {slot_id}, which was removed at {self.removed[slot_id]}"
        listed = self.slots.get(slot_id)
        if listed is None or names.slot(slot_id, listed.scope) != name:
            return f"the keyring (generation {self.generation}) lists no key slot {slot_id}"
        if blake3.blake3(data).hexdigest() != listed.sum:
            return f"it is not the key slot {slot_id} that the keyring lists"
        return None

    def is_out(self, name: str) -> bool:
        """Whether an object below ``keys/`` was taken out of force: it is to go, and no lock of it is made longer."""
        last = name.rsplit("/", 1)[1]
        if name.startswith((names.SLOTS, names.SCOPED)):
            return last in self.removed or (name.startswith(names.SCOPED) and name.split("/")[2] in self.erased)
        if name.startswith(names.SHREDS):
            return last in self.erased
        return name.startswith(names.EPOCHS) and name.split("/")[2] in self.erased

    def with_labels(self, plain: bytes) -> "Ring":
        """With what was sealed. Raises ObjectDamaged."""
        try:
            document = from_json(plain)
            return replace(self, labels=dict(document["labels"]), scope_names=dict(document["scopes"]))
        except (ValueError, KeyError, TypeError) as error:
            raise ObjectDamaged(f"The keyring of generation {self.generation} is signed but cannot be read: {error}") from None


def parse(name: str, data: bytes, vault: bytes, root_public: bytes) -> Ring:
    """A keyring that the root signed. Raises ObjectDamaged, NotBelieved."""
    parsed = envelope.parse(name, data)
    if parsed.kind != "ring" or parsed.writer != "root" or not envelope.verify(parsed, vault, root_public):
        raise NotBelieved(f"{name} is not signed by this vault's root.", hint="Run 'holdfast vault check'.", object=name)
    clear = parsed.clear
    try:
        ring = Ring(
            int(clear["generation"]),
            str(clear["previous"]),
            {str(one): Listed.from_json(listed) for one, listed in clear["slots"].items()},
            _texts(clear["removed"]),
            {str(scope): int(number) for scope, number in clear["epochs"].items()},
            _texts(clear["scopes"]),
            _texts(clear["erased"]),
            _texts(clear["revoked"]),
            digest=blake3.blake3(data).hexdigest(),
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ObjectDamaged(f"{name} is signed but is no keyring: {error}", object=name) from None
    if names.ring(ring.generation) != name or SCOPE not in ring.epochs:
        raise ObjectDamaged(f"{name} is signed but is another keyring than its name says.", object=name)
    return ring


def _texts(document: Any) -> dict[str, str]:
    return {str(key): str(value) for key, value in document.items()}


@dataclass(frozen=True, slots=True)
class Found:
    """``ring``: the newest believed one of any location, None in a vault that has none yet; ``data``: its bytes. ``at``: the generation
    that each location (by address) holds, 0 for none. ``wrong``: names of objects that are no keyring, with a sentence.
    """

    ring: Ring | None
    data: bytes
    at: Mapping[str, int]
    wrong: Mapping[str, str]


def newest(storages: Iterable[Storage], vault: bytes, root_public: bytes) -> Found:
    """Over all ``storages`` that answer; needs no key. An object that nobody's root signed hides nothing: the next lower name is looked at.

    Raises KeyringForked when two locations hold different signed keyrings of one generation, and the last location's Unreachable when none
    answers.
    """
    best: tuple[Ring, bytes] | None = None
    at: dict[str, int] = {}
    wrong: dict[str, str] = {}
    silent: Unreachable | None = None
    for storage in storages:
        try:
            found, told = _newest_of(storage, vault, root_public, best)
        except Unreachable as error:
            silent = error
            continue
        wrong |= told
        at[storage.url] = 0 if found is None else found[0].generation
        if found is None:
            continue
        if best is not None and best[0].generation == found[0].generation and best[0].digest != found[0].digest:
            raise KeyringForked(
                f"Two locations hold different keyrings of generation {found[0].generation}: the keys were changed in both, apart.",
                hint="Name the location that counts first and alone, change a key there, then copy it to the other.",
                generation=found[0].generation,
            )
        if best is None or found[0].generation > best[0].generation:
            best = found
    if not at and silent is not None:
        raise silent
    return Found(None if best is None else best[0], b"" if best is None else best[1], at, wrong)


def _newest_of(
    storage: Storage, vault: bytes, root_public: bytes, known: tuple[Ring, bytes] | None
) -> tuple[tuple[Ring, bytes] | None, dict[str, str]]:
    wrong: dict[str, str] = {}
    for info in reversed(list(storage.list(names.RINGS))):
        try:
            data = storage.get(info.name)
            if known is not None and data == known[1]:
                return known, wrong
            return (parse(info.name, data, vault, root_public), data), wrong
        except ObjectMissing:
            continue
        except Damaged as error:
            wrong[info.name] = error.message
    return None, wrong


class RingMemory:
    """The highest generation that this machine has seen of one vault, in its cache: nothing secret, and losing it loses only this watch."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "keyring.json"

    def known(self) -> tuple[int, str]:
        """(generation, digest); (0, "") for none."""
        try:
            document = json.loads(self._path.read_bytes())
            return int(document["generation"]), str(document["digest"])
        except (OSError, ValueError, KeyError, TypeError):
            return 0, ""

    def opened_last(self) -> str:
        """The id of the slot that opened last time, to be tried first; "" for none."""
        try:
            return self._path.with_name("slot").read_text(encoding="ascii", errors="replace").strip()
        except OSError:
            return ""

    def opened(self, slot_id: str) -> None:
        if slot_id != self.opened_last():
            with contextlib.suppress(OSError):
                self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
                self._path.with_name("slot").write_text(slot_id)

    def compare(self, ring: Ring | None) -> KeyringRolledBack | None:
        """What is wrong with ``ring`` as the newest one, None for nothing; a newer one is remembered."""
        generation, digest = self.known()
        held = 0 if ring is None else ring.generation
        if held < generation or (ring is not None and held == generation and digest != ring.digest):
            return KeyringRolledBack(
                f"The newest keyring in the vault's locations has generation {held}; this machine has seen generation {generation}"
                f"{' with another content' if held == generation else ''}. Slots that were removed, and epochs that were replaced, could be"
                " in force again.",
                hint="If a location was set back on purpose, heal it from another one ('holdfast vault copy'), or look at 'holdfast vault"
                " key list' and declare it right with 'holdfast vault key accept'. Otherwise somebody wrote into it. Restoring works.",
                generation=held,
                known=generation,
            )
        if ring is not None and held > generation:
            self.remember(ring)
        return None

    def remember(self, ring: Ring) -> None:
        """Never raises: without a place to remember in, only this watch is missing."""
        temporary = self._path.with_name(f"keyring.{os.getpid()}")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            temporary.write_text(json.dumps({"generation": ring.generation, "digest": ring.digest}))
            temporary.replace(self._path)
        except OSError:
            return


def slot_names(ring: Ring) -> Sequence[str]:
    """The objects of all slots in force."""
    return [names.slot(one, listed.scope) for one, listed in ring.slots.items()]
