"""Puts container images into a recovery point: manifests as they are, blobs streamed and checked, what the base has not fetched again."""

import hashlib
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from holdfast.errors import HoldfastError
from holdfast.model import Clock, Entry, Finding, Progress
from holdfast.systems.contract import CaptureWriter, Sink
from holdfast.systems.files.images.auth import RegistrySettings
from holdfast.systems.files.images.errors import BlobWrong, ImageMissing, ManifestRefused, RegistryDenied, RegistryUnreachable
from holdfast.systems.files.images.layout import LAYOUT_FILE, ROOT, Image, Node, blob_path, index_json, walk
from holdfast.systems.files.images.manifest import Descriptor
from holdfast.systems.files.images.reference import Reference, parse_reference
from holdfast.systems.files.images.registry import Registry
from holdfast.systems.files.images.transport import BROKEN, TIMEOUT_S, TRIES

AT_ONCE = 4
_PIECE = 1 << 20
_AWAY = (RegistryUnreachable, RegistryDenied, ImageMissing, BlobWrong)


@dataclass(frozen=True, slots=True)
class ImageSpec:
    """One image of the plan. ``platforms``: ``os/architecture[/variant]``; all of an index where none are named."""

    name: str
    platforms: tuple[str, ...] = ()


@dataclass(slots=True)
class Captured:
    """``facts``: by the image's name, JSON-ready, for the point. ``findings`` mark the point. ``fetched`` bytes and blobs by network."""

    facts: dict[str, Any] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    fetched_blobs: int = 0
    fetched_bytes: int = 0


class ImageCapture:
    """``registries`` by host; one that is not named is reached with TLS and without credentials. ``timeout``: seconds of silence."""

    def __init__(self, registries: Mapping[str, RegistrySettings], clock: Clock, *, timeout: float = TIMEOUT_S, tries: int = TRIES) -> None:
        self._tries = tries
        self._settings = registries
        self._clock = clock
        self._timeout = timeout
        self._open: dict[str, Registry] = {}

    def registry(self, host: str) -> Registry:
        if host not in self._open:
            settings = self._settings.get(host) or RegistrySettings(host)
            self._open[host] = Registry(settings, self._clock, timeout=self._timeout, tries=self._tries)
        return self._open[host]

    def run(self, specs: Sequence[ImageSpec], writer: CaptureWriter, progress: Progress) -> Captured:
        """Capture all of them into one layout.

        An image that cannot be had is taken from the base as it was, with a finding; without a base that has it the error is raised.
        Raises ImageReferenceWrong, RegistryUnreachable, RegistryDenied, ImageMissing, ManifestRefused, BlobWrong, LayoutWrong.
        """
        done = Captured()
        queue = _Queue(writer, self._clock)
        images: list[Image] = []
        progress.phase("images", None, "images")
        for spec in {spec.name: spec for spec in specs}.values():
            progress.note(f"image {spec.name}")
            try:
                image, facts = self._one(spec, queue, done, progress)
            except _AWAY as error:
                image, facts = _carried(spec, writer, queue, error, done, progress)
            images.append(image)
            done.facts[spec.name] = facts
            progress.advance(1)
        queue.add("oci-layout", LAYOUT_FILE)
        queue.add("index.json", index_json(images))
        return done

    # ------------------------------------------------------------ one image

    def _one(self, spec: ImageSpec, queue: "_Queue", done: Captured, progress: Progress) -> tuple[Image, dict[str, Any]]:
        reference = parse_reference(spec.name)
        registry = self.registry(reference.host)
        root = registry.manifest(reference.repository, reference.wanted)
        top = Descriptor(root.media_type, root.digest, len(root.data))

        def read(one: Descriptor) -> bytes:
            if one.digest == root.digest:
                return root.data
            found = registry.manifest(reference.repository, one.digest)
            if len(found.data) != one.size:
                raise BlobWrong(
                    f"The manifest {one.digest} of {spec.name} has {len(found.data)} bytes, not {one.size}.", hint="Push it again."
                )
            return found.data

        nodes = list(walk(top, read, spec.platforms, spec.name))
        if spec.platforms and not any(node.manifest.blobs for node in nodes):
            raise ManifestRefused(f"{spec.name} has none of the platforms {', '.join(spec.platforms)}.", hint="Correct the plan.")
        media_type = nodes[-1].manifest.media_type
        lacking, foreign = self._blobs(spec, reference, registry, nodes, queue, done, progress)
        for node in nodes:
            queue.add(blob_path(node.descriptor.digest), node.data)
        blobs = _unique(nodes)
        platforms = sorted({child.platform for node in nodes for child in node.manifest.children if child.platform} - {"unknown/unknown"})
        facts = {
            "digest": root.digest,
            "media_type": media_type,
            "size": len(root.data),
            "tag": reference.tag,
            "platforms": platforms,
            "chosen": list(spec.platforms),
            "blobs": len(blobs),
            "bytes": sum(one.size for one in blobs if one.digest not in foreign),
            "foreign": foreign,
            "lacking": lacking,
            "captured_at": self._clock.now().isoformat(timespec="seconds"),
        }
        if foreign:
            progress.note(
                f"image {spec.name}: {len(foreign)} foreign layers are NOT in the point: their licence keeps them out of the registry."
            )
        return Image(spec.name, media_type, root.digest, len(root.data), spec.platforms, tuple(lacking)), facts

    def _blobs(
        self,
        spec: ImageSpec,
        reference: Reference,
        registry: Registry,
        nodes: Sequence[Node],
        queue: "_Queue",
        done: Captured,
        progress: Progress,
    ) -> tuple[list[str], list[str]]:
        """(digests that the registry does not give, those of foreign layers that it does not hold)."""
        lacking: list[str] = []
        foreign: list[str] = []
        wanted: list[Descriptor] = []
        for one in _unique(nodes):
            if queue.has(one) or queue.reuse(one):
                continue
            if one.foreign and not registry.has_blob(reference.repository, one.digest):
                foreign.append(one.digest)
                continue
            wanted.append(one)
        progress.phase("layers", sum(one.size for one in wanted))

        def fetch(one: Descriptor) -> HoldfastError | None:
            try:
                download(registry, reference.repository, one, lambda: queue.stream(one), self._clock, progress)
            except (BlobWrong, ImageMissing) as error:
                return error
            return None

        with ThreadPoolExecutor(AT_ONCE, "holdfast-image") as pool:
            for one, error in zip(wanted, pool.map(fetch, wanted), strict=True):
                if error is None:
                    done.fetched_blobs += 1
                    done.fetched_bytes += one.size
                    queue.done(one)
                    continue
                lacking.append(one.digest)
                done.findings.append(
                    Finding(
                        code="image-blob-lacking",
                        message=f"{spec.name} is not whole in the point: {error.message}",
                        where={"image": spec.name, "digest": one.digest, "cause": error.code},
                    )
                )
        return lacking, foreign


class _Queue:
    """The layout's part of the point. Each path once; safe from the threads that download."""

    def __init__(self, writer: CaptureWriter, clock: Clock) -> None:
        self._writer = writer
        self._clock = clock
        self._lock = threading.Lock()
        self._there: set[str] = set()

    def has(self, one: Descriptor) -> bool:
        return blob_path(one.digest) in self._there

    def done(self, one: Descriptor) -> None:
        self._there.add(blob_path(one.digest))

    def add(self, path: str, data: bytes) -> None:
        if path not in self._there:
            self._there.add(path)
            self._writer.add(self._entry(path, len(data)), data)

    def reuse(self, one: Descriptor) -> bool:
        return self.reuse_path(blob_path(one.digest), one.size)

    def reuse_path(self, path: str, size: int) -> bool:
        if path in self._there:
            return True
        if not self._writer.reuse(self._entry(path, size)):
            return False
        self._there.add(path)
        return True

    def stream(self, one: Descriptor) -> Sink:
        with self._lock:
            return self._writer.stream(self._entry(blob_path(one.digest), one.size))

    def _entry(self, path: str, size: int) -> Entry:
        return Entry(f"{ROOT}/{path}", "file", size=size, mode=0o644, mtime_ns=int(self._clock.now().timestamp()) * 10**9)


def download(registry: Registry, repository: str, one: Descriptor, opened: Callable[[], Sink], clock: Clock, progress: Progress) -> None:
    """A blob into a sink, its digest checked on the way; a transfer that breaks goes on where it broke.

    A sink is closed only when everything was right: one that is not leaves no entry. Raises BlobWrong (after two tries), ImageMissing,
    RegistryUnreachable, RegistryDenied.
    """
    algorithm, _, expected = one.digest.partition(":")
    for last in (False, True):
        sink = opened()
        total = hashlib.new(algorithm)
        got = _stream(registry, repository, one, sink, total, clock, progress)
        if got == one.size and total.hexdigest() == expected:
            sink.close()
            return
        if last:
            raise BlobWrong(
                f"{registry.settings.host}/{repository} gives {got} bytes for {one.digest} that are not it ({one.size} expected).",
                hint="The registry's storage is damaged: push the image again.",
            )


def _stream(registry: Registry, repository: str, one: Descriptor, sink: Sink, total: Any, clock: Clock, progress: Progress) -> int:
    """Bytes received, at most a piece more than the blob has. Raises RegistryUnreachable when it breaks again and again at one place."""
    got = tries = 0
    while got < one.size:
        before = got
        why = "it ended early"
        with registry.blob(repository, one.digest, got) as answer:
            skip = got if answer.status == 200 else 0
            while got <= one.size:
                try:
                    data = answer.read(_PIECE)
                except BROKEN as error:
                    why = str(error)[:200] or type(error).__name__
                    break
                if not data:
                    break
                fresh, skip = data[skip:], max(0, skip - len(data))
                got += len(fresh)
                total.update(fresh)
                sink.write(fresh)
                progress.advance(len(fresh))
        tries = 0 if got > before else tries + 1
        if got < one.size:
            if tries >= TRIES:
                raise RegistryUnreachable(
                    f"{registry.settings.host} broke {one.digest} off at {got} of {one.size} bytes: {why}.",
                    hint="Look at the network; try again.",
                )
            clock.sleep(min(2.0**tries / 4, 10.0))
    return got


def _unique(nodes: Sequence[Node]) -> Sequence[Descriptor]:
    return list({one.digest: one for node in nodes for one in node.manifest.blobs}.values())


def _carried(
    spec: ImageSpec, writer: CaptureWriter, queue: _Queue, error: HoldfastError, done: Captured, progress: Progress
) -> tuple[Image, dict[str, Any]]:
    """The image as the base has it, with a finding. Raises ``error`` where there is none.

    The base's manifests cannot be read by a host that only writes, so all of its blobs are taken over: they cost nothing.
    """
    base = writer.base
    facts = (base.point.facts.get("images") or {}).get(spec.name) if base is not None else None
    if base is None or not facts or tuple(facts["chosen"]) != spec.platforms:
        raise error
    inner = len(ROOT) + 1
    for stored in list(base.entries(f"{ROOT}/blobs/")):
        if not queue.reuse_path(stored.entry.path[inner:], stored.entry.size):
            raise error
    message = f"{error.message} The point holds {spec.name} as it was at {facts['captured_at']}."
    progress.note(f"image {spec.name}: {message}")
    done.findings.append(Finding(code="image-not-captured", message=message, where={"image": spec.name, "cause": error.code}))
    image = Image(spec.name, facts["media_type"], facts["digest"], facts["size"], spec.platforms, tuple(facts["lacking"]))
    return image, dict(facts)
