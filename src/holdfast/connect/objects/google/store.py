"""A bucket of Google Cloud Storage by our own requests to its JSON interface.

Why no library: object_store (obstore) hides metadata and generations and knows no keys with ``..`` or ``//``; Google's own client costs
milliseconds of a core for each object. A listing tells all that belongs to an object, so that reading one costs a single request.
"""

import datetime as dt
import hashlib
import json
import secrets
import threading
from base64 import b64encode
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any
from urllib.parse import parse_qsl, quote, urlsplit

from holdfast.connect.objects.calling import span
from holdfast.connect.objects.contract import Buffer, Described, Fitting, Listed
from holdfast.connect.objects.errors import ObjectChanged, ObjectGone, StoreDenied, StoreUnreachable, shown
from holdfast.connect.objects.free import FreeKeys
from holdfast.connect.objects.google.asking import GoogleCaller
from holdfast.connect.objects.google.items import FIELDS, HEADERS, Item, history, item, resource
from holdfast.connect.objects.google.uploads import Session
from holdfast.connect.objects.open import Options
from holdfast.connect.objects.transport import Answer
from holdfast.model import Clock

_PAGE = "1000"
_REMEMBERED = 10_000
_AT_ONCE = 16
# The stored bytes: without this Google unpacks what is stored as gzip.
_AS_STORED = {"accept-encoding": "gzip"}


class GoogleObjects(FreeKeys):
    """Satisfies ``Objects``. Generations are versions; of deletions see ``items.history``."""

    keeps_headers = True

    def __init__(self, bucket: str, options: Options, clock: Clock, note: Callable[[str], None] | None = None) -> None:
        self.url, self.bucket = f"gs://{bucket}", bucket
        self.only_new = False
        self._caller = GoogleCaller(bucket, options, clock, note)
        self._base = f"/storage/v1/b/{quote(bucket, safe='')}"
        self._guard = threading.Lock()
        self._items: OrderedDict[tuple[str, str], Item] = OrderedDict()
        self._sessions: dict[str, Session] = {}
        self._boundary = secrets.token_hex(16)

    # ------------------------------------------------------------ listing

    def list(self, prefix: str = "", after: str = "") -> Iterator[Listed]:
        for one in self._walk(prefix, {"startOffset": after} if after else {}):
            if not after or one.key != after:
                self._remember(one, "")
                yield one.listed()

    def versions(self, prefix: str = "") -> Iterator[Listed]:
        def told() -> Iterator[Item]:
            for one in self._walk(prefix, {"versions": "true"}):
                self._remember(one, one.generation)
                yield one

        return history(told())

    def _walk(self, prefix: str, more: Mapping[str, str]) -> Iterator[Item]:
        """One page is read while the one before is looked at."""
        query = {"prefix": prefix, "maxResults": _PAGE, "fields": f"nextPageToken,items({FIELDS})", **more}
        with ThreadPoolExecutor(1, thread_name_prefix="listing") as pool:
            coming = pool.submit(self._page, query)
            while True:
                items, token = coming.result()
                if token:
                    coming = pool.submit(self._page, {**query, "pageToken": token})
                yield from items
                if not token:
                    return

    def _page(self, query: Mapping[str, str]) -> tuple[Sequence[Item], str]:
        told = self._caller.json(self._caller.ask("GET", f"{self._base}/o", query), "its listing")
        return [self._item(one) for one in told.get("items") or ()], str(told.get("nextPageToken") or "")

    def _item(self, told: Any) -> Item:
        try:
            return item(told)
        except (KeyError, ValueError, TypeError, AttributeError) as error:
            raise StoreUnreachable(
                f"{self.url} answered nonsense: an object is not understood: {error!r}", hint="Look at the endpoint.", url=self.url
            ) from error

    def _remember(self, one: Item, version: str) -> None:
        with self._guard:
            self._items[one.key, version] = one
            while len(self._items) > _REMEMBERED:
                self._items.popitem(last=False)

    def _known(self, key: str, version: str, etag: str) -> Item | None:
        with self._guard:
            one = self._items.get((key, version))
        return one if one is not None and etag and etag == (one.version_etag if version else one.hash) else None

    # ------------------------------------------------------------ reading

    def _path(self, key: str) -> str:
        return f"{self._base}/o/{quote(key.encode('utf-8', 'surrogateescape'), safe='')}"

    def _asked(self, key: str, version: str) -> Item | None:
        query = {"fields": FIELDS, **({"generation": version} if version else {})}
        try:
            answer = self._caller.ask("GET", self._path(key), query, key=key)
        except ObjectGone:
            return None
        return self._item(self._caller.json(answer, shown(key)))

    def read_into(self, key: str, buffer: memoryview, *, start: int = 0, etag: str = "", version: str = "") -> Described:
        one = self._known(key, version, etag) or self._asked(key, version)
        if one is None:
            raise ObjectGone(f"{self.url}/{shown(key)} is not there.", hint="See: holdfast ls", url=self.url, key=key)
        described = one.described(as_version=bool(version))
        if (etag and etag != described.etag) or (not etag and one.size != len(buffer)) or start + len(buffer) > one.size:
            raise self._changed(key)
        patience = self._caller.patience()
        query = {"alt": "media", "generation": one.generation}
        got, size = 0, len(buffer)
        while True:
            headers = dict(_AS_STORED)
            if size and (start or got or size < one.size):
                headers["range"] = f"bytes={start + got}-{start + size - 1}"
            try:
                answer = self._caller.ask("GET", self._path(key), query, headers, key=key, into=buffer[got:], patience=patience)
            except ObjectGone:
                if not version and self._asked(key, "") is not None:
                    raise self._changed(key) from None
                raise
            got += answer.got
            if answer.status and got == size:
                return described
            if answer.status and answer.got == 0:
                raise self._changed(key)
            if got < size:
                self._caller.again(patience, key, answer.headers.get("x-broken", "it broke off"))

    def fetch(self, key: str, start: int = 0, length: int | None = None) -> bytes:
        """Whatever is there now; a range past the end comes back shorter. Raises ObjectGone, ObjectDenied."""
        headers = {**_AS_STORED, **span(start, length)}
        answer = self._caller.ask("GET", self._path(key), {"alt": "media"}, headers, key=key, also=frozenset({416}))
        return b"" if answer.status == 416 else answer.body

    def folders(self, prefix: str) -> Iterator[str]:
        """What keys go on with behind the prefix up to the next slash, with it, in order."""
        query = {"prefix": prefix, "delimiter": "/", "maxResults": _PAGE, "fields": "nextPageToken,prefixes"}
        while True:
            told = self._caller.json(self._caller.ask("GET", f"{self._base}/o", query), "its listing")
            yield from (str(one) for one in told.get("prefixes") or ())
            if not told.get("nextPageToken"):
                return
            query["pageToken"] = str(told["nextPageToken"])

    def time(self) -> dt.datetime:
        """The store's own, in whole seconds."""
        return self._caller.time(self._base)

    def _changed(self, key: str) -> ObjectChanged:
        return ObjectChanged(f"{self.url}/{shown(key)} was replaced meanwhile.", hint="Run it again.", url=self.url, key=key)

    def describe(self, key: str, version: str = "") -> Described | None:
        one = self._asked(key, version)
        return None if one is None else one.described(as_version=bool(version))

    def tags(self, key: str, version: str = "") -> Mapping[str, str]:
        """Google's objects have none."""
        del key, version
        return {}

    # ------------------------------------------------------------ writing

    def fitting(self, described: Described, tags: Mapping[str, str]) -> Fitting:
        del tags
        return Fitting({name: value for name, value in described.headers.items() if name in HEADERS}, described.metadata, {})

    def put(self, key: str, data: Buffer, described: Described | None = None, tags: Mapping[str, str] | None = None) -> str:
        del tags
        try:
            return self._put(key, data, described, self._guarded())
        except ObjectChanged as error:
            # This very request may have stored it, and its answer was lost.
            if not (self.only_new and self._own(error, key, data)):
                raise self._taken(error) from error
            return hashlib.md5(data, usedforsecurity=False).hexdigest()

    def _guarded(self) -> dict[str, str]:
        return {"ifGenerationMatch": "0"} if self.only_new else {}

    def _put_if_free(self, key: str, data: Buffer) -> None:
        self._put(key, data, None, {"ifGenerationMatch": "0"})

    def _put(self, key: str, data: Buffer, described: Described | None, more: Mapping[str, str]) -> str:
        md5 = hashlib.md5(data, usedforsecurity=False).digest()
        told = json.dumps(resource(key, described, b64encode(md5).decode())).encode()
        kind = (described.headers.get("content-type") if described is not None else None) or "application/octet-stream"
        edge = self._boundary.encode()
        head = b"--%b\r\ncontent-type: application/json; charset=UTF-8\r\n\r\n%b\r\n--%b\r\ncontent-type: %b\r\n\r\n" % (
            edge,
            told,
            edge,
            kind.encode(),
        )
        body = b"".join((head, data, b"\r\n--%b--\r\n" % edge))
        headers = {"content-type": f"multipart/related; boundary={self._boundary}"}
        self._caller.json(self._upload(key, {"uploadType": "multipart", **more}, headers, body), shown(key))
        return md5.hex()

    def _upload(self, key: str, query: Mapping[str, str], headers: Mapping[str, str], body: Buffer) -> Answer:
        try:
            return self._caller.ask("POST", f"/upload{self._base}/o", query, headers, body, key=key)
        except ObjectGone as error:
            raise StoreDenied(
                f"{self.url} does not exist, or these credentials may not see it.", hint="Look at the bucket's name.", url=self.url
            ) from error

    def copy(self, source: str, target: str) -> None:
        """Inside the bucket, by the store itself. Raises ObjectGone."""
        path = f"{self._path(source)}/rewriteTo/b/{quote(self.bucket, safe='')}/o/{quote(target, safe='')}"
        query: dict[str, str] = {}
        while True:
            told = self._caller.json(self._caller.ask("POST", path, query, {"content-type": "application/json"}, b"", key=source), "a copy")
            if told.get("done"):
                return
            query = {"rewriteToken": str(told.get("rewriteToken", ""))}

    def begin(self, key: str, described: Described | None = None, tags: Mapping[str, str] | None = None) -> str:
        del tags
        told = json.dumps(resource(key, described)).encode()
        headers = {"content-type": "application/json; charset=UTF-8"}
        kind = described.headers.get("content-type") if described is not None else None
        headers["x-upload-content-type"] = kind or "application/octet-stream"
        query = {"uploadType": "resumable", "name": key, **self._guarded()}
        answer = self._upload(key, query, headers, told)
        parts = urlsplit(answer.headers.get("location", ""))
        if not parts.query:
            raise StoreUnreachable(f"{self.url} began no upload of {shown(key)}.", hint="Look at the endpoint.", url=self.url, key=key)
        address = f"{parts.path}?{parts.query}"
        with self._guard:
            self._sessions[address] = Session(parts.path, dict(parse_qsl(parts.query, keep_blank_values=True)))
        return address

    def part(self, key: str, upload: str, number: int, data: Buffer, offset: int = 0) -> str:
        del number
        self._sessions[upload].take(partial(self._caller.piece, key), offset, data)
        return ""

    def complete(self, key: str, upload: str, etags: Sequence[str]) -> str:
        del etags
        answer = self._sessions[upload].finish(partial(self._caller.piece, key))
        with self._guard:
            del self._sessions[upload]
        return self._item(self._caller.json(answer, shown(key))).hash

    def abandon(self, key: str, upload: str) -> None:
        """Also of one that another process began: its id is its address. 499 is how Google says that a session is ended."""
        with self._guard:
            self._sessions.pop(upload, None)
        path, _, text = upload.partition("?")
        self._caller.ask("DELETE", path, dict(parse_qsl(text, keep_blank_values=True)), key=key, also=frozenset({404, 410, 499}))

    def delete(self, keys: Sequence[str]) -> None:
        def one(key: str) -> None:
            self._caller.ask("DELETE", self._path(key), key=key, also=frozenset({404}))

        with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="delete") as pool:
            for done in [pool.submit(one, key) for key in keys]:
                done.result()

    # ------------------------------------------------------------ the bucket itself

    def settings(self) -> Mapping[str, Any]:
        """The bucket as Google tells it. Raises StoreDenied: these credentials may not ask."""
        return self._caller.json(self._caller.ask("GET", self._base), "its settings")

    def keeps_versions(self) -> bool:
        """Whether what is overwritten or removed stays as a generation. Raises StoreDenied."""
        return bool((self.settings().get("versioning") or {}).get("enabled"))

    def sync(self) -> None:
        pass

    def close(self) -> None:
        self._caller.close()
