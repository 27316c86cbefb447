"""Whom a location that keeps versions believes: known by signatures and hashes alone, so that no key of the vault is needed."""

import contextlib
import threading
from collections.abc import Iterable

from holdfast.storage.contract import Storage, versions_of
from holdfast.vault.lock.policy import term


def attach(storages: Iterable[Storage]) -> None:
    """Tell each storage that keeps versions what to believe and how long to lock. May be done many times; the first counts."""
    for storage in storages:
        layer = versions_of(storage)
        if layer is not None:
            layer.attach(Believed(storage), term)


class Believed:
    """Of several versions, which one may stand under a name: packs by the hash in the name, the rest by the root's signatures.

    The root is that of the oldest ``config`` which signs itself: nobody puts one before it. What carries no signature (the specification)
    counts as it was first put.
    """

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._lock = threading.Lock()
        self._root: tuple[bytes, bytes] | None = None
        self._writers: dict[str, bytes] = {}

    def __call__(self, name: str, data: bytes) -> bool:
        from holdfast.errors import Damaged, Refused

        with contextlib.suppress(Damaged, Refused, ValueError, KeyError):
            return self._holds(name, data)
        return False

    def _holds(self, name: str, data: bytes) -> bool:
        import blake3

        from holdfast.vault.format import names

        parsed = names.parse_pack(name)
        if parsed is not None:
            return blake3.blake3(data).digest() == parsed[1]
        if name == names.CONFIG:
            self_signed(data)
            return True
        if name.startswith((names.SLOTS, names.SCOPED)):
            from holdfast.vault.keys import slots

            return slots.parse(name.rsplit("/", 1)[-1], data).vault == self._trusted()[0]
        if "/" not in name or name.startswith("probe/"):
            return True
        return self._signed(name, data)

    def _signed(self, name: str, data: bytes) -> bool:
        from holdfast.vault.format import envelope, names
        from holdfast.vault.keys.notary import ROOT_KINDS

        parsed = envelope.parse(name, data)
        vault, root = self._trusted()
        if (parsed.writer == "root") != (parsed.kind in ROOT_KINDS):
            return False
        coming = names.parse_coming(name)
        if coming is not None:
            # A staged point is the point's own bytes, signed under the name that it will have.
            return parsed.kind == "point" and self._signed(names.point(coming), data)
        if name.startswith(names.POINTS) and (parsed.kind == "drop") != name.endswith(names.DROPPED):
            return False
        return envelope.verify(parsed, vault, root if parsed.writer == "root" else self._writer(parsed.writer))

    def _trusted(self) -> tuple[bytes, bytes]:
        with self._lock:
            if self._root is not None:
                return self._root
        from holdfast.vault.format import names

        found = self_signed(self._storage.get(names.CONFIG))
        with self._lock:
            self._root = found
        return found

    def _writer(self, writer: str) -> bytes:
        from holdfast.vault.format import envelope, names
        from holdfast.vault.format.text import from_b64
        from holdfast.vault.keys import writer_id

        with self._lock:
            known = self._writers.get(writer)
        if known is None:
            name = names.writer(writer)
            parsed = envelope.parse(name, self._storage.get(name))
            known = from_b64(str(parsed.clear.get("sign_public", "")))
            if writer_id(known) != writer or not envelope.verify(parsed, *self._trusted()):
                raise ValueError("the root does not vouch for this writer")
            with self._lock:
                self._writers[writer] = known
        return known


def self_signed(data: bytes) -> tuple[bytes, bytes]:
    """(vault's id, root's public key) of a ``config`` that its own root signed; ValueError for any other, Damaged for what is none."""
    from holdfast.vault.format import config, envelope
    from holdfast.vault.format.text import from_b64

    parsed = config.parse(data)
    vault, root = bytes.fromhex(str(parsed.clear["vault"])), from_b64(str(parsed.clear["root_public"]))
    if not envelope.verify(parsed, vault, root):
        raise ValueError("config is not signed by the root that it names")
    return vault, root
