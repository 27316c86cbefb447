"""Stolen credentials attack a locked vault on a real MinIO: what the lock kept comes back, and where it kept nothing it is red."""

import datetime as dt

import pytest

from holdfast.assembly.drills.ransomware import Attack, clear
from holdfast.drills.errors import AttackUndecided, DrillProduction, DrillUsage, NotTornDown
from holdfast.storage.objects.api import ApiError
from tests.drills.kit import Shop, failed
from tests.drills.test_production import targets
from tests.vault.lock.conftest import assume, host_policy

pytestmark = [pytest.mark.minio, pytest.mark.timeout(1800)]
ATTACK = "drill: attack\ntitle: attack\nsystems: docs\ndisaster: {kind: ransomware, at: locked}\ncriteria: [sentinel, structure, content]\n"


def target(minio, bucket: str, mode: str) -> str:
    keys = "access_key_id: {env: DRILL_ID}, secret_access_key: {env: DRILL_SECRET}, session_token: {env: DRILL_TOKEN}"
    where = f'url: "s3://{bucket}/drills", endpoint: "{minio.endpoint}", region: {minio.region}'
    return f"{{{where}, credentials: {{{keys}}}, lock: {{mode: {mode}, days: 4}}}}"


def shop_with(minio, tmp_path, mode: str) -> Shop:
    shop = Shop(None, tmp_path, drills=targets(locked=target(minio, minio.bucket(lock=True), mode)))
    host = assume(minio, host_policy(4))
    names = {"DRILL_ID": "access_key_id", "DRILL_SECRET": "secret_access_key", "DRILL_TOKEN": "session_token"}
    shop.environ |= {name: host[key] for name, key in names.items()}
    return shop


def attacked(shop) -> dict:
    return next(entry.payload["facts"] for entry in shop.journal("drill.phase") if entry.payload.get("facts", {}).get("attempts"))


def test_what_the_lock_kept_comes_back(minio, tmp_path):
    shop = shop_with(minio, tmp_path, "compliance")
    done = shop.drill(ATTACK, ("docs",))
    assert (done.outcome, failed(done)) == ("ok", []), [one.to_json() for one in done.checks if one.state == "failed"]
    facts = attacked(shop)
    assert facts["versions"] > 5
    assert facts["gone"] < facts["versions"]
    assert facts["let_through"]["write over"] > 0, "nothing was attacked: the drill proves nothing"
    assert facts["let_through"]["hide"] > 0
    assert any("locked for at most 4 days" in one["actual"] for one in done.teardown)
    # Nothing of the platform's own vault was touched, and its history knows no backup.
    assert not list((tmp_path / "near" / "points").rglob("*"))
    assert not shop.journal("backup.")


def test_what_the_lock_did_not_keep_makes_it_red(minio, tmp_path):
    """This store lets anybody lift governance: a drill is how one learns that before the attacker does."""
    shop = shop_with(minio, tmp_path, "governance")
    done = shop.drill(ATTACK, ("docs",))
    assert done.outcome == "failed"
    assert "docs/recovery" in failed(done)
    assert attacked(shop)["gone"] > 5
    assert any("recovery" in one.about for one in done.findings)
    assert done.torn_down


@pytest.mark.parametrize("url", ["s3://{bucket}/vault", "s3://{bucket}", "s3://{bucket}/vault/deeper"])
def test_a_target_that_overlaps_the_vault_is_refused(minio, tmp_path, url):
    bucket = minio.bucket(lock=True)
    made = target(minio, bucket, "compliance").replace(f"s3://{bucket}/drills", url.format(bucket=bucket))
    shop = Shop(None, tmp_path, drills=targets(locked=made))
    text = shop.plan.read_text().replace(f"file://{tmp_path}/far", f"s3://{bucket}/vault")
    shop.plan.write_text(text.replace("{name: far,", f'{{name: far, endpoint: "{minio.endpoint}",'))
    with pytest.raises(DrillProduction, match="far"):
        shop.drill(ATTACK, ("docs",))


def test_a_target_without_a_lock_is_refused(minio, tmp_path):
    shop = Shop(None, tmp_path, drills=targets(locked='{url: "s3://some/where"}'))
    with pytest.raises(DrillUsage, match="does not lock"):
        shop.drill(ATTACK, ("docs",))


def put(minio, bucket: str, key: str, **more) -> None:
    import boto3
    from botocore.config import Config

    keys = {"aws_access_key_id": minio.access_key, "aws_secret_access_key": minio.secret_key}
    path = Config(s3={"addressing_style": "path"})
    client = boto3.client("s3", endpoint_url=minio.endpoint, region_name=minio.region, config=path, **keys)
    client.put_object(Bucket=bucket, Key=key, Body=b"x", **more)
    client.close()


def test_only_a_lock_excuses_what_is_left(minio, tmp_path):
    """Whoever lacks the right to remove was told that a lock had kept it."""
    bucket = minio.bucket(lock=True)
    shop = Shop(None, tmp_path, drills=targets(locked=target(minio, bucket, "compliance")))
    policy = host_policy(4)
    policy["Statement"].append({"Effect": "Deny", "Action": ["s3:DeleteObjectVersion", "s3:DeleteObject"], "Resource": ["arn:aws:s3:::*"]})
    put(minio, bucket, "drills/drill-free/one")
    until = dt.datetime.now(dt.UTC) + dt.timedelta(days=1)
    put(minio, bucket, "drills/drill-kept/one", ObjectLockMode="COMPLIANCE", ObjectLockRetainUntilDate=until)

    def clear_as(host, name: str) -> str:
        shop.environ |= {"DRILL_ID": host["access_key_id"], "DRILL_SECRET": host["secret_access_key"], "DRILL_TOKEN": host["session_token"]}
        with shop.platform() as platform:
            return clear(platform, {"target": "locked", "url": f"s3://{bucket}/drills/{name}"})

    poor, rich = assume(minio, policy), assume(minio, host_policy(4))
    with pytest.raises(NotTornDown, match=r"no lock is why .AccessDenied without a lock: 1."):
        clear_as(poor, "drill-free")
    assert "1 versions" in clear_as(poor, "drill-kept")
    assert "1 versions" in clear_as(rich, "drill-kept")
    assert clear_as(rich, "drill-free").startswith("nothing is left")
    with pytest.raises(AttackUndecided, match="SignatureDoesNotMatch"):
        clear_as({**rich, "secret_access_key": "another"}, "drill-kept")


def test_an_attack_that_nobody_answers_proves_nothing(minio, tmp_path):
    """Credentials that ran out were counted as a lock that refuses."""
    shop = shop_with(minio, tmp_path, "compliance")
    attacking = Attack.run

    def late(self):
        self._calls = Expired(self._calls)
        attacking(self)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Attack, "run", late)
        done = shop.drill(ATTACK, ("docs",))
    assert done.outcome == "failed"
    assert done.error is not None
    assert done.error.code == "drill-attack-undecided"
    assert "ExpiredToken" in done.error.message


class Expired:
    """Calls as they are, with credentials whose time is over."""

    def __init__(self, calls) -> None:
        self._calls = calls

    def __getattr__(self, name):
        from botocore.exceptions import ClientError

        def expired(**_arguments):
            error = ClientError({"Error": {"Code": "ExpiredToken", "Message": "over"}}, name)
            raise ApiError(error) from error

        return expired
