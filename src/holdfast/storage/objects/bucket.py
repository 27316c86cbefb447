"""What a bucket is set to: versions, object lock, default retention, lifecycle rules; and making one that locks."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from holdfast.storage.contract import StorageDenied, StorageUnfit, StorageUnreachable
from holdfast.storage.objects.api import Api, ApiError


class BucketUnlocked(StorageUnfit):
    """The plan asks for object lock, and the bucket has none."""

    code = "bucket-without-lock"


@dataclass(frozen=True, slots=True)
class Rule:
    """A lifecycle rule that is enabled. ``days`` None: it acts on a fixed date, or on a number of newer versions.

    ``acts``: "expire" (hides what is current), "remove" (deletes old versions for good) or "move" (to storage that is not read at once).
    """

    id: str
    prefix: str
    acts: str
    days: int | None


@dataclass(frozen=True, slots=True)
class Facts:
    """``versioning``: "Enabled", "Suspended" or "". ``default_mode`` and ``default_days`` of the bucket's own default retention.

    ``unknown``: sentences about what these credentials may not ask.
    """

    exists: bool
    versioning: str = ""
    lock: bool = False
    default_mode: str | None = None
    default_days: int | None = None
    rules: Sequence[Rule] = ()
    unknown: Sequence[str] = ()


def keeps_versions(api: Api, url: str) -> bool:
    """Whether the bucket keeps versions, or once did: what lies under a delete marker is still there in a suspended one."""
    try:
        return api.again.get_bucket_versioning(Bucket=api.bucket).get("Status") in {"Enabled", "Suspended"}
    except ApiError as error:
        if error.code == "NoSuchBucket":
            return False
        if error.code in {"AccessDenied", "403"}:
            # May list but not ask: then the listing of versions tells.
            return _lists_versions(api)
        raise _failed(url, error) from error


def _lists_versions(api: Api) -> bool:
    try:
        api.again.list_object_versions(Bucket=api.bucket, MaxKeys=1)
    except ApiError:
        return False
    return True


def facts(api: Api, url: str) -> Facts:
    """Raises StorageDenied and StorageUnreachable when nothing can be learnt at all."""
    unknown: list[str] = []

    def ask(what: str, absent: set[str], call: Any) -> dict[str, Any]:
        try:
            answer: dict[str, Any] = call(Bucket=api.bucket)
        except ApiError as error:
            code = error.code
            if code in absent:
                return {}
            if code in {"AccessDenied", "403", "NotImplemented", "MethodNotAllowed"}:
                unknown.append(f"The credentials may not ask for {what}.")
                return {}
            raise _failed(url, error) from error
        return answer

    try:
        api.again.head_bucket(Bucket=api.bucket)
    except ApiError as error:
        if error.code in {"404", "NoSuchBucket"}:
            return Facts(exists=False)
        raise _failed(url, error) from error
    versioning = ask("versioning", set(), api.again.get_bucket_versioning).get("Status", "")
    lock = ask("object lock", {"ObjectLockConfigurationNotFoundError"}, api.again.get_object_lock_configuration)
    configuration = lock.get("ObjectLockConfiguration", {})
    default = configuration.get("Rule", {}).get("DefaultRetention", {})
    cycle = ask("lifecycle rules", {"NoSuchLifecycleConfiguration"}, api.again.get_bucket_lifecycle_configuration)
    return Facts(
        exists=True,
        versioning=versioning,
        lock=configuration.get("ObjectLockEnabled") == "Enabled",
        default_mode=default.get("Mode", "").lower() or None,
        default_days=default.get("Days") or (default["Years"] * 365 if default.get("Years") else None),
        rules=[rule for one in cycle.get("Rules", ()) if one.get("Status") == "Enabled" for rule in _rules(one)],
        unknown=unknown,
    )


def create(api: Api, url: str, region: str) -> None:
    """A new bucket with object lock (and so with versions, which can then never be suspended)."""
    where = {} if region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": region}}
    try:
        api.again.create_bucket(Bucket=api.bucket, ObjectLockEnabledForBucket=True, **where)
    except ApiError as error:
        if error.code == "BucketAlreadyOwnedByYou":
            return
        raise _failed(url, error) from error


def _rules(one: dict[str, Any]) -> list[Rule]:
    where = one.get("Filter", {})
    prefix = where.get("Prefix") or where.get("And", {}).get("Prefix") or one.get("Prefix") or ""
    name = one.get("ID") or "(without a name)"
    found = []
    expire = one.get("Expiration", {})
    if "Days" in expire or "Date" in expire:
        found.append(Rule(name, prefix, "expire", expire.get("Days")))
    older = one.get("NoncurrentVersionExpiration", {})
    if older:
        found.append(Rule(name, prefix, "remove", older.get("NoncurrentDays")))
    moved = [
        each.get("Days", each.get("NoncurrentDays"))
        for each in (*one.get("Transitions", ()), *one.get("NoncurrentVersionTransitions", ()))
        if each.get("StorageClass") in {"GLACIER", "DEEP_ARCHIVE"}
    ]
    return [*found, *(Rule(name, prefix, "move", days) for days in moved)]


def _failed(url: str, error: ApiError) -> StorageDenied | StorageUnreachable:
    text = " ".join(str(error).split())[:400]
    code = error.code
    if (code[:1].isupper() and "Error" not in code) or code in {"401", "403"}:
        return StorageDenied(
            f"{url} refused: {text}", hint="Look at the bucket's name, the credentials and what they allow.", url=url, said=code
        )
    return StorageUnreachable(f"{url} failed: {text}", hint="Look at the endpoint and the network.", url=url)
