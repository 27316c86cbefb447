"""The systems of kind files: settings out of the plan, capture, recovery."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from holdfast.assembly.systems.sandbox import allowance
from holdfast.assembly.vault.places import Places
from holdfast.plan import EffectiveSystem, Plan

if TYPE_CHECKING:
    from holdfast.model import Progress, RecoveryPoint
    from holdfast.systems.files.git import Repository
    from holdfast.systems.files.images import Pushed, RegistrySettings
    from holdfast.systems.files.parts import Part
    from holdfast.systems.files.recovery import FilesRecovery
    from holdfast.systems.files.settings import FilesSettings
    from holdfast.systems.files.system import FilesSystem


def settings(platform: Places, effective: EffectiveSystem) -> "FilesSettings":
    """What the plan says about the folders of a files system."""
    return folders(platform.plan, effective)


def folders(plan: Plan, effective: EffectiveSystem) -> "FilesSettings":
    """The same, of a plan alone."""
    from holdfast.plan.shape.systems.files import FilesSystem as Spec
    from holdfast.systems.files.settings import FilesSettings

    spec = effective.spec
    assert isinstance(spec, Spec)
    paths = tuple(str(plan.resolve(path)) for path in spec.paths or ())
    caches, staying = bool(spec.exclude_caches), bool(spec.one_filesystem)
    return FilesSettings(paths, tuple(spec.exclude or ()), caches, staying, plan.vault_folders())


def repositories(platform: Places, effective: EffectiveSystem) -> "Sequence[Repository]":
    """The Git repositories of a files system, with the credentials that the plan refers to. Raises GitAddress, SecretUnavailable."""
    from holdfast.plan.shape.systems.files import FilesSystem as Spec
    from holdfast.systems.files.git import repository

    spec = effective.spec
    assert isinstance(spec, Spec)
    found = []
    for one in spec.git or ():
        ca = platform.plan.resolve(one.tls.ca) if one.tls and one.tls.ca else None
        user, password = (platform._secret(given) if given else None for given in (one.user, one.password))  # noqa: SLF001 - this room's own
        url = platform._secret(one.url)  # noqa: SLF001
        modules, lfs = bool(one.submodules), one.lfs is not False
        found.append(repository(url, user=user, password=password, submodules=modules, lfs=lfs, ca=ca))
    return found


def registries(platform: Places, effective: EffectiveSystem, host: str | None = None) -> "Mapping[str, RegistrySettings]":
    """The registries of a files system (or that of one host), by host. Raises SecretUnavailable."""
    from holdfast.plan.shape.systems.files import FilesSystem as Spec
    from holdfast.systems.files.images import RegistrySettings

    spec = effective.spec
    assert isinstance(spec, Spec)
    found = {}
    for one in spec.registries or ():
        if host is not None and one.host != host:
            continue
        ca = platform.plan.resolve(one.tls.ca) if one.tls and one.tls.ca else None
        user, password = (platform._secret(given) if given else None for given in (one.user, one.password))  # noqa: SLF001 - this room's own
        found[one.host] = RegistrySettings(one.host, user, password, ca, bool(one.plain_http))
    return found


def parts(platform: Places, effective: EffectiveSystem, *, everything: bool = False) -> "Sequence[Part]":
    """What else than folders the plan names; for a restore ``everything`` that a point may hold. Credentials are read when used."""
    from holdfast.plan.shape.systems.files import FilesSystem as Spec
    from holdfast.systems.files.parts import LatePart

    spec = effective.spec
    assert isinstance(spec, Spec)

    def git() -> "Part":
        from holdfast.systems.files.git.part import GitPart

        return GitPart(lambda: repositories(platform, effective), platform.cache / "git", platform.clock)

    def images() -> "Part":
        from holdfast.systems.files.images import ImageSpec
        from holdfast.systems.files.images.part import ImagesPart

        named = [ImageSpec(one.name, tuple(one.platforms or ())) for one in spec.images or ()]
        return ImagesPart(named, lambda: registries(platform, effective), platform.clock)

    found: list[Part] = []
    if spec.git or everything:
        found.append(LatePart("git", git))
    if spec.images or everything:
        found.append(LatePart("images", images))
    return found


def parts_of_points(platform: Places) -> "Sequence[Part]":
    """What a point may hold beside folders, for one that is read without its system's plan."""
    from holdfast.systems.files.git.part import GitPart
    from holdfast.systems.files.images.part import ImagesPart

    return [GitPart(lambda: (), platform.cache / "git", platform.clock), ImagesPart((), dict, platform.clock)]


def system(platform: Places, name: str) -> "FilesSystem":
    from holdfast.systems.files.system import FilesSystem

    effective = platform.plan.effective(name)
    return FilesSystem(name, settings(platform, effective), parts=parts(platform, effective), clock=platform.clock)


def recovery(platform: Places, name: str) -> "FilesRecovery":
    from holdfast.systems.files.recovery import FilesRecovery

    sandbox = platform.plan.document.sandbox
    effective = platform.plan.effective(name)
    return FilesRecovery(
        name,
        settings(platform, effective),
        parts=parts(platform, effective, everything=True),
        clock=platform.clock,
        sandbox=platform.plan.resolve(sandbox.directory) if sandbox else None,
        allowed=allowance(sandbox),
        history=lambda: platform.history(name),
    )


def push_images(
    platform: Places, name: str, until: Mapping[str, Any], url: str, only: Sequence[str], progress: "Progress"
) -> "tuple[RecoveryPoint, Pushed]":
    """A point's images into the registry at ``url`` (``https://host[:port][/prefix]``), each under its path there; all, or those that
    ``only`` names. Credentials are the plan's for that host. Raises NoPoint, PushRefused, RegistryDenied, RegistryUnreachable and kin.
    """
    from dataclasses import replace
    from urllib.parse import urlsplit

    from holdfast.systems.files.images import Registry, RegistrySettings, push
    from holdfast.systems.files.images.errors import ImageReferenceWrong
    from holdfast.systems.files.images.part import ImagesPart
    from holdfast.systems.files.restore.target import choose
    from holdfast.systems.shared.boxes import open_box

    effective = platform.plan.effective(name)
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.netloc or parts.username or parts.query:
        raise ImageReferenceWrong(
            "That is no registry's address.", hint="Write https://host[:port][/prefix]; credentials stand in the plan."
        )
    found = registries(platform, effective, parts.netloc).get(parts.netloc) or RegistrySettings(parts.netloc)
    target = replace(found, plain_http=parts.scheme == "http")
    # One that is not there at all is told at once.
    Registry(target, platform.clock, tries=2).ping()
    registry = Registry(target, platform.clock)
    history = platform.history(name)
    point, _ = choose(name, history.points(), until)
    sandbox = platform.plan.document.sandbox
    with open_box(platform.plan.resolve(sandbox.directory) if sandbox else None, "files") as box:
        ImagesPart((), dict, platform.clock).restore(history.open(point.id), box / "images", (), progress)
        wanted = (lambda image: image in only) if only else None
        return point, push(box / "images", registry, progress, prefix=parts.path, only=wanted)
