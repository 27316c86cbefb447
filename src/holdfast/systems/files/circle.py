"""Whether a folder of the vault is among what a system protects: each backup would store the ones before it."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from holdfast.systems.files.capture.walk import is_cache_folder
from holdfast.systems.files.errors import VaultInside
from holdfast.systems.files.patterns import compile_patterns
from holdfast.systems.files.restore.removing import mounts_below
from holdfast.systems.files.settings import FilesSettings

_HINT = "Give the vault a folder outside what is protected, or leave it out of the system: exclude: [{place}]"


def circle(name: str, settings: FilesSettings) -> VaultInside | None:
    """The error for the first location of the vault that a capture of the system ``name`` would read, None where there is none.

    Links on the way to either are followed; a second way into the vault's folder by a bind mount is found by the table of mounts. What
    the plan leaves out (``exclude``, ``exclude_caches``, ``one_filesystem``) is not read. Raises PatternWrong.
    """
    for location, folder in settings.vaults:
        vault = os.path.realpath(folder)
        for root in settings.roots():
            top = os.path.realpath(root)
            if _below(top, vault):
                return VaultInside(
                    f"The path {root} of '{name}' lies in the vault's location '{location}' ({folder}): each backup would store the "
                    "ones before it.",
                    hint="Take the path out of the plan, or move the vault.",
                    path=root,
                    location=location,
                )
            for place in (vault, *_mounted(top, vault)):
                if _below(place, top) and _read(settings, root, top, place):
                    seen = os.path.normpath(os.path.join(root, os.path.relpath(place, top)))
                    return VaultInside(
                        f"The vault's location '{location}' ({folder}) lies in {root}, which '{name}' protects"
                        f"{'' if seen == folder else f', as {seen}'}: each backup would store the ones before it.",
                        hint=_HINT.format(place=seen),
                        path=root,
                        location=location,
                    )
    return None


def reads(settings: FilesSettings, path: str) -> bool:
    """Whether a capture would come to ``path``, a real path, which need not be there, and read it."""
    for root in settings.roots():
        top = os.path.realpath(root)
        if _below(path, top) and _read(settings, root, top, path):
            return True
    return False


def _below(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder.rstrip("/") + "/")


def _mounted(top: str, vault: str) -> Iterator[str]:
    """Where else below ``top`` the vault's folder is seen: what is mounted there is one of the folders above it, or the folder itself."""
    above = [vault, *(str(one) for one in Path(vault).parents)]
    for mount in mounts_below(Path(top)):
        with contextlib.suppress(OSError):
            status = os.stat(mount)
            for one in above:
                with contextlib.suppress(OSError):
                    place = os.path.normpath(os.path.join(mount, os.path.relpath(vault, one)))
                    if os.path.samestat(status, os.stat(one)) and os.path.samefile(place, vault):
                        yield place


def _read(settings: FilesSettings, root: str, top: str, place: str) -> bool:
    """Whether a capture would come to ``place``, which lies in ``top``, and read it."""
    excluded = compile_patterns(settings.exclude, root)
    with contextlib.suppress(OSError):
        if settings.one_filesystem and os.stat(place).st_dev != os.stat(top).st_dev:
            return False
    parts = [] if place == top else os.path.relpath(place, top).split("/")
    for number in range(len(parts) + 1):
        way = "/".join(parts[:number])
        if number and excluded is not None and excluded(way, True):
            return False
        if number < len(parts) and settings.exclude_caches and is_cache_folder(os.path.join(top, way)):
            return False
    return True
