"""What Azure tells of blobs: listings, versions, snapshots (learn.microsoft.com/rest/api/storageservices/list-blobs)."""

import email.utils
import itertools
import xml.etree.ElementTree as ET
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

from holdfast.connect.objects.contract import Listed
from holdfast.connect.objects.xml import nanoseconds

UNKNOWN_NS = 9_223_372_036_000_000_000
"""When a blob was deleted is told nowhere: later than any moment that is asked for."""
SNAPSHOT = "snapshot:"


@dataclass(frozen=True, slots=True)
class Blob:
    """``version``: its version's id, or its snapshot's time behind ``snapshot:``; empty for one that is no version. ``tier``: where it was
    set for this blob. ``kind``: BlockBlob, PageBlob, AppendBlob.
    """

    key: str
    size: int
    modified_ns: int
    etag: str
    tier: str
    version: str
    current: bool
    kind: str

    def listed(self) -> Listed:
        return Listed(self.key, self.size, self.modified_ns, self.etag, self.tier)

    def as_version(self, *, latest: bool) -> Listed:
        return Listed(self.key, self.size, self.since_ns, self.etag, self.tier, self.version, latest)

    @property
    def since_ns(self) -> int:
        """Since when it was current. A version's id is that time, finer than the second of its Last-Modified."""
        return nanoseconds(self.version) if self.version and not self.version.startswith(SNAPSHOT) else self.modified_ns


def page(root: ET.Element) -> Iterator[Blob]:
    """Raises KeyError, ValueError, TypeError: a line is not understood."""
    for one in root.iter("Blob"):
        told = one.find("Properties")
        if told is None:
            raise ValueError("a blob without properties")
        name = one.find("Name")
        if name is None:
            raise ValueError("a blob without a name")
        key = name.text or ""
        if name.get("Encoded") == "true":
            # A name that XML cannot say.
            key = unquote_to_bytes(key).decode("utf-8", "surrogateescape")
        snapshot = one.findtext("Snapshot") or ""
        version = one.findtext("VersionId") or ""
        current = not snapshot and (not version or one.findtext("IsCurrentVersion") == "true")
        inferred = told.findtext("AccessTierInferred") == "true"
        yield Blob(
            key,
            int(told.findtext("Content-Length") or 0),
            seconds(told.findtext("Last-Modified") or ""),
            (told.findtext("Etag") or "").strip('"'),
            "" if inferred else told.findtext("AccessTier") or "",
            SNAPSHOT + snapshot if snapshot else version,
            current,
            told.findtext("BlobType") or "",
        )


def history(blobs: Iterable[Blob]) -> Iterator[Listed]:
    """Versions of each key, the newest first, from a listing in the order of keys.

    Of a key that has versions and none that is current, a marker tells that it was deleted. When is told nowhere: a moment that is asked
    for counts as one before. That a blob was away for a while between two versions is told nowhere either.
    """
    for key, group in itertools.groupby(blobs, lambda one: one.key):
        found = sorted(group, key=lambda one: (one.current, one.since_ns, one.version), reverse=True)
        if not found[0].current:
            yield Listed(key, 0, UNKNOWN_NS, "", "", f"{found[0].version}-deleted", True, True)
        for number, one in enumerate(found):
            yield one.as_version(latest=number == 0 and one.current)


def seconds(text: str) -> int:
    """Nanoseconds since the epoch of a date as HTTP writes it. Raises ValueError."""
    return int(email.utils.parsedate_to_datetime(text).timestamp()) * 1_000_000_000
