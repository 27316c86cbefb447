"""A container of Azure Blob Storage by our own requests to its REST interface.

Why no library: object_store (obstore) hides metadata, tags and versions and knows no keys with ``..`` or ``//``; Azure's own client costs
milliseconds of a core for each blob, and brings a dozen packages.
"""

import datetime as dt
import hashlib
import re
import secrets
import threading
import xml.etree.ElementTree as ET
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlencode

from holdfast.connect.objects.azure.asking import AzureCaller
from holdfast.connect.objects.azure.listing import SNAPSHOT, Blob, history, page, seconds
from holdfast.connect.objects.calling import span
from holdfast.connect.objects.contract import Buffer, Described, Fitting, Listed
from holdfast.connect.objects.errors import KeyImpossible, ObjectChanged, ObjectGone, StoreDenied, StoreUnreachable, shown
from holdfast.connect.objects.free import FreeKeys
from holdfast.connect.objects.open import Options
from holdfast.connect.objects.sign import encoded_path
from holdfast.connect.objects.transport import Answer
from holdfast.connect.objects.xml import NoXml, parse
from holdfast.model import Clock

HEADERS = ("content-type", "content-encoding", "content-language", "content-disposition", "cache-control")
_TIERS = frozenset({"Hot", "Cool", "Cold", "Archive"})
_META = "x-ms-meta-"
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_TAG = re.compile(r"[A-Za-z0-9 +\-./:=_]*", re.ASCII)
_LONGEST = 1024
_PAGE = "5000"
_AT_ONCE = 16


class AzureObjects(FreeKeys):
    """Satisfies ``Objects``. Blobs are written as block blobs. Versions and snapshots are versions."""

    keeps_headers = True

    def __init__(self, container: str, options: Options, clock: Clock, note: Callable[[str], None] | None = None) -> None:
        self.url, self.container = f"az://{container}", container
        self.only_new = False
        self._caller = AzureCaller(container, options, clock, note)
        self._guard = threading.Lock()
        self._uploads: dict[str, tuple[Described | None, Mapping[str, str]]] = {}

    # ------------------------------------------------------------ listing

    def list(self, prefix: str = "", after: str = "") -> Iterator[Listed]:
        """Azure begins at no key of ours: what stands before ``after`` is listed and left out."""
        first = after.encode("utf-8", "surrogatepass")
        for one in self._walk(prefix, ""):
            if not after or one.key.encode("utf-8", "surrogatepass") > first:
                yield one.listed()

    def versions(self, prefix: str = "") -> Iterator[Listed]:
        return history(self._walk(prefix, "versions,snapshots"))

    def _walk(self, prefix: str, include: str) -> Iterator[Blob]:
        """One page is read while the one before is looked at."""
        query = {"restype": "container", "comp": "list", "maxresults": _PAGE}
        query |= {"prefix": prefix} if prefix else {}
        query |= {"include": include} if include else {}
        with ThreadPoolExecutor(1, thread_name_prefix="listing") as pool:
            coming = pool.submit(self._page, query)
            while True:
                blobs, marker = coming.result()
                if marker:
                    coming = pool.submit(self._page, {**query, "marker": marker})
                yield from blobs
                if not marker:
                    return

    def _page(self, query: Mapping[str, str]) -> tuple[Sequence[Blob], str]:
        root = self._xml(self._caller.ask("GET", self._caller.base, query), "its listing")
        try:
            return [*page(root)], root.findtext("NextMarker") or ""
        except (KeyError, ValueError, TypeError) as error:
            raise StoreUnreachable(f"{self.url} answered nonsense: {error!r}", hint="Look at the endpoint.", url=self.url) from error

    def _xml(self, answer: Answer, what: str) -> ET.Element:
        try:
            return parse(answer.body.removeprefix(b"\xef\xbb\xbf"))
        except NoXml as error:
            raise StoreUnreachable(
                f"{self.url} answered nonsense at {what}: {error}", hint="Look at the endpoint.", url=self.url
            ) from error

    # ------------------------------------------------------------ reading

    def _path(self, key: str) -> str:
        return f"{self._caller.base}{encoded_path('/' + key)}"

    def read_into(self, key: str, buffer: memoryview, *, start: int = 0, etag: str = "", version: str = "") -> Described:
        patience = self._caller.patience()
        got, size = 0, len(buffer)
        ranged = bool(etag) and size > 0
        first: Described | None = None
        while True:
            headers = {"if-match": f'"{etag}"'} if etag else {}
            if ranged or start or got:
                headers["x-ms-range"] = f"bytes={start + got}-{start + size - 1}"
            answer = self._caller.ask("GET", self._path(key), which(version), headers, key=key, into=buffer[got:], patience=patience)
            first = first or described(answer)
            # What broke off is the same blob's when it goes on, or it is not gone on with.
            etag = etag or first.etag
            got += answer.got
            if got == size and answer.status:
                return first
            if answer.status and answer.got == 0:
                raise ObjectChanged(
                    f"{self.url}/{shown(key)} has another size than it was listed with.", hint="Run it again.", url=self.url, key=key
                )
            if got < size:
                self._caller.again(patience, key, answer.headers.get("x-broken", "it broke off"))

    def fetch(self, key: str, start: int = 0, length: int | None = None) -> bytes:
        """Whatever is there now; a range past the end comes back shorter. Raises ObjectGone, ObjectDenied."""
        headers = {f"x-ms-{name}": value for name, value in span(start, length).items()}
        answer = self._caller.ask("GET", self._path(key), None, headers, key=key, also=frozenset({416}))
        return b"" if answer.status == 416 else answer.body

    def folders(self, prefix: str) -> Iterator[str]:
        """What keys go on with behind the prefix up to the next slash, with it, in order."""
        query = {"restype": "container", "comp": "list", "maxresults": _PAGE, "delimiter": "/"}
        query |= {"prefix": prefix} if prefix else {}
        while True:
            root = self._xml(self._caller.ask("GET", self._caller.base, query), "its listing")
            yield from (one.findtext("Name") or "" for one in root.iter("BlobPrefix"))
            if not root.findtext("NextMarker"):
                return
            query["marker"] = root.findtext("NextMarker") or ""

    def time(self) -> dt.datetime:
        """The store's own, in whole seconds."""
        return self._caller.time(self._caller.base)

    def describe(self, key: str, version: str = "") -> Described | None:
        try:
            return described(self._caller.ask("HEAD", self._path(key), which(version), key=key))
        except ObjectGone:
            return None

    def tags(self, key: str, version: str = "") -> Mapping[str, str]:
        answer = self._caller.ask("GET", self._path(key), {"comp": "tags", **which(version)}, key=key)
        root = self._xml(answer, f"the tags of {shown(key)}")
        return {tag.findtext("Key") or "": tag.findtext("Value") or "" for tag in root.iter("Tag")}

    # ------------------------------------------------------------ writing

    def fitting(self, described: Described, tags: Mapping[str, str]) -> Fitting:
        return fitting(described, tags)

    def put(self, key: str, data: Buffer, described: Described | None = None, tags: Mapping[str, str] | None = None) -> str:
        try:
            return self._put(key, data, {**_dressed(described, tags), **self._guarded()})
        except ObjectChanged as error:
            # This very request may have stored it, and its answer was lost.
            if not (self.only_new and self._own(error, key, data)):
                raise self._taken(error) from error
            now = self.describe(key)
            return now.etag if now is not None else ""

    def _guarded(self) -> dict[str, str]:
        return {"if-none-match": "*"} if self.only_new else {}

    def _put_if_free(self, key: str, data: Buffer) -> None:
        self._put(key, data, {"if-none-match": "*"})

    def _put(self, key: str, data: Buffer, headers: Mapping[str, str]) -> str:
        fit(key)
        given = {"x-ms-blob-type": "BlockBlob", "content-md5": _md5(data), **headers}
        return self._caller.ask("PUT", self._path(key), None, given, data, key=key).headers.get("etag", "").strip('"')

    def copy(self, source: str, target: str) -> None:
        """Inside the container, by the store itself. Raises ObjectGone."""
        address = self._caller.address(self._path(source))
        answer = self._caller.ask("PUT", self._path(target), None, {"x-ms-copy-source": address}, b"", key=source)
        state = answer.headers.get("x-ms-copy-status", "success")
        patience = self._caller.patience()
        while state == "pending" and patience.wait():
            state = self._caller.ask("HEAD", self._path(target), key=target).headers.get("x-ms-copy-status", "success")
        if state != "success":
            raise StoreUnreachable(f"{self.url}/{shown(source)} was not copied: {state}.", hint="Run it again.", url=self.url, key=source)

    def begin(self, key: str, described: Described | None = None, tags: Mapping[str, str] | None = None) -> str:
        """Blocks of all uploads of a key lie side by side: each names its own."""
        fit(key)
        _dressed(described, tags)
        upload = secrets.token_hex(8)
        with self._guard:
            self._uploads[upload] = described, tags or {}
        return upload

    def part(self, key: str, upload: str, number: int, data: Buffer, offset: int = 0) -> str:
        del offset
        block = b64encode(f"{upload}-{number:06d}".encode()).decode()
        query = {"comp": "block", "blockid": block}
        try:
            self._caller.ask("PUT", self._path(key), query, {"content-md5": _md5(data)}, data, key=key)
        except ObjectGone as error:
            raise StoreDenied(f"{self.url} takes no part of {shown(key)}: {error.message}", hint="Look at the container.") from error
        return block

    def complete(self, key: str, upload: str, etags: Sequence[str]) -> str:
        with self._guard:
            described, tags = self._uploads[upload]
        body = "".join(f"<Latest>{block}</Latest>" for block in etags)
        text = f'<?xml version="1.0" encoding="utf-8"?><BlockList>{body}</BlockList>'.encode()
        headers = {**_dressed(described, tags), **self._guarded()}
        try:
            etag = self._caller.ask("PUT", self._path(key), {"comp": "blocklist"}, headers, text, key=key).headers.get("etag", "")
        except ObjectChanged as error:
            now = self.describe(key)
            if now is None or not self._committed(key, upload):
                raise self._taken(error) from error
            etag = now.etag
        with self._guard:
            self._uploads.pop(upload, None)
        return etag.strip('"')

    def _committed(self, key: str, upload: str) -> bool:
        """Whether what is there was put together by this very upload: an earlier try was heard, and its answer lost."""
        answer = self._caller.ask("GET", self._path(key), {"comp": "blocklist", "blocklisttype": "committed"}, key=key)
        names = [one.text or "" for one in self._xml(answer, f"the blocks of {shown(key)}").iter("Name")]
        return bool(names) and all(b64decode(name).decode("ascii", "replace").startswith(f"{upload}-") for name in names)

    def abandon(self, key: str, upload: str) -> None:
        """Blocks that nothing refers to go by themselves, after a week at the latest."""
        del key
        with self._guard:
            self._uploads.pop(upload, None)

    def delete(self, keys: Sequence[str]) -> None:
        """A blob with snapshots is not deleted, for they would go with it: ObjectDenied."""

        def one(key: str) -> None:
            try:
                self._caller.ask("DELETE", self._path(key), key=key)
            except ObjectGone:
                return

        with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="delete") as pool:
            for done in [pool.submit(one, key) for key in keys]:
                done.result()

    # ------------------------------------------------------------ the container itself

    def settings(self) -> Mapping[str, str]:
        """What the container's own headers tell. Raises StoreDenied."""
        return self._caller.ask("GET", self._caller.base, {"restype": "container"}).headers

    def service(self) -> ET.Element:
        """The account's settings of blobs, as far as they can be asked here: soft delete. Raises StoreDenied."""
        answer = self._caller.ask("GET", self._caller.root, {"restype": "service", "comp": "properties"})
        return self._xml(answer, "the account's settings")

    def blobs(self, most: int = 1000) -> Sequence[Blob]:
        """The first of a listing with versions, for ``check``."""
        query = {"restype": "container", "comp": "list", "maxresults": str(most), "include": "versions"}
        return self._page(query)[0]

    def keeps_versions(self) -> bool:
        """Whether what is overwritten or removed stays as a version. Azure tells it of no account: seen by the newest of some blobs."""
        newest = max((one for one in self.blobs() if one.current), key=lambda one: one.modified_ns, default=None)
        return newest is not None and bool(newest.version)

    def sync(self) -> None:
        pass

    def close(self) -> None:
        self._caller.close()


def which(version: str) -> dict[str, str]:
    """How a version is asked for."""
    if not version:
        return {}
    return {"snapshot": version.removeprefix(SNAPSHOT)} if version.startswith(SNAPSHOT) else {"versionid": version}


def described(answer: Answer) -> Described:
    headers = answer.headers
    total = headers.get("content-range", "").rpartition("/")[2]
    size = total if total.isdigit() else headers.get("content-length", "0")
    inferred = headers.get("x-ms-access-tier-inferred") == "true"
    return Described(
        int(size) if size.isdigit() else answer.got,
        seconds(headers["last-modified"]) if headers.get("last-modified") else 0,
        headers.get("etag", "").strip('"'),
        headers.get("x-ms-version-id", ""),
        "" if inferred else headers.get("x-ms-access-tier", ""),
        {name: headers[name] for name in HEADERS if headers.get(name)},
        {name[len(_META) :]: value for name, value in headers.items() if name.startswith(_META)},
        int(headers.get("x-ms-tag-count", "0") or 0),
    )


def fitting(described: Described, tags: Mapping[str, str]) -> Fitting:
    """Names of metadata are those of variables, their values ASCII; tags at most ten, of letters, digits, blanks and ``+-./:=_``."""
    metadata = {
        name: value
        for name, value in described.metadata.items()
        if _NAME.fullmatch(name) and value.isascii() and value.isprintable() and value == value.strip() and value
    }
    right = {
        name: value for name, value in tags.items() if name and len(name) <= 128 and len(value) <= 256 and _TAG.fullmatch(name + value)
    }
    headers = {name: value for name, value in described.headers.items() if name in HEADERS and value.isascii()}
    return Fitting(headers, metadata, dict(list(right.items())[:10]))


def fit(key: str) -> None:
    """Raises KeyImpossible: what Azure refuses, or changes into another name."""
    parts = key.split("/")
    why = ""
    if len(key) > _LONGEST:
        why = f"it has more than {_LONGEST} letters"
    elif any(part in (".", "..") or part.endswith(".") for part in parts):
        why = "a part of it ends with a dot"
    elif "\\" in key:
        why = "it holds a backslash"
    elif not key or any(
        ord(one) < 32 or 127 <= ord(one) < 160 or 0xD800 <= ord(one) < 0xE000 or ord(one) in (0xFFFE, 0xFFFF) for one in key
    ):
        why = "it holds a control character"
    if why:
        raise KeyImpossible(f"Azure takes no key {ascii(key)[:100]}: {why}.", hint="Leave it out (--path), or restore it elsewhere.")


def _dressed(described: Described | None, tags: Mapping[str, str] | None) -> dict[str, str]:
    """Raises StoreDenied: a storage class of others."""
    if described is None:
        return {}
    fits = fitting(described, tags or {})
    headers = {f"x-ms-blob-{name}": value for name, value in fits.headers.items()}
    headers |= {_META + name.lower(): value for name, value in fits.metadata.items()}
    if fits.tags:
        headers["x-ms-tags"] = urlencode(fits.tags)
    if described.storage_class:
        if described.storage_class not in _TIERS:
            raise StoreDenied(f"Azure has no tier {described.storage_class}.", hint="", said="InvalidStorageClass")
        headers["x-ms-access-tier"] = described.storage_class
    return headers


def _md5(data: Buffer) -> str:
    return b64encode(hashlib.md5(data, usedforsecurity=False).digest()).decode()
