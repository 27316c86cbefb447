"""Removes trees from a target without ever leaving the mount that they lie on: neither another file system nor a bind mount of the same."""

import os
import re
import stat
from collections.abc import Sequence
from pathlib import Path

from holdfast.systems.files.errors import MountInTheWay
from holdfast.systems.files.handles import Handle

_OCTAL = re.compile(rb"\\([0-7]{3})")
_ID = re.compile(rb"^mnt_id:\s*(\d+)$", re.MULTILINE)


def mounts_below(place: Path) -> list[str]:
    """What is mounted strictly below ``place`` (proc_pid_mountinfo(5)), sorted; bind mounts of the same file system and single files are
    among them. Empty where the system does not tell: what is removed is looked at once more then.
    """
    try:
        table = Path("/proc/self/mountinfo").read_bytes()
    except OSError:
        return []
    top = os.path.realpath(place).rstrip("/") + "/"
    found = {_plain(line.split(b" ")[4]) for line in table.splitlines() if line.count(b" ") > 4}
    return sorted(path for path in found if path.startswith(top) and path != top)


def _plain(field: bytes) -> str:
    """A path as mountinfo writes it: blanks, tabs, newlines and backslashes as octal numbers."""
    return os.fsdecode(_OCTAL.sub(lambda found: bytes([int(found[1], 8) & 255]), field))


def mount_of(fd: int) -> tuple[int, int]:
    """What tells mounts apart: the number of the mount that an open file was reached by, and the device. (0, device) without /proc."""
    device = os.fstat(fd).st_dev
    try:
        with open(f"/proc/self/fdinfo/{fd}", "rb") as file:
            found = _ID.search(file.read())
    except OSError:
        return 0, device
    return int(found[1]) if found else 0, device


def mount_in_the_way(mounts: Sequence[str], what: str) -> MountInTheWay:
    several = len(mounts) > 1
    return MountInTheWay(
        f"{', '.join(mounts[:3])}{f' and {len(mounts) - 3} more' if len(mounts) > 3 else ''} {'are' if several else 'is'} mounted {what}.",
        hint="Unmount it, or restore without --remove-extra, or (with --path) the folders beside it one by one.",
        mounts=list(mounts),
    )


def remove_tree(parent: Handle, name: str, shown: str) -> None:
    """The folder ``name`` in ``parent`` with all that is in it. Raises MountInTheWay (before anything is removed, where the mount was there
    already) and OSError.
    """
    mount = mount_of(parent.fd)
    try:
        mounts = mounts_below(Path(os.readlink(f"/proc/self/fd/{parent.fd}")) / name)
    except OSError:
        mounts = []
    if mounts:
        raise mount_in_the_way(mounts, f"below {shown}, which is to be removed")
    top = _opened(parent, name, mount, shown)
    way: list[tuple[str, Handle, Handle, list[str]]] = [(name, parent, top, os.listdir(top.fd))]
    while way:
        own, above, here, names = way[-1]
        if not names:
            way.pop()
            os.rmdir(own, dir_fd=above.fd)
            continue
        one = names.pop()
        if stat.S_ISDIR(os.stat(one, dir_fd=here.fd, follow_symlinks=False).st_mode):
            inner = _opened(here, one, mount, shown)
            way.append((one, here, inner, os.listdir(inner.fd)))
        else:
            os.unlink(one, dir_fd=here.fd)


def _opened(folder: Handle, name: str, mount: tuple[int, int], shown: str) -> Handle:
    found = Handle.open(name, folder)
    if mount_of(found.fd) != mount:
        try:
            place = os.readlink(f"/proc/self/fd/{found.fd}")
        except OSError:
            place = f"{shown}/…/{name}"
        raise mount_in_the_way([place], "where something is to be removed")
    return found
