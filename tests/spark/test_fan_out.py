"""Bad days of a capture over Spark: lost workers, killed drivers, missing keys, other versions; and what a second worker is worth."""

import re
import sys
import time

import pyarrow as pa
import pytest
from pyarrow import parquet

from tests.cli.running import answer
from tests.servers import need
from tests.servers.spark import SparkCluster, one_at_a_time
from tests.spark.reading import delta_rs
from tests.spark.shared import KEYS, Desk, table
from tests.spark.test_pool import picture

pytestmark = [pytest.mark.soak, pytest.mark.timeout(1200)]

FILES = 24
MIB = 1 << 20


@pytest.fixture
def cluster():
    # One for each test: they kill its workers.
    with need(), one_at_a_time(), SparkCluster(2) as made:
        yield made


@pytest.fixture
def desk(tmp_path):
    made = Desk(tmp_path)
    table(made.lake / "orders", FILES, MIB)
    return made


def worker_python(desk: Desk, code: str) -> str:
    """For the workers: this Python, with ``code`` run before anything else."""
    folder = desk.folder / "worker"
    folder.mkdir(exist_ok=True)
    (folder / "sitecustomize.py").write_text(code)
    program = folder / "python"
    program.write_text(f'#!/bin/sh\nPYTHONPATH="{folder}:$PYTHONPATH" exec {sys.executable} "$@"\n')
    program.chmod(0o755)
    return f"{KEYS}, python: {program}"


def slow(desk: Desk, rate: int = MIB) -> str:
    """An executor whose every process has a store that takes ``rate`` bytes a second."""
    return worker_python(
        desk,
        f"""
import os
import holdfast.storage.open as opening
plain, rates = opening.open_storage, {{}}

def slow(*words, **more):
    from holdfast.model import SystemClock
    from holdfast.storage.wrappers.throttle import Rate, Throttled
    return Throttled(plain(*words, **more), rates.setdefault(os.getpid(), Rate({rate}, SystemClock())))

opening.open_storage = slow
""",
    )


def until(found, what: str, seconds: float = 240) -> None:
    end = time.monotonic() + seconds
    while not found():
        assert time.monotonic() < end, f"{what} did not come"
        time.sleep(0.05)


def stored(desk: Desk, kind: str) -> list:
    return [path for path in (desk.folder / "vault" / kind).rglob("*") if path.is_file()]


def test_a_worker_killed_in_its_shard_costs_that_shard(cluster, desk):
    desk.on(cluster, executor=slow(desk))
    process = desk.start("backup", "lake", "--json")
    # Each worker has an executor with a session of its own, besides the driver's, and bytes are on their way.
    until(lambda: (len(stored(desk, "sessions")) >= 3 and stored(desk, "packs")) or process.poll() is not None, "a shard")
    cluster.end(cluster.workers[0])
    out, err = process.communicate(timeout=900)
    assert process.returncode == 0, (out, err)
    assert cluster.workers[1].poll() is None
    [point] = desk.points()
    assert not point.findings
    held = picture(desk)
    assert held == picture(desk, desk.alone())
    done = desk.say("restore", "lake", "--into", str(desk.folder / "back"))
    assert done.returncode == 0, done.stderr
    assert delta_rs(desk.folder / "back" / "orders") == delta_rs(desk.lake / "orders")


def test_a_killed_driver_is_run_again_and_reuses_what_was_stored(cluster, desk):
    desk.on(cluster, executor=slow(desk))
    process = desk.start("backup", "lake", "--json")
    # The index of the first shard that was handed over.
    until(lambda: stored(desk, "index") or process.poll() is not None, "a shard")
    process.kill()
    process.communicate(timeout=60)
    assert process.returncode == -9
    assert not desk.points()
    done = desk.say("backup", "lake", "--json", timeout=900)
    assert done.returncode == 0, (done.stdout, done.stderr)
    [point] = desk.points()
    assert point.method == "full"
    assert point.totals.read >= FILES * MIB
    assert point.totals.new <= point.totals.read - MIB
    assert picture(desk) == picture(desk, desk.alone())


def test_workers_that_cannot_are_refused_by_name(cluster, desk):
    # No key in its place.
    desk.on(cluster, executor="least: 0B, key: {file: nowhere.key}")
    done = desk.say("backup", "lake")
    assert done.returncode == 2
    assert "On the worker" in done.stderr
    assert "nowhere.key" in done.stderr
    # One that may do more than it should.
    desk.on(cluster, executor="least: 0B")
    done = desk.say("backup", "lake")
    assert done.returncode == 4
    assert "opens the vault as owner" in done.stderr
    # Another version.
    desk.on(cluster, executor=worker_python(desk, "import holdfast\nholdfast.__version__ = '9.9.9'"))
    done = desk.say("backup", "lake")
    assert done.returncode == 4
    assert "Holdfast 9.9.9" in done.stderr
    [told] = [one for one in answer(desk.say("check", "lake", "--json"))["systems"][0]["probes"] if one["name"].startswith("executor")]
    assert told["state"] == "fail"
    assert "9.9.9" in told["detail"]
    # None at all.
    desk.on(cluster, executor=worker_python(desk, "import sys\nsys.modules['holdfast'] = None"))
    done = desk.say("backup", "lake")
    assert done.returncode == 4, done.stderr
    assert "nowhere" in done.stderr
    assert not desk.points()
    assert not stored(desk, "packs")


def test_a_master_without_workers_is_told(desk):
    with need(), one_at_a_time(), SparkCluster(0) as cluster:
        desk.on(cluster)
        began = time.monotonic()
        done = desk.say("check", "lake", "--json")
        [told] = [one for one in answer(done)["systems"][0]["probes"] if one["name"].startswith("executor")]
        assert told["state"] == "fail"
        assert "has given no worker for 60 s" in told["detail"]
        assert time.monotonic() - began < 200
    done = desk.say("backup", "lake")
    assert done.returncode == 3
    assert "does not answer" in done.stderr


def test_a_verification_by_the_workers(cluster, desk):
    table(desk.lake / "people", 3, seed=2)
    desk.on(cluster, executor=f"{KEYS}, verify: true, verify_key: {{file: reader.key}}")
    assert desk.say("backup", "lake").returncode == 0
    done = desk.say("verify", "lake", "--json")
    assert done.returncode == 0, (done.stdout, done.stderr)
    [told] = answer(done)["systems"]
    assert told["counts"] == {"passed": 5, "failed": 0, "skipped": 0}  # one of them: the newest point is there
    assert told["exact"]
    # A file with other rows in it: the sums of the source's parts are not those of the point's.
    victim = max((desk.lake / "orders").glob("*.parquet"))
    parquet.write_table(pa.table({"id": [99], "data": [b"other"]}), victim)
    told = answer(desk.say("verify", "lake", "--json"))["systems"][0]
    assert told["verdict"] == "failed"
    assert [one["name"] for one in told["results"] if one["state"] == "failed"] == ["orders"]


def test_two_workers_are_worth_more_than_one_and_a_half(cluster, desk, tmp_path):
    """With a store that takes 512 KiB a second from each executor, so that two cores do not decide. Figures are printed: of copying, and of
    the whole command, most of whose rest is Spark's start.
    """
    table(desk.lake / "more", 40, MIB, seed=5)
    copied, took = {}, {}
    for cores in (1, 2):
        other = Desk(tmp_path / str(cores), lake=desk.lake)
        other.on(cluster, cores, executor=slow(other, MIB // 2))
        began = time.monotonic()
        done = other.say("backup", "lake", timeout=900)
        assert done.returncode == 0, done.stderr
        took[cores] = time.monotonic() - began
        copied[cores] = float(re.findall(r"^copy: done, .* in ([\d.]+) s$", done.stderr, re.MULTILINE)[-1])
    figure = copied[1] / copied[2]
    print(
        f"one worker {copied[1]:.1f} s, two {copied[2]:.1f} s: {figure:.2f} times as fast;"
        f" with Spark's start {took[1]:.1f} s and {took[2]:.1f} s: {took[1] / took[2]:.2f} times"
    )
    assert figure >= 1.6
