"""Object stores: Amazon S3 and what speaks its protocol, Google Cloud Storage, Azure Blob Storage."""

from collections.abc import Mapping
from typing import Any

from holdfast.model import Clock
from holdfast.storage.contract import Lock, Storage


def open_objects(
    scheme: str, bucket: str, prefix: str, options: Mapping[str, Any], clock: Clock | None = None, *, brief: bool = False
) -> Storage:
    """The store at ``scheme://bucket/prefix``; ``options`` as in ``holdfast.storage.open``.

    ``brief``: whoever calls repeats what fails, and has others to turn to, so a connection is tried once and for a few seconds.

    Contacts nothing yet, but with ``versions`` "auto", where the bucket is asked whether it keeps any.
    """
    url = f"{scheme}://{bucket}/{prefix}".rstrip("/")
    if scheme != "s3":
        from holdfast.storage.objects.cloud import open_cloud

        return open_cloud(url, bucket, prefix, options, clock)
    from holdfast.storage.objects import clients
    from holdfast.storage.objects.store import ObjectStorage

    client = clients.s3(bucket, {**options, "brief": brief})
    lock = Lock(**options["lock"]) if options.get("lock") else None
    if lock is not None or options.get("versions"):
        from holdfast.model import SystemClock
        from holdfast.storage.objects.api import Api
        from holdfast.storage.objects.bucket import keeps_versions
        from holdfast.storage.objects.versions import VersionedStorage

        api = Api(bucket, options)
        if lock is not None or keeps_versions(api, url):
            return VersionedStorage(client, url, prefix, api, lock, clock or SystemClock())
        api.close()
    return ObjectStorage(client, url, prefix)
