"""The systems of kind files: settings out of the plan, capture, recovery."""

from typing import TYPE_CHECKING

from holdfast.assembly.places import Places
from holdfast.plan import EffectiveSystem

if TYPE_CHECKING:
    from holdfast.systems.files.recovery import FilesRecovery
    from holdfast.systems.files.settings import FilesSettings
    from holdfast.systems.files.system import FilesSystem


def settings(platform: Places, effective: EffectiveSystem) -> "FilesSettings":
    """What the plan says about the folders of a files system."""
    from holdfast.plan.shape.systems.files import FilesSystem as Spec
    from holdfast.systems.files.settings import FilesSettings

    spec = effective.spec
    assert isinstance(spec, Spec)
    paths = tuple(str(platform.plan.resolve(path)) for path in spec.paths or ())
    return FilesSettings(paths, tuple(spec.exclude or ()), bool(spec.exclude_caches), bool(spec.one_filesystem))


def system(platform: Places, name: str) -> "FilesSystem":
    from holdfast.systems.files.system import FilesSystem

    return FilesSystem(name, settings(platform, platform.plan.effective(name)), clock=platform.clock)


def recovery(platform: Places, name: str) -> "FilesRecovery":
    from holdfast.systems.files.recovery import FilesRecovery

    sandbox = platform.plan.document.sandbox
    return FilesRecovery(
        name,
        settings(platform, platform.plan.effective(name)),
        clock=platform.clock,
        sandbox=platform.plan.resolve(sandbox.directory) if sandbox else None,
    )
