"""What a restore of a bucket would do: data, made before anything is written."""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from holdfast.connect.objects import Listed, Objects, StoreDenied
from holdfast.connect.objects.errors import KeyImpossible, shown
from holdfast.model import RecoveryPoint
from holdfast.systems.bucket.entries import name_of, unchanged
from holdfast.systems.bucket.errors import BucketUsage, NotVersioned, PrefixTaken
from holdfast.systems.bucket.merge import pairs
from holdfast.systems.bucket.restore.select import Renaming, Selection, listing
from holdfast.systems.bucket.restore.target import choose
from holdfast.systems.bucket.settings import BucketSettings
from holdfast.systems.bucket.watch import versioned
from holdfast.systems.contract import History, Obstacle, PointReader, RestorePlan, RestoreRequest, StoredLine

_KNOWN = frozenset({"paths", "delta", "in_place", "remove_extra", "purpose", "clocks", "address"})


_LONGEST = 1024
"""Bytes of a key in S3 and in Google's store."""


@dataclass(frozen=True, slots=True)
class Detail:
    """``address`` of the target. ``mode``: new, delta, in-place. ``remove``: what the point does not hold is removed."""

    address: str
    selection: Selection
    names: Renaming
    mode: str
    remove: bool


@dataclass(slots=True)
class Counts:
    """What a comparison found. ``size``: bytes of everything wanted, ``write`` of what would be written."""

    objects: int = 0
    size: int = 0
    new: int = 0
    changed: int = 0
    write: int = 0
    extra: int = 0


def make(name: str, settings: BucketSettings, history: History, request: RestoreRequest) -> RestorePlan:
    """Look and decide; nothing is written. Raises NoBucketPoint, BucketUsage, and the store's errors."""
    options = request.options
    mode, remove = _mode(options)
    chosen = choose(name, history.points(), request.until)
    point = chosen.point
    address = str(options.get("address") or f"file://{request.into.absolute()}")
    if mode == "in-place" and address.startswith("file://"):
        raise BucketUsage("--in-place needs a bucket that keeps versions.", hint="Use --delta, or a new folder.")
    selection = Selection.of(tuple(options.get("paths") or ()), point, chosen.as_of)
    source = str(point.facts.get("url") or settings.url)
    detail = Detail(address, selection, Renaming.between(source, address), mode, remove)
    probing = options.get("purpose") is not None or str(request.into).startswith("/nonexistent/")
    reader = history.open(point.id)
    counts, obstacles, warnings = Counts(), [], _warnings(point)
    if probing:
        counts.size, counts.objects = int(point.facts.get("bytes", 0)), int(point.facts.get("objects", 0))
    else:
        store = settings.open(address)
        try:
            if mode == "new":
                counts = _count(reader, detail, point)
                obstacles += _taken(store, detail)
            else:
                counts = compare(reader, store, detail)
                more, said = _overwritten(store, detail, counts)
                obstacles += more
                warnings += said
        finally:
            store.close()
        _found(counts, selection, point)
    free = _free(address)
    if free is not None and counts.write > free:
        message = f"{address} has room for {free >> 20} MiB, and {counts.write >> 20} MiB are needed."
        obstacles.append(Obstacle(PrefixTaken.code, message, "Make room, or choose another place."))
    return RestorePlan(
        system=name,
        kind="bucket",
        point=point,
        until=chosen.words,
        place={"point": point.id, "time": chosen.as_of.isoformat() if chosen.as_of else point.stop.get("time")},
        into=request.into,
        mode=mode,
        bytes=counts.write if mode != "new" else counts.size,
        log_bytes=0,
        needed=counts.write,
        free=free,
        steps=tuple(_steps(detail, counts)),
        obstacles=tuple(obstacles),
        warnings=tuple(warnings),
        options=dict(options),
        detail=detail,
        address=address if options.get("address") else "",
    )


def _mode(options: Mapping[str, Any]) -> tuple[str, bool]:
    wrong = sorted(key for key, value in options.items() if key not in _KNOWN and value not in (None, False, [], ""))
    if wrong:
        raise BucketUsage(f"--{wrong[0].replace('_', '-')} does not go with a bucket.", hint="See: holdfast restore --help")
    delta, in_place = bool(options.get("delta")), bool(options.get("in_place"))
    if delta and in_place:
        raise BucketUsage(
            "--delta and --in-place do not go together.", hint="Both write only what differs; --in-place demands that versions are kept."
        )
    if options.get("remove_extra") and not delta:
        raise BucketUsage("--remove-extra goes with --delta.", hint="--in-place removes what the point does not hold by itself.")
    return ("delta" if delta else "in-place" if in_place else "new"), in_place or bool(options.get("remove_extra"))


def compare(reader: PointReader, store: Objects, detail: Detail) -> Counts:
    """The target's listing held against the point."""
    found = Counts()
    for line, listed in sides(reader, store, detail):
        if line is None:
            found.extra += 1
            continue
        found.objects += 1
        found.size += line.size
        if listed is None:
            found.new += 1
            found.write += line.size
        elif surely_same(line, listed) or maybe_same(line, listed):
            continue
        else:
            found.changed += 1
            found.write += line.size
    return found


def sides(reader: PointReader, store: Objects, detail: Detail) -> Iterator[tuple[StoredLine | None, Listed | None]]:
    """What the point holds (of what is wanted) and what stands in the target (where it is wanted), key by key."""
    names, selection = detail.names, detail.selection
    return pairs(selection.lines(reader), listing(store, selection, names), names.key)


def surely_same(line: StoredLine, listed: Listed) -> bool:
    """The very object that was captured, untouched since."""
    return unchanged(line, listed._replace(version=str(line.extra.get("v", ""))))


def maybe_same(line: StoredLine, listed: Listed) -> bool:
    """The same content by its ETag: headers, metadata and tags may differ. In a folder: the same size and time."""
    etag = str(line.extra.get("e", ""))
    if listed.etag and etag == listed.etag:
        return line.size == listed.size
    return "-" in listed.etag and len(listed.etag) < 32 and line.size == listed.size and line.mtime_ns == listed.modified_ns


def _count(reader: PointReader, detail: Detail, point: RecoveryPoint) -> Counts:
    """Raises KeyImpossible."""
    selection, names = detail.selection, detail.names
    longer = detail.address.startswith(("s3://", "gs://")) and len(names.target.encode()) > len(names.source.encode())
    if not longer and not selection.paths and selection.as_of is None and point.facts.get("versions") != "all":
        size, objects = int(point.facts.get("bytes", 0)), int(point.facts.get("objects", 0))
        return Counts(objects, size, objects, 0, size)
    found = Counts()
    for line in selection.lines(reader):
        key = names.key(name_of(line.path).key)
        if longer and len(key.encode("utf-8", "surrogatepass")) > _LONGEST:
            raise KeyImpossible(
                f"The key {shown(key)[:80]}… would have more than {_LONGEST} bytes.",
                hint="Restore it below a shorter prefix, or leave it out (--path).",
            )
        found.objects += 1
        found.size += line.size
    found.new, found.write = found.objects, found.size
    return found


def _found(counts: Counts, selection: Selection, point: RecoveryPoint) -> None:
    if selection.paths and not counts.objects:
        raise BucketUsage(
            f"The point {point.id[:14]} holds no object {', '.join(selection.paths)}.",
            hint=f"See what is there: holdfast ls {point.id[:14]}",
        )


def _taken(store: Objects, detail: Detail) -> list[Obstacle]:
    names, selection = detail.names, detail.selection
    if detail.address.startswith("file://") and not Path(detail.address.removeprefix("file://")).exists():
        return []
    listed = next(listing(store, selection, names), None)
    if listed is None:
        return []
    message = f"{detail.address} holds objects already, {listed.key!r} for example."
    hint = "Name an empty prefix, or say --delta to write what differs, or --in-place where versions are kept."
    return [Obstacle(PrefixTaken.code, message, hint)]


def _overwritten(store: Objects, detail: Detail, counts: Counts) -> tuple[list[Obstacle], list[str]]:
    try:
        kept = versioned(store)
    except StoreDenied:
        kept = False
    lost = counts.changed + (counts.extra if detail.remove else 0)
    if kept or not lost:
        return [], []
    message = f"{store.url} keeps no versions (or does not tell): {lost} objects would be overwritten or removed for good."
    if detail.mode == "in-place":
        return [Obstacle(NotVersioned.code, message, "Turn versioning on, or say --delta to do it anyway, or restore elsewhere.")], []
    return [], [message]


def _steps(detail: Detail, counts: Counts) -> list[str]:
    if detail.mode == "new":
        return [f"write {counts.objects} objects ({counts.size} bytes) to {detail.address}", "list what is there then, and compare"]
    found = [
        f"compare {detail.address} with the point: {counts.objects - counts.new - counts.changed} of {counts.objects} objects are there",
        f"write {counts.new} that are missing and {counts.changed} that differ ({counts.write} bytes)",
    ]
    if detail.remove:
        found.append(f"remove {counts.extra} that the point does not hold")
    elif counts.extra:
        found.append(f"leave {counts.extra} that the point does not hold")
    return [*found, "list what is there then, and compare"]


def _warnings(point: RecoveryPoint) -> list[str]:
    incomplete = point.facts.get("incomplete", 0)
    if not incomplete:
        return []
    return [f"The point is incomplete: {incomplete} objects could not be read when it was taken (holdfast show {point.id[:14]})."]


def _free(address: str) -> int | None:
    if not address.startswith("file://"):
        return None
    into = Path(address.removeprefix("file://"))
    try:
        found = os.statvfs(next(one for one in (into, *into.parents) if one.exists()))
    except (OSError, StopIteration):
        return None
    return found.f_bavail * found.f_frsize
