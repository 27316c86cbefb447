"""The workers of a real standalone cluster, in processes of their own, store what `holdfast backup` commits."""

import pytest

from tests.cli.running import answer
from tests.servers import need
from tests.servers.spark import SparkCluster, one_at_a_time
from tests.spark.shared import SMALL, Desk, table
from tests.spark.test_pool import picture
from tests.spark.test_pool_bucket import NAMES, fill

pytestmark = pytest.mark.timeout(1200)


@pytest.fixture(scope="module")
def cluster():
    with need(), one_at_a_time(), SparkCluster(2) as made:
        yield made


@pytest.fixture
def desk(tmp_path):
    made = Desk(tmp_path)
    table(made.lake / "orders", 9)
    table(made.lake / "people", 3, seed=2)
    return made


def test_a_backup_by_two_workers_is_the_point_that_this_machine_makes(cluster, desk):
    desk.on(cluster, options=f"{SMALL}, spark.eventLog.enabled: 'true', spark.eventLog.dir: 'file://{cluster.folder}'")
    done = desk.say("backup", "lake", "--json")
    assert done.returncode == 0, (done.stdout, done.stderr)
    [told] = answer(done)["points"]
    [shared] = desk.points()
    assert told["id"] == shared.id
    assert (shared.method, shared.findings) == ("full", [])
    held = picture(desk)
    assert len(held) == len([path for path in desk.lake.rglob("*") if path.is_file()])
    # By this machine alone, which takes over nothing of the first point.
    alone = desk.alone()
    assert alone.method == "full"
    assert picture(desk, alone) == held
    # What Spark was told and what it wrote down names no secret.
    secrets = [desk.key(role).encode() for role in ("owner", "writer", "reader")]
    written = [path for path in cluster.folder.rglob("*") if path.is_file()]
    assert any(b"holdfast lake" in path.read_bytes() for path in written)
    assert not [path for path in written for secret in secrets if secret in path.read_bytes()]


@pytest.mark.soak
def test_check_tells_of_the_workers(cluster, desk):
    desk.on(cluster)
    found = answer(desk.say("check", "lake", "--json"))["systems"][0]["probes"]
    [told] = [one for one in found if one["name"].startswith("executor")]
    assert told["state"] == "ok", told
    assert told["detail"] == "2 workers with 2 cores; Holdfast 0.1.0"


@pytest.mark.soak
def test_a_bucket_by_two_workers_is_the_point_that_this_machine_makes(cluster, tmp_path):
    desk = Desk(tmp_path, "bucket")
    fill(desk)
    desk.on(cluster)
    done = desk.say("backup", "lake", "--json")
    assert done.returncode == 0, (done.stdout, done.stderr)
    [shared] = desk.points()
    assert shared.facts["objects"] == len(NAMES) + 60
    held = desk.tree(shared)
    assert held == desk.tree(desk.alone())
