"""Google's and Azure's stores as a location, by the clients that protect buckets there: conditional put, ranged get, ordered listing."""

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar

from holdfast.connect.objects import ObjectGone, Options, StoreDenied, StoreUnreachable, open_objects
from holdfast.connect.objects.azure.store import AzureObjects
from holdfast.connect.objects.errors import KeyImpossible
from holdfast.connect.objects.google.store import GoogleObjects
from holdfast.model import Clock, SystemClock
from holdfast.storage.contract import (
    Buffer,
    Capabilities,
    ObjectExists,
    ObjectInfo,
    ObjectMissing,
    StorageDenied,
    StorageUnreachable,
)
from holdfast.storage.names import BadName, check_name

Cloud = GoogleObjects | AzureObjects
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


def open_cloud(url: str, bucket: str, prefix: str, options: Mapping[str, Any], clock: Clock | None = None) -> "CloudStorage":
    """``options`` as in ``holdfast.storage.open``. Contacts nothing yet. Raises StorageDenied: no credentials, or none that can be used."""
    tls = options.get("tls") or {}
    given = Options(
        endpoint=options.get("endpoint"),
        credentials=dict(options.get("credentials") or {}),
        ca=tls.get("ca"),
        certificate=tls.get("cert"),
        key=tls.get("key"),
        # Who wraps this storage repeats what fails, and knows whether another location can be asked instead.
        patience=0.0,
    )
    try:
        objects = open_objects(f"{url.partition('://')[0]}://{bucket}", given, clock=clock or SystemClock())
    except StoreDenied as error:
        raise StorageDenied(error.message, hint=error.hint, url=url) from error
    assert isinstance(objects, GoogleObjects | AzureObjects)
    return CloudStorage(objects, url, prefix)


class CloudStorage:
    """``url`` names the location in messages; ``prefix`` (without slashes at its ends) is the folder inside the bucket."""

    capabilities: ClassVar[Capabilities] = Capabilities()

    def __init__(self, objects: Cloud, url: str, prefix: str) -> None:
        self.url = url
        self._objects = objects
        self._folder = f"{prefix}/" if prefix else ""

    def put_if_absent(self, name: str, parts: Sequence[Buffer]) -> None:
        key = self._folder + check_name(name)
        body = b"".join(parts)
        with self._asked(name):
            try:
                stored = self._objects.put_absent(key, body)
            except StoreUnreachable:
                # Its answer was lost, perhaps.
                if not self._holds(key, body):
                    raise
                stored = True
        if not stored:
            raise ObjectExists(name)

    def _holds(self, key: str, body: bytes) -> bool:
        try:
            return self._objects.fetch(key) == body
        except (ObjectGone, StoreUnreachable, StoreDenied):
            return False

    def get(self, name: str, start: int = 0, length: int | None = None) -> bytes:
        check_name(name)
        if length == 0:
            return b""
        with self._asked(name):
            return self._objects.fetch(self._folder + name, start, length)

    def head(self, name: str) -> ObjectInfo | None:
        with self._asked(name):
            found = self._objects.describe(self._folder + check_name(name))
        return None if found is None else ObjectInfo(name, found.size, _moment(found.modified_ns))

    def list(self, prefix: str = "", after: str = "") -> Iterator[ObjectInfo]:
        if prefix:
            check_name(f"{prefix}x")
        if after > prefix and not after.startswith(prefix):
            return
        cut = len(self._folder)
        with self._asked(prefix):
            for one in self._objects.list(self._folder + prefix, self._folder + after if after > prefix else ""):
                yield ObjectInfo(one.key[cut:], one.size, _moment(one.modified_ns))

    def folders(self, prefix: str) -> Iterator[str]:
        if prefix:
            check_name(f"{prefix}x")
        with self._asked(prefix):
            found = [path.rstrip("/").rsplit("/", 1)[-1] for path in self._objects.folders(self._folder + prefix)]
        yield from sorted(found)

    def delete(self, name: str) -> None:
        with self._asked(name):
            self._objects.delete([self._folder + check_name(name)])

    def now(self) -> dt.datetime:
        """The Date header of any answer, also of a refusal; whole seconds."""
        with self._asked("its clock"):
            return self._objects.time()

    def close(self) -> None:
        self._objects.close()

    @contextmanager
    def _asked(self, name: str) -> Iterator[None]:
        """The client's errors as those of a storage."""
        details = {"url": self.url, "name": name}
        try:
            yield
        except ObjectGone as error:
            raise ObjectMissing(f"There is no {name} in {self.url}.", hint="Run 'holdfast vault check'.", **details) from error
        except StoreDenied as error:
            raise StorageDenied(f"{self.url} refused {name}: {error.message}", hint=error.hint, **details) from error
        except StoreUnreachable as error:
            raise StorageUnreachable(f"{self.url} failed at {name}: {error.message}", hint=error.hint, **details) from error
        except KeyImpossible as error:
            raise BadName(error.message, hint=error.hint, name=name) from error


def _moment(ns: int) -> dt.datetime:
    return _EPOCH + dt.timedelta(microseconds=ns // 1000)
