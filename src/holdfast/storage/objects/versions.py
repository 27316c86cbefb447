"""An S3 location whose bucket keeps versions: what was put first counts, whatever is put over it, and objects are locked as they are put.

Object lock protects versions, not names: who holds the credentials can still put garbage or a delete marker over every name. So nothing
here asks for "the object": versions are listed, markers ignored, and the oldest version that the judge accepts is read by its version id.
obstore cannot set a lock and cannot list versions; those calls go through boto3 (the extra ``s3``), reading goes through obstore.
"""

import datetime as dt
import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar, NamedTuple

import obstore
from obstore import exceptions as said

from holdfast.model import Clock
from holdfast.storage.contract import (
    Buffer,
    Capabilities,
    Judge,
    Lock,
    ObjectExists,
    ObjectInfo,
    ObjectLocked,
    ObjectMissing,
    StorageDenied,
    StorageUnreachable,
    Term,
)
from holdfast.storage.names import check_name
from holdfast.storage.objects.api import Api, ApiError
from holdfast.storage.objects.clients import Client
from holdfast.storage.objects.store import ObjectStorage

_REMEMBERED = 100_000
_TIME_HOLDS = 600.0
_RANDOM = "packs/"
"""Names that hold a random id and the content's hash: nobody can have taken one before."""


class Version(NamedTuple):
    """``id`` is the store's."""

    id: str
    size: int
    modified: dt.datetime


class VersionedStorage(ObjectStorage):
    """Satisfies ``Storage`` and ``KeepsVersions``. ``lock`` None: versions are read, nothing new is locked."""

    capabilities: ClassVar[Capabilities] = Capabilities(lock=True, versions=True)

    def __init__(self, client: Client, url: str, prefix: str, api: Api, lock: Lock | None, clock: Clock) -> None:
        super().__init__(client, url, prefix)
        self.lock = lock
        self._api = api
        self._clock = clock
        self._judge: Judge | None = None
        self._term: Term = lambda name, lock, _body: None if name.startswith("probe/") else lock.term
        self._chosen: OrderedDict[str, Version] = OrderedDict()
        self._guard = threading.Lock()
        self._asked: tuple[dt.datetime, float] | None = None

    def attach(self, judge: Judge, term: Term) -> None:
        if self._judge is None:
            self._judge, self._term = judge, term

    # ------------------------------------------------------------ writing

    def put_if_absent(self, name: str, parts: Sequence[Buffer]) -> None:
        key = self._folder + check_name(name)
        body = b"".join(parts)
        standing = () if name.startswith(_RANDOM) else self._versions(name)
        if self._valid(name, standing) is not None:
            raise ObjectExists(name)
        self._forget(name)
        term = self._term(name, self.lock, body) if self.lock is not None else None
        held: dict[str, Any] = {}
        if self.lock is not None and term is not None:
            held = {"ObjectLockMode": self.lock.mode.upper(), "ObjectLockRetainUntilDate": self.time() + term}
        if not standing:
            # A delete marker makes the name free for the store; what lies under one was looked for above.
            held["IfNoneMatch"] = "*"
        try:
            self._api.once.put_object(Bucket=self._api.bucket, Key=key, Body=body, **held)
        except ApiError as error:
            if error.code == "PreconditionFailed":
                if self._valid(name, self._versions(name)) is not None:
                    raise ObjectExists(name) from None
                # Nothing that stands there holds (a pack rotted, or garbage came first): ours goes over it, and is found by its hash.
                self._forget(name)
                held.pop("IfNoneMatch")
                self._put_over(key, body, held, name)
                return
            try:
                if self.get(name) == body:
                    return
            except (ObjectMissing, StorageUnreachable, StorageDenied):
                pass
            self._fail(error, name)

    def _put_over(self, key: str, body: bytes, held: dict[str, Any], name: str) -> None:
        try:
            self._api.once.put_object(Bucket=self._api.bucket, Key=key, Body=body, **held)
        except ApiError as error:
            self._fail(error, name)

    def extend(self, name: str, until: dt.datetime, enough: dt.datetime | None = None) -> dt.datetime:
        assert self.lock is not None
        for _ in range(2):
            version = self._resolve(name)
            where = {"Bucket": self._api.bucket, "Key": self._folder + name, "VersionId": version.id}
            try:
                held = self._retention(where)
                if held is not None and held >= (enough or until):
                    return held
                self._api.again.put_object_retention(**where, Retention={"Mode": self.lock.mode.upper(), "RetainUntilDate": until})
            except ApiError as error:
                if error.code in {"NoSuchKey", "NoSuchVersion", "404"}:
                    self._forget(name)
                    continue
                self._fail(error, name)
            return until
        raise self._missing(name)

    def delete(self, name: str) -> None:
        """Markers first, then the newest version, the oldest last: whatever is cut off in between shows the object as it was."""
        found, markers = self._history(name)
        self._forget(name)
        for version in (*markers, *(one.id for one in reversed(found))):
            try:
                self._api.again.delete_object(Bucket=self._api.bucket, Key=self._folder + name, VersionId=version)
            except ApiError as error:
                if error.code in {"NoSuchKey", "NoSuchVersion", "404"}:
                    continue
                until = self.locked_until(name)
                if until is not None and until > self.time():
                    raise ObjectLocked(
                        f"{name} in {self.url} is locked until {until.isoformat(timespec='seconds')}: nobody can remove it before.",
                        hint="Wait for that day; a prune removes then what is not needed.",
                        name=name,
                        url=self.url,
                        until=until.isoformat(),
                    ) from error
                self._fail(error, name)

    # ------------------------------------------------------------ reading

    def get(self, name: str, start: int = 0, length: int | None = None) -> bytes:
        check_name(name)
        if length == 0 and start == 0:
            return b""
        for _ in range(2):
            version = self._resolve(name)
            end = version.size if length is None else min(start + length, version.size)
            if start >= end:
                return b""
            options: Any = {"version": version.id}
            if (start, end) != (0, version.size):
                options["range"] = (start, end)
            try:
                return obstore.get(self._client.read, self._folder + name, options=options).bytes().to_bytes()
            except FileNotFoundError:
                self._forget(name)  # removed since, and perhaps put again
            except (said.BaseError, OSError) as error:
                self._fail(error, name)
        raise self._missing(name)

    def head(self, name: str) -> ObjectInfo | None:
        """Always asked of the store: what was there a moment ago may have been pruned."""
        found = self._versions(check_name(name))
        if not found:
            return None
        chosen = self._choose(name, found)
        return ObjectInfo(name, chosen.size, chosen.modified)

    def list(self, prefix: str = "", after: str = "") -> Iterator[ObjectInfo]:
        if prefix:
            check_name(f"{prefix}x")
        if after > prefix and not after.startswith(prefix):
            return
        marker = {"KeyMarker": self._folder + after} if after.startswith(prefix) and after else {}
        for name, found in self._walk(self._folder + prefix, marker):
            if name > after and found:
                chosen = found[0] if name.startswith(_RANDOM) else self._choose(name, found)
                if len(found) == 1:
                    self._remember(name, chosen)
                yield ObjectInfo(name, chosen.size, chosen.modified)

    def folders(self, prefix: str) -> Iterator[str]:
        if prefix:
            check_name(f"{prefix}x")
        for page in self._pages(Prefix=self._folder + prefix, Delimiter="/"):
            for found in page.get("CommonPrefixes", ()):
                folder = found["Prefix"][len(self._folder) :]
                # A folder of nothing but delete markers is none.
                if next(self.list(folder), None) is not None:
                    yield folder.rstrip("/").rsplit("/", 1)[-1]

    def locked_until(self, name: str) -> dt.datetime | None:
        try:
            version = self._resolve(check_name(name))
            return self._retention({"Bucket": self._api.bucket, "Key": self._folder + name, "VersionId": version.id})
        except ObjectMissing:
            return None
        except ApiError as error:
            if error.code in {"NoSuchKey", "NoSuchVersion", "404"}:
                self._forget(name)
                return None
            self._fail(error, name)

    def time(self) -> dt.datetime:
        with self._guard:
            asked = self._asked
        tick = self._clock.monotonic()
        if asked is None or tick - asked[1] > _TIME_HOLDS:
            asked = (self.now(), tick)
            with self._guard:
                self._asked = asked
        return asked[0] + dt.timedelta(seconds=tick - asked[1])

    def close(self) -> None:
        self._api.close()

    # ------------------------------------------------------------ which version

    def _resolve(self, name: str) -> Version:
        """The version that counts; its content never changes, so it may be remembered."""
        with self._guard:
            chosen = self._chosen.get(name)
        if chosen is None:
            found = self._versions(name)
            if not found:
                raise self._missing(name)
            chosen = self._choose(name, found)
            self._remember(name, chosen)
        return chosen

    def _choose(self, name: str, found: Sequence[Version]) -> Version:
        """The oldest that the judge accepts; the oldest of all where none is, so that its reader finds out what is wrong with it."""
        if len(found) == 1 or self._judge is None:
            return found[0]
        return self._valid(name, found) or found[0]

    def _valid(self, name: str, found: Sequence[Version]) -> Version | None:
        if self._judge is None:
            return found[0] if found else None
        for version in found:
            try:
                data = obstore.get(self._client.read, self._folder + name, options={"version": version.id}).bytes().to_bytes()
            except FileNotFoundError:
                continue
            except (said.BaseError, OSError) as error:
                self._fail(error, name)
            if self._judge(name, data):
                return version
        return None

    def _remember(self, name: str, version: Version) -> None:
        with self._guard:
            self._chosen[name] = version
            while len(self._chosen) > _REMEMBERED:
                self._chosen.popitem(last=False)

    def _forget(self, name: str) -> None:
        with self._guard:
            self._chosen.pop(name, None)

    # ------------------------------------------------------------ the store's answers

    def _versions(self, name: str) -> Sequence[Version]:
        """Oldest first, without delete markers."""
        return self._history(name)[0]

    def _history(self, name: str) -> tuple[Sequence[Version], Sequence[str]]:
        """(versions, oldest first; ids of delete markers) of one name."""
        key = self._folder + check_name(name)
        found: list[Version] = []
        markers: list[str] = []
        for page in self._pages(Prefix=key):
            # An attacker's names may begin as this one does: they sort behind it.
            entries = [*page.get("Versions", ()), *page.get("DeleteMarkers", ())]
            found += [_version(one) for one in page.get("Versions", ()) if one["Key"] == key]
            markers += [one["VersionId"] for one in page.get("DeleteMarkers", ()) if one["Key"] == key]
            if any(one["Key"] > key for one in entries):
                break
        return found[::-1], markers

    def _walk(self, prefix: str, marker: dict[str, str]) -> Iterator[tuple[str, Sequence[Version]]]:
        """(name, versions oldest first) of every key; a key's versions may be spread over pages."""
        waiting: str | None = None
        found: list[Version] = []
        for page in self._pages(Prefix=prefix, **marker):
            for one in page.get("Versions", ()):
                if one["Key"] != waiting:
                    if waiting is not None:
                        yield waiting[len(self._folder) :], found[::-1]
                    waiting, found = one["Key"], []
                found.append(_version(one))
        if waiting is not None:
            yield waiting[len(self._folder) :], found[::-1]

    def _pages(self, **what: str) -> Iterator[dict[str, Any]]:
        more: dict[str, Any] = dict(what)
        while True:
            try:
                page = self._api.again.list_object_versions(Bucket=self._api.bucket, **more)
            except ApiError as error:
                self._fail(error, what["Prefix"][len(self._folder) :])
            yield page
            if not page.get("IsTruncated"):
                return
            more["KeyMarker"] = page["NextKeyMarker"]
            more.pop("VersionIdMarker", None)
            if page.get("NextVersionIdMarker"):
                more["VersionIdMarker"] = page["NextVersionIdMarker"]

    def _retention(self, where: dict[str, str]) -> dt.datetime | None:
        try:
            found: dt.datetime = self._api.again.get_object_retention(**where)["Retention"]["RetainUntilDate"]
        except ApiError as error:
            if error.code in {"NoSuchObjectLockConfiguration", "ObjectLockConfigurationNotFoundError", "InvalidRequest"}:
                return None
            raise
        return found

    def _missing(self, name: str) -> ObjectMissing:
        return ObjectMissing(f"There is no {name} in {self.url}.", hint="Run 'holdfast vault check'.", name=name, url=self.url)


def _version(one: dict[str, Any]) -> Version:
    return Version(one["VersionId"], one["Size"], one["LastModified"])
