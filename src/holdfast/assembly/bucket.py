"""The systems of kind bucket: settings out of the plan, capture, recovery."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from holdfast.assembly.places import Places
from holdfast.plan import EffectiveSystem

if TYPE_CHECKING:
    from holdfast.connect.objects import Objects, Options
    from holdfast.plan.shape.vault import Endpoint
    from holdfast.systems.bucket.recovery import BucketRecovery
    from holdfast.systems.bucket.settings import BucketSettings
    from holdfast.systems.bucket.system import BucketSystem


def options(platform: Places, spec: "Endpoint") -> "Options":
    """How the store of a system is reached, with the credentials that the plan refers to. Raises SecretUnavailable."""
    from holdfast.connect.objects import Options

    given = spec.credentials
    named = {}
    if given is not None:
        secrets = {"access_key_id": given.access_key_id, "secret_access_key": given.secret_access_key, "session_token": given.session_token}
        named = {name: platform._secret(one) for name, one in secrets.items() if one}  # noqa: SLF001 - this room's own
        if given.profile:
            named["profile"] = given.profile
    files: dict[str, Any] = {}
    if spec.tls is not None:
        for name, path in (("ca", spec.tls.ca), ("certificate", spec.tls.cert), ("key", spec.tls.key)):
            if path:
                files[name] = str(platform.plan.resolve(path))
    environ = platform.environ
    endpoint = spec.endpoint or environ.get("AWS_ENDPOINT_URL_S3") or environ.get("AWS_ENDPOINT_URL") or None
    region = spec.region or environ.get("AWS_REGION") or environ.get("AWS_DEFAULT_REGION") or None
    return Options(endpoint=endpoint, region=region, credentials=named, path_style=spec.path_style, **files)


def opener(platform: Places, spec: "Endpoint") -> "Callable[[str], Objects]":
    """Opens an address the way the plan reaches this system's store; credentials are read when it is called."""

    def opened(url: str) -> "Objects":
        from holdfast.connect.objects import open_objects

        return open_objects(url, options(platform, spec), clock=platform.clock)

    return opened


def settings(platform: Places, effective: EffectiveSystem) -> "BucketSettings":
    from holdfast.plan.shape.systems.lake import BucketSystem as Spec
    from holdfast.systems.bucket.settings import THREADS, BucketSettings

    spec = effective.spec
    assert isinstance(spec, Spec)
    gap = effective.backup.longest_gap if effective.backup is not None else None
    return BucketSettings(
        spec.url or "", opener(platform, spec), tuple(spec.prefixes or ()), spec.versions or "current", spec.threads or THREADS, gap
    )


def system(platform: Places, name: str) -> "BucketSystem":
    from holdfast.systems.bucket.system import BucketSystem

    return BucketSystem(name, settings(platform, platform.plan.effective(name)), clock=platform.clock)


def recovery(platform: Places, name: str) -> "BucketRecovery":
    from holdfast.systems.bucket.recovery import BucketRecovery

    return BucketRecovery(
        name, settings(platform, platform.plan.effective(name)), clock=platform.clock, history=lambda: platform.history(name)
    )
