"""Throttling, resets, stalls, answers that break off, objects that change and vanish, missing rights, kills."""

import os
import random
import signal
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from holdfast.connect.objects import ObjectDenied, StoreDenied, StoreThrottled, StoreUnreachable, open_objects
from tests.bucket.kit import Scene, new_bucket, noise, options_of, picture
from tests.bucket.proxy import Faults
from tests.bucket.test_round_trip import fill

MANY = [f"d{i % 5}/{i:04d}" for i in range(60)]


def some(*kinds: str, seed: int = 1, share: float = 0.25):
    """Faults for a share of the requests, but never so many in a row that patience ends."""
    chosen = random.Random(seed)
    lock = threading.Lock()

    def decide(number: int, first: str) -> str:
        del number, first
        with lock:
            return chosen.choice(kinds) if chosen.random() < share else "pass"

    return decide


@pytest.mark.parametrize("kinds", [("503",), ("reset", "cut", "late"), ("503", "reset", "cut", "late", "stall")], ids="-".join)
def test_a_store_that_fails_now_and_then(scene, minio, kinds):
    fill(scene.store, MANY)
    scene.store.put("large", noise(9 << 20))
    before = picture(scene.store)
    target = new_bucket(minio)
    with Faults(minio.endpoint, some(*kinds, share=0.1 if "stall" in kinds else 0.25)) as faults:
        scene.options = replace(scene.options, endpoint=faults.address, patience=90, read_timeout=3.0)
        point = scene.backup()
        assert (point.facts["objects"], point.facts["incomplete"]) == (len(MANY) + 1, 0)
        scene.restore(target)
        assert len(faults.seen) > 150
    scene.options = options_of(minio)
    assert picture(scene.open(target)) == before


@pytest.mark.parametrize(
    ("what", "error"), [("503", StoreThrottled), ("reset", StoreUnreachable), ("cut", StoreUnreachable), ("stall", StoreUnreachable)]
)
def test_a_store_that_fails_for_good_ends_in_one_error_and_no_point(scene, minio, what, error):
    fill(scene.store, MANY)
    with Faults(minio.endpoint, lambda _, first: what if "d3/" in first.split()[1] and first.startswith("GET") else "pass") as faults:
        # What is asked for rightly has time on a loaded machine.
        scene.options = replace(scene.options, endpoint=faults.address, patience=3.0, read_timeout=3.0 if what == "stall" else 30.0)
        with pytest.raises(error, match=r"failed at d|broke off"):
            scene.backup()
    assert scene.vault.points("raw") == []
    scene.options = options_of(minio)
    again = scene.backup()
    assert again.facts["objects"] == len(MANY)
    assert scene.verify().report.verdict == "passed"


def test_an_object_that_is_replaced_or_goes_while_it_is_read(scene, minio):
    fill(scene.store, MANY)
    large = noise(9 << 20)
    scene.store.put("large", noise(9 << 20))
    scene.store.put("huge", noise(9 << 20))
    scene.store.put("grows", b"small")
    once = threading.Lock()
    done = set()

    def decide(number: int, first: str) -> str:
        del number
        target = first.split()[1]
        with once:
            for key, deed in deeds.items():
                if first.startswith("GET") and f"/{key}" in target and key not in done:
                    done.add(key)
                    deed()
        return "pass"

    deeds = {
        "large": lambda: scene.store.put("large", large),
        "huge": lambda: scene.store.delete(["huge"]),
        "grows": lambda: scene.store.put("grows", noise(3 << 20)),
        MANY[7]: lambda: scene.store.put(MANY[7], b"other"),
        MANY[9]: lambda: scene.store.delete([MANY[9]]),
    }
    with Faults(minio.endpoint, decide) as faults:
        scene.options = replace(scene.options, endpoint=faults.address)
        point = scene.backup()
    assert done == set(deeds)
    scene.options = options_of(minio)
    # A deed may come before the last listing of it was read, or behind its last part: then there is nothing to be told.
    assert point.facts["incomplete"] == 0
    assert sorted(point.facts["vanished"]["keys"]) == sorted(["huge", MANY[9]])
    target = new_bucket(minio)
    scene.restore(target)
    assert picture(scene.open(target)) == picture(scene.store)


def test_credentials_that_may_list_but_not_read(scene, minio):
    from tests.servers.minio_users import make_user

    fill(scene.store, ["open/a", "open/b", "secret/c", "secret/d"])
    user = make_user(minio)
    bucket = scene.url.removeprefix("s3://")
    scene.options = replace(scene.options, credentials=limited(minio, user, bucket))
    probes = {one.name: one for one in scene.system().probe()}
    found = probes[f"{scene.url}/"]
    assert (found.state, "may not be read" in found.detail, "secret/c" in found.detail) == ("fail", True, True)
    point = scene.backup()
    assert (point.facts["objects"], point.facts["incomplete"]) == (2, 2)
    assert [one.where["key"] for one in point.findings] == ["secret/c", "secret/d"]
    assert all(one.code == "bucket-object-unreadable" for one in point.findings)
    scene.options = options_of(minio)
    whole = scene.backup()
    assert (whole.facts["objects"], whole.facts["incomplete"], whole.facts["unread"]) == (4, 0, 2)


def test_credentials_that_end_in_mid_run_end_the_run(scene):
    """One error, and no point in which whatever was left is missing."""
    import itertools

    from holdfast.connect.objects.sign import Credentials

    fill(scene.store, MANY)
    asked = itertools.count()

    def ending(url: str):
        store = open_objects(url, scene.options)
        good = store._asker._credentials()
        ended = Credentials(good.access_key, good.secret_key, "ended")
        store._asker._credentials = lambda: good if next(asked) < 5 else ended
        return store

    scene.open = ending
    with pytest.raises(StoreDenied, match="InvalidTokenId") as caught:
        scene.backup()
    assert not isinstance(caught.value, ObjectDenied)
    assert "renew" in caught.value.hint
    assert scene.vault.points("raw") == []


def limited(minio, user: dict[str, str], bucket: str) -> dict[str, str]:
    """Temporary credentials of ``user`` that may list everything, and read all but what begins with ``secret/``."""
    import json

    import boto3

    allow = {"Effect": "Allow", "Action": ["s3:*"], "Resource": ["arn:aws:s3:::*"]}
    deny = {"Effect": "Deny", "Action": ["s3:GetObject"], "Resource": [f"arn:aws:s3:::{bucket}/secret/*"]}
    client = boto3.client(
        "sts",
        endpoint_url=minio.endpoint,
        region_name=minio.region,
        aws_access_key_id=user["access_key_id"],
        aws_secret_access_key=user["secret_access_key"],
    )
    policy = json.dumps({"Version": "2012-10-17", "Statement": [allow, deny]})
    made = client.assume_role(RoleArn="arn:aws:iam::123456789012:role/x", RoleSessionName="test", Policy=policy)["Credentials"]
    client.close()
    return {
        "access_key_id": made["AccessKeyId"],
        "secret_access_key": made["SecretAccessKey"],
        "session_token": made["SessionToken"],
    }


def test_wrong_credentials_a_missing_bucket_a_dead_store(scene, minio, tmp_path):
    right = scene.options
    scene.options = replace(right, credentials={"access_key_id": "nobody", "secret_access_key": "wrong"})
    found = scene.system().probe()[0]
    assert (found.state, "InvalidAccessKeyId" in found.detail) == ("fail", True)
    with pytest.raises(StoreDenied) as caught:
        scene.backup()
    assert "wrong" not in str(caught.value)
    scene.options, scene.url = right, "s3://there-is-none"
    assert scene.system().probe()[0].state == "fail"
    with pytest.raises(StoreDenied, match="NoSuchBucket"):
        scene.backup()
    scene.options = replace(right, endpoint="http://127.0.0.1:1", patience=0.5)
    assert scene.system().probe()[0].state == "fail"
    with pytest.raises(StoreUnreachable):
        scene.backup()
    scene.url = f"file://{tmp_path}/nothing"
    assert scene.system().probe()[0].state == "fail"
    with pytest.raises(StoreUnreachable, match="cannot be listed"):
        scene.backup()
    assert scene.vault.points("raw") == []


def killed(scene: Scene, minio, verb: str, target: str, when) -> None:
    """Run ``verb`` in a process of its own, and kill it when ``when`` sees the request it waits for."""
    reached = threading.Event()

    def decide(number: int, first: str) -> str:
        if when(number, first):
            reached.set()
            return "stall"
        return "pass"

    with Faults(minio.endpoint, decide) as faults:
        command = [sys.executable, "-m", "tests.bucket.killed", verb, str(scene.folder), scene.url, faults.address, target]
        environment = {**os.environ, "AWS_ACCESS_KEY_ID": minio.access_key, "AWS_SECRET_ACCESS_KEY": minio.secret_key}
        with subprocess.Popen(command, cwd=Path(__file__).parents[2], env=environment) as process:
            assert reached.wait(120), "it never came so far"
            assert process.poll() is None
            process.send_signal(signal.SIGKILL)
            process.wait(30)


def test_a_killed_backup_and_the_next(scene, minio):
    fill(scene.store, MANY)
    scene.store.put("large", noise(9 << 20))
    before = picture(scene.store)
    killed(scene, minio, "backup", "-", lambda number, _: number == 40)
    assert scene.vault.points("raw") == []
    point = scene.backup()
    assert point.facts["objects"] == len(MANY) + 1
    target = new_bucket(minio)
    scene.restore(target)
    assert picture(scene.open(target)) == before


@pytest.mark.parametrize("at", ["PUT", "partNumber=2", "POST"])
def test_a_killed_restore_and_the_next(scene, minio, at):
    fill(scene.store, MANY)
    scene.store.put("large", noise(20 << 20))
    before = picture(scene.store)
    scene.backup()
    target = new_bucket(minio)
    seen = threading.Semaphore(3 if at == "PUT" else 0)
    killed(
        scene,
        minio,
        "restore",
        target,
        lambda _, first: at in first and ("uploadId" in first or at == "PUT") and not seen.acquire(blocking=False),
    )
    held = picture(scene.open(target))
    # Nothing that is there is half of something.
    assert all(before[key] == value for key, value in held.items())
    assert len(held) < len(before)
    scene.restore(target, delta=True)
    assert picture(scene.open(target)) == before


def test_many_kinds_of_faults_leave_no_wrong_copy(scene, minio):
    """A hundred MiB in one object, through a line that breaks off."""
    content = noise(100 << 20)
    scene.store.put("large", content)
    with Faults(minio.endpoint, some("cut", "reset", seed=3, share=0.2)) as faults:
        scene.options = replace(scene.options, endpoint=faults.address, patience=90)
        assert scene.backup().facts["bytes"] == len(content)
    scene.options = options_of(minio)
    target = new_bucket(minio)
    scene.restore(target)
    assert scene.verify(against=target).report.verdict == "passed"
    back = bytearray(len(content))
    scene.open(target).read_into("large", memoryview(back))
    assert back == content


@pytest.mark.soak
def test_five_gib_in_one_object(scene, minio):
    block = noise(16 << 20)
    upload = scene.store.begin("huge")
    count = (5 << 30) // len(block) + 1
    etags = [scene.store.part("huge", upload, number, number.to_bytes(8, "big") + block[8:]) for number in range(1, count + 1)]
    scene.store.complete("huge", upload, etags)
    point = scene.backup()
    assert point.facts["bytes"] == count * len(block) > 5 << 30
    target = new_bucket(minio)
    scene.restore(target)
    assert scene.verify(against=target).report.verdict == "passed"
    assert scene.verify().report.verdict == "passed"
