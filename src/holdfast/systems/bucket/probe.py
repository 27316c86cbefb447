"""What ``check`` finds out about a bucket: can it be listed and read, and what of its settings works against the plan."""

import contextlib
from collections.abc import Iterator, Sequence

from holdfast.connect.objects import Listed, ObjectDenied, Objects, StoreDenied, StoreUnreachable
from holdfast.connect.objects.errors import shown
from holdfast.errors import HoldfastError
from holdfast.model import Clock
from holdfast.systems.bucket.restore.uploads import Uploads
from holdfast.systems.bucket.settings import BucketSettings
from holdfast.systems.contract import Probe

_SAMPLES = 5


def probe(settings: BucketSettings, clock: Clock) -> Sequence[Probe]:
    """Changes nothing; reads one byte of a few objects."""
    del clock
    try:
        store = (settings.probing or settings.open)(settings.url)
    except HoldfastError as error:
        return [Probe(settings.url, "fail", error.message, error.hint)]
    try:
        found: list[Probe] = []
        try:
            found += _prefixes(settings, store)
        except StoreUnreachable as error:
            # Whatever else were asked would be waited for as long, and in vain.
            return [Probe(store.url, "fail", error.message, error.hint)]
        return [*found, *_bucket(settings, store), *_uploads(settings)]
    finally:
        store.close()


def _uploads(settings: BucketSettings) -> Iterator[Probe]:
    left = Uploads(settings.uploads).left() if settings.uploads is not None else []
    if left:
        first = f"of {shown(left[0].key)} in {left[0].address}"
        told = f"{len(left)} were left behind by restores that did not end: one {first}"
        if len(left) == 1:
            told = f"1 was left behind by a restore that did not end: {first}"
        yield Probe(
            "uploads in parts", "warn", told, "The next restore of this system gives them up; a store keeps and charges them until then."
        )


def _prefixes(settings: BucketSettings, store: Objects) -> Iterator[Probe]:
    for prefix in settings.whole_prefixes():
        name = f"{store.url}/{prefix}"
        try:
            listing = store.versions(prefix) if settings.versions == "all" else store.list(prefix)
            with contextlib.closing(listing):  # type: ignore[type-var]
                found = [one for one, _ in zip((line for line in listing if not line.marker), range(_SAMPLES), strict=False)]
        except StoreDenied as error:
            yield Probe(name, "fail", error.message, error.hint)
            continue
        if not found:
            yield Probe(name, "warn", "holds no objects", "Is it the right one?")
            continue
        refused = [denied for one in found if (denied := _unread(store, one))]
        if refused:
            detail = f"may be listed, and {len(refused)} of {len(found)} objects that were tried may not be read: {refused[0].message}"
            yield Probe(name, "fail", detail, refused[0].hint)
        else:
            yield Probe(name, "ok", f"may be listed and read ({len(found)} objects were tried)")


def _unread(store: Objects, one: Listed) -> HoldfastError | None:
    """Why an object (and its tags) cannot be read."""
    try:
        if one.size:
            store.read_into(one.key, memoryview(bytearray(1)), etag=one.etag, version=one.version)
        store.tags(one.key, one.version)
    except ObjectDenied as error:
        return error
    except HoldfastError:
        return None
    return None


def _bucket(settings: BucketSettings, store: Objects) -> Sequence[Probe]:
    scheme = settings.url.partition("://")[0]
    if scheme in ("gs", "az"):
        from holdfast.systems.bucket.clouds import azure, google

        return google(settings, store) if scheme == "gs" else azure(settings, store)
    if scheme != "s3":
        return [Probe(settings.url, "ok", "a folder keeps no versions, content types, metadata or tags")]
    from holdfast.systems.bucket.watch import watch

    return watch(settings, store)
