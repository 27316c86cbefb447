"""What stands where a restore is to go: looked at once before planning, once more before writing. Nothing is changed here."""

import json
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from holdfast.errors import HoldfastError
from holdfast.systems.contract import Obstacle
from holdfast.systems.postgres import controlfile
from holdfast.systems.postgres.faults import ControlFileBad
from holdfast.systems.postgres.restore import errors
from holdfast.systems.postgres.restore.files import MARKER
from holdfast.systems.postgres.restore.planning.options import Options
from holdfast.systems.postgres.running.binaries import Account
from holdfast.systems.postgres.running.instance import running_pid


@dataclass(frozen=True, slots=True)
class Tablespace:
    """``source``: its path there; ``into``: its folder here. Its files are entries under ``pg_tblspc/<oid>/``."""

    oid: int
    name: str
    source: str
    into: Path


def obstacle(kind: type[HoldfastError], message: str, hint: str = "") -> Obstacle:
    return Obstacle(kind.code, message, hint)


def system_identifier(data: Path) -> str | None:
    """Of the cluster in a directory, or of the restore that was cut short there; None when neither can be told."""
    try:
        return str(json.loads((data / MARKER).read_text())["system_identifier"])
    except (OSError, ValueError, KeyError):
        pass
    try:
        return str(controlfile.parse((data / controlfile.PATH).read_bytes()).system_identifier)
    except (OSError, ControlFileBad):
        return None


def is_empty(path: Path) -> bool:
    """No such folder, or nothing in it (``lost+found`` of a mounted disk does not count)."""
    try:
        return all(one.name == "lost+found" for one in path.iterdir())
    except FileNotFoundError:
        return True
    except PermissionError:
        return False  # nobody knows: look() refuses it


def place_tablespaces(
    known: Sequence[Mapping[str, object]], into: Path, options: Options, home: str | None = None
) -> tuple[list[Tablespace], list[Obstacle]]:
    """Where each tablespace goes: by the mapping; in a delta restore where its link leads already; else into a folder beside the directory.

    Beside, not inside: a backup of the restored cluster would else hold it twice. ``home``: the source's data directory; a copy of it made
    by hand has links that lead to the source's own tablespaces.
    """
    left = dict(options.tablespace_map)
    rest = left.pop("*", None)
    placed, refused = [], []
    for one in known:
        oid, name, source = int(str(one["oid"])), str(one.get("name") or one["oid"]), str(one.get("path") or "")
        link = into / "pg_tblspc" / str(oid)
        target = next((left.pop(key) for key in (source, name, str(oid)) if key in left), None)
        if target is None and rest is not None:
            target = str(Path(rest, str(oid)))
        kept = False
        if target is None and options.delta and link.is_symlink():
            target, kept = os.path.normpath(link.parent / link.readlink()), True
        path = Path(target) if target is not None else _beside(into, options) / str(oid)
        placed.append(Tablespace(oid, name, source, path))
        if kept and (path != Path(source) or home is None or Path(home).resolve() == into.resolve()):
            continue
        if source and (path == Path(source) or Path(source) in path.parents):
            refused.append(
                obstacle(
                    errors.SourcePath,
                    f"Tablespace {name} would go to {path}, the path that its source uses.",
                    f"--tablespace-map {name}=/another/folder",
                )
            )
        elif not is_empty(path) and not options.delta:
            refused.append(
                obstacle(
                    errors.SourcePath,
                    f"Tablespace {name} would go to {path}, which is not empty.",
                    f"--tablespace-map {name}=/another/folder",
                )
            )
    if left:
        names = ", ".join(f"{one.get('name')} ({one.get('path')})" for one in known) or "none"
        refused.append(obstacle(errors.BadMapping, f"No tablespace of this point is {', '.join(sorted(left))}.", f"It has: {names}"))
    return placed, refused


def _beside(into: Path, options: Options) -> Path:
    folder = into.with_name(into.name + ".tablespaces")
    number = 2
    # The cluster that is moved aside keeps its tablespaces where its links lead.
    while options.in_place and not is_empty(folder):
        folder = into.with_name(f"{into.name}.tablespaces{number}")
        number += 1
    return folder


def look(into: Path, system: str, options: Options, who: Account) -> list[Obstacle]:
    """Everything about the target directory that stands in the way of restoring cluster ``system`` (its identifier) there."""
    found: list[Obstacle] = []
    try:
        there = into.exists()
        if there and into.is_dir():
            os.scandir(into).close()
    except PermissionError as error:
        return [
            obstacle(errors.RestoreDenied, f"{error.filename}: this user may not look there.", "Choose another directory, or its owner.")
        ]
    if there and not into.is_dir():
        return [obstacle(errors.DirectoryNotEmpty, f"{into} is not a folder.")]
    pid = running_pid(into)
    if pid is not None:
        found.append(
            obstacle(errors.DirectoryRunning, f"A server (process {pid}) runs on {into}.", "Stop it, or restore into another directory.")
        )
    elif not is_empty(into):
        found += _filled(into, system, options)
    if into.is_mount() and options.in_place and not is_empty(into):
        found.append(
            obstacle(
                errors.DirectoryNotEmpty,
                f"{into} is a mount point and cannot be moved aside.",
                "Restore into a new folder, or use --delta.",
            )
        )
    found += _reachable(into, who)
    return found


def _filled(into: Path, system: str, options: Options) -> list[Obstacle]:
    cluster = (into / "PG_VERSION").exists() or (into / MARKER).exists()
    there = system_identifier(into)
    if options.delta:
        if there == system:
            return []
        if there is None:
            return [
                obstacle(
                    errors.OtherCluster,
                    f"{into} is not empty, and no control file there says which cluster it is.",
                    "Use --in-place to move it aside, or a new directory.",
                )
            ]
        return [
            obstacle(
                errors.OtherCluster, f"{into} holds cluster {there}, the point is of cluster {system}.", "Restore into a new directory."
            )
        ]
    if options.in_place:
        if cluster:
            return []
        return [
            obstacle(
                errors.DirectoryNotEmpty,
                f"{into} is not empty and does not look like a PostgreSQL data directory.",
                "Restore into a new directory.",
            )
        ]
    if (into / MARKER).exists():
        return [
            obstacle(
                errors.DirectoryNotEmpty,
                f"{into} holds a restore that was cut short.",
                "Go on with it: add --delta. Or choose a new directory.",
            )
        ]
    return [
        obstacle(
            errors.DirectoryNotEmpty,
            f"{into} is not empty.",
            "Choose a new directory; --delta repairs a stopped cluster of the same system identifier; "
            "--in-place moves what is there aside first.",
        )
    ]


def _reachable(into: Path, who: Account) -> list[Obstacle]:
    parent = next((one for one in (into, *into.parents) if one.exists()), Path("/"))
    if not os.access(parent, os.W_OK | os.X_OK):
        return [
            obstacle(errors.RestoreDenied, f"{parent} cannot be written by this user.", "Choose another directory, or run as its owner.")
        ]
    if not who.switch:
        return []
    for folder in parent.resolve().parents if parent == into else (parent.resolve(), *parent.resolve().parents):
        status = folder.stat()
        passable = status.st_mode & (0o100 if status.st_uid == who.uid else 0o010 if status.st_gid == who.gid else 0o001)
        if not passable:
            return [
                obstacle(
                    errors.RestoreDenied,
                    f"The server will run as {who.name}, which cannot pass through {folder}.",
                    f"Choose a directory that {who.name} can reach, or chmod o+x {folder}.",
                )
            ]
    return []


def free_bytes(path: Path) -> int | None:
    """Free room where ``path`` lies or will lie."""
    try:
        parent = next((one for one in (path, *path.parents) if one.exists()), None)
        return shutil.disk_usage(parent).free if parent else None
    except PermissionError:
        return None


def used_bytes(path: Path) -> int:
    """Bytes that files below a folder take up."""
    total = 0
    for folder, _, files in os.walk(path):
        for name in files:
            try:
                total += Path(folder, name).lstat().st_blocks * 512
            except OSError:
                continue
    return total
