"""Reads the answers of S3: listings, errors, ids of uploads."""

import datetime as dt
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from urllib.parse import unquote_to_bytes

from holdfast.connect.objects.contract import Listed

_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_MICROSECOND = dt.timedelta(microseconds=1)


class NoXml(ValueError):
    """An answer is not what S3 says it is."""


def parse(body: bytes) -> ET.Element:
    """Names of elements without their namespace. Raises NoXml."""
    if b"<!DOCTYPE" in body[:1000] or b"<!ENTITY" in body:
        raise NoXml("the answer declares a document type")
    try:
        root = ET.fromstring(body)  # noqa: S314 - entities are refused above
    except ET.ParseError as error:
        raise NoXml(f"the answer is no XML: {error}") from error
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
    return root


def error_code(body: bytes) -> tuple[str, str]:
    """(S3's word for it, its sentence); empty where the body tells none."""
    try:
        root = parse(body)
    except NoXml:
        return "", ""
    return root.findtext("Code") or "", root.findtext("Message") or ""


def decoded(text: str) -> str:
    """A key of a listing that was asked for with ``encoding-type=url``."""
    if "%" not in text and "+" not in text:
        return text
    return unquote_to_bytes(text.replace("+", " ")).decode("utf-8", "surrogateescape")


def listed(root: ET.Element) -> Iterator[Listed]:
    """The objects (versions, delete markers) of a page in its order. Raises NoXml."""
    try:
        for element in root:
            if element.tag in ("Contents", "Version", "DeleteMarker"):
                yield _one(element)
    except (KeyError, ValueError) as error:
        raise NoXml(f"a line of the listing is not understood: {error!r}") from error


def _one(element: ET.Element) -> Listed:
    told = {child.tag: child.text or "" for child in element}
    storage = told.get("StorageClass", "")
    return Listed(
        decoded(told["Key"]),
        int(told.get("Size", 0) or 0),
        nanoseconds(told["LastModified"]),
        told.get("ETag", "").strip('"'),
        "" if storage == "STANDARD" else storage,
        told.get("VersionId", ""),
        told.get("IsLatest", "true") == "true",
        element.tag == "DeleteMarker",
    )


def nanoseconds(text: str) -> int:
    """Of an ISO 8601 time."""
    return (dt.datetime.fromisoformat(text) - _EPOCH) // _MICROSECOND * 1000
