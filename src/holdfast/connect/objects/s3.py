"""A bucket of Amazon S3 or of what speaks its protocol, by our own requests.

Why no library: object_store (obstore) knows no keys with ``..``, ``//`` or control characters and hides headers; boto3 costs milliseconds
of a core for each object. Reference: docs.aws.amazon.com/AmazonS3/latest/API.
"""

import datetime as dt
import functools
import hashlib
import re
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlencode

from holdfast.connect.objects.asking import Asker
from holdfast.connect.objects.contract import Buffer, Described, Fitting, Listed
from holdfast.connect.objects.errors import ObjectChanged, ObjectDenied, ObjectGone, StoreDenied, StoreUnreachable, shown
from holdfast.connect.objects.open import Options
from holdfast.connect.objects.sign import encoded_path
from holdfast.connect.objects.transport import Answer
from holdfast.connect.objects.xml import NoXml, decoded, listed, parse
from holdfast.model import Clock

HEADERS = (
    "content-type",
    "content-encoding",
    "content-language",
    "content-disposition",
    "cache-control",
    "expires",
    "x-amz-website-redirect-location",
)
_META = "x-amz-meta-"
_MD5 = re.compile("[0-9a-f]{32}")
_HTTP_DATE = re.compile(r"[A-Z][a-z]{2}, (\d\d) ([A-Z][a-z]{2}) (\d{4}) (\d\d):(\d\d):(\d\d) GMT", re.ASCII)
_MONTHS = "JanFebMarAprMayJunJulAugSepOctNovDec"


class S3Objects:
    """Satisfies ``Objects``."""

    keeps_headers = True

    def __init__(self, bucket: str, options: Options, clock: Clock, note: Callable[[str], None] | None = None) -> None:
        self.url = f"s3://{bucket}"
        self.bucket = bucket
        self._asker = Asker(bucket, options, clock, note)
        self._md5 = False

    # ------------------------------------------------------------ listing

    def list(self, prefix: str = "", after: str = "") -> Iterator[Listed]:
        def query(before: Mapping[str, str]) -> dict[str, str]:
            token = {"continuation-token": before["NextContinuationToken"]} if before else {"start-after": after} if after else {}
            return {"list-type": "2", "encoding-type": "url", "prefix": prefix, **token}

        return self._pages(query, "NextContinuationToken")

    def versions(self, prefix: str = "") -> Iterator[Listed]:
        def query(before: Mapping[str, str]) -> dict[str, str]:
            more = {"key-marker": decoded(before["NextKeyMarker"])} if before else {}
            if before.get("NextVersionIdMarker"):
                more["version-id-marker"] = before["NextVersionIdMarker"]
            return {"versions": "", "encoding-type": "url", "prefix": prefix, **more}

        return self._pages(query, "NextKeyMarker")

    def _pages(self, query: Callable[[Mapping[str, str]], dict[str, str]], onward: str) -> Iterator[Listed]:
        """One page is read while the one before is looked at."""
        with ThreadPoolExecutor(1, thread_name_prefix="listing") as pool:
            coming = pool.submit(self._page, query({}))
            while True:
                lines, marks = coming.result()
                last = not marks.get(onward)
                if not last:
                    coming = pool.submit(self._page, query(marks))
                yield from lines
                if last:
                    return

    def _page(self, query: Mapping[str, str]) -> tuple[Sequence[Listed], Mapping[str, str]]:
        root = self._xml(self._asker.ask("GET", None, query), "its listing")
        try:
            lines = [*listed(root)]
        except NoXml as error:
            raise StoreUnreachable(f"{self.url} answered nonsense: {error}", hint="Look at the endpoint.", url=self.url) from error
        truncated = root.findtext("IsTruncated") == "true"
        marks = {name: root.findtext(name) or "" for name in ("NextContinuationToken", "NextKeyMarker", "NextVersionIdMarker")}
        return lines, marks if truncated else {}

    def _xml(self, answer: Answer, what: str) -> ET.Element:
        try:
            return parse(answer.body)
        except NoXml as error:
            raise StoreUnreachable(
                f"{self.url} answered nonsense at {what}: {error}", hint="Look at the endpoint.", url=self.url
            ) from error

    # ------------------------------------------------------------ reading

    def read_into(self, key: str, buffer: memoryview, *, start: int = 0, etag: str = "", version: str = "") -> Described:
        query = {"versionId": version} if version else None
        patience = self._asker.patience()
        got, size = 0, len(buffer)
        ranged = bool(etag) and size > 0
        first: Described | None = None
        while True:
            headers = {}
            if etag:
                headers["if-match"] = f'"{etag}"'
            if ranged or start or got:
                headers["range"] = f"bytes={start + got}-{start + size - 1}"
            answer = self._asker.ask("GET", key, query, headers, into=buffer[got:], patience=patience)
            first = first or described(answer)
            # What broke off is the same object's when it goes on, or it is not gone on with.
            etag = etag or first.etag
            got += answer.got
            if got == size and answer.status:
                return first
            if answer.status and answer.got == 0:
                raise ObjectChanged(
                    f"{self.url}/{shown(key)} has another size than it was listed with.", hint="Run it again.", url=self.url, key=key
                )
            if got < size and not patience.wait():
                said = answer.headers.get("x-broken", "")
                raise StoreUnreachable(
                    f"{self.url}/{shown(key)} broke off {patience.tries} times: {said}", hint="Look at the network.", url=self.url, key=key
                )

    def describe(self, key: str, version: str = "") -> Described | None:
        answer = self._asker.ask("HEAD", key, {"versionId": version} if version else None, missing=True)
        if answer.status == 404:
            return None
        return described(answer)

    def tags(self, key: str, version: str = "") -> Mapping[str, str]:
        query = {"tagging": "", **({"versionId": version} if version else {})}
        root = self._xml(self._asker.ask("GET", key, query), f"the tags of {shown(key)}")
        return {tag.findtext("Key") or "": tag.findtext("Value") or "" for tag in root.iter("Tag")}

    # ------------------------------------------------------------ writing

    def fitting(self, described: Described, tags: Mapping[str, str]) -> Fitting:
        return Fitting({name: value for name, value in described.headers.items() if name in HEADERS}, described.metadata, tags)

    def put(self, key: str, data: Buffer, described: Described | None = None, tags: Mapping[str, str] | None = None) -> str:
        headers = _headers(described, tags)
        known = _md5(described) if not self._asker.signs_bodies else None
        try:
            answer = self._asker.ask("PUT", key, None, headers, data, md5=known or self._md5)
        except StoreDenied as error:
            # A bucket with object lock takes nothing without a checksum of its own.
            if self._md5 or error.details.get("status") != 400 or "MD5" not in error.message:
                raise
            self._md5 = True
            answer = self._asker.ask("PUT", key, None, headers, data, md5=True)
        return answer.headers.get("etag", "").strip('"')

    def put_new(self, key: str, data: Buffer) -> bool:
        """Store it whole and durably unless the key exists; False then. After a lost answer what is there is compared with ``data``."""
        try:
            self._asker.ask("PUT", key, None, {"if-none-match": "*"}, data, md5=True)
        except ObjectChanged:
            found = bytearray(len(data))
            try:
                self.read_into(key, memoryview(found))
            except (ObjectChanged, ObjectGone):
                return False
            return found == bytes(data)
        return True

    def copy(self, source: str, target: str) -> None:
        """Inside the bucket, by the store itself; at most 5 GiB. Raises ObjectGone."""
        where = encoded_path(f"/{self.bucket}/{source}")
        patience = self._asker.patience()
        while True:
            root = self._xml(self._asker.ask("PUT", target, None, {"x-amz-copy-source": where}, patience=patience), "a copy")
            if root.tag != "Error":
                return
            # As with the end of an upload: 200 may still be an error.
            if not patience.wait():
                said = f"{root.findtext('Code')} {root.findtext('Message')}"
                raise StoreUnreachable(f"{self.url}/{shown(source)} was not copied: {said}", hint="Run it again.", url=self.url, key=source)

    def begin(self, key: str, described: Described | None = None, tags: Mapping[str, str] | None = None) -> str:
        root = self._xml(self._asker.ask("POST", key, {"uploads": ""}, _headers(described, tags)), "an upload in parts")
        return root.findtext("UploadId") or ""

    def part(self, key: str, upload: str, number: int, data: Buffer, offset: int = 0) -> str:
        del offset
        query = {"partNumber": str(number), "uploadId": upload}
        return self._asker.ask("PUT", key, query, None, data, md5=True).headers.get("etag", "").strip('"')

    def complete(self, key: str, upload: str, etags: Sequence[str]) -> str:
        parts = "".join(f"<Part><PartNumber>{i}</PartNumber><ETag>{_escaped(etag)}</ETag></Part>" for i, etag in enumerate(etags, 1))
        body = f"<CompleteMultipartUpload>{parts}</CompleteMultipartUpload>".encode()
        patience = self._asker.patience()
        while True:
            try:
                answer = self._asker.ask("POST", key, {"uploadId": upload}, None, body, patience=patience)
            except ObjectGone:
                # An earlier try was heard, and its answer lost: what lies there is told by its ETag.
                there = self.describe(key)
                if there is None or there.etag != _joined(etags):
                    raise
                return there.etag
            root = self._xml(answer, "the end of an upload")
            if root.tag != "Error":
                return (root.findtext("ETag") or "").strip('"')
            # An answer of 200 may still be an error: that is how S3 tells one that came late.
            said = f"{root.findtext('Code')} {root.findtext('Message')}"
            if not patience.wait():
                raise StoreUnreachable(f"{self.url}/{shown(key)} was not put together: {said}", hint="Run it again.", url=self.url, key=key)

    def abandon(self, key: str, upload: str) -> None:
        self._asker.ask("DELETE", key, {"uploadId": upload}, missing=True)

    def delete(self, keys: Sequence[str]) -> None:
        # What XML cannot say, a control character for example, is asked for by an address.
        for key in filter(_no_xml().search, keys):
            self._asker.ask("DELETE", key, missing=True)
        rows = "".join(f"<Object><Key>{_escaped(key)}</Key></Object>" for key in keys if not _no_xml().search(key))
        if not rows:
            return
        body = f"<Delete><Quiet>true</Quiet>{rows}</Delete>".encode("utf-8", "surrogateescape")
        root = self._xml(self._asker.ask("POST", None, {"delete": ""}, {"content-type": "application/xml"}, body, md5=True), "deleting")
        for error in root.iter("Error"):
            key, said = error.findtext("Key") or "", f"{error.findtext('Code')} {error.findtext('Message')}"
            raise ObjectDenied(
                f"{self.url}/{shown(key)} could not be removed: {said}", hint="Look at what the credentials allow.", url=self.url, key=key
            )

    # ------------------------------------------------------------ the bucket itself

    def setting(self, name: str) -> bytes | None:
        """The bucket's ``versioning``, ``lifecycle``, ``replication``, ``object-lock``, ``policy`` as S3 writes it; None: there is none.

        Raises StoreDenied: these credentials may not ask.
        """
        answer = self._asker.ask("GET", None, {name: ""}, missing=True)
        return None if answer.status == 404 else answer.body

    def replication(self, key: str) -> str:
        """How far an object's replication is: PENDING, COMPLETED, FAILED, REPLICA; empty where none is told."""
        return self._asker.ask("HEAD", key, missing=True).headers.get("x-amz-replication-status", "")

    def sync(self) -> None:
        pass

    def close(self) -> None:
        self._asker.close()


def _joined(etags: Sequence[str]) -> str:
    """The ETag of an object in parts: the MD5 of the parts' MD5s, and their number."""
    try:
        return f"{hashlib.md5(bytes.fromhex(''.join(etags)), usedforsecurity=False).hexdigest()}-{len(etags)}"
    except ValueError:
        return ""


def described(answer: Answer) -> Described:
    headers = answer.headers
    total = headers.get("content-range", "").rpartition("/")[2]
    size = total if total.isdigit() else headers.get("content-length", "0")
    modified = headers.get("last-modified", "")
    storage = headers.get("x-amz-storage-class", "")
    return Described(
        int(size) if size.isdigit() else 0,
        _second(modified) * 1_000_000_000 if modified else 0,
        headers.get("etag", "").strip('"'),
        headers.get("x-amz-version-id", ""),
        "" if storage == "STANDARD" else storage,
        {name: headers[name] for name in HEADERS if headers.get(name)},
        {name[len(_META) :]: value for name, value in headers.items() if name.startswith(_META)},
        int(headers.get("x-amz-tagging-count", "0") or 0),
    )


def _md5(given: Described | None) -> bytes | None:
    """An ETag as S3 makes it of what is put whole: what it named the content by once, it can check it by. It need not be one."""
    etag = given.etag if given is not None else ""
    return bytes.fromhex(etag) if _MD5.fullmatch(etag) else None


@functools.lru_cache(256)
def _second(text: str) -> int:
    """Of the time in a header: ``Wed, 21 Oct 2015 07:28:00 GMT``, or what else was ever allowed there."""
    match = _HTTP_DATE.fullmatch(text)
    month = _MONTHS.find(match[2]) if match is not None else -1
    if match is not None and month % 3 == 0:
        day, year, hour, minute, second = (int(match[group]) for group in (1, 3, 4, 5, 6))
        return int(dt.datetime(year, month // 3 + 1, day, hour, minute, second, tzinfo=dt.UTC).timestamp())
    # Costs a short command more to import than all else here.
    from email.utils import parsedate_to_datetime

    return int(parsedate_to_datetime(text).timestamp())


def _headers(given: Described | None, tags: Mapping[str, str] | None) -> dict[str, str]:
    headers: dict[str, str] = {}
    if given is not None:
        headers |= {name: value for name, value in given.headers.items() if name in HEADERS}
        headers |= {_META + name: value for name, value in given.metadata.items()}
        if given.storage_class:
            headers["x-amz-storage-class"] = given.storage_class
    if tags:
        headers["x-amz-tagging"] = urlencode(tags)
    if any("\r" in value or "\n" in value for value in headers.values()):
        raise ObjectGone("A header of an object holds a line break.", hint="Nothing was written.")
    return headers


_ESCAPES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", "\r": "&#13;", "\n": "&#10;", "\t": "&#9;"})


@functools.cache
def _no_xml() -> re.Pattern[str]:
    """Characters that XML 1.0 has no way to write (section 2.2, Char). To make it takes as long as to import all of this."""
    return re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def _escaped(key: str) -> str:
    return key.translate(_ESCAPES)
