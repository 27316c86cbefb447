"""Nothing acknowledged is lost, nothing that was not is there, whatever is killed: checked by content against the ledger.

The short plays belong to every run of the tests. `make soak` runs the long one: SOAK_MINUTES (10), SOAK_SEED (random, told),
SOAK_VERSION (15).
"""

import os
import random
import shutil
import signal
import time

import pytest

from holdfast.errors import Damaged, HoldfastError
from holdfast.systems.postgres import lsn
from tests.servers import need
from tests.soak import proof
from tests.soak.scene import SYSTEM, Scene, scene
from tests.soak.tally import KINDS, TARGETS, Tally

pytestmark = pytest.mark.postgres
PLAY_SECONDS = 240


def begin(stage: Scene) -> None:
    stage.load.start()
    stage.follow()
    stage.wait_durable(stage.position())
    stage.backup()


def await_commits(stage: Scene, count: int) -> None:
    goal, end = stage.load.count() + count, time.monotonic() + 120
    while stage.load.count() < goal:
        assert time.monotonic() < end, stage.words()
        time.sleep(0.05)


@pytest.mark.timeout(480)
def test_a_short_play_with_every_kind_of_death(tmp_path):
    with need(), scene(tmp_path / "play", 7, rate=60) as stage:
        begin(stage)
        stage.kill_server()
        stage.pause(0.5)
        stage.kill_backup()
        stage.kill_follower()
        stage.pause(0.5)
        stage.promote()
        stage.pause(0.5)
        stage.wait_durable(stage.position())
        stage.backup()
        stage.pause(0.5)
        proof.restore_somewhere(stage, timeline=1)
        proof.restore_somewhere(stage, timeline=2)
        stage.well()
        acks = stage.load.stop()
        assert {ack.era for ack in acks} == {0, 1}


@pytest.mark.timeout(480)
def test_synchronous_mode_loses_nothing_from_what_the_vault_alone_gives_back(tmp_path):
    with need(), scene(tmp_path / "play", 11, rate=60, synchronous=True) as stage:
        begin(stage)
        everything_but_the_vault_is_lost(stage)


def everything_but_the_vault_is_lost(stage: Scene) -> None:
    await_commits(stage, 100)
    assert stage.follower is not None
    # Both at once, in the middle of commits.
    stage.follower.send_signal(signal.SIGKILL)
    stage.primary.kill9()
    stage.follower.wait()
    shutil.rmtree(stage.primary.data)
    for left in ("state", "cache"):
        shutil.rmtree(stage.folder / left)
    acks = stage.load.stop()
    with stage.platform() as platform:
        found, _ = proof.look(stage, platform, {"kind": "latest"}, {})
        assert platform.history(SYSTEM).points()
    proof.judge(stage, found, {ack.number: ack.era for ack in acks}, set())
    stage.tally.count("losses of everything but the vault")
    stage.tally.restored(1, "latest", proof.rows(found))


@pytest.mark.timeout(480)
def test_planted_faults_are_seen(tmp_path):
    """Each of these would go unseen in a soak that compares nothing."""
    with need(), scene(tmp_path / "play", 13, rate=60) as stage:
        begin(stage)
        await_commits(stage, 100)
        proof.prove(stage, stage.lives[0], "latest")
        stage.load.stop()
        stage.wait_durable(stage.position())
        stage.end_follower(signal.SIGTERM)
        acks = stage.acknowledged()
        with stage.platform() as platform:
            first, _ = proof.reachable(stage, platform, stage.lives[0])
            later = sorted((ack for ack in acks if ack.before >= first), key=lambda ack: ack.before)
            early, late = later[len(later) // 2], later[-1]
            half, reached = proof.look(stage, platform, {"kind": "xid", "xid": early.xid, "inclusive": True}, {})
        there, absent = {ack.number: ack.era for ack in acks if (ack.after or ack.before) <= early.before}, {(late.number, late.era)}
        proof.judge(stage, half, there, absent)
        with pytest.raises(AssertionError, match="acknowledged transactions are missing"):
            proof.judge(stage, half, {late.number: late.era}, set())
        with pytest.raises(AssertionError, match="1 transactions are there that cannot be"):
            proof.judge(stage, half, {}, {(early.number, early.era)})
        stage.seed += 1
        with stage.platform() as platform:
            other, _ = proof.look(stage, platform, {"kind": "lsn", "lsn": lsn.show(reached)}, {})
        with pytest.raises(AssertionError, match="changed"):
            proof.judge(stage, other, {}, set())
        stage.seed -= 1
        cut_the_newest_increment(stage)
        with pytest.raises((AssertionError, HoldfastError)) as failure:
            proof.prove(stage, stage.lives[0], "latest", followed=False)
        assert isinstance(failure.value, Damaged) or "are missing" in str(failure.value), failure.value


def cut_the_newest_increment(stage: Scene) -> None:
    """Its last bytes are gone, as after a storage that lied."""
    increments = [path for path in (stage.folder / "vault" / "logs").rglob("*") if path.is_file()]
    newest = max(increments, key=lambda path: path.stat().st_mtime_ns)
    newest.chmod(0o600)
    with newest.open("r+b") as handle:
        handle.truncate(newest.stat().st_size - 40)


def test_what_never_happened_is_named():
    tally = Tally()
    assert set(KINDS) < set(tally.never())
    for kind in KINDS:
        tally.count(kind)
    for at, target in enumerate(TARGETS):
        tally.restored(1 + at % 2, target, 100)
    assert tally.never() == []
    assert "400 rows compared" in tally.show()
    assert "4 restores: 1 to lsn, 1 to time, 1 to xid, 1 to latest; 2 on timeline 1, 2 on timeline 2" in tally.show()
    tally.done["promotions"] = 0
    assert tally.never() == ["promotions"]
    with pytest.raises(ValueError, match="kills of time"):
        tally.count("kills of time")


@pytest.mark.soak
@pytest.mark.timeout(0)
def test_soak(tmp_path):
    minutes = float(os.environ.get("SOAK_MINUTES", "10"))
    seed = int(os.environ.get("SOAK_SEED") or random.SystemRandom().randrange(10**6))
    version = int(os.environ.get("SOAK_VERSION", "15"))
    tally, began = Tally(), time.monotonic()
    end = began + minutes * 60
    print(f"\nsoak: {minutes:g} minutes, PostgreSQL {version}; the same again: SOAK_SEED={seed}", flush=True)
    rounds = 0
    try:
        # The last round is shorter, and the first is whole: each kind of thing happens however short the soak.
        while rounds == 0 or time.monotonic() < end:
            with need(), scene(tmp_path / f"play{rounds}", seed + rounds, version=version, tally=tally) as stage:
                play(stage, min(end, time.monotonic() + PLAY_SECONDS))
            with scene(tmp_path / f"sync{rounds}", seed + rounds, version=version, synchronous=True, tally=tally) as stage:
                begin(stage)
                for deed in stage.random.sample((stage.kill_server, stage.kill_follower, stage.backup), 2):
                    deed()
                everything_but_the_vault_is_lost(stage)
            for folder in tmp_path.iterdir():
                shutil.rmtree(folder)
            rounds += 1
    finally:
        print(f"soak: seed {seed}, {rounds} whole rounds in {(time.monotonic() - began) / 60:.1f} minutes\n{tally.show()}", flush=True)
    assert not tally.never()


def play(stage: Scene, end: float) -> None:
    """Everything once in a random order, then at random, at last a proof of every timeline."""
    begin(stage)
    deeds = {
        stage.kill_server: 3,
        stage.kill_follower: 3,
        stage.kill_backup: 3,
        stage.disturb_backup: 2,
        stage.back_up_unfollowed: 2,
        stage.backup: 1,
        stage.promote: 1,
    }
    waiting = list(deeds)
    stage.random.shuffle(waiting)
    while waiting or time.monotonic() < end:
        likely = {deed: weight for deed, weight in deeds.items() if deed != stage.promote or len(stage.lives) < 6}
        chosen = waiting.pop() if waiting else stage.random.choices(list(likely), list(likely.values()))[0]
        print(f"  {stage.load.count():>6} acknowledged, timeline {stage.lives[-1].timeline}: {chosen.__name__}", flush=True)
        stage.journal.append(chosen.__name__)
        chosen()
        stage.pause(stage.random.uniform(0.1, 2))
        stage.well()
        if stage.random.random() < 0.4:
            proof.restore_somewhere(stage)
            print(f"         {stage.journal[-1]}", flush=True)
    proof.restore_everywhere(stage)
    stage.well()
    stage.load.stop()
