"""``init`` and ``check`` about locks, as programs; what a lock costs, by arithmetic."""

import datetime as dt
import json
import os

import pytest

from holdfast.plan import load
from holdfast.plan.keeping import lock_price, promised
from tests.cli.asking import ran

DAY = dt.timedelta(days=1)
GIB = 1 << 30


@pytest.mark.parametrize(
    ("lock", "keep", "idle", "month", "said"),
    [
        (30, 7, 23, 2.30, "costs 2.30 a month"),
        (30, 30, 0, 0.0, None),
        (30, 365, 0, 0.0, "protects only 30 days of the 365 days"),
    ],
)
def test_what_a_lock_costs_and_leaves_open(lock, keep, idle, month, said):
    """Ten GiB a day at 0.01 a GiB and month: what stands for the lock alone is what was stored on the days between."""
    priced = lock_price("offsite", lock * DAY, keep * DAY, daily=10.0 * GIB, price=0.01)
    assert priced.idle == idle * DAY
    assert priced.month == pytest.approx(month)
    sentences = [sentence for sentence in (priced.costs, priced.leaves_open) if sentence]
    assert [said in sentence for sentence in sentences] == ([True] if said else [])


def test_a_price_that_is_not_known_is_not_invented():
    priced = lock_price("offsite", 30 * DAY, 7 * DAY, daily=None, price=0.01)
    assert priced.month is None
    assert "known after the first backups" in priced.costs


PLAN = """\
platform: acme
vault:
  key: {{env: HOLDFAST_KEY}}
  locations:
    - {{name: away, url: "s3://{bucket}/vault", endpoint: "{endpoint}"{lock}}}
tiers:
  standard: {{rpo: 2d, backup: daily, keep: {{daily: 7}}, locations: [away]}}
systems:
  app: {{kind: files, tier: standard, paths: ["{source}"]}}
prices: {{storage: {{away: 1000}}}}
"""


def test_how_long_the_plan_keeps_points(tmp_path):
    path = tmp_path / "holdfast.yaml"
    path.write_text(
        PLAN.format(bucket="b", endpoint="http://127.0.0.1:9", lock="", source="/srv").replace("daily: 7", "daily: 7, monthly: 3")
    )
    assert promised(load(path), "away") == 93 * DAY
    assert promised(load(path), "elsewhere") == 0 * DAY


class Machine:
    def __init__(self, minio, folder, bucket, lock):
        self.folder, self.minio = folder, minio
        self.source = folder / "app"
        self.source.mkdir()
        (self.source / "a").write_bytes(os.urandom(300_000))
        text = PLAN.format(bucket=bucket, endpoint=minio.endpoint, lock=lock, source=self.source)
        (folder / "holdfast.yaml").write_text(text)

    def __call__(self, *words, status=0):
        known = {name: value for name, value in os.environ.items() if name in ("PATH", "PYTHONPATH", "LANG", "LC_ALL")}
        given = {**known, **self.minio.environment, "HOME": str(self.folder / "home"), "HOLDFAST_KEY": "passphrase"}
        done = ran(["--json", *words], self.folder, given, timeout=1200)
        assert done.returncode == status, done.stdout + done.stderr
        return json.loads(done.stdout)


@pytest.mark.minio
def test_init_makes_the_bucket_and_check_prices_its_lock(minio, tmp_path):
    bucket = minio.bucket() + "-made"
    machine = Machine(minio, tmp_path, bucket, ", lock: {mode: compliance, days: 28}")
    machine("init", "--yes")
    client = minio.client()
    assert client.get_object_lock_configuration(Bucket=bucket)["ObjectLockConfiguration"]["ObjectLockEnabled"] == "Enabled"
    client.close()
    before = machine("check")
    assert before["protected"]
    assert before["locations"][0]["lock"]["month"] is None
    machine("backup", "app")
    (machine.source / "b").write_bytes(os.urandom(200_000))
    machine("backup", "app")
    [place] = machine("check")["locations"]
    # 28 days of lock, a quarter more for what is reused, less the 7 days that points are kept.
    assert place["lock"]["idle_days"] == 28 + 7 - 7
    assert place["lock"]["bytes"] > 28 * 200_000
    assert place["lock"]["month"] == pytest.approx(place["lock"]["bytes"] / GIB * 1000, abs=0.01)
    [said] = [one["detail"] for one in place["protection"] if one["code"] == "lock-length"]
    assert "costs" in said
    assert "a month" in said


@pytest.mark.minio
def test_a_bucket_without_the_lock_that_the_plan_demands_is_an_error(minio, tmp_path):
    machine = Machine(minio, tmp_path, minio.bucket(), ", lock: {mode: compliance, days: 28}")
    refused = machine("init", "--yes", status=2)
    assert refused["error"]["code"] == "bucket-without-lock"
    found = machine("check", status=1)
    assert not found["protected"]
    assert "bucket-without-lock" in {one["code"] for one in found["locations"][0]["protection"]}


@pytest.mark.minio
def test_an_unprotected_location_is_said_and_works(minio, tmp_path):
    machine = Machine(minio, tmp_path, minio.bucket(), "")
    machine("init", "--yes")
    found = machine("check")
    assert not found["protected"]
    assert found["locations"][0]["state"] == "warn"
    machine("backup", "app")
