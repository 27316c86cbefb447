"""Object stores: Amazon S3 and what speaks its protocol, Google Cloud Storage, Azure Blob Storage."""

from collections.abc import Mapping
from typing import Any

from holdfast.storage.contract import Storage


def open_objects(scheme: str, bucket: str, prefix: str, options: Mapping[str, Any]) -> Storage:
    """The store at ``scheme://bucket/prefix``; ``options`` as in ``holdfast.storage.open``. Contacts nothing yet."""
    from holdfast.storage.objects import clients
    from holdfast.storage.objects.store import ObjectStorage

    make = {"s3": clients.s3, "gs": clients.gcs, "az": clients.azure}[scheme]
    url = f"{scheme}://{bucket}/{prefix}".rstrip("/")
    return ObjectStorage(make(bucket, options), url, prefix)
