"""A location's address becomes a storage."""

import os
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import unquote, urlsplit

from holdfast.errors import Usage
from holdfast.model import Clock, SystemClock
from holdfast.storage.contract import Storage

PATIENCE = 60.0
"""Seconds for which passing faults of the only location are waited out."""
LITTLE = 20.0
"""The same where another location can be asked instead ..."""
BRIEF = 3.0
"""... and this one has not answered yet."""


class UnknownScheme(Usage):
    """An address of a kind that no storage serves."""

    code = "location-unknown-scheme"


def open_storage(
    url: str,
    options: Mapping[str, Any] | None = None,
    *,
    create: bool = False,
    clock: Clock | None = None,
    one_of_several: bool = False,
    told: Callable[[str], None] | None = None,
) -> Storage:
    """The storage at ``url``, with retries round anything remote.

    ``file:///path`` or a plain absolute path; ``s3://bucket/prefix``, ``gs://…``, ``az://container/prefix``. ``options`` are those of
    a location in the plan, with secrets already resolved: ``endpoint``, ``region``, ``credentials`` (``{"profile": …}`` or
    ``{"access_key_id": …, "secret_access_key": …, "session_token": …}``;
    gs:// and az://: as in the plan; else the environment), ``tls`` (``{"ca": path}``), ``lock``
    (``{"mode": …, "days": …}``: objects are locked as they are put, and versions are read), ``versions`` (true: the versions of a bucket
    that keeps any are read, though nothing is locked).
    ``ssh://user@host/folder`` and ``unix:///socket`` are folders that ``holdfast vault serve`` serves there.
    ``create`` makes a missing local folder. ``one_of_several``: there are others to turn to, so a location that hangs or does not answer is
    given up soon and left alone for a while. ``told`` hears, within a few seconds, that it does not answer and is waited for.

    Raises UnknownScheme, MissingExtra, StorageUnreachable.
    """
    settings = dict(options or {})
    if url.startswith("/"):
        url = f"file://{url}"
    parts = urlsplit(url)
    time = clock or SystemClock()
    if parts.scheme == "file" and parts.netloc in {"", "localhost"} and parts.path.startswith("/"):
        from holdfast.storage.local import LocalStorage
        from holdfast.storage.wrappers.lazy import Lazy

        path = unquote(parts.path)
        if one_of_several:
            lazy = Lazy(f"file://{os.path.abspath(path)}", lambda: LocalStorage(path, create=create))  # noqa: PTH100
            return impatient(lazy, time, retry=False, told=told)
        return LocalStorage(path, create=create)
    if parts.scheme in {"s3", "gs", "az"} and parts.netloc:
        from holdfast.storage.objects import open_objects
        from holdfast.storage.wrappers.retry import Retrying

        objects = open_objects(parts.scheme, parts.netloc, parts.path.strip("/"), settings, time, brief=one_of_several)
        return impatient(objects, time, told=told) if one_of_several else Retrying(objects, time, patience=PATIENCE, told=told)
    if (parts.scheme == "unix" and parts.path.startswith("/")) or (parts.scheme == "ssh" and parts.hostname and parts.path):
        from holdfast.storage.served.client import ServedStorage, ssh, unix
        from holdfast.storage.wrappers.retry import Retrying

        served = ServedStorage(url, unix(unquote(parts.path)) if parts.scheme == "unix" else ssh(parts))
        return impatient(served, time, told=told) if one_of_several else Retrying(served, time, patience=LITTLE, told=told)
    raise UnknownScheme(
        f"{url!r} is no address of a location.",
        hint="Use file:///absolute/path, s3://bucket/prefix, gs://bucket/prefix, az://container/prefix; ssh://user@host/folder or"
        " unix:///socket for a folder that is served.",
        url=url,
    )


def impatient(storage: Storage, clock: Clock, *, retry: bool = True, told: Callable[[str], None] | None = None) -> Storage:
    """``storage`` as one of several: calls end in time, passing faults are waited out briefly, and silence is remembered for a while."""
    from holdfast.storage.wrappers.breaker import Breaker
    from holdfast.storage.wrappers.deadline import Deadline
    from holdfast.storage.wrappers.retry import Retrying

    timed = Deadline(storage, told=told)
    return Breaker(Retrying(timed, clock, patience=LITTLE, brief=BRIEF, told=told) if retry else timed, clock)
