"""Objects as entries of a point (docs/bucket-format.md)."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from holdfast.connect.objects import Described, Listed
from holdfast.model import Entry
from holdfast.systems.bucket.errors import BucketNonsense
from holdfast.systems.contract import StoredEntry, StoredLine

ROOT = "objects/"
OLDER = "\udcff"
_TEXTS = ("e", "v", "c")


class Named(NamedTuple):
    """``version`` is empty where only what was current was captured."""

    key: str
    version: str = ""


def path_of(key: str, version: str = "") -> str:
    return ROOT + key + OLDER + version if version else ROOT + key


def name_of(path: str) -> Named:
    """Raises BucketNonsense."""
    if not path.startswith(ROOT):
        raise BucketNonsense(f"The point holds {path[:200]!r}, which is no object.", hint="Restore another recovery point.")
    key, found, version = path[len(ROOT) :].rpartition(OLDER)
    return Named(key, version) if found else Named(version)


def place(listed: Listed) -> str:
    """The path of what a listing names: in a listing of versions each by its own, so that none changes its path when it is superseded."""
    return path_of(listed.key, listed.version)


def unchanged(line: StoredLine, listed: Listed) -> bool:
    """The same content, headers and metadata: whatever changes them makes an object anew."""
    extra = line.extra
    return (
        line.size == listed.size
        and line.mtime_ns == listed.modified_ns
        and extra.get("e", "") == listed.etag
        and extra.get("v", "") == listed.version
        and extra.get("c", "") == listed.storage_class
        and bool(extra.get("d")) == listed.marker
    )


def entry_of(listed: Listed, described: Described | None = None, tags: Mapping[str, str] | None = None) -> Entry:
    """``described``: what came with the content; None for a delete marker."""
    extra: dict[str, Any] = {"e": listed.etag, "v": listed.version, "c": listed.storage_class}
    if listed.marker:
        extra["d"] = 1
    if described is not None:
        extra |= {"h": dict(described.headers), "a": dict(described.metadata), "g": dict(tags or {})}
    kept = {name: value for name, value in extra.items() if value}
    return Entry(place(listed), "file", listed.size, mtime_ns=listed.modified_ns, extra=kept)


def described_of(stored: StoredEntry) -> tuple[Described, Mapping[str, str]]:
    """What is put back beside the content: headers, metadata, storage class; and the tags. Raises BucketNonsense."""
    entry = stored.entry
    extra = entry.extra
    mappings = [extra.get(name, {}) for name in ("h", "a", "g")]
    if not all(isinstance(extra.get(name, ""), str) for name in _TEXTS) or not all(_plain(one) for one in mappings) or entry.kind != "file":
        raise BucketNonsense(f"{entry.path[:200]!r} is no object.", hint="Restore another recovery point.")
    headers, metadata, tags = mappings
    etag, version, storage = (extra.get(name, "") for name in _TEXTS)
    return Described(entry.size, entry.mtime_ns, etag, version, storage, headers, metadata, len(tags)), tags


def is_marker(stored: StoredLine) -> bool:
    return bool(stored.extra.get("d"))


def _plain(mapping: Any) -> bool:
    return isinstance(mapping, dict) and all(
        isinstance(value, str) and "\n" not in value and "\r" not in value for value in mapping.values()
    )
