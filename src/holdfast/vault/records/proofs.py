"""What speaks for the journals in a location: keys of hosts, anchors of journals' heads, documents of evidence. Bytes only: the rooms above
make them and know what they say.
"""

import datetime as dt
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from holdfast.errors import Damaged
from holdfast.storage.contract import ObjectExists, Storage
from holdfast.vault.errors import ObjectDamaged, RoleLacking
from holdfast.vault.format import crypto, names
from holdfast.vault.format.text import from_json, to_b64, to_json
from holdfast.vault.keys.notary import Notary

Now = Callable[[], dt.datetime]
_NUMBER = 16


@dataclass(frozen=True, slots=True)
class Writer:
    """Who may vouch for a host in a vault: the writer's id, its certificate (an envelope by the root), the root's public key (32 bytes)."""

    id: str
    certificate: bytes
    root: bytes


class Proofs:
    """One location. ``now`` is the time that envelopes carry. Writing needs a key that writes."""

    def __init__(self, storage: Storage, notary: Notary, now: Now) -> None:
        self.storage = storage
        self._notary = notary
        self._now = now

    def put_host(self, key: str, document: Mapping[str, Any]) -> bool:
        """The certified key of a host under its id (16 hex digits); False when the location has one under that id."""
        return self._put(f"{names.HOSTS}{key}", "host", to_json(document))

    def put_anchor(self, chain: str, n: int, document: Mapping[str, Any]) -> bool:
        """The anchor of entry ``n`` of a chain; False when that entry is anchored here."""
        return self._put(f"{names.ANCHORS}{chain}/{n:016x}", "anchor", to_json(document))

    def put_evidence(self, chain: str, number: int, data: bytes) -> None:
        """A document of evidence. The same bytes again are fine; raises ObjectDamaged for other bytes under that number."""
        name = f"{names.EVIDENCE}{chain}/{number:016x}"
        if not self._put(name, "evidence", data) and self._get(name, "evidence") != data:
            raise ObjectDamaged(
                f"{self.storage.url} holds another document of evidence as {name}.",
                hint="The state folder was copied or set back. Neither document was changed.",
                object=name,
            )

    def hosts(self) -> dict[str, Any]:
        """The documents of all hosts' keys that are believed, by the key's id."""
        found: dict[str, Any] = {}
        for info in self.storage.list(names.HOSTS):
            document = self._document(info.name, "host")
            if document is not None:
                found[info.name[len(names.HOSTS) :]] = document
        return found

    def newest_anchors(self) -> dict[str, int]:
        """By chain the number of the newest entry that is anchored here, by the names alone."""
        found: dict[str, int] = {}
        for info in self.storage.list(names.ANCHORS):
            chain, _, number = info.name[len(names.ANCHORS) :].partition("/")
            if len(number) == _NUMBER:
                found[chain] = max(found.get(chain, -1), int(number, 16))
        return found

    def anchor(self, chain: str, n: int) -> Any:
        """One anchor; None when it is not sound or cannot be opened."""
        return self._document(f"{names.ANCHORS}{chain}/{n:016x}", "anchor")

    def anchors(self, chain: str = "") -> Iterator[tuple[str, int, Any]]:
        """(chain, number, document or None) of every anchor, of one chain when named; in order."""
        for info in self.storage.list(f"{names.ANCHORS}{chain}/" if chain else names.ANCHORS):
            tag, _, number = info.name[len(names.ANCHORS) :].partition("/")
            if len(number) == _NUMBER:
                yield tag, int(number, 16), self._document(info.name, "anchor")

    def evidence(self, chain: str = "") -> Iterator[tuple[str, int, bytes | None]]:
        """(chain, number, bytes) of every document here; None for one that is not sound or that this key cannot open."""
        for info in self.storage.list(f"{names.EVIDENCE}{chain}/" if chain else names.EVIDENCE):
            tag, _, number = info.name[len(names.EVIDENCE) :].partition("/")
            try:
                yield tag, int(number, 16), self._get(info.name, "evidence")
            except (Damaged, RoleLacking, ValueError):
                yield tag, -1, None

    def report(self, chain: str, number: int) -> bytes | None:
        """One document of evidence; None where there is none that is sound."""
        return self._sound(f"{names.EVIDENCE}{chain}/{number:016x}", "evidence")

    def line(self, chain: str, n: int) -> bytes | None:
        """The copy of one journal entry; None where there is none that is sound."""
        return self._sound(f"{names.JOURNAL}{chain}/{n:016x}", "journal")

    def _sound(self, name: str, kind: str) -> bytes | None:
        try:
            return self._get(name, kind)
        except Damaged:
            return None

    def _document(self, name: str, kind: str) -> Any:
        try:
            return from_json(self._get(name, kind))
        except (Damaged, RoleLacking, ValueError):
            return None

    def _get(self, name: str, kind: str) -> bytes:
        return self._notary.open(self._notary.check(name, self.storage.get(name), kind))

    def _put(self, name: str, kind: str, plain: bytes) -> bool:
        try:
            self.storage.put_if_absent(name, [self._notary.make(name, kind, self._now(), plain=plain)])
        except ObjectExists:
            return False
        return True


def writer_of(notary: Notary, fetch: Callable[[str, Callable[[bytes], bytes]], bytes]) -> Writer:
    """The writer as which this key signs, with what proves it. Raises RoleLacking, WriterRevoked, ObjectDamaged, Unreachable."""
    name = names.writer(notary.writer)

    def believed(data: bytes) -> bytes:
        notary.check(name, data, "writer")
        return data

    return Writer(notary.writer, fetch(name, believed), notary.bundle.root_public)


def vouch(notary: Notary, message: bytes) -> str:
    """Ed25519 signature (hex) by the writer's key, for messages that no envelope could be taken for: they begin with ``holdfast host``."""
    if not message.startswith(b"holdfast host 1\0"):
        raise ValueError("the writer's key signs envelopes and keys of hosts, nothing else")
    assert notary.writer
    assert notary.bundle.writer is not None
    return crypto.sign(notary.bundle.writer.sign, message).hex()


def encoded(writer: Writer) -> dict[str, str]:
    """JSON-ready."""
    return {"id": writer.id, "certificate": to_b64(writer.certificate), "root": writer.root.hex()}
