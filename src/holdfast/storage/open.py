"""A location's address becomes a storage."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote, urlsplit

from holdfast.errors import Usage
from holdfast.model import Clock, SystemClock
from holdfast.storage.contract import Storage


class UnknownScheme(Usage):
    """An address of a kind that no storage serves."""

    code = "location-unknown-scheme"


def open_storage(url: str, options: Mapping[str, Any] | None = None, *, create: bool = False, clock: Clock | None = None) -> Storage:
    """The storage at ``url``, with retries round anything remote.

    ``file:///path`` or a plain absolute path; ``s3://bucket/prefix``, ``gs://…``, ``az://container/prefix``. ``options`` are those of
    a location in the plan, with secrets already resolved: ``endpoint``, ``region``, ``credentials`` (``{"profile": …}`` or
    ``{"access_key_id": …, "secret_access_key": …, "session_token": …}``; else the environment), ``tls`` (``{"ca": path}``).
    ``create`` makes a missing local folder.

    Raises UnknownScheme, MissingExtra, StorageUnreachable.
    """
    settings = dict(options or {})
    if url.startswith("/"):
        url = f"file://{url}"
    parts = urlsplit(url)
    if parts.scheme == "file" and parts.netloc in {"", "localhost"} and parts.path.startswith("/"):
        from holdfast.storage.local import LocalStorage

        return LocalStorage(unquote(parts.path), create=create)
    if parts.scheme in {"s3", "gs", "az"} and parts.netloc:
        from holdfast.storage.objects import open_objects
        from holdfast.storage.wrappers.retry import Retrying

        return Retrying(open_objects(parts.scheme, parts.netloc, parts.path.strip("/"), settings), clock or SystemClock())
    raise UnknownScheme(
        f"{url!r} is no address of a location.",
        hint="Use file:///absolute/path, s3://bucket/prefix, gs://bucket/prefix or az://container/prefix.",
        url=url,
    )
