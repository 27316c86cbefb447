"""What a store of objects offers to the systems that protect what lies in it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol, runtime_checkable

Buffer = bytes | bytearray | memoryview


class Listed(NamedTuple):
    """One line of a listing. ``etag`` without quotes; ``modified_ns`` since the epoch; ``storage_class`` empty for the standard one.

    Only in a listing of versions: ``version``, ``latest``, and ``marker`` for a delete marker.
    """

    key: str
    size: int
    modified_ns: int
    etag: str
    storage_class: str = ""
    version: str = ""
    latest: bool = True
    marker: bool = False


@dataclass(frozen=True, slots=True)
class Described:
    """What a store says of an object along with its content.

    ``headers``: content-type, content-encoding, content-language, content-disposition, cache-control, expires,
    x-amz-website-redirect-location, x-goog-custom-time, as far as set, by these names. ``metadata``: what users attached, names
    as the store tells them (S3: in lower case).
    """

    size: int
    modified_ns: int
    etag: str
    version: str = ""
    storage_class: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    metadata: Mapping[str, str] = field(default_factory=dict)
    tag_count: int = 0


@runtime_checkable
class OnlyNew(Protocol):
    """A store that can be told to replace nothing: then ``put`` and ``complete`` raise ObjectChanged for a key that is taken."""

    only_new: bool


class Fitting(NamedTuple):
    """Of what belongs to an object, beside its storage class, what a store can hold."""

    headers: Mapping[str, str]
    metadata: Mapping[str, str]
    tags: Mapping[str, str]


class Objects(Protocol):
    """A bucket or folder. Keys are whole (nothing is put in front of them) and may hold any character. Thread-safe.

    Every call is tried again after throttling, time-outs and resets, with growing pauses, for as long as the store's patience lasts; then
    StoreThrottled or StoreUnreachable is raised. StoreDenied: the credentials may not do it at all.
    """

    url: str
    keeps_headers: bool
    """False: content types, metadata, tags cannot be stored there."""

    def fitting(self, described: Described, tags: Mapping[str, str]) -> Fitting:
        """What of it can be stored there. The rest a put leaves out, and its caller tells."""
        ...

    def list(self, prefix: str = "", after: str = "") -> Iterator[Listed]:
        """What is current, in the order of the keys' bytes; a page at a time is in memory."""
        ...

    def versions(self, prefix: str = "") -> Iterator[Listed]:
        """Every version and delete marker: by key, of one key the newest first."""
        ...

    def read_into(self, key: str, buffer: memoryview, *, start: int = 0, etag: str = "", version: str = "") -> Described:
        """Fill ``buffer`` with the bytes from ``start`` on. With ``start`` 0 the buffer must have the object's size, or ``etag`` be given.

        Raises ObjectGone, ObjectChanged (``etag`` is not that of the object any more, or its size is another), ObjectDenied.
        """
        ...

    def describe(self, key: str, version: str = "") -> Described | None:
        """None: it is not there. Raises ObjectDenied."""
        ...

    def tags(self, key: str, version: str = "") -> Mapping[str, str]:
        """Raises ObjectGone, ObjectDenied."""
        ...

    def put(self, key: str, data: Buffer, described: Described | None = None, tags: Mapping[str, str] | None = None) -> str:
        """Store it whole, over whatever is there; returns its ETag. Of ``described`` headers, metadata, storage class count."""
        ...

    def begin(self, key: str, described: Described | None = None, tags: Mapping[str, str] | None = None) -> str:
        """A large object in parts: nothing is seen of it before ``complete``. Returns the upload's id."""
        ...

    def part(self, key: str, upload: str, number: int, data: Buffer, offset: int = 0) -> str:
        """``number`` from 1 on, at least 5 MiB each but the last, ``offset`` where it begins; returns the part's ETag."""
        ...

    def complete(self, key: str, upload: str, etags: Sequence[str]) -> str:
        """By the ETags of all parts in order. Returns the object's."""
        ...

    def abandon(self, key: str, upload: str) -> None: ...

    def delete(self, keys: Sequence[str]) -> None:
        """At most 1,000; what is not there is fine. Where versions are kept a delete marker hides each."""
        ...

    def sync(self) -> None:
        """What was stored is durable when it returns; in an object store it is at once."""
        ...

    def close(self) -> None: ...
