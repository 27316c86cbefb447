"""From a layout back into a registry, so that one that died with its region can be rebuilt: blobs that are there are not sent again."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from holdfast.model import Progress
from holdfast.systems.files.images.errors import PushRefused
from holdfast.systems.files.images.layout import Image, Layout, Node
from holdfast.systems.files.images.manifest import INDEXES, Descriptor
from holdfast.systems.files.images.reference import parse_reference
from holdfast.systems.files.images.registry import Registry


@dataclass(slots=True)
class Pushed:
    """``images``: the names under which they now stand. ``sent``, ``mounted`` (from another repository), ``there``: blobs."""

    images: list[str] = field(default_factory=list)
    sent: int = 0
    sent_bytes: int = 0
    mounted: int = 0
    there: int = 0
    notes: list[str] = field(default_factory=list)


def push(folder: Path, registry: Registry, progress: Progress, *, prefix: str = "", only: Callable[[str], bool] | None = None) -> Pushed:
    """Every image of the layout (or those whose names ``only`` picks) to the same path below ``prefix`` in ``registry``.

    Blobs first, then the manifests of platforms, then what the name leads to; the digest under the name is asked for at the end. May be
    called again after a crash. Raises PushRefused, BlobWrong, LayoutWrong, ManifestRefused, RegistryDenied, RegistryUnreachable.
    """
    layout = Layout(folder)
    done = Pushed()
    where: dict[str, str] = {}
    images = [image for image in layout.images() if only is None or only(image.name)]
    progress.phase("push", None, "images")
    for image in images:
        reference = parse_reference(image.name)
        repository = f"{prefix.strip('/')}/{reference.repository}".lstrip("/")
        nodes = layout.nodes(image)
        if image.lacking:
            raise PushRefused(f"{image.name} is not whole in the point: {image.lacking[0]} is lacking.", hint="Choose an earlier point.")
        for blob in {one.digest: one for node in nodes for one in node.manifest.blobs}.values():
            _blob(layout, registry, repository, blob, where, done, progress)
        name = reference.tag if reference.tag and not reference.digest else None
        _manifests(registry, repository, nodes, image, name, done)
        pushed = f"{registry.settings.host}/{repository}{f':{name}' if name else f'@{image.digest}'}"
        found = registry.has_manifest(repository, name or image.digest)
        if found != image.digest:
            raise PushRefused(
                f"{pushed} has the digest {found or 'of nothing'} after the push, not {image.digest}.", hint="Look at the registry."
            )
        done.images.append(pushed)
        progress.note(pushed)
        progress.advance(1)
    return done


def _blob(
    layout: Layout, registry: Registry, repository: str, one: Descriptor, where: dict[str, str], done: Pushed, progress: Progress
) -> None:
    if one.foreign and not layout.has(one.digest):
        done.notes.append(f"The foreign layer {one.digest} is not in the point; whoever pulls gets it from where the manifest says.")
        return
    if registry.has_blob(repository, one.digest):
        done.there += 1
    else:
        other = where.get(one.digest, "")
        location = registry.mount(repository, one.digest, other if other != repository else "")
        if location is None:
            done.mounted += 1
        else:
            # What goes out is what the digest says: a damaged file is found here and not by the registry.
            layout.check(one)
            registry.upload(repository, location, one.digest, lambda: layout.open(one.digest), one.size)
            done.sent += 1
            done.sent_bytes += one.size
            progress.advance(0)
    where.setdefault(one.digest, repository)


def _manifests(registry: Registry, repository: str, nodes: Sequence[Node], image: Image, name: str | None, done: Pushed) -> None:
    for node in nodes:
        digest = node.descriptor.digest
        root = digest == image.digest
        target = name if root and name else digest
        if registry.has_manifest(repository, target) == digest:
            continue
        try:
            registry.put_manifest(repository, target, node.data, node.manifest.media_type)
        except PushRefused as error:
            if root and image.platforms and node.manifest.media_type in INDEXES:
                listed = ", ".join(image.platforms)
                raise PushRefused(
                    f"{error.message} The point holds only {listed} of it, and this registry takes no index with gaps.",
                    hint="Push the layout's single images by their digests, or capture all platforms.",
                ) from None
            raise
    done.notes += [f"{image.name}: only {', '.join(image.platforms)}"] if image.platforms else []
