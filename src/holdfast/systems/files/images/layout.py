"""The OCI image layout in which a point keeps images: one for all of a system, so that layers which images share are kept once.

``images/oci-layout``, ``images/index.json`` (each image with its full name), ``images/blobs/<algorithm>/<hex>``. Tools that read OCI
layouts (skopeo, podman, containerd) read it as it lies there. Source: OCI image specification 1.1, image-layout.
"""

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from holdfast.errors import HoldfastError
from holdfast.model import counted
from holdfast.systems.contract import Structural
from holdfast.systems.files.images.errors import BlobWrong, LayoutWrong
from holdfast.systems.files.images.manifest import INDEXES, MOST_BYTES, OCI_INDEX, Descriptor, Manifest, chosen, parse_manifest
from holdfast.systems.files.images.reference import DIGEST

ROOT = "images"
LAYOUT_FILE = b'{"imageLayoutVersion":"1.0.0"}\n'
NAME = "org.opencontainers.image.ref.name"
CONTAINERD = "io.containerd.image.name"
PLATFORMS = "holdfast.platforms"
"""Annotation: the only platforms of an index that were captured, with commas."""
LACKING = "holdfast.lacking"
"""Annotation: digests of blobs that the registry did not give, with commas."""
MOST_DEPTH = 3
MOST_MANIFESTS = 2000
_INDEX_LIMIT = 64 << 20


@dataclass(frozen=True, slots=True)
class Image:
    """A line of ``index.json``."""

    name: str
    media_type: str
    digest: str
    size: int
    platforms: tuple[str, ...] = ()
    lacking: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        annotations = {NAME: self.name, CONTAINERD: self.name}
        if self.platforms:
            annotations[PLATFORMS] = ",".join(self.platforms)
        if self.lacking:
            annotations[LACKING] = ",".join(self.lacking)
        return {"mediaType": self.media_type, "digest": self.digest, "size": self.size, "annotations": annotations}


@dataclass(frozen=True, slots=True)
class Node:
    """A manifest met on the way through an image, children before parents."""

    descriptor: Descriptor
    data: bytes
    manifest: Manifest


Read = Callable[[Descriptor], bytes]
"""The bytes of a manifest."""


def index_json(images: Sequence[Image]) -> bytes:
    rows = [image.to_json() for image in sorted(images, key=lambda image: image.name)]
    document = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": rows}
    return json.dumps(document, indent=1, sort_keys=True).encode() + b"\n"


def blob_path(digest: str) -> str:
    """Below the layout's folder. The digest was checked for its form when it was read."""
    algorithm, _, value = digest.partition(":")
    return f"blobs/{algorithm}/{value}"


def walk(root: Descriptor, read: Read, platforms: Sequence[str], what: str) -> Iterator[Node]:
    """Every manifest of an image, each once, children first; those of other platforms than ``platforms`` are left out.

    Raises ManifestRefused, and LayoutWrong for one nested deeper or wider than any image is.
    """
    seen: set[str] = set()

    def visit(one: Descriptor, depth: int) -> Iterator[Node]:
        if one.digest in seen:
            return
        seen.add(one.digest)
        if depth > MOST_DEPTH or len(seen) > MOST_MANIFESTS:
            raise LayoutWrong(
                f"{what} nests manifests deeper than {MOST_DEPTH} or has more than {MOST_MANIFESTS}.", hint="Look at the image."
            )
        data = read(one)
        manifest = parse_manifest(data, one.media_type, what)
        for child in manifest.children:
            if not child.platform or chosen(child.platform, platforms):
                yield from visit(child, depth + 1)
        yield Node(one, data, manifest)

    yield from visit(root, 0)


class Layout:
    """A folder with an OCI layout. Nothing in it is followed outside."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def images(self) -> Sequence[Image]:
        """Raises LayoutWrong."""
        try:
            version = json.loads(self._small("oci-layout", MOST_BYTES))
            document = json.loads(self._small("index.json", _INDEX_LIMIT))
            if not str(version["imageLayoutVersion"]).startswith("1.") or document.get("schemaVersion") != 2:
                raise LayoutWrong(f"{self.folder} is an OCI layout of another version.", hint="Restore another recovery point.")
            return [_image(row) for row in document["manifests"]]
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise LayoutWrong(f"{self.folder} is no OCI layout: {error}.", hint="Restore another recovery point.") from None

    def nodes(self, image: Image) -> Sequence[Node]:
        """Raises LayoutWrong, BlobWrong, ManifestRefused."""
        root = Descriptor(image.media_type, image.digest, image.size)
        return list(walk(root, self.manifest, image.platforms, image.name))

    def manifest(self, one: Descriptor) -> bytes:
        """The bytes of a manifest, their digest checked. Raises BlobWrong."""
        try:
            data = self._small(blob_path(one.digest), MOST_BYTES)
        except OSError as error:
            raise BlobWrong(f"The manifest {one.digest} is not there: {error.strerror}.", hint="Restore another recovery point.") from None
        algorithm, _, value = one.digest.partition(":")
        if len(data) != one.size or hashlib.new(algorithm, data).hexdigest() != value:
            raise BlobWrong(f"The manifest {one.digest} is not what its digest says.", hint="Restore another recovery point.")
        return data

    def has(self, digest: str) -> bool:
        path = self.folder / blob_path(digest)
        return path.is_file() and not path.is_symlink()

    def check(self, one: Descriptor) -> None:
        """A blob has its size and its digest. Raises BlobWrong."""
        algorithm, _, value = one.digest.partition(":")
        try:
            with self._open(blob_path(one.digest)) as file:
                size = os.fstat(file.fileno()).st_size
                found = hashlib.file_digest(file, algorithm).hexdigest()
        except OSError as error:
            raise BlobWrong(f"The blob {one.digest} is not there: {error.strerror}.", hint="Restore another recovery point.") from None
        if size != one.size or found != value:
            raise BlobWrong(
                f"The blob {one.digest} is not what its digest says ({size} of {one.size} bytes).", hint="Restore another recovery point."
            )

    def open(self, digest: str) -> Any:
        return self._open(blob_path(digest))

    def _open(self, path: str) -> Any:
        return os.fdopen(os.open(self.folder / path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC), "rb")

    def _small(self, path: str, most: int) -> bytes:
        with self._open(path) as file:
            data: bytes = file.read(most + 1)
        if len(data) > most:
            raise ValueError(f"{path} has more than {most} bytes")
        return data


def examine(folder: Path) -> Sequence[Structural]:
    """What ``verify`` shows of each image: every manifest and blob is there and is what its digest says."""
    layout = Layout(folder)
    try:
        images = layout.images()
    except HoldfastError as error:
        return [Structural("images", "failed", error.message)]
    right: set[str] = set()
    return [_examined(layout, image, right) for image in images]


def _examined(layout: Layout, image: Image, right: set[str]) -> Structural:
    name = f"image {image.name}"
    foreign = size = 0
    try:
        nodes = layout.nodes(image)
        for one in {blob.digest: blob for node in nodes for blob in node.manifest.blobs}.values():
            if one.foreign and not layout.has(one.digest):
                foreign += 1
                continue
            if one.digest not in right:
                layout.check(one)
                right.add(one.digest)
            size += one.size
    except HoldfastError as error:
        return Structural(name, "failed", error.message)
    if image.lacking:
        return Structural(name, "failed", f"the registry did not give {len(image.lacking)} of its blobs: {image.lacking[0]}")
    images = sum(1 for node in nodes if node.manifest.media_type not in INDEXES)
    told = f", {foreign} foreign layers are not in the point" if foreign else ""
    return Structural(name, "passed", f"{counted(images, 'image')}, {size} bytes, every digest right{told}")


def _image(row: Mapping[str, Any]) -> Image:
    digest, size, media_type = row["digest"], row["size"], row["mediaType"]
    if not DIGEST.fullmatch(digest) or not isinstance(size, int) or not isinstance(media_type, str):
        raise ValueError("a descriptor of index.json has no digest, size or media type")
    notes = row.get("annotations") or {}
    name = notes.get(NAME) or digest
    if not isinstance(name, str):
        raise TypeError("an image's name is no text")
    return Image(name, media_type, digest, size, *(tuple(filter(None, str(notes.get(key, "")).split(","))) for key in (PLATFORMS, LACKING)))
