"""The systems of kind bucket: settings out of the plan, capture, recovery."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from holdfast.assembly.executor import sharing_of
from holdfast.assembly.systems.sandbox import allowance
from holdfast.assembly.vault.places import Places
from holdfast.plan import EffectiveSystem

if TYPE_CHECKING:
    from holdfast.connect.objects import Objects, Options
    from holdfast.plan.shape.vault import Endpoint
    from holdfast.systems.bucket.recovery import BucketRecovery
    from holdfast.systems.bucket.settings import BucketSettings
    from holdfast.systems.bucket.system import BucketSystem

LOOK = 15.0
"""Seconds for which a look (``check``) asks a store again that does not answer."""


def options(platform: Places, spec: "Endpoint", url: str) -> "Options":
    """How the store of a system is reached, with the credentials that the plan refers to. Raises SecretUnavailable.

    What the plan says is of the provider that the system's own address names: another's address is reached as the environment says.
    """
    from holdfast.connect.objects import Options

    environ = platform.environ
    scheme = url.partition("://")[0]
    if scheme != str(getattr(spec, "url", None) or url).partition("://")[0]:
        return Options(endpoint=_named(scheme, environ))
    named = platform.credentials(spec.credentials)
    files: dict[str, Any] = {}
    if spec.tls is not None:
        for name, path in (("ca", spec.tls.ca), ("certificate", spec.tls.cert), ("key", spec.tls.key)):
            if path:
                files[name] = str(platform.plan.resolve(path))
    endpoint = spec.endpoint or _named(scheme, environ)
    region = spec.region or environ.get("AWS_REGION") or environ.get("AWS_DEFAULT_REGION") or None
    return Options(endpoint=endpoint, region=region, credentials=named, path_style=spec.path_style, **files)


def _named(scheme: str, environ: Mapping[str, str]) -> str | None:
    """The endpoint of the environment, by the name that the provider's own tools read. Azure's stands in a connection string."""
    if scheme == "s3":
        return environ.get("AWS_ENDPOINT_URL_S3") or environ.get("AWS_ENDPOINT_URL") or None
    emulator = environ.get("STORAGE_EMULATOR_HOST") if scheme == "gs" else None
    return emulator if not emulator or "://" in emulator else f"http://{emulator}"


def opener(platform: Places, spec: "Endpoint", patience: float | None = None) -> "Callable[[str], Objects]":
    """Opens an address the way the plan reaches this system's store; credentials are read when it is called. ``patience`` in seconds."""

    def opened(url: str) -> "Objects":
        from holdfast.connect.objects import open_objects

        given = options(platform, spec, url)
        return open_objects(url, given if patience is None else replace(given, patience=patience), clock=platform.clock)

    return opened


def settings(platform: Places, effective: EffectiveSystem) -> "BucketSettings":
    from holdfast.plan.shape.systems.lake import BucketSystem as Spec
    from holdfast.systems.bucket.settings import THREADS, BucketSettings

    spec = effective.spec
    assert isinstance(spec, Spec)
    gap = effective.backup.longest_gap if effective.backup is not None else None
    return BucketSettings(
        spec.url or "",
        opener(platform, spec),
        tuple(spec.prefixes or ()),
        spec.versions or "current",
        spec.threads or THREADS,
        gap,
        sharing_of(platform, effective.name, spec.executor),
        opener(platform, spec, LOOK),
        platform.state_folder / "uploads" / effective.name,
        platform.plan.document.limits.at(platform.plan.local(platform.clock.now())).rate,
    )


def system(platform: Places, name: str) -> "BucketSystem":
    from holdfast.systems.bucket.system import BucketSystem

    return BucketSystem(name, settings(platform, platform.plan.effective(name)), clock=platform.clock)


def recovery(platform: Places, name: str) -> "BucketRecovery":
    from holdfast.systems.bucket.recovery import BucketRecovery

    sandbox = platform.plan.document.sandbox
    return BucketRecovery(
        name,
        settings(platform, platform.plan.effective(name)),
        clock=platform.clock,
        history=lambda: platform.history(name),
        sandbox=platform.plan.resolve(sandbox.directory) if sandbox else None,
        allowed=allowance(sandbox),
    )
