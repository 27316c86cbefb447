"""What a restore of files would do: data, made before anything is written."""

import os
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from holdfast.model import RecoveryPoint, counted
from holdfast.systems.contract import History, Obstacle, PointReader, RestorePlan, RestoreRequest
from holdfast.systems.files.errors import EntryUnknown, TargetMissing, TargetTaken, TargetTooSmall
from holdfast.systems.files.restore.left_out import LeftOut
from holdfast.systems.files.restore.removing import mount_in_the_way, mounts_below
from holdfast.systems.files.restore.select import Selection
from holdfast.systems.files.restore.target import choose
from holdfast.systems.files.settings import ROOT, FilesSettings, inside, outside

_KNOWN = frozenset({"paths", "delta", "in_place", "remove_extra", "owner_names", "purpose", "clocks"})
_BLOCK = 4096
_ANOTHER = "Heal the vault (holdfast vault check --read all --heal), or name another point with --to."


@dataclass(frozen=True, slots=True)
class Detail:
    """``units``: the tops (in the point) that are restored, each with its own check of what stands there. ``parts``: other top folders."""

    selection: Selection
    units: tuple[str, ...]
    parts: tuple[str, ...]
    files: int
    left_out: LeftOut = field(default_factory=LeftOut)


def make(
    name: str, settings: FilesSettings, kind: str, history: History, request: RestoreRequest, parts: Sequence[str] = ()
) -> RestorePlan:
    """Look and decide; nothing is written. Raises NoPoint, TargetMissing, PatternWrong."""
    options = request.options
    wrong = sorted(key for key, value in options.items() if key not in _KNOWN and value not in (None, False, [], ""))
    if wrong:
        raise TargetMissing(f"--{wrong[0].replace('_', '-')} does not go with files.", hint="See: holdfast restore --help")
    delta, in_place = bool(options.get("delta")), bool(options.get("in_place"))
    if delta and in_place:
        raise TargetMissing("--delta and --in-place do not go together.", hint="--delta repairs what is there, --in-place moves it aside.")
    if options.get("remove_extra") and not delta:
        raise TargetMissing("--remove-extra goes with --delta.", hint="A new folder holds nothing extra.")
    point, words = choose(name, history.points(), request.until)
    selection = Selection.of(tuple(options.get("paths") or ()))
    if selection.globs and in_place:
        raise TargetMissing("--in-place needs plain paths, no globs.", hint="Restore into a new folder, or with --delta.")
    held = tuple(point.facts.get("roots", {}))
    chosen = _chosen(selection, point, parts)
    folders = tuple(inside(root) for root in held)
    if selection.everything:
        units: tuple[str, ...] = folders
        size, disk, files = point.totals.bytes, int(point.facts.get("disk", point.totals.bytes)), point.totals.files
    else:
        unread: list[str] = []
        size, disk, files, hit = _measure(history.open(point.id), selection, unread)
        lost = [path for path in selection.wanted if path not in hit]
        if lost or (selection.globs and "*" not in hit):
            what = ", ".join(outside(path) if path.startswith(ROOT) else path for path in lost) or " ".join(selection.globs)
            if unread:
                raise EntryUnknown(f"Whether the point {point.id[:14]} holds {what} is not known: {unread[0]}", hint=_ANOTHER)
            raise TargetMissing(f"The point {point.id[:14]} holds no {what}.", hint=f"See what is there: holdfast ls {point.id[:14]}")
        units = tuple(path for path in selection.wanted if path == ROOT or path.startswith(ROOT + "/"))
        if selection.globs:
            units = ()
    free = _free(request.into)
    left_out = LeftOut(held, settings.exclude, settings.exclude_caches)
    detail = Detail(selection, units, chosen, files, left_out)
    obstacles = [] if delta else [*_taken(request.into, detail, in_place=in_place), *_too_small(request.into, disk, free, files)]
    if options.get("remove_extra"):
        obstacles += _mounted(request.into, detail)
        left_out.judge(str(request.into))  # a pattern that is not understood is told now
    mode = "delta" if delta else "in-place" if in_place else "new"
    return RestorePlan(
        system=name,
        kind=kind,
        point=point,
        until=words,
        place={"point": point.id, "time": point.stop.get("time")},
        into=request.into,
        mode=mode,
        bytes=size,
        log_bytes=0,
        needed=disk,
        free=free,
        steps=tuple(_steps(request.into, detail, mode, files, options)),
        obstacles=tuple(obstacles),
        warnings=tuple(_warnings(point)),
        options=dict(options),
        detail=detail,
    )


def place_of(into: Path, path: str) -> Path:
    """Where an entry of the point goes: its path on the machine, below ``into``; what is no folder (git, images) below its own name."""
    return into / (outside(path).lstrip("/") if path == ROOT or path.startswith(ROOT + "/") else path)


def _chosen(selection: Selection, point: RecoveryPoint, parts: Sequence[str]) -> tuple[str, ...]:
    held = [part for part in parts if part in point.facts]
    if selection.everything:
        return tuple(held)
    return tuple(part for part in held if any(path == part or path.startswith(part + "/") for path in selection.wanted))


def _measure(reader: PointReader, selection: Selection, unread: list[str]) -> tuple[int, int, int, set[str]]:
    """Bytes, bytes on disk, files, and what was found of the selection. ``unread`` gets why a stretch of the list cannot be read."""
    chooser = selection.chooser()
    size = disk = files = 0
    for line in reader.lines(lambda _first, _last, _count, error: unread.append(error.message)):
        if chooser.wants(line.path, folder=not line.is_file) and line.is_file:
            files += 1
            size += line.size
            ranges = line.extra.get("h")
            disk += -(-(line.size if ranges is None else sum(end - start for start, end in ranges)) // _BLOCK) * _BLOCK
    return size, disk, files, chooser.hit


def _free(into: Path) -> int | None:
    try:
        found = os.statvfs(next(one for one in (into, *into.parents) if one.exists()))
    except (OSError, StopIteration):
        return None
    return found.f_bavail * found.f_frsize


def _taken(into: Path, detail: Detail, *, in_place: bool) -> list[Obstacle]:
    found = []
    tops = [place_of(into, unit) for unit in detail.units] if detail.units else [into]
    for top in tops:
        if in_place and detail.units:
            if os.path.ismount(top):
                message = f"{top} is a mount point, which cannot be moved aside."
                found.append(Obstacle(TargetTaken.code, message, "Restore its content with --delta, or into a new folder."))
            continue
        reason = _stands(top)
        if reason:
            message = f"{top} {reason}."
            hint = "Name a new folder, or say --delta to repair what is there or --in-place to move it aside first."
            found.append(Obstacle(TargetTaken.code, message, hint))
    return found


def _mounted(into: Path, detail: Detail) -> list[Obstacle]:
    """What is mounted below a restored top is never taken for extra: it may hold anything, and the point knows nothing of it."""
    mounts = sorted({mount for unit in detail.units for mount in mounts_below(place_of(into, unit))})
    if not mounts:
        return []
    error = mount_in_the_way(mounts, "where what the point does not hold is to be removed")
    return [Obstacle(error.code, error.message, error.hint)]


def _stands(place: Path) -> str:
    """What keeps a path from being restored to, in words; nothing for a path that is free or an empty folder."""
    try:
        status = place.lstat()
        if not stat.S_ISDIR(status.st_mode):
            return "exists" if not stat.S_ISLNK(status.st_mode) else "is a symbolic link"
        with os.scandir(place) as listing:
            return "is not empty" if next(listing, None) is not None else ""
    except (FileNotFoundError, NotADirectoryError):
        return ""
    except OSError as error:
        return f"cannot be looked at: {error.strerror}"


def _too_small(into: Path, disk: int, free: int | None, files: int) -> list[Obstacle]:
    if free is not None and disk > free:
        message = f"{into} has room for {free >> 20} MiB, and {-(-disk >> 20)} MiB are needed."
        return [Obstacle(TargetTooSmall.code, message, "Make room, choose another place, or restore a part of it with --path.")]
    try:
        found = os.statvfs(next(one for one in (into, *into.parents) if one.exists()))
    except (OSError, StopIteration):
        return []
    if found.f_files and files > found.f_favail:
        message = f"{into} has room for {found.f_favail} more files, and {files} are needed."
        return [Obstacle(TargetTooSmall.code, message, "Choose another file system, or restore a part of it with --path.")]
    return []


def _steps(into: Path, detail: Detail, mode: str, files: int, options: Mapping[str, Any]) -> list[str]:
    tops = ", ".join(str(place_of(into, unit)) for unit in detail.units) or str(into)
    found = []
    if mode == "in-place":
        found.append(f"move aside what stands in {tops}")
    if mode == "delta":
        found.append(f"compare {tops} with the point, and write what differs")
        if options.get("remove_extra"):
            found.append(f"remove what the point does not hold{'; what the plan excludes stays' if detail.left_out else ''}")
    elif detail.units or not detail.parts:
        found.append(f"write {counted(files, 'file')} to {tops}")
    found.append("set owners, attributes, modes and times; make everything durable")
    found += [f"rebuild {part}" for part in detail.parts]
    return found


def _warnings(point: RecoveryPoint) -> list[str]:
    found = []
    incomplete = point.facts.get("incomplete", 0)
    if incomplete:
        what = counted(incomplete, "entry", "entries")
        found.append(f"The point is incomplete: {what} could not be read when it was taken (holdfast show {point.id[:14]}).")
    if os.geteuid():
        found.append("Not run as root: owners and device nodes are not restored.")
    return found
