"""Somebody has the backup host's credentials and its key, and deletes what can be deleted: in a vault of the drill's own.

It lies in a target that locks. The attack uses the very credentials by which the vault was written: what they may do is found out.
"""

import contextlib
import datetime as dt
import secrets
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from holdfast.assembly.drills import elsewhere as places
from holdfast.assembly.drills import production
from holdfast.assembly.drills.disasters import _Simple
from holdfast.assembly.drills.restorer import PlatformRestorer
from holdfast.drills.contract import Changes, Copy, Injected, Restorer
from holdfast.drills.errors import AttackUndecided, DrillUsage, NotTornDown
from holdfast.model import Progress
from holdfast.plan import Location

if TYPE_CHECKING:
    from holdfast.assembly.platform import Platform
    from holdfast.storage.objects.api import Api, ApiError


class Ransomware(_Simple):
    """A vault with a lock is made in the target, written, and attacked."""

    def refuse(self) -> None:
        name = self.spec["at"]
        if name == "copy":
            raise DrillUsage("Ransomware needs a target that locks.", hint="--target NAME, of drills: targets: in the plan")
        target = production.target_of(self.platform, name)
        if target.url is None or not target.url.startswith("s3://") or target.lock is None:
            raise DrillUsage(
                f"The target {name} does not lock, so that everything in it would be lost for sure.",
                hint='Give it url: "s3://…" and lock: {mode: …, days: 1}.',
                target=name,
            )
        production.refuse_place(self.platform, name, target.url)

    def prepare(self, restorers: Sequence[Restorer], changes: Changes, progress: Progress) -> tuple[Sequence[Restorer], Sequence[Restorer]]:
        del progress
        name = self.spec["at"]
        target = production.target_of(self.platform, name)
        assert target.url is not None
        url = f"{target.url.rstrip('/')}/drill-{secrets.token_hex(6)}"
        given = {key: getattr(target, key) for key in ("endpoint", "region", "credentials", "tls", "path_style", "lock")}
        self._location = Location.model_construct(name=f"drill-{name}", url=url, failure_domain=None, versions=None, **given)
        changes.doing(f"a vault in the target {name}", {"kind": "place", "target": name, "url": url})
        plan = places.in_place(self.platform.plan, self._location)
        self._machine = self._open.enter_context(places.elsewhere(self.platform, plan, own_state=True))
        self._machine.create_vault()
        made = [PlatformRestorer(self._machine, one.system) for one in restorers]
        return made, made

    def __init__(self, platform: "Platform", spec: Mapping[str, Any]) -> None:
        super().__init__(platform, spec)
        self._open = contextlib.ExitStack()

    def close(self) -> None:
        self._open.close()

    def do(self, standing: Mapping[str, Copy], lose: Callable[[str], None], changes: Changes) -> Injected:
        del lose, changes
        bucket, prefix = _where(self._location.url)
        with _api(self.platform, self.spec["at"], bucket) as api:
            attack = Attack(api, bucket, prefix, str(self._location.lock.mode if self._location.lock else ""))
            attack.run()
        through = {way: attack.tried[way] - attack.refused[way] for way in attack.tried}
        words = ", ".join(f"{way}: {attack.tried[way]} tried, {attack.refused[way]} refused" for way in attack.tried)
        return Injected(
            f"everything in {self._location.url} was attacked with the backup host's credentials ({', '.join(standing)} must come back)",
            {"attempts": words, "let_through": through, "codes": dict(attack.codes), "versions": len(attack.versions), "gone": attack.gone},
            detected=True,
        )


class Attack:
    """``tried`` and ``refused`` count by way. ``gone``: versions that are really gone."""

    def __init__(self, api: "Api", bucket: str, prefix: str, mode: str) -> None:
        self._calls, self._bucket, self._prefix, self._mode = api.again, bucket, prefix, mode
        self.tried: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()
        self.codes: Counter[str] = Counter()
        """The store's own words for its refusals."""
        self.undecided: Counter[str] = Counter()
        """Why calls were decided by nobody: no answer, or none about what was asked."""
        self.versions = _versions(api, bucket, prefix)
        self._api = api
        self.gone = 0

    def run(self) -> None:
        """Unlock, delete, overwrite, hide, and turn off what protects; then once more, with what that may have opened."""
        for _ in range(2):
            self._unlock()
            for key, version in self.versions:
                for bypass in ({}, {"BypassGovernanceRetention": True}):
                    self._try("delete a version", self._calls.delete_object, Key=key, VersionId=version, **bypass)
            for key in sorted({key for key, _ in self.versions}):
                self._try("write over", self._calls.put_object, Key=key, Body=b"pay 40 bitcoin")
                self._try("hide", self._calls.delete_object, Key=key)
            self._try("suspend versioning", self._calls.put_bucket_versioning, VersioningConfiguration={"Status": "Suspended"})
            self._try("remove the lock of the bucket", self._calls.put_object_lock_configuration, ObjectLockConfiguration={})
        if self.undecided:
            words = ", ".join(f"{code}: {number}" for code, number in sorted(self.undecided.items()))
            raise AttackUndecided(
                f"{self.undecided.total()} of {self.tried.total()} calls of the attack were decided by nobody ({words}): what the lock"
                " keeps is not shown.",
                hint="Look whether the target answers, and whether its credentials are valid; then run the drill again.",
            )
        self.gone = len(set(self.versions) - set(_versions(self._api, self._bucket, self._prefix)))

    def _unlock(self) -> None:
        soon = dt.datetime.fromtimestamp(0, dt.UTC)
        for key, version in self.versions:
            where = {"Key": key, "VersionId": version}
            for mode in ("GOVERNANCE", "COMPLIANCE"):
                retention = {"Mode": mode, "RetainUntilDate": soon}
                self._try("shorten a lock", self._calls.put_object_retention, **where, Retention=retention)
            self._try("remove a lock", self._calls.put_object_retention, **where, Retention={}, BypassGovernanceRetention=True)

    def _try(self, way: str, call: Callable[..., Any], **arguments: Any) -> None:
        from holdfast.storage.objects.api import ApiError

        self.tried[way] += 1
        try:
            call(Bucket=self._bucket, **arguments)
        except ApiError as error:
            if _decided(error):
                self.refused[way] += 1
                self.codes[error.code] += 1
            else:
                self.undecided[error.code] += 1


def clear(platform: "Platform", undo: Mapping[str, Any]) -> str:
    """Remove what a drill put into a target, as far as its lock lets anybody; what is left is said, with the end of its lock."""
    from holdfast.storage.objects.api import ApiError

    bucket, prefix = _where(str(undo["url"]))
    target = production.target_of(platform, str(undo["target"]))
    if target.url is None or not str(undo["url"]).startswith(f"{target.url.rstrip('/')}/drill-"):
        raise DrillUsage(
            f"The target {undo['target']} leads elsewhere now, so {undo['url']} is left.", hint="Remove it by hand.", url=undo["url"]
        )
    left = 0
    other: Counter[str] = Counter()
    with _api(platform, str(undo["target"]), bucket) as api:
        for key, version in _versions(api, bucket, prefix, markers=True):
            try:
                api.again.delete_object(Bucket=bucket, Key=key, VersionId=version, BypassGovernanceRetention=True)
            except ApiError as error:
                why = _why_kept(api, bucket, key, version, error, platform.clock.now())
                left += not why
                other[why] += bool(why)
    other = +other
    if other:
        words = ", ".join(f"{why}: {number}" for why, number in sorted(other.items()))
        raise NotTornDown(
            f"{other.total()} versions below {undo['url']} could not be removed, and no lock is why ({words}).",
            hint="Let the target's credentials remove versions (s3:DeleteObjectVersion) and ask for their locks (s3:GetObjectRetention,"
            " s3:GetObjectLegalHold); the next command tries again.",
            target=str(undo["target"]),
            url=str(undo["url"]),
        )
    days = target.lock.days if target.lock is not None else 0
    if left:
        return f"{left} versions below {undo['url']} are locked for at most {days} days more: nobody can remove them before, as intended"
    return f"nothing is left below {undo['url']}"


_NO_DECISION = frozenset(
    (
        *("InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "InvalidToken", "InvalidClientTokenId", "RequestTimeTooSkewed"),
        *("RequestTimeout", "SlowDown", "ServiceUnavailable", "InternalError", "NoSuchBucket", "500", "502", "503", "504"),
    )
)
"""S3's codes that say nothing of a lock or a right: the call did not come to what it asked for."""
_MAY_BE_LOCKED = frozenset(("AccessDenied", "InvalidRequest", "ObjectLocked", "MethodNotAllowed", "403"))
"""What stores say to the removal of a locked version (AWS: AccessDenied; MinIO: InvalidRequest). Rights that lack sound the same."""


def _decided(error: "ApiError") -> bool:
    """Whether the store decided on what it was asked for. Where it did not answer, the error holds no answer."""
    return isinstance(getattr(error.__cause__, "response", None), dict) and error.code not in _NO_DECISION


def _why_kept(api: "Api", bucket: str, key: str, version: str, error: "ApiError", now: dt.datetime) -> str:
    """What hinders its removal, in words; "" where a lock does, by what the store says of the version's lock."""
    from holdfast.storage.objects.api import ApiError

    if not _decided(error) or error.code not in _MAY_BE_LOCKED:
        return error.code
    where = {"Bucket": bucket, "Key": key, "VersionId": version}
    try:
        until = api.again.get_object_retention(**where)["Retention"].get("RetainUntilDate")
        if until is not None and until > now:
            return ""
    except ApiError as asked:
        if asked.code not in _NO_LOCK:
            return f"{error.code}, and its lock could not be asked for ({asked.code})"
    try:
        held = api.again.get_object_legal_hold(**where)["LegalHold"].get("Status") == "ON"
    except ApiError as asked:
        held = False
        if asked.code not in _NO_LOCK:
            return f"{error.code}, and its hold could not be asked for ({asked.code})"
    return "" if held else f"{error.code} without a lock"


_NO_LOCK = frozenset(("NoSuchObjectLockConfiguration", "ObjectLockConfigurationNotFoundError", "InvalidRequest", "MethodNotAllowed"))
"""What stores say of a version without a lock, and of a bucket that has none."""


@contextlib.contextmanager
def _api(platform: "Platform", name: str, bucket: str) -> Any:
    from holdfast.storage.objects.api import Api

    target = production.target_of(platform, name)
    location = Location.model_construct(
        name=name,
        url=target.url,
        endpoint=target.endpoint,
        region=target.region,
        credentials=target.credentials,
        tls=target.tls,
        path_style=target.path_style,
        lock=None,
        versions=None,
        failure_domain=None,
    )
    made = Api(bucket, platform._options(location))  # noqa: SLF001 - what the plan says about a place, in one form
    try:
        yield made
    finally:
        made.close()


def _versions(api: "Api", bucket: str, prefix: str, *, markers: bool = False) -> list[tuple[str, str]]:
    from holdfast.storage.objects.api import ApiError

    found: list[tuple[str, str]] = []
    more: dict[str, str] = {}
    while True:
        try:
            page = api.again.list_object_versions(Bucket=bucket, Prefix=prefix, **more)
        except ApiError as error:
            raise AttackUndecided(
                f"What lies below s3://{bucket}/{prefix} in the target could not be listed: {error.code}.",
                hint="Look whether the target answers, and whether its credentials may list versions (s3:ListBucketVersions).",
            ) from error
        kinds = ("Versions", "DeleteMarkers") if markers else ("Versions",)
        found += [(one["Key"], one["VersionId"]) for kind in kinds for one in page.get(kind, [])]
        if not page.get("IsTruncated"):
            return found
        more = {"KeyMarker": page["NextKeyMarker"], "VersionIdMarker": page["NextVersionIdMarker"]}


def _where(url: str) -> tuple[str, str]:
    bucket, _, prefix = url.removeprefix("s3://").partition("/")
    return bucket, prefix.rstrip("/") + "/"
