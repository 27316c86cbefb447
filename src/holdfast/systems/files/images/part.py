"""Container images as a part of a files system."""

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from holdfast.errors import HoldfastError
from holdfast.model import Clock, Progress
from holdfast.systems.contract import CaptureWriter, PointReader, Probe, Structural
from holdfast.systems.files import plain
from holdfast.systems.files.images.auth import RegistrySettings
from holdfast.systems.files.images.capture import ImageCapture, ImageSpec
from holdfast.systems.files.images.errors import LayoutWrong
from holdfast.systems.files.images.layout import ROOT, examine
from holdfast.systems.files.images.reference import parse_reference
from holdfast.systems.files.images.transport import TIMEOUT_S
from holdfast.systems.files.parts import Captured, Lacks
from holdfast.systems.files.restore.writing import sync

_FORM = re.compile(rf"{ROOT}/(?:oci-layout|index\.json|blobs/sha256/[0-9a-f]{{64}}|blobs/sha512/[0-9a-f]{{128}})")


class ImagesPart:
    """``registries`` (by host) is asked only where they are read: a restore needs no credentials."""

    name = ROOT

    def __init__(
        self,
        images: Sequence[ImageSpec],
        registries: Callable[[], Mapping[str, RegistrySettings]],
        clock: Clock,
        *,
        timeout: float = TIMEOUT_S,
    ) -> None:
        self._images = images
        self._registries = registries
        self._clock = clock
        self._timeout = timeout

    def probe(self) -> Sequence[Probe]:
        found = []
        try:
            capture = ImageCapture(self._registries(), self._clock, timeout=min(self._timeout, 30.0), tries=2)
        except HoldfastError as error:
            return [Probe("images", "fail", error.message, error.hint)]
        for one in self._images:
            name = f"image {one.name}"
            try:
                reference = parse_reference(one.name)
                digest = capture.registry(reference.host).has_manifest(reference.repository, reference.wanted)
            except HoldfastError as error:
                found.append(Probe(name, "fail", error.message, error.hint))
                continue
            if digest is None:
                found.append(Probe(name, "fail", f"the registry has no {reference.wanted}", "Correct the plan, or push it again."))
            else:
                found.append(Probe(name, "ok", digest or "is there"))
        return found

    def capture(self, writer: CaptureWriter, progress: Progress) -> Captured:
        done = ImageCapture(self._registries(), self._clock, timeout=self._timeout).run(self._images, writer, progress)
        return Captured(done.facts, done.findings)

    def restore(
        self, reader: PointReader, into: Path, paths: Sequence[str], progress: Progress, lack: Lacks | None = None
    ) -> Sequence[str]:
        """The OCI layout of the point, durable and proved; blobs that are there and right are kept, so that a killed run goes on.
        ``lack`` hears of blobs that are damaged, and of images that are not whole for it.

        Raises LayoutWrong, EntryUnexpected.
        """
        if into.is_symlink():
            raise LayoutWrong(f"{into} is a symbolic link.", hint="Restore into a folder of its own.")
        entries = list(plain.chosen(reader, ROOT, _FORM, [] if ROOT in paths else paths))
        # The list of images last: a layout is whole when it is there.
        entries.sort(key=lambda stored: stored.entry.path.endswith(("index.json", "oci-layout")))
        blobs = [stored for stored in entries if "/blobs/" in stored.entry.path]
        lists = entries[len(blobs) :]
        plain.extract(reader, blobs, ROOT, into, progress, skip=lambda path: _right(into / path), lack=lack)
        plain.extract(reader, lists, ROOT, into, progress)
        if not lists:
            sync(into)
            return []
        progress.phase("images", None, "images")
        # Not all that a registry did not give stops a restore: the rest is wanted all the more.
        wrong = [one for one in examine(into) if one.state == "failed"]
        lacking = {name for name, facts in (reader.point.facts.get(ROOT) or {}).items() if facts.get("lacking")}
        broken = [one for one in wrong if one.name.removeprefix("image ") not in lacking]
        for one in broken:
            wrong_one = LayoutWrong(f"{one.name}: {one.detail}", hint="Run 'holdfast vault check --read all'; restore another point.")
            if lack is None:
                raise wrong_one
            lack(one.name, wrong_one)
        sync(into)
        wrong = [one for one in wrong if one not in broken]
        return [f"{one.name} is NOT whole: {one.detail}" for one in wrong]

    def examine(self, into: Path) -> Sequence[Structural]:
        """Each image of a restored layout: every manifest and blob by its digest."""
        return examine(into) if into.is_dir() else []


def _right(path: Path) -> bool:
    """Whether a blob is there and is what its name says."""
    if path.is_symlink() or not path.is_file():
        return False
    with path.open("rb") as file:
        return hashlib.file_digest(file, path.parent.name).hexdigest() == path.name
