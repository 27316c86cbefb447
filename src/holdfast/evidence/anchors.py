"""Anchors: the head of this host's chain, signed, where it cannot be taken back.

An anchor says that entry ``n`` of a chain had a certain hash at a certain time, names the anchor before it, and cites the newest anchors of
the other hosts. It goes into every location as ``anchors/<chain>/<n>``; where the location locks, nobody removes it before its time, and
where the plan names an authority it carries an RFC 3161 time stamp. So whoever holds the host's key can write a journal anew, but not one
that fits the anchors that others hold.
"""

import base64
import contextlib
import datetime as dt
import hashlib
import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol

from holdfast.errors import Damaged, HoldfastError
from holdfast.evidence.signing import ANCHOR, Signer
from holdfast.evidence.verifier import signed
from holdfast.journal import Journal, boot, canonical
from holdfast.model import Clock

Stamp = Callable[[bytes], bytes]
"""An authority's answer for a message."""


class Holds(Protocol):
    """What is asked of a location (``vault.records.proofs.Proofs``)."""

    def put_host(self, key: str, document: Mapping[str, Any]) -> bool: ...

    def put_anchor(self, chain: str, n: int, document: Mapping[str, Any]) -> bool: ...

    def put_evidence(self, chain: str, number: int, data: bytes) -> None: ...

    def newest_anchors(self) -> dict[str, int]: ...

    def anchor(self, chain: str, n: int) -> Any: ...


@dataclass(frozen=True, slots=True)
class Place:
    """A location. ``locked``: until when the object of a name is locked, None for not at all."""

    url: str
    holds: Holds
    locked: Callable[[str], dt.datetime | None] = lambda _: None


@dataclass(frozen=True, slots=True)
class Anchor:
    """``document`` and ``signature`` as stored; ``stamps``: ``{"authority", "response"}``; ``locations``: ``{"url", "locked_until"}``."""

    document: Mapping[str, Any]
    signature: str
    stamps: Sequence[Mapping[str, str]] = ()
    locations: Sequence[Mapping[str, Any]] = field(default=())

    @property
    def n(self) -> int:
        return int(self.document["n"])

    @property
    def chain(self) -> str:
        return str(self.document["chain"])

    @property
    def at(self) -> dt.datetime:
        return dt.datetime.fromisoformat(self.document["at"])

    def stored(self) -> dict[str, Any]:
        """As it lies in a location."""
        return {"anchor": self.document, "signature": self.signature, "stamps": list(self.stamps)}

    def to_json(self) -> dict[str, Any]:
        """As it stands in a report."""
        return {
            "document": self.document,
            "signature": self.signature,
            "stamps": list(self.stamps),
            "locations": [dict(one) for one in self.locations],
        }


class Anchors:
    """Of one host in one vault. ``stamps``: authorities by address. ``told`` hears of what did not work: an anchor never fails what it is
    about.
    """

    def __init__(
        self,
        journal: Journal,
        signer: Signer,
        places: Sequence[Place],
        clock: Clock,
        *,
        stamps: Mapping[str, Stamp],
        told: Callable[[str], None],
    ) -> None:
        self._journal, self._signer, self._places, self._clock = journal, signer, places, clock
        self._stamps, self._told = stamps, told
        self._path = journal.folder / f"anchors.{signer.vault}.json"

    def newest(self) -> Anchor | None:
        """The last one that this host made, as it remembers."""
        kept = self._kept().get("anchor")
        return Anchor(**kept) if kept else None

    def anchor(self) -> Anchor | None:
        """Anchor the head as it is now; the last anchor where nothing was recorded since and every location has it.

        None without a journal.
        """
        head = self._journal.head()
        if head is None:
            return None
        chain, n, digest = head
        last = self.newest()
        if (
            last is not None
            and (last.chain, last.n, last.document["hash"]) == (chain, n, digest)
            and {one["url"] for one in last.locations} >= {p.url for p in self._places}
        ):
            return last
        kept = self._kept()
        cites = self._cites(chain, kept)
        made = self._make(chain, n, digest, last, cites)
        made = self._put(made)
        seen = {**kept.get("seen", {}), **{one["chain"]: one["n"] for one in cites}}
        self._keep({"anchor": asdict(made), "seen": seen, "certified": self._kept().get("certified", [])})
        return made

    def _make(self, chain: str, n: int, digest: str, last: Anchor | None, cites: list[dict[str, Any]]) -> Anchor:
        key = self._signer.key
        document = {
            "format": ANCHOR,
            "vault": self._signer.vault,
            "chain": chain,
            "host": key.id,
            "n": n,
            "hash": digest,
            "at": self._clock.now().astimezone(dt.UTC).isoformat(timespec="microseconds"),
            "clock": {"boot": boot(), "mono": round(self._clock.monotonic(), 6)},
            "previous": None if last is None else hashlib.sha256(canonical(last.document)).hexdigest(),
            "cites": cites,
        }
        return Anchor(document, key.sign(ANCHOR, document), self._stamped(canonical(document)))

    def _stamped(self, message: bytes) -> list[dict[str, str]]:
        found = []
        for url, ask in self._stamps.items():
            try:
                found.append({"authority": url, "response": base64.b64encode(ask(message)).decode("ascii")})
            except HoldfastError as error:
                self._told(error.message)
        return found

    def _put(self, made: Anchor) -> Anchor:
        """Into every location. Where another process anchored the same entry first, its anchor is the one that counts."""
        locations: list[dict[str, Any]] = []
        for place in self._places:
            try:
                self._certify(place)
                if not place.holds.put_anchor(made.chain, made.n, made.stored()):
                    made = self._theirs(place, made) or made
                until = place.locked(f"anchors/{made.chain}/{made.n:016x}")
                locations.append({"url": place.url, "locked_until": until.isoformat() if until else None})
            except HoldfastError as error:
                self._told(f"The journal was not anchored in {place.url}: {error.message}")
        return Anchor(made.document, made.signature, made.stamps, locations)

    def _theirs(self, place: Place, made: Anchor) -> Anchor | None:
        """Raises ForeignAnchor when the location's anchor of that entry is of another journal."""
        found = place.holds.anchor(made.chain, made.n)
        if not isinstance(found, dict) or not isinstance(found.get("anchor"), dict) or found["anchor"].get("hash") != made.document["hash"]:
            raise ForeignAnchor(
                f"The entry {made.n} of the journal {made.chain} is anchored in {place.url} with another hash: this journal was written"
                " anew, or set back.",
                hint="Compare: holdfast log, and journal/ in the vault's locations.",
                chain=made.chain,
                entry=made.n,
            )
        if not signed(self._signer.key.public, found["signature"], ANCHOR, found["anchor"]):
            return None
        return Anchor(found["anchor"], found["signature"], found["stamps"])

    def _certify(self, place: Place) -> None:
        """The host's key, with who vouches for it, before anything that it signed."""
        certificate = self._signer.certificate
        mark = f"{place.url} {self._signer.key.id}/{certificate['host']['writer']}" if certificate else ""
        kept = self._kept()
        if certificate is None or mark in kept.get("certified", []):
            return
        place.holds.put_host(f"{self._signer.key.id}/{certificate['host']['writer']}", certificate)
        self._keep({**kept, "certified": [*kept.get("certified", []), mark]})

    def _cites(self, own: str, kept: Mapping[str, Any]) -> list[dict[str, Any]]:
        """The newest anchors of other hosts that were not cited yet, from the first location that answers."""
        seen: Mapping[str, int] = kept.get("seen", {})
        for place in self._places:
            try:
                found: list[dict[str, Any]] = []
                for chain, n in sorted(place.holds.newest_anchors().items()):
                    if chain == own or seen.get(chain) == n:
                        continue
                    if n < seen.get(chain, -1):
                        self._told(f"The journal {chain} was anchored at entry {seen[chain]}, and {place.url} holds no anchor behind {n}.")
                        continue
                    other = place.holds.anchor(chain, n)
                    if isinstance(other, dict) and isinstance(other.get("anchor"), dict) and other["anchor"].get("chain") == chain:
                        body = other["anchor"]
                        digest = hashlib.sha256(canonical(body)).hexdigest()
                        found.append({"chain": chain, "n": n, "hash": body.get("hash"), "sha256": digest})
            except HoldfastError:
                continue
            return found
        return []

    def _kept(self) -> dict[str, Any]:
        with contextlib.suppress(OSError, ValueError):
            found = json.loads(self._path.read_text(encoding="utf-8"))
            if isinstance(found, dict):
                return found
        return {}

    def _keep(self, document: Mapping[str, Any]) -> None:
        """Losing it costs a certificate put again and citations made again, no more."""
        temporary = self._path.with_name(f".{self._path.name}.{os.getpid()}")
        with contextlib.suppress(OSError):
            temporary.write_text(json.dumps(document, sort_keys=True), encoding="utf-8")
            temporary.replace(self._path)


class ForeignAnchor(Damaged):
    """A location holds an anchor that this host's journal does not fit."""

    code = "journal-not-anchored"
