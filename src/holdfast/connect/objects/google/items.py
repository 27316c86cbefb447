"""Objects as Google's JSON interface tells them, and what of ours goes into it (cloud.google.com/storage/docs/json_api/v1/objects)."""

import binascii
import itertools
from base64 import b64decode
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from holdfast.connect.objects.contract import Described, Listed
from holdfast.connect.objects.errors import KeyImpossible, StoreDenied
from holdfast.connect.objects.xml import nanoseconds

HEADERS = {
    "content-type": "contentType",
    "content-encoding": "contentEncoding",
    "content-language": "contentLanguage",
    "content-disposition": "contentDisposition",
    "cache-control": "cacheControl",
    "x-goog-custom-time": "customTime",
}
CLASSES = frozenset({"STANDARD", "NEARLINE", "COLDLINE", "ARCHIVE", "REGIONAL", "MULTI_REGIONAL", "DURABLE_REDUCED_AVAILABILITY"})
FIELDS = (
    "name,size,generation,metageneration,timeCreated,timeDeleted,updated,md5Hash,crc32c,storageClass,metadata,"
    "contentType,contentEncoding,contentLanguage,contentDisposition,cacheControl,customTime"
)
_LONGEST = 1024
_GAP_NS = 100_000_000
"""An object that is overwritten ends when the next one begins, to within this; where more lies between it had been deleted."""


@dataclass(frozen=True, slots=True)
class Item:
    """One generation of an object. ``ended_ns``: since when it is not current any more, None while it is.

    ``hash``: the MD5 in hex; of one that was put together from others, which has none, ``crc32c:`` and that.
    """

    key: str
    size: int
    generation: str
    metageneration: str
    created_ns: int
    updated_ns: int
    ended_ns: int | None
    hash: str
    storage_class: str
    headers: Mapping[str, str] = field(default_factory=dict)
    metadata: Mapping[str, str] = field(default_factory=dict)

    def listed(self) -> Listed:
        """As what is current. A change of its metadata alone shows in its time."""
        return Listed(self.key, self.size, self.updated_ns, self.hash, self.storage_class)

    def version(self, *, latest: bool) -> Listed:
        """As one of many versions: its time is when it became current, so that a change of its metadata shows in its ETag."""
        return Listed(self.key, self.size, self.created_ns, self.version_etag, self.storage_class, self.generation, latest)

    @property
    def version_etag(self) -> str:
        return self.hash if self.metageneration in ("", "1") else f"{self.hash}+{self.metageneration}"

    def described(self, *, as_version: bool = False) -> Described:
        return Described(
            self.size,
            self.created_ns if as_version else self.updated_ns,
            self.version_etag if as_version else self.hash,
            self.generation if as_version else "",
            self.storage_class,
            self.headers,
            self.metadata,
        )


def item(told: Mapping[str, Any]) -> Item:
    """Raises KeyError, ValueError: no object is told so."""
    created = nanoseconds(str(told["timeCreated"]))
    storage = str(told.get("storageClass", ""))
    md5, crc = str(told.get("md5Hash", "")), str(told.get("crc32c", ""))
    return Item(
        str(told["name"]),
        int(told.get("size", 0)),
        str(told.get("generation", "")),
        str(told.get("metageneration", "")),
        created,
        nanoseconds(str(told["updated"])) if told.get("updated") else created,
        nanoseconds(str(told["timeDeleted"])) if told.get("timeDeleted") else None,
        _hex(md5) if md5 else f"crc32c:{_hex(crc)}" if crc else "",
        "" if storage == "STANDARD" else storage,
        {name: str(told[theirs]) for name, theirs in HEADERS.items() if told.get(theirs)},
        {str(name): str(value) for name, value in (told.get("metadata") or {}).items()},
    )


def history(items: Iterable[Item]) -> Iterator[Listed]:
    """Versions of each key, the newest first, from a listing in the order of keys.

    Google writes no delete markers: a generation that ended, with none that follows at once, was deleted then; the marker that stands for
    it is named after the generation that it hides.
    """
    for _, group in itertools.groupby(items, lambda one: one.key):
        follows: Item | None = None
        for one in sorted(group, key=lambda one: int(one.generation or 0), reverse=True):
            deleted = one.ended_ns is not None and (follows is None or one.ended_ns + _GAP_NS < follows.created_ns)
            if deleted and one.ended_ns is not None:
                yield Listed(one.key, 0, one.ended_ns, "", "", f"{one.generation}-deleted", follows is None, True)
            yield one.version(latest=follows is None and not deleted)
            follows = one


def resource(key: str, described: Described | None, md5: str = "") -> dict[str, Any]:
    """What is sent along with an object's content. ``md5`` in base64. Raises KeyImpossible, StoreDenied (a storage class of others)."""
    fit(key)
    told: dict[str, Any] = {"name": key}
    if md5:
        told["md5Hash"] = md5
    if described is not None:
        told |= {theirs: described.headers[name] for name, theirs in HEADERS.items() if described.headers.get(name)}
        if described.metadata:
            told["metadata"] = dict(described.metadata)
        if described.storage_class:
            if described.storage_class not in CLASSES:
                raise StoreDenied(
                    f"Google Cloud Storage has no storage class {described.storage_class}.", hint="", said="InvalidStorageClass"
                )
            told["storageClass"] = described.storage_class
    return told


def fit(key: str) -> None:
    """Raises KeyImpossible."""
    why = ""
    try:
        if len(key.encode()) > _LONGEST:
            why = f"it has more than {_LONGEST} bytes"
    except UnicodeEncodeError:
        why = "it is no UTF-8"
    if "\r" in key or "\n" in key:
        why = "it holds a line break"
    elif key in ("", ".", "..") or key.startswith(".well-known/acme-challenge/"):
        why = "that name is reserved"
    if why:
        raise KeyImpossible(
            f"Google Cloud Storage takes no key {ascii(key)[:100]}: {why}.", hint="Leave it out (--path), or restore it elsewhere."
        )


def _hex(text: str) -> str:
    try:
        return b64decode(text, validate=True).hex()
    except (binascii.Error, ValueError):
        return ""
