"""What a store lists below the prefixes of the plan, in order and once."""

from collections.abc import Iterator

from holdfast.connect.objects import Listed, Objects
from holdfast.systems.bucket.errors import ListingUnordered
from holdfast.systems.bucket.settings import BucketSettings

BUDGET = 64 << 20
"""Bytes that may lie between a store and the vault."""


def lines_of(settings: BucketSettings, store: Objects, *, everything: bool) -> Iterator[Listed]:
    """``everything``: all versions and delete markers. Raises ListingUnordered."""
    last: bytes | None = None
    for prefix in settings.whole_prefixes():
        for listed in store.versions(prefix) if everything else store.list(prefix):
            key = listed.key.encode("utf-8", "surrogatepass")
            if last is not None and key <= last and (key < last or not everything):
                raise ListingUnordered(
                    f"{store.url} lists {listed.key!r} behind a key that follows it.",
                    hint="Directory buckets of S3 and hierarchical accounts of Azure list in another order, and are not supported.",
                )
            last = key
            yield listed
