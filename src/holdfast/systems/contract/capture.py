"""What a system writes a recovery point to: the ports of a vault's writer."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from holdfast.model import Entry, Finding, RecoveryPoint

if TYPE_CHECKING:
    from holdfast.systems.contract.reading import PointReader


Buffer = bytes | bytearray | memoryview


class Source(Protocol):
    """Random access to a file's content while it is captured. Called from several threads at once, on distinct ranges."""

    def read_into(self, offset: int, buffer: memoryview) -> int:
        """Fill ``buffer`` from ``offset``; returns the bytes read, fewer only at the end of the file (a file that shrank is shorter)."""
        ...

    def close(self) -> bool | None:
        """Called once, when everything was read and before the entry goes into the tree. False: leave the entry out, it is added again."""
        ...


Inspect = Callable[[Source, int, memoryview], None]
"""Looks at bytes between reading and hashing, in a worker thread: (source, offset of the run in the file, the run). It may read again
into the
view (a torn page) and records findings itself; it must be thread-safe and release the GIL for its heavy part."""


class Sink(Protocol):
    """Takes the content of a file whose bytes come as a stream. ``write`` blocks when workers are behind (bounded memory)."""

    def write(self, data: Buffer) -> None: ...

    def close(self) -> None:
        """Ends the file; its entry's size becomes the bytes written. One that is never closed leaves no entry: what did not prove right."""
        ...


class StoredEntry(Protocol):
    """An entry of a point together with the handle to its content."""

    @property
    def entry(self) -> Entry: ...


class StoredLine(StoredEntry, Protocol):
    """The same, cheap to compare: its entry is made only when it is asked for."""

    @property
    def path(self) -> str: ...

    @property
    def is_file(self) -> bool: ...

    @property
    def size(self) -> int: ...

    @property
    def mtime_ns(self) -> int: ...

    @property
    def extra(self) -> Mapping[str, Any]: ...


ReadMany = Callable[[Sequence[Any], memoryview], Sequence[tuple[Entry, int, int] | None]]
"""Reads many small files in a worker thread, by the handles that ``Bulk.small`` was given: fills the view, and returns for each handle
its entry and where its content lies in the view (start, end), or None to leave it out of the point."""


class Bulk(Protocol):
    """Many small things at once, in order, by one thread. ``flush`` it before ``CaptureWriter.add`` (order) and before the commit."""

    @property
    def largest(self) -> int:
        """Bytes of the largest file that ``small`` takes."""
        ...

    def entry(self, entry: Entry) -> None:
        """An entry without content: a folder, a link, a device, an empty file."""
        ...

    def keep(self, stored: StoredEntry) -> bool:
        """Take a file over from the base, as it stands there and without reading; False when its content is not stored any more."""
        ...

    def small(self, path: str, size: int, handle: Any) -> None:
        """Queue a file of about ``size`` bytes to be read by ``ReadMany``; several share one frame."""
        ...

    def flush(self) -> None: ...


class CaptureWriter(Protocol):
    """An open session that can become one recovery point. Not thread-safe itself; its workers are. Use as a context manager: leaving it
    without ``commit`` aborts (what was uploaded stays for the next try to reuse, and for prune).
    """

    session: str

    @property
    def base(self) -> "PointReader | None":
        """The point whose content is reused; None for a full one."""
        ...

    def add(
        self,
        entry: Entry,
        content: Source | Buffer | None = None,
        *,
        inspect: Inspect | None = None,
        changed: Sequence[tuple[int, int]] | None = None,
    ) -> None:
        """Queue one entry. Returns soon; blocks only when the workers are behind.

        ``content`` None for folders and links. ``changed``: byte ranges (start, end) that may differ from the base's file of the same
        path; what lies outside
        is taken from the base without reading (only with a base that holds the path; the caller vouches for it). Without it everything is
        read, and
        what equals the base is not stored again. ``inspect`` sees runs of at most 1 MiB that start at multiples of 1 MiB.
        """
        ...

    def reuse(self, entry: Entry, *, again: bool = False) -> bool:
        """Take the whole content of ``entry.path`` from the base without reading; False when the base has no file of that path and size.

        ``again``: the caller can ``add`` it instead, by what changed. Then False too where a little of it is to be stored anew, so that
        what it lay in can go.
        """
        ...

    def stream(self, entry: Entry, *, inspect: Inspect | None = None) -> Sink:
        """Queue one file whose content arrives as a stream."""
        ...

    def bulk(self, read: ReadMany) -> Bulk:
        """For trees of many small files."""
        ...

    def adopt(self, shard: Any, entries: range | None = None) -> None:
        """What a process of a pool stored (``Done.shard``) belongs to this point: all of its entries, or those of these numbers, in the
        order of calls as with ``add``.
        """
        ...

    def flush(self) -> None:
        """Wait until everything queued was read and hashed (its packs may still be under way). Raises the first worker's error."""
        ...

    def commit(
        self,
        *,
        kind: str,
        start: Mapping[str, Any],
        stop: Mapping[str, Any],
        logs: str | None = None,
        facts: Mapping[str, Any] | None = None,
        expected: Mapping[str, Any] | None = None,
        findings: Sequence[Finding] = (),
        method: str = "",
    ) -> RecoveryPoint:
        """Packs, then index, then the point: durable in every location that the session writes when it returns."""
        ...

    def abort(self) -> None: ...
