"""Opens a store of objects by its address."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from holdfast.connect.objects.contract import Objects
from holdfast.connect.objects.errors import StoreAddress
from holdfast.model import Clock, SystemClock

PATIENCE = 120.0
"""Seconds for which a request is tried again."""


@dataclass(frozen=True, slots=True)
class Options:
    """How a store is reached. ``credentials`` are resolved: ``profile``, or ``access_key_id``, ``secret_access_key``, ``session_token``;
    none: as AWS's own tools find them. ``ca``, ``certificate`` and ``key`` are PEM files. ``read_timeout`` in seconds without a byte.
    """

    endpoint: str | None = None
    region: str | None = None
    credentials: Mapping[str, str] = field(default_factory=dict, repr=False)
    ca: str | None = None
    certificate: str | None = None
    key: str | None = None
    path_style: bool | None = None
    patience: float = PATIENCE
    read_timeout: float = 60.0


def split(url: str) -> tuple[str, str, str]:
    """(scheme, bucket, prefix) of ``s3://bucket/prefix``; (``file``, folder, "") of ``file:///folder``. A prefix is taken as it is written.

    Raises StoreAddress.
    """
    parts = urlsplit(url)
    if parts.scheme == "file":
        return "file", url.removeprefix("file://"), ""
    if parts.scheme not in ("s3", "gs", "az") or not parts.netloc:
        raise StoreAddress(f"{url!r} is no address of a bucket or folder.", hint="Write s3://bucket/prefix or file:///folder.")
    return parts.scheme, parts.netloc, url.split("://", 1)[1].partition("/")[2]


def open_objects(
    url: str, options: Options | None = None, *, clock: Clock | None = None, note: Callable[[str], None] | None = None
) -> Objects:
    """The bucket or folder of an address (its prefix is the caller's business). Nothing is contacted yet.

    ``note`` is told when a store makes us wait. Raises StoreAddress, MissingExtra, StoreDenied (certificates, profile).
    """
    scheme, bucket, _ = split(url)
    clock = clock or SystemClock()
    if scheme == "file":
        from holdfast.connect.objects.local import FolderObjects

        return FolderObjects(Path(bucket))
    if scheme == "s3":
        from holdfast.connect.objects.s3 import S3Objects

        return S3Objects(bucket, options or Options(), clock, note)
    if scheme == "gs":
        from holdfast.connect.objects.google.store import GoogleObjects

        return GoogleObjects(bucket, options or Options(), clock, note)
    if scheme == "az":
        from holdfast.connect.objects.azure.store import AzureObjects

        return AzureObjects(bucket, options or Options(), clock, note)
    raise StoreAddress(f"{scheme}:// is not understood here yet.", hint="Write s3://bucket/prefix, gs://bucket/prefix or file:///folder.")
