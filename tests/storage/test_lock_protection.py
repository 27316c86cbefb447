"""What ``check`` says about a location's protection, asked of real buckets, folders and clocks."""

import datetime as dt

import pytest

from holdfast.model import SystemClock
from holdfast.storage.local import LocalStorage
from holdfast.storage.memory import MemoryStorage
from holdfast.storage.objects.bucket import BucketUnlocked
from holdfast.storage.open import open_storage
from holdfast.storage.protection import look, prepare
from tests.vault.lock.conftest import assume, host_policy, options, root

CLOCK = SystemClock()
YEAR = dt.timedelta(days=366)


def seen(minio, bucket, credentials=None, mode=None, days=4, keep=YEAR, prefix="vault"):
    given = options(minio, credentials or root(minio), mode, days)
    url = f"s3://{bucket}/{prefix}"
    storage = open_storage(url, given)
    try:
        return {one.code: one for one in look(url, given, storage, CLOCK, keep=keep)}
    finally:
        storage.close()


@pytest.mark.minio
def test_a_lock_that_holds(minio):
    bucket = minio.bucket(lock=True)
    found = seen(minio, bucket, mode="compliance")
    assert found["locked"].state == "ok"
    assert "4 days" in found["locked"].detail
    assert found["no-default-retention"].state == "ok"
    assert not [one for one in found.values() if one.state == "fail"]


@pytest.mark.minio
def test_a_bucket_without_lock_where_the_plan_demands_one(minio):
    bucket = minio.bucket()
    assert seen(minio, bucket, mode="compliance")["bucket-without-lock"].state == "fail"
    with pytest.raises(BucketUnlocked):
        prepare(f"s3://{bucket}/vault", options(minio, root(minio), "compliance"))


@pytest.mark.minio
def test_a_bucket_that_is_missing_is_made_with_lock(minio):
    name = minio.bucket() + "-new"
    given = options(minio, root(minio), "compliance")
    assert seen(minio, name, mode="compliance")["bucket-missing"].state == "fail"
    assert prepare(f"s3://{name}/vault", given)
    assert not prepare(f"s3://{name}/vault", given)
    assert seen(minio, name, mode="compliance")["locked"].state == "ok"


@pytest.mark.minio
def test_no_lock_in_the_plan_is_said_plainly(minio):
    plain, kept, later = minio.bucket(), minio.bucket(versions=True), minio.bucket(versions=True)
    client = minio.client()
    client.put_bucket_versioning(Bucket=later, VersioningConfiguration={"Status": "Suspended"})
    client.close()
    for bucket, code in ((plain, "no-versions"), (kept, "no-lock"), (later, "versioning-suspended")):
        found = seen(minio, bucket)[code]
        assert found.state == "warn"
        assert found.detail.startswith("Not protected:")


@pytest.mark.minio
def test_versioning_that_was_suspended_later_keeps_what_was_put_before(minio):
    """Only a bucket without lock can be set so. What was put while versions were kept is still found under a delete marker."""
    bucket = minio.bucket(versions=True)
    url = f"s3://{bucket}/vault"
    storage = open_storage(url, options(minio, root(minio), versions=True))
    storage.put_if_absent("points/" + "a" * 32, [b"first"])
    client = minio.client()
    client.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Suspended"})
    client.delete_object(Bucket=bucket, Key="vault/points/" + "a" * 32)
    client.close()
    storage.close()
    again = open_storage(url, options(minio, root(minio), versions=True))
    assert again.get("points/" + "a" * 32) == b"first"
    assert [info.name for info in again.list()] == ["points/" + "a" * 32]
    again.close()
    assert seen(minio, bucket)["versioning-suspended"].state == "warn"


@pytest.mark.minio
def test_what_governance_is_worth_on_this_store(minio):
    """Root may lift locks, and is told so. Whoever may not is told whether the store lets him shorten them all the same (MinIO does)."""
    bucket = minio.bucket(lock=True)
    assert seen(minio, bucket, mode="governance")["governance-bypassed"].state == "fail"
    host = assume(minio, host_policy())
    found = seen(minio, bucket, host, mode="governance")
    client = minio.client()
    until = dt.datetime.now(dt.UTC) + dt.timedelta(days=5)
    put = client.put_object(Bucket=bucket, Key="x", Body=b"x", ObjectLockMode="GOVERNANCE", ObjectLockRetainUntilDate=until)
    client.close()
    import boto3

    thief = boto3.client(
        "s3",
        endpoint_url=minio.endpoint,
        region_name=minio.region,
        aws_access_key_id=host["access_key_id"],
        aws_secret_access_key=host["secret_access_key"],
        aws_session_token=host["session_token"],
    )
    soon = {"Mode": "COMPLIANCE", "RetainUntilDate": until - dt.timedelta(days=4)}
    try:
        thief.put_object_retention(Bucket=bucket, Key="x", VersionId=put["VersionId"], Retention=soon, BypassGovernanceRetention=True)
        shortened = True
    except thief.exceptions.ClientError:
        shortened = False
    thief.close()
    assert ("governance-shortened" in found) == shortened
    assert ("locked" in found) == (not shortened)
    # In compliance mode the same credentials can do nothing.
    assert seen(minio, bucket, host, mode="compliance")["locked"].state == "ok"


@pytest.mark.minio
def test_a_default_retention_that_differs(minio):
    bucket = minio.bucket(lock=True)
    client = minio.client()
    rule = {"DefaultRetention": {"Mode": "GOVERNANCE", "Days": 9}}
    client.put_object_lock_configuration(Bucket=bucket, ObjectLockConfiguration={"ObjectLockEnabled": "Enabled", "Rule": rule})
    client.close()
    assert seen(minio, bucket, mode="compliance", days=4)["default-longer"].state == "warn"
    assert seen(minio, bucket, mode="compliance", days=30)["default-retention"].state == "ok"
    assert seen(minio, bucket)["default-retention"].state == "warn"


@pytest.mark.minio
def test_lifecycle_rules_that_break_the_plans_promise(minio):
    bucket = minio.bucket(lock=True)
    client = minio.client()

    def rules(*made):
        client.put_bucket_lifecycle_configuration(Bucket=bucket, LifecycleConfiguration={"Rules": list(made)})
        return seen(minio, bucket, mode="compliance", keep=dt.timedelta(days=30))

    def rule(prefix="", **acts):
        return {"ID": "tidy", "Status": "Enabled", "Filter": {"Prefix": prefix}, **acts}

    found = rules(rule(Expiration={"Days": 10}))["lifecycle-expires"]
    assert found.state == "fail"
    assert "after 10 days" in found.detail
    assert "30 days" in found.detail
    assert "lifecycle-late" in rules(rule(Expiration={"Days": 400}))
    assert rules(rule(NoncurrentVersionExpiration={"NoncurrentDays": 1}))["lifecycle-removes"].state == "warn"
    assert rules(rule("vault/packs/", Expiration={"Days": 3}))["lifecycle-expires"].state == "fail"
    assert not [code for code in rules(rule("elsewhere/", Expiration={"Days": 1})) if code.startswith("lifecycle")]
    client.close()


@pytest.mark.minio
def test_credentials_that_may_not_delete_still_do(minio):
    """Put, get and list are enough for a backup; prunes need others."""
    from holdfast.storage.probe import require_fit

    bucket = minio.bucket(lock=True)
    policy = {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Action": ["s3:*"], "Resource": ["arn:aws:s3:::*"]},
            {"Effect": "Deny", "Action": ["s3:DeleteObject", "s3:DeleteObjectVersion"], "Resource": ["arn:aws:s3:::*"]},
        ],
    }
    storage = open_storage(f"s3://{bucket}/vault", options(minio, assume(minio, policy), "compliance"))
    assert require_fit(storage) is False
    storage.close()
    other = open_storage(f"s3://{bucket}/vault", options(minio, root(minio), "compliance"))
    assert require_fit(other) is True
    other.close()


def test_a_folder_of_ones_own_is_not_protected(tmp_path):
    storage = LocalStorage(str(tmp_path / "vault"), create=True)
    found = {one.code: one for one in look(str(tmp_path / "vault"), {}, storage, CLOCK, keep=YEAR)}
    assert found["folder-writable"].state == "warn"
    assert "Not protected" in found["folder-writable"].detail


@pytest.mark.parametrize(("off", "state"), [(3600, "fail"), (-3600, "fail"), (120, "warn"), (2, None)])
def test_a_clock_that_is_off_is_told(tmp_path, off, state):
    """The host's or the store's: nobody can tell which, but that they differ."""

    class Off(SystemClock):
        def now(self):
            return super().now() + dt.timedelta(seconds=off)

    storage = MemoryStorage(Off())
    found = {one.code: one for one in look(f"file://{tmp_path}", {}, storage, CLOCK, keep=YEAR)}
    assert (found["clock-skew"].state if state else found.get("clock-skew")) == state


@pytest.mark.minio
@pytest.mark.parametrize("lock", [None, "compliance"])
def test_a_host_whose_clock_is_an_hour_off_is_told_so(minio, monkeypatch, lock):
    """The store refuses such requests by its own word for it; both of our ways to it say what to do."""
    from holdfast.storage import StorageDenied
    from holdfast.storage.objects.store import ObjectStorage

    bucket = minio.bucket(lock=True)
    storage = open_storage(f"s3://{bucket}/vault", options(minio, root(minio), lock))
    if lock:
        import botocore.auth

        wrong = dt.datetime.now(dt.UTC).replace(tzinfo=None) - dt.timedelta(hours=1)
        monkeypatch.setattr(botocore.auth, "get_current_datetime", lambda: wrong)
        with pytest.raises(StorageDenied, match="clock"):
            list(storage.list())
    else:
        plain = storage.inner
        assert isinstance(plain, ObjectStorage)
        with pytest.raises(StorageDenied, match="clock"):
            plain._fail(RuntimeError("<Code>RequestTimeTooSkewed</Code>"), "config")
    storage.close()
