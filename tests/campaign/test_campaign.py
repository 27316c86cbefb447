"""The campaign's sample, the whole of it (`make soak`), and proof that it sees what it looks for.

CAMPAIGN_SEED makes one again; it is printed.
"""

import dataclasses
import os
import random

import pytest

from holdfast.errors import HoldfastError
from holdfast.vault.format import names
from tests.campaign import faults, fulldisk
from tests.campaign.deeds import DEEDS, lived_in
from tests.campaign.driver import Campaign, campaign
from tests.campaign.judge import judge
from tests.campaign.power import AT_THE_END
from tests.campaign.power import KINDS as POWER
from tests.campaign.stage import Stage
from tests.campaign.tally import Tally
from tests.servers import MinioServer, need
from tests.vault.prune.machine import play

ENOUGH_KILLS = 2000
ENOUGH_STEPS = 100_000


def all_of(one: Campaign, say=lambda _: None, shares=(1.0, 1.0, 1.0, 1.0, 1.0)) -> None:
    """Every kind of disturbance of every deed; ``shares`` of the points are tried."""
    plans = [one.kills, one.kills_below, one.cuts, one.faults]
    if fulldisk.possible():
        plans.append(one.full_disks)
    for deed in DEEDS:
        for plan, share in zip(plans, shares, strict=False):
            if deed != "init" or plan != one.full_disks:
                one.carry_out(plan(deed, share))
        say(f"  {deed}: {one.tally.killed():,} killed so far, {one.tally.points:,} points compared, {len(one.tally.wrong)} losses")
        one.verdict()


@pytest.mark.timeout(900)
def test_a_sample_of_the_campaign():
    with campaign(20261121, workers=1, sample=True, more=0.2) as one:
        all_of(one)
        one.flip(step=100, deep=20)
        one.verdict()
        assert one.tally.killed() >= 4 * len(DEEDS)
        assert set(one.tally.faults) >= {*faults.KINDS, *POWER}
        assert one.tally.flips["found"] > 200


@pytest.mark.minio
@pytest.mark.timeout(900)
def test_a_sample_on_a_real_object_store(minio: MinioServer):
    with campaign(5, workers=1, sample=True) as one:
        for deed in ("incremental backup", "prune", "copy", "folder restore"):
            one.carry_out(one.kills(deed, bucket=bucket(minio)))
        one.verdict()
        assert one.tally.killed() == 8


@pytest.mark.minio
def test_a_plan_past_the_last_call_is_tried_again_from_a_clean_place(minio: MinioServer):
    """Threads make some calls more in one run than in another: the try that met none had filled its prefix of the bucket."""
    with campaign(5, workers=1, more=0) as one:
        place = bucket(minio)
        one.one(one.order("hold", "kill", len(one.count("hold", "storage", place)) + 1, bucket=place))
        one.verdict()
        assert one.tally.killed() == 1


def bucket(server: MinioServer) -> dict[str, str]:
    return {"name": server.bucket(), "endpoint": server.endpoint, "key": server.access_key, "secret": server.secret_key}


@pytest.mark.soak
@pytest.mark.minio
@pytest.mark.timeout(0)
def test_the_whole_campaign():
    """Every storage call of every deed; a third of the file system's calls; a tenth of the calls for each kind of fault."""
    seed = int(os.environ.get("CAMPAIGN_SEED") or os.environ.get("SOAK_SEED") or random.SystemRandom().randrange(10**6))
    print(f"\nfault campaign; the same again: CAMPAIGN_SEED={seed}", flush=True)
    with campaign(seed, workers=os.cpu_count() or 2) as one:
        all_of(one, lambda text: print(text, flush=True), shares=(1, 1 / 3, 1 / 3, 1 / 10, 1 / 3))
        one.flip(step=1, deep=10)
        with need(), MinioServer.create() as server:
            for deed in DEEDS:
                if deed != "init":
                    one.carry_out(one.kills(deed, 1 / 10, bucket=bucket(server)))
        one.verdict()
        one.tally.steps = play(ENOUGH_STEPS)
    assert one.tally.killed() >= ENOUGH_KILLS
    assert one.tally.steps >= ENOUGH_STEPS
    assert all(planned == fired for planned, fired in one.tally.faults.values())
    assert one.tally.flips["found"] > 10_000


# ---------------------------------------------------------------- what is wrong is seen


@pytest.fixture(scope="module")
def lived(tmp_path_factory):
    folder = tmp_path_factory.mktemp("lived") / "stage"
    folder.mkdir()
    stage = Stage(folder)
    lived_in(stage)
    return stage


def test_a_whole_vault_is_judged_whole(lived):
    found = judge(lived)
    assert found.points == 3 + 3 + 2
    assert found.log == 2 * (12 - 5) * 700


@pytest.mark.parametrize("name", ["a", "b"])
@pytest.mark.parametrize("prefix", ["packs/", "points/", "logs/"])
def test_any_lost_object_is_a_loss(lived, tmp_path, name, prefix):
    hurt = lived.clone(tmp_path / "hurt")
    for info in list(hurt.storage(name).list(prefix))[-2:]:
        hurt.storage(name).delete(info.name)
    with pytest.raises((AssertionError, HoldfastError), match=r"not listed|cannot be restored|is in no location|is missing"):
        judge(hurt)


def test_a_vault_without_its_config_is_a_loss(lived, tmp_path):
    hurt = lived.clone(tmp_path / "hurt")
    for name in ("a", "b"):
        hurt.storage(name).delete(names.CONFIG)
    with pytest.raises(AssertionError, match="is gone"):
        judge(hurt)


def test_other_content_than_the_ledgers_is_a_loss(lived, tmp_path):
    hurt = lived.clone(tmp_path / "hurt")
    hurt.ledger.path.write_text(hurt.ledger.path.read_text().replace('"seed": 3', '"seed": 4'))
    with pytest.raises(AssertionError, match="came back different"):
        judge(hurt)


def test_a_point_that_nobody_meant_and_one_that_came_back_are_seen(lived, tmp_path):
    hurt = lived.clone(tmp_path / "hurt")
    one, token = hurt.ledger.lines("committed")[-1]["id"], hurt.ledger.lines("intend")[-1]["id"]
    hurt.ledger.say("going", id=one)
    hurt.ledger.say("gone", id=one, where=["a", "b"])
    with pytest.raises(AssertionError, match="listed again"):
        judge(hurt)
    hurt.ledger.path.write_text("\n".join(line for line in hurt.ledger.path.read_text().splitlines() if token not in line) + "\n")
    with pytest.raises(AssertionError, match="nobody ever meant"):
        judge(hurt)


def test_a_key_that_should_be_gone_and_one_that_should_open_are_seen(lived, tmp_path):
    hurt = lived.clone(tmp_path / "hurt")
    hurt.ledger.say("key", secret="old one", state="gone")
    with pytest.raises(AssertionError, match="should be gone"):
        judge(hurt)
    hurt.ledger.say("key", secret="old one", state="there")
    hurt.ledger.say("key", secret="never added", state="there")
    with pytest.raises(AssertionError, match="should be there"):
        judge(hurt)


def test_what_does_not_fire_and_what_fails_by_a_bug_fail_the_campaign():
    with campaign(1, workers=1) as one:
        one.one(one.order("hold", "kill", 10**6))
        assert "did not fire" in one.tally.wrong.pop()
        one.one(one.order("hold", "no such kind", 1))
        assert "failed by a bug" in one.tally.wrong[-1]
        with pytest.raises(AssertionError, match="failed by a bug"):
            one.verdict()


def test_a_store_that_syncs_nothing_loses_what_was_committed():
    """The power cut is real: without the store's fsync it takes points with it."""
    with campaign(1, workers=1) as one:
        one.one(one.order("first backup", POWER[0], AT_THE_END, early=False, unsynced=True))
        assert "judging what was left" in one.tally.wrong[-1]


def test_the_table_counts_what_happened():
    tally = Tally()
    order = {"deed": "prune", "how": "kill", "early": True}
    tally.add(order, {"killed": True, "fired": ["x"], "points": 3, "log": 5})
    tally.add(order | {"how": "slow"}, {"fired": []})
    tally.add(order | {"how": POWER[0]}, {"fired": ["y"], "killed": True})
    assert tally.killed() == 2
    assert tally.faults == {"slow": [1, 0], POWER[0]: [1, 1]}
    assert "processes ended by SIGKILL: 2; points restored and compared: 3" in tally.show()
    assert dataclasses.replace(tally, wrong=["one"]).show().endswith("losses: 1")
