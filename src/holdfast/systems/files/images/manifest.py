"""Manifests and indexes: read within limits, never believed beyond them.

Sources: OCI image specification 1.1 (manifest, image-index, descriptor), Docker image manifest version 2 schema 2.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from holdfast.systems.files.images.errors import ManifestRefused
from holdfast.systems.files.images.reference import DIGEST

MOST_BYTES = 4 << 20
"""The specification asks registries to take at least this; none takes more."""
_MOST_DESCRIPTORS = 2000
_MOST_SIZE = 1 << 50
_MEDIA = re.compile(r"[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,126}/[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,126}")

OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
_SCHEMA1 = ("application/vnd.docker.distribution.manifest.v1+json", "application/vnd.docker.distribution.manifest.v1+prettyjws")
INDEXES = (OCI_INDEX, DOCKER_LIST)
IMAGES = (OCI_MANIFEST, DOCKER_MANIFEST)
ACCEPTED = (*INDEXES, *IMAGES)
_FOREIGN = ("nondistributable", ".foreign.")


@dataclass(frozen=True, slots=True)
class Descriptor:
    """``size`` in bytes. ``platform``: ``os/architecture[/variant]``, "" when not said. ``urls``: where a foreign layer is offered."""

    media_type: str
    digest: str
    size: int
    platform: str = ""
    urls: tuple[str, ...] = ()

    @property
    def foreign(self) -> bool:
        """A layer that its licence keeps out of registries."""
        return bool(self.urls) or any(mark in self.media_type for mark in _FOREIGN)


@dataclass(frozen=True, slots=True)
class Manifest:
    """``children``: manifests that an index names; ``blobs``: config and layers of one image, each once, in order."""

    media_type: str
    children: tuple[Descriptor, ...] = ()
    blobs: tuple[Descriptor, ...] = ()


def parse_manifest(data: bytes, media_type: str, what: str) -> Manifest:
    """``media_type``: what the registry or the descriptor said; the document's own must agree. Raises ManifestRefused."""
    media_type = media_type.partition(";")[0].strip().lower()
    if len(data) > MOST_BYTES:
        raise _wrong(what, f"it has {len(data)} bytes; at most {MOST_BYTES} are read")
    try:
        document = json.loads(data)
    except (ValueError, RecursionError):
        raise _wrong(what, "it is no JSON") from None
    if not isinstance(document, dict):
        raise _wrong(what, "it is no JSON object")
    if document.get("schemaVersion") == 1 or media_type in _SCHEMA1:
        raise ManifestRefused(
            f"{what} is stored in Docker's schema 1, which names no layers by their own digests and which registries have given up.",
            hint="Pull and push it again with a current tool, or rebuild it; then name the new one.",
        )
    if document.get("schemaVersion") != 2:
        raise _wrong(what, f"its schemaVersion is {str(document.get('schemaVersion'))[:20]!r}, not 2")
    own = document.get("mediaType", "")
    kind = own or (media_type if media_type in ACCEPTED else (OCI_INDEX if "manifests" in document else OCI_MANIFEST))
    if kind not in ACCEPTED or (media_type in ACCEPTED and kind != media_type):
        raise _wrong(what, f"its media type {str(kind)[:100]!r} is none that is kept (said: {media_type[:100]!r})")
    # A document that is both could be read as one thing here and as another elsewhere (CVE-2021-41190).
    if ("manifests" in document) == ("layers" in document or "config" in document):
        raise _wrong(what, "it is an index and an image at once, or neither")
    if kind in INDEXES:
        return Manifest(kind, children=_descriptors(document.get("manifests"), what, "manifests"))
    layers = _descriptors(document.get("layers"), what, "layers")
    config = _descriptor(document.get("config"), what, "config")
    return Manifest(kind, blobs=tuple({one.digest: one for one in (config, *layers)}.values()))


def _descriptors(rows: Any, what: str, key: str) -> tuple[Descriptor, ...]:
    if not isinstance(rows, list) or len(rows) > _MOST_DESCRIPTORS:
        raise _wrong(what, f"its {key} are no list of at most {_MOST_DESCRIPTORS}")
    return tuple(_descriptor(row, what, key) for row in rows)


def _descriptor(row: Any, what: str, key: str) -> Descriptor:
    if not isinstance(row, dict):
        raise _wrong(what, f"{key} holds no descriptor")
    media_type, digest, size = row.get("mediaType"), row.get("digest"), row.get("size")
    if not isinstance(media_type, str) or not _MEDIA.fullmatch(media_type):
        raise _wrong(what, f"a descriptor of {key} has no media type")
    if not isinstance(digest, str) or not DIGEST.fullmatch(digest):
        raise _wrong(what, f"a descriptor of {key} has no digest that is understood: {str(digest)[:100]!r}")
    if not isinstance(size, int) or isinstance(size, bool) or not 0 <= size <= _MOST_SIZE:
        raise _wrong(what, f"a descriptor of {key} has no size: {str(size)[:30]!r}")
    urls = row.get("urls") or []
    if not isinstance(urls, list) or not all(isinstance(url, str) for url in urls):
        raise _wrong(what, f"a descriptor of {key} has urls that are none")
    return Descriptor(media_type, digest, size, _platform(row.get("platform")), tuple(urls[:8]))


def _platform(given: Any) -> str:
    if not isinstance(given, dict):
        return ""
    parts = [given.get("os"), given.get("architecture"), given.get("variant")]
    return "/".join(part[:40] for part in parts if isinstance(part, str) and part)


def chosen(platform: str, platforms: Sequence[str]) -> bool:
    """Whether a child of an index is wanted: all are when none are named; ``linux/arm64`` takes every variant of it."""
    return not platforms or any(platform == one or platform.startswith(one + "/") for one in platforms)


def _wrong(what: str, why: str) -> ManifestRefused:
    return ManifestRefused(f"The manifest of {what} cannot be used: {why}.", hint="Look at it with the tool that pushed it.")
