"""Which object names a storage accepts, and how a prefix walks over them."""

from holdfast.storage.contract import StorageUnfit

TEMPORARY = ".tmp"
"""The folder of half-written files in a local location; never a part of a name."""


class BadName(StorageUnfit):
    """A name that could leave the location or collide with its temporary files: a mistake in the code above."""

    code = "location-bad-name"


def check_name(name: str) -> str:
    """``name`` itself when it is '/'-separated printable ASCII without empty, '.' or '..' parts; raises BadName otherwise."""
    parts = name.split("/")
    if not name.isascii() or not name.isprintable() or "\\" in name or any(part in {"", ".", "..", TEMPORARY} for part in parts):
        raise BadName(f"{name!r} is no name for an object.", hint="Names are relative, ASCII, without '.' and '..' parts.", name=name)
    return name


def before(prefix: str) -> str:
    """A string that sorts before every ASCII name beginning with ``prefix`` and behind nearly all that come earlier ('' for '')."""
    return prefix[:-1] + chr(ord(prefix[-1]) - 1) + "~" if prefix else ""


def common(prefix: str) -> str:
    """The folder part of a prefix that may end in mid-name, with its slash."""
    return prefix[: prefix.rfind("/") + 1]
