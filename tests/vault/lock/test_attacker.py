"""With the backup host's credentials in an attacker's hands nothing is lost: everything is tried on a real MinIO, then all is restored."""

import dataclasses
import datetime as dt
import json
import os
import subprocess
import sys

import pytest

from holdfast.model import SystemClock
from holdfast.storage import StorageDenied
from holdfast.storage.open import open_storage
from holdfast.vault import Vault
from holdfast.vault.check import Check
from holdfast.vault.format import names
from holdfast.vault.format.text import to_json
from holdfast.vault.lock.asof import BadGeneration, as_of
from holdfast.vault.points import holds
from holdfast.vault.records.copies import RecordCopies, newest_plan
from tests.vault.lock.attack import Attack
from tests.vault.lock.conftest import MODES, options, root
from tests.vault_care.conftest import files

pytestmark = pytest.mark.minio
WRITER = "the host's own key"
REFUSED = (
    "shorten a lock",
    "remove a lock",
    "delete a version",
    "delete versions in bulk",
    "suspend versioning",
    "turn object lock off",
    "delete the bucket",
)
"""Of these the store must refuse every one; what is put over, forged or hidden it accepts, and it changes nothing."""


@pytest.mark.parametrize("mode", MODES)
def test_everything_is_tried_and_everything_comes_back(lock_bucket, tmp_path, mode, capsys):
    place = lock_bucket(mode)
    depot = place.depot
    owner = depot.open()
    owner.keys.add(WRITER, role="writer", label="host", now=dt.datetime.now(dt.UTC))
    first = depot.take(files(1), label="first")
    held = holds.place(owner.locations, owner.notary, owner.clock, first.id, "audit")
    host = depot.open(secret=WRITER)
    assert host.role == "writer"
    second = depot.take(files(1) | files(2), vault=host)
    third = depot.take(files(1) | files(2) | files(3), base=second.id, vault=depot.open(secret=WRITER))
    depot.log(100, b"log" * 50_000)
    depot.log(100 + 150_000, b"more" * 1000)
    RecordCopies(depot.storages[0], owner.notary, depot.clock.now).put_plan("platform: acme\n", "hash")
    RecordCopies(depot.storages[0], owner.notary, depot.clock.now).put("journal/host/0000000000000001", b'{"n": 1}')

    credentials = [place.host, root(place.minio)] if mode == "compliance" else [place.host]
    notary, versions = depot.open(secret=WRITER).notary, None
    for stolen in credentials:
        client = place.client(stolen)
        attack = Attack(place, client, notary, versions)
        versions = versions or attack.versions
        attack.run()
        left = set(attack.listed())
        client.close()
        with capsys.disabled():
            print(f"\n{mode}, {'root of the store' if stolen == root(place.minio) and mode == 'compliance' else 'the backup host'}:")
            print(attack.told())
        lost = {key for key, version in set(versions) - left if not attack.free(attack.name(key))}
        assert not lost, f"{mode}: these versions are gone: {sorted(lost)}"
        for kind in REFUSED:
            assert attack.tried[kind] == attack.refused[kind] > 0, kind
        for kind in ("put garbage over", "put another's bytes over", "put a signed abort over a point", "put a delete marker over"):
            assert attack.tried[kind] - attack.refused[kind] > 0, f"{kind} was never done: the test proves nothing"

    # A machine that knows nothing: another cache, the address, the recovery key.
    far = open_storage(place.url, options(place.minio, root(place.minio), versions=True))
    place.made.append(far)
    vault = Vault.open([far], depot.recovery, clock=SystemClock(), cache=tmp_path / "fresh")
    assert [point.id for point in vault.points()] == [first.id, second.id, third.id]
    for point in vault.points():
        reader = vault.point(point.id)
        assert {stored.entry.path: reader.read(stored) for stored in reader.entries()} == depot.points[point.id]
    assert b"".join(bytes(data) for _, data in vault.logs("orders").reader("main").stream(100)) == b"log" * 50_000 + b"more" * 1000
    assert [one.id for one in holds.current(vault.locations, vault.notary)] == [held.id]
    assert newest_plan(far, vault.notary)[0] == "platform: acme\n"
    assert vault.notary.open(vault.notary.check("journal/host/0000000000000001", far.get("journal/host/0000000000000001"))) == b'{"n": 1}'
    report = Check(vault, share=1).run()
    # What was forged beside the true objects, and what is never locked, is found and told; nothing else.
    planted = ("condemned/", "sessions/", "points/")
    assert not [one for one in report.found if one.severity == "damage" and not one.object.startswith(planted)]

    # And by the command, in a process of its own.
    done = subprocess.run(
        [sys.executable, "-m", "holdfast.interfaces.cli.main", "--json", "vault", "open", place.url],
        env={
            **{name: value for name, value in os.environ.items() if name in ("PATH", "PYTHONPATH")},
            **place.minio.environment,
            "HOME": str(tmp_path / "home"),
            "HOLDFAST_KEY": depot.recovery,
        },
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert {one["id"] for one in json.loads(done.stdout)["points"]} == {first.id, second.id, third.id}, done.stderr

    # Life goes on: the next backup from the host, and all of it restores again.
    fourth = depot.take(files(4), vault=depot.open(secret=WRITER))
    assert fourth.id in {point.id for point in depot.open().points()}


def test_an_owners_key_in_an_attackers_hands_hides_nothing_for_good(lock_bucket, tmp_path):
    """A keyring of his takes every slot out of force and revokes the writer; the one before is locked, and opens all."""
    place = lock_bucket("compliance")
    depot = place.depot
    point = depot.take(files(1))
    vault = depot.open()
    ring = vault.notary.ring
    now = depot.clock.now()
    name = names.ring(ring.generation + 1)
    his = dataclasses.replace(
        ring,
        generation=ring.generation + 1,
        previous=ring.digest,
        slots={},
        removed={slot: now.isoformat() for slot in ring.slots},
        revoked={vault.notary.writer: now.isoformat()},
    )
    depot.storages[0].put_if_absent(name, [vault.notary.make(name, "ring", now, his.fields(), plain=to_json(his.hidden()))])

    def opened(**known):
        return subprocess.run(
            [sys.executable, "-m", "holdfast.interfaces.cli.main", "--json", "vault", "open", place.url],
            env={
                **{name: value for name, value in os.environ.items() if name in ("PATH", "PYTHONPATH")},
                **place.minio.environment,
                "HOME": str(tmp_path / "home"),
                "HOLDFAST_KEY": depot.recovery,
                **known,
            },
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )

    refused = opened()
    assert refused.returncode
    assert f"HOLDFAST_KEYRING={ring.generation}" in refused.stdout
    done = opened(HOLDFAST_KEYRING=str(ring.generation))
    assert [one["id"] for one in json.loads(done.stdout)["points"]] == [point.id], done.stdout + done.stderr
    storages = as_of([place.storage()], str(ring.generation))
    true = Vault.open(storages, depot.recovery, clock=SystemClock(), cache=tmp_path / "fresh")
    reader = true.point(point.id)
    assert {stored.entry.path: reader.read(stored) for stored in reader.entries()} == depot.points[point.id]
    with pytest.raises(StorageDenied):
        storages[0].put_if_absent("holds/" + "a" * 32, [b"x"])
    for wrong in ("x", "0", "-1"):
        with pytest.raises(BadGeneration):
            as_of(storages, wrong)
