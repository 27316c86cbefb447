"""Addresses of restores."""

import re

_SCHEME = re.compile(r"(s3a?|gs|az|file):/+(.*)", re.DOTALL)


def address(text: str) -> str:
    """A target as it was written: slashes that a path makes one of are put back; without a slash at the end."""
    match = _SCHEME.fullmatch(text)
    if match is None:
        return text.rstrip("/") or "/"
    if match[1] == "file":
        return f"file:///{match[2]}".rstrip("/")
    return f"{'s3' if match[1] == 's3a' else match[1]}://{match[2]}".rstrip("/")


def same(one: str, other: str) -> bool:
    """Whether two addresses are one place."""

    def plain(text: str) -> str:
        found = address(text)
        return found.removeprefix("file://")

    return plain(one) == plain(other)


def parent(url: str) -> tuple[str, str]:
    """(the address above, the last name)."""
    above, _, name = url.rstrip("/").rpartition("/")
    return "file:///" if above in ("file:/", "file://") else above or "/", name
