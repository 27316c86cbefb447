"""Extended attributes and holes: what a file has beside its content, mode, owner and times.

Kept of the attributes: ``user.*``, ``trusted.*`` (root), ``system.posix_acl_*`` (ACLs) and ``security.capability``. Others belong to the
machine: a label of SELinux, say, means nothing elsewhere.
"""

import base64
import errno
import os
from collections.abc import Mapping, Sequence

MOST_RANGES = 50_000
"""A file in more pieces is restored with its content, but perhaps other holes."""
_NONE = frozenset({errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EPERM, errno.EACCES, errno.ENODATA, errno.ENOENT, errno.ELOOP})


def is_kept(name: str) -> bool:
    return name.startswith(("user.", "trusted.", "system.posix_acl_")) or name == "security.capability"


def read_attributes(place: int | str) -> dict[str, str]:
    """Of an open file, or of a path (not followed when a link): name → base64. Raises OSError for what is there and cannot be read."""
    follow = isinstance(place, int)
    found: dict[str, str] = {}
    try:
        names = os.listxattr(place, follow_symlinks=follow)
    except OSError as error:
        if error.errno in _NONE:
            return found
        raise
    for name in sorted(names):
        if is_kept(name):
            try:
                found[name] = base64.b64encode(os.getxattr(place, name, follow_symlinks=follow)).decode("ascii")
            except OSError as error:
                if error.errno != errno.ENODATA:
                    raise
    return found


def data_ranges(fd: int, size: int) -> list[list[int]] | None:
    """Where an open file has data, as [start, end] in order; None for one without holes (or with too many to tell)."""
    found: list[list[int]] = []
    at = 0
    try:
        while at < size:
            try:
                start = os.lseek(fd, at, os.SEEK_DATA)
            except OSError as error:
                if error.errno == errno.ENXIO:
                    break
                raise
            end = min(os.lseek(fd, start, os.SEEK_HOLE), size)
            if start >= size:
                break
            found.append([start, end])
            at = end
            if len(found) > MOST_RANGES:
                return None
    except OSError as error:
        if error.errno in (errno.EINVAL, errno.ENOTSUP):
            return None
        raise
    return None if found == [[0, size]] or not size else found


def decoded(attributes: Mapping[str, str]) -> Sequence[tuple[str, bytes]]:
    """In the order in which they are set: the user's while the mode still lets one, those that the mode interferes with later."""
    found = sorted(attributes.items(), key=lambda pair: not pair[0].startswith("user."))
    return [(name, base64.b64decode(value, validate=True)) for name, value in found]
