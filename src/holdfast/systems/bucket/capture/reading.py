"""Reads one object as a whole or in parts, together with what belongs to it; one that is replaced meanwhile is read anew."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from holdfast.connect.objects import Described, Job, Listed, ObjectChanged, ObjectGone, Objects
from holdfast.connect.objects.buffers import Buffers

SMALL = 1 << 20
PART = 4 << 20
_TRIES = 4


@dataclass(slots=True)
class Got:
    """One object, or one part of it. ``listed`` is what was read: not what the listing said, if that was replaced meanwhile.

    ``data`` None: by now it is too large to be read as a whole.
    """

    listed: Listed
    data: memoryview | None
    described: Described
    tags: Mapping[str, str] = field(default_factory=dict)


def read(store: Objects, listed: Listed, limit: int = SMALL, buffers: Buffers | None = None) -> Got:
    """A small object; not read when by now it has more bytes than ``limit``. Who names ``buffers`` gives the data back there.

    Raises ObjectGone, ObjectDenied, ObjectChanged (each time it was tried) and the store's own errors.
    """
    for tries in range(_TRIES):
        try:
            data = buffers.take(listed.size) if buffers is not None else memoryview(bytearray(listed.size))
            described = store.read_into(listed.key, data, etag=listed.etag, version=listed.version)
            return Got(listed, data, described, _tags(store, listed, described))
        except ObjectChanged:
            if tries == _TRIES - 1:
                raise
        listed = again(store, listed)
        if listed.size > limit:
            return Got(listed, None, Described(listed.size, listed.modified_ns, listed.etag))
    raise AssertionError


def parts(store: Objects, listed: Listed) -> Iterator[Job[Got]]:
    """A large object in parts that fit together: each only of that ETag."""
    for start in range(0, listed.size, PART):
        size = min(PART, listed.size - start)

        def run(start: int = start, size: int = size) -> Got:
            data = memoryview(bytearray(size))
            described = store.read_into(listed.key, data, start=start, etag=listed.etag, version=listed.version)
            return Got(listed, data, described, _tags(store, listed, described) if not start else {})

        yield Job((listed, start), run, size)


def again(store: Objects, listed: Listed) -> Listed:
    """The object as it is now. Raises ObjectGone."""
    now = store.describe(listed.key, listed.version)
    if now is None:
        raise ObjectGone(f"{store.url}/{listed.key} is not there any more.", key=listed.key)
    return listed._replace(
        size=now.size, modified_ns=now.modified_ns, etag=now.etag, version=now.version or listed.version, storage_class=now.storage_class
    )


def _tags(store: Objects, listed: Listed, described: Described) -> Mapping[str, str]:
    return store.tags(listed.key, listed.version) if described.tag_count else {}
