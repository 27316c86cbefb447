"""Recovery points as stored, and the local cache that makes listing thousands of them quick."""

import contextlib
import difflib
import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from holdfast.errors import Damaged, Unreachable
from holdfast.model import RecoveryPoint
from holdfast.storage.contract import ObjectMissing, Storage
from holdfast.vault import lock
from holdfast.vault.errors import NotBelieved, ObjectDamaged, PointAmbiguous, PointUnknown
from holdfast.vault.format import crypto, names
from holdfast.vault.format.envelope import Envelope
from holdfast.vault.format.text import from_json, to_json
from holdfast.vault.keys.notary import Notary
from holdfast.vault.locations import Locations

_LEAST = 4
_BATCH = 1024
Found = TypeVar("Found", Envelope, Envelope | None)


def encode(point: RecoveryPoint, tree: Sequence[Mapping[str, Any]], thin: Sequence[Sequence[str | int]] = ()) -> bytes:
    """The sealed body of a point."""
    return to_json(point.model_dump(mode="json") | {"tree": list(tree)} | ({"thin": list(thin)} if thin else {}))


def decode(name: str, plain: bytes) -> tuple[RecoveryPoint, list[dict[str, Any]]]:
    """(the point, its tree's segments); raises ObjectDamaged."""
    try:
        document = from_json(plain)
        tree = document.pop("tree")
        return RecoveryPoint.model_validate(document), tree
    except (ValueError, KeyError, TypeError, AttributeError, ValidationError) as error:
        raise ObjectDamaged(f"{name} is signed but is no recovery point: {error}", object=name) from None


def read(locations: Locations, notary: Notary, name: str) -> tuple[Envelope, RecoveryPoint | None, list[dict[str, Any]]]:
    """From the first location with a sound copy; the point is None for an abort. Raises Damaged, RoleLacking, Unreachable."""

    def accept(data: bytes) -> tuple[Envelope, RecoveryPoint | None, list[dict[str, Any]]]:
        checked = notary.check(name, data)
        return checked, *_body(notary, name, checked)

    return _rather_a_point(locations, name, accept)


def _rather_a_point(
    locations: Locations, name: str, accept: Callable[[bytes], tuple[Found, RecoveryPoint | None, list[dict[str, Any]]]]
) -> tuple[Found, RecoveryPoint | None, list[dict[str, Any]]]:
    """A session that came too late for one location is aborted there; where another one holds its point, that is what counts."""
    found = locations.read(name, accept)
    if found[0] is not None and found[0].kind == "abort" and len(locations.storages) > 1:
        for storage in locations.storages:
            with contextlib.suppress(Damaged, Unreachable):
                other = accept(storage.get(name))
                if other[1] is not None:
                    return other
    return found


def _body(notary: Notary, name: str, checked: Envelope) -> tuple[RecoveryPoint | None, list[dict[str, Any]]]:
    """What an envelope under a point's name says; a sealed part that tells another story than the signed name around it is not believed."""
    if checked.kind == "abort":
        return None, []
    if checked.kind != "point":
        raise ObjectDamaged(f"{name} holds a {checked.kind!r}.", object=name)
    point, tree = decode(name, notary.open(checked))
    if names.point(point.id) != name or point.writer != checked.writer or notary.tag("system", point.system) != checked.clear.get("system"):
        raise NotBelieved(
            f"{name} is signed by the writer {checked.writer}, but says that it is the point {point.id} of {point.system!r} by"
            f" {point.writer}.",
            hint="Its writer's key was misused, or is broken: take that key out of service.",
            object=name,
        )
    return point, tree


def dropped(locations: Locations, notary: Notary, found: Iterable[str]) -> tuple[set[str], list[Damaged]]:
    """(ids of points that a prune is removing, records of it that are not believed) among the names ``found`` below ``points/``."""
    ids: set[str] = set()
    wrong: list[Damaged] = []
    for name in found:
        parsed = names.parse_point(name)
        if parsed is None or not parsed[1]:
            continue
        try:
            locations.read(name, lambda data, name=name: notary.check(name, data, "drop"))  # type: ignore[misc]
        except ObjectMissing:
            continue  # the prune came to its end: an abort has taken the point's name
        except Damaged as error:
            wrong.append(error)
        else:
            ids.add(parsed[0])
    return ids - lock.void_drops(locations.storages, ids), wrong


def places(locations: Locations) -> tuple[dict[str, set[str]], list[Unreachable]]:
    """(by point's id, the addresses of the locations that hold its object, and with it all of its packs; locations that did not answer).

    Aborted sessions are among them: look up only ids of points.
    """
    held: dict[str, set[str]] = {}
    silent: list[Unreachable] = []
    for storage in locations.storages:
        try:
            for info in storage.list(names.POINTS):
                parsed = names.parse_point(info.name)
                if parsed is not None and not parsed[1]:
                    held.setdefault(parsed[0], set()).add(storage.url)
        except Unreachable as error:
            silent.append(error)
    return held, silent


def lacking(locations: Locations, ids: Iterable[str]) -> dict[str, list[str]]:
    """By id of a point that is not in all locations: the addresses of those that do not hold it, or did not answer."""
    held, _ = places(locations)
    every = [storage.url for storage in locations.storages]
    missing = {one: [url for url in every if url not in held.get(one, ())] for one in ids}
    return {one: urls for one, urls in missing.items() if urls}


def _listed(locations: Locations) -> dict[str, set[int]]:
    """Names below ``points/``, sorted, and the sizes that the locations tell; Unreachable when none answers."""
    found: dict[str, set[int]] = {}
    silent: list[tuple[Storage, Unreachable]] = []
    for storage in locations.storages:
        try:
            for info in storage.list(names.POINTS):
                found.setdefault(info.name, set()).add(info.size)
        except Unreachable as error:
            silent.append((storage, error))
    if len(silent) == len(locations.storages):
        raise silent[0][1]
    for storage, why in silent:
        locations.blame(storage, names.POINTS, why)
    return dict(sorted(found.items()))


class PointCache:
    """Points already read, by object name, in one file sealed with a key that only holders of the identity key can derive.

    Losing the file costs time, nothing else. Points never change, so what was read once stays true until the object goes.
    """

    def __init__(self, folder: Path, notary: Notary) -> None:
        # What this file holds depends on the keys that were open: with more of them more can be read. And who lacks one of them (a scope's,
        # that was erased) must not read it here.
        held = crypto.digest_hex(b"".join(sorted(notary.privates())))[:16]
        self._path = folder / f"points-{notary.bundle.role}-{held}"
        self._key = crypto.hkdf(b"".join(key for _, key in sorted(notary.bundle.identity.items())), b"", b"holdfast cache points")
        self._random = notary.random
        self._ad = notary.vault
        # As text: a tenth of the memory of what it says.
        self._rows: dict[str, str | None] | None = None
        self._points: dict[str, RecoveryPoint | None] = {}

    def update(self, locations: Locations, notary: Notary) -> tuple[list[RecoveryPoint], list[Damaged]]:
        """(all points that this key can read, newest last; what is damaged). Reads only points that were not read before."""
        rows = self._load()
        # By name and sizes: a prune puts an abort where it removed a point, and it may have done so in one location only.
        listed = _listed(locations)
        going, damaged = dropped(locations, notary, listed)
        present = {
            " ".join((name, *map(str, sorted(sizes)))): name
            for name, sizes in listed.items()
            if (parsed := names.parse_point(name)) is not None and not parsed[1] and parsed[0] not in going
        }
        changed = False
        unread = [(key, name) for key, name in present.items() if key not in rows]
        for key, (point, error) in zip(
            (key for key, _ in unread), self._read(locations, notary, [name for _, name in unread]), strict=True
        ):
            if error is not None:
                if not isinstance(error, ObjectMissing):  # else a prune removed it since it was listed
                    damaged.append(error)
                continue
            if point is None and len(listed[present[key]]) > 1:
                continue  # an abort in one location, and a point in another that may not have answered now
            rows[key] = None if point is None else to_json(point.model_dump(mode="json")).decode()
            self._points[key] = point
            changed = True
        gone = rows.keys() - present.keys()
        for key in gone:
            del rows[key]
            self._points.pop(key, None)
        if changed or gone:
            self._save(rows)
        points = {point.id: point for key in present if key in rows and (point := self._point(key, rows[key])) is not None}
        return sorted(points.values(), key=lambda point: (point.committed_at, point.id)), damaged

    @staticmethod
    def _read(locations: Locations, notary: Notary, wanted: Sequence[str]) -> Iterator[tuple[RecoveryPoint | None, Damaged | None]]:
        """Several at a time: a new cache of a vault in an object store waits for each answer otherwise."""

        def read(name: str) -> tuple[RecoveryPoint | None, Damaged | None]:
            try:
                return read_if_ours(locations, notary, name)[1], None
            except Damaged as error:
                return None, error

        if len(wanted) < 3:
            yield from map(read, wanted)
            return
        with ThreadPoolExecutor(8, thread_name_prefix="holdfast-points") as pool:
            for at in range(0, len(wanted), _BATCH):
                yield from pool.map(read, wanted[at : at + _BATCH])

    def _point(self, name: str, row: str | None) -> RecoveryPoint | None:
        if name not in self._points:
            self._points[name] = None if row is None else RecoveryPoint.model_validate(from_json(row.encode()))
        return self._points[name]

    def _load(self) -> dict[str, str | None]:
        if self._rows is None:
            self._rows = {}
            with contextlib.suppress(OSError, ValueError, crypto.CannotOpen, AttributeError):
                data = self._path.read_bytes()
                found = dict(from_json(crypto.gcm_open(self._key, data[:12], data[12:], self._ad)))
                # Caches of before held the rows taken apart: they are read anew.
                self._rows = {key: row for key, row in found.items() if row is None or isinstance(row, str)}
        return self._rows

    def _save(self, rows: dict[str, str | None]) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        nonce = self._random(12)
        temporary = self._path.with_name(f"{self._path.name}.{secrets.token_hex(4)}")
        temporary.write_bytes(nonce + crypto.gcm_seal(self._key, nonce, to_json(rows), self._ad))
        temporary.replace(self._path)


def read_if_ours(locations: Locations, notary: Notary, name: str) -> tuple[Envelope | None, RecoveryPoint | None, list[dict[str, Any]]]:
    """Like ``read``; a point that this key may not open (another writer's, for a writer's key) counts as absent."""

    def accept(data: bytes) -> tuple[Envelope | None, RecoveryPoint | None, list[dict[str, Any]]]:
        checked = notary.check(name, data)
        if checked.kind == "point" and not notary.can_open(checked):
            return None, None, []
        return checked, *_body(notary, name, checked)

    return _rather_a_point(locations, name, accept)


def choose(points: Sequence[RecoveryPoint], wanted: str) -> RecoveryPoint:
    """The point that a user means; raises PointUnknown, PointAmbiguous."""
    text = wanted.strip()
    exact = [point for point in points if point.id == text]
    labelled = [point for point in points if point.label == text]
    if exact or labelled:
        return (exact or labelled)[-1]
    begins = [point for point in points if len(text) >= _LEAST and point.id.startswith(text.lower())]
    if len(begins) == 1:
        return begins[0]
    if begins:
        listed = ", ".join(point.id for point in begins[-5:])
        raise PointAmbiguous(f"{text!r} begins the ids of {len(begins)} recovery points.", hint=f"Give more digits: {listed}.")
    known = [point.id for point in points] + [point.label for point in points if point.label]
    near = difflib.get_close_matches(text, known, 3, 0.5) or [point.id for point in points[-3:]]
    raise PointUnknown(
        f"There is no recovery point {text!r}.", hint=f"Nearest: {', '.join(near)}." if near else "The vault holds no recovery points yet."
    )
