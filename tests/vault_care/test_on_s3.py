"""The whole life of a vault on a real S3 store."""

import datetime as dt

import pytest

from holdfast.storage.open import open_storage
from holdfast.storage.probe import require_fit
from holdfast.vault import prune
from holdfast.vault.check import Check
from holdfast.vault.copy import copy
from holdfast.vault.points.retention import Keep
from tests.vault_care.conftest import Depot, files

pytestmark = pytest.mark.minio


def test_points_logs_prune_check_and_copy(minio, tmp_path):
    bucket = minio.bucket()
    options = {
        "endpoint": minio.endpoint,
        "region": minio.region,
        "credentials": {"access_key_id": minio.access_key, "secret_access_key": minio.secret_key},
    }

    def storages(_clock):
        return [open_storage(f"s3://{bucket}/vault/{name}", options) for name in "ab"]

    depot = Depot(tmp_path / "cache", storages)
    for storage in depot.storages:
        require_fit(storage)
    base = depot.take(files(1))
    child = depot.take(files(1) | files(2), base=base.id)
    depot.log(100, b"log" * 1000)
    assert len(depot.require_whole()) == 2
    vault = depot.open()
    plan = prune.make(vault, {"orders": Keep(last=1)}, zone=dt.UTC, grace=dt.timedelta(0))
    prune.run(vault, plan, most=1)
    assert depot.require_whole() == [child.id]
    assert [bytes(data) for _, data in depot.open().logs("orders").reader("main").stream(100)] == [b"log" * 1000]
    depot.damage(depot.names("packs/")[0], number=1)
    assert not Check(depot.open(), share=1).run().ok
    assert Check(depot.open(), share=1, heal=True).run().ok
    third = open_storage(f"s3://{bucket}/vault/c", options)
    assert copy(depot.storages[0], third).refused == []
    depot.storages = [third]
    assert depot.require_whole() == [child.id]
