"""The systems of kind delta: settings out of the plan, stores, capture, recovery."""

import datetime as dt
from dataclasses import replace
from typing import TYPE_CHECKING, cast

from holdfast.assembly.executor import sharing_of
from holdfast.assembly.systems.bucket import LOOK
from holdfast.assembly.systems.sandbox import allowance
from holdfast.assembly.vault.places import Places
from holdfast.plan import EffectiveSystem

if TYPE_CHECKING:
    from holdfast.systems.delta.recovery import DeltaRecovery
    from holdfast.systems.delta.settings import DeltaSettings
    from holdfast.systems.delta.store import Store
    from holdfast.systems.delta.system import DeltaSystem


def settings(platform: Places, effective: EffectiveSystem) -> "DeltaSettings":
    """What the plan says about a lake. A flow that leads into it names a streaming checkpoint, too. Raises nothing: secrets come later."""
    from holdfast.plan.shape.systems.delta import DeltaSystem as Spec
    from holdfast.systems.delta.settings import DeltaSettings

    spec = effective.spec
    assert isinstance(spec, Spec)
    flows = [flow.checkpoint for flow in platform.plan.document.flows if flow.checkpoint and flow.to.partition("/")[0] == effective.name]

    def opened(url: str) -> "Store":
        return store(platform, effective, url)

    def copy_time() -> dt.timedelta | None:
        runs = platform.state.runs.recent(system=effective.name, verb="backup", limit=5)
        spans = [run.ended - run.started for run in runs if run.outcome == "ok" and run.ended is not None]
        return max(spans, default=None)

    return DeltaSettings(
        url=spec.url or "",
        tables=tuple(spec.tables or ()),
        streams=tuple(dict.fromkeys([*(spec.checkpoints or ()), *flows])),
        open=opened,
        rhythm=effective.backup.longest_gap if effective.backup is not None else None,
        rpo=effective.tightest_rpo,
        content=bool(spec.record_content),
        copy_time=copy_time,
        sharing=sharing_of(platform, effective.name, spec.executor),
        probing=lambda url: store(platform, effective, url, LOOK),
    )


def store(platform: Places, effective: EffectiveSystem, url: str, patience: float | None = None) -> "Store":
    """A folder, or a bucket reached as the plan says; ``patience`` in seconds. Raises RestoreUsage for others, SecretUnavailable."""
    from holdfast.systems.delta.errors import RestoreUsage
    from holdfast.systems.delta.store import LocalStore, folder_of

    folder = folder_of(url)
    if folder is not None:
        return LocalStore(platform.plan.resolve(str(folder)))
    if not url.startswith(("s3://", "gs://", "az://")):
        raise RestoreUsage(
            f"{url} is not understood.", hint="Write a path, file:///folder, or s3://, gs:// or az:// with bucket and prefix."
        )
    from holdfast.assembly.systems.bucket import options
    from holdfast.connect.objects import open_objects, split
    from holdfast.plan.shape.systems.delta import DeltaSystem as Spec
    from holdfast.systems.delta.objects import Bucket, ObjectStore

    spec = effective.spec
    assert isinstance(spec, Spec)
    given = options(platform, spec, url)
    objects = open_objects(url, given if patience is None else replace(given, patience=patience), clock=platform.clock)
    return ObjectStore(cast("Bucket", objects), split(url)[2])


def system(platform: Places, name: str) -> "DeltaSystem":
    from holdfast.systems.delta.system import DeltaSystem

    return DeltaSystem(name, settings(platform, platform.plan.effective(name)), clock=platform.clock)


def recovery(platform: Places, name: str) -> "DeltaRecovery":
    from holdfast.systems.delta.recovery import DeltaRecovery

    sandbox = platform.plan.document.sandbox
    return DeltaRecovery(
        name,
        settings(platform, platform.plan.effective(name)),
        clock=platform.clock,
        sandbox=platform.plan.resolve(sandbox.directory) if sandbox else None,
        allowed=allowance(sandbox),
        history=lambda: platform.history(name),
    )


def of_points(platform: Places, name: str) -> "DeltaRecovery":
    """What reads a system's points without its plan: into folders of this machine."""
    from holdfast.systems.delta.recovery import DeltaRecovery
    from holdfast.systems.delta.settings import DeltaSettings

    return DeltaRecovery(name, DeltaSettings(""), clock=platform.clock, history=lambda: platform.history(name))
