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

from tests.servers import need
from tests.soak.scene import SYSTEM, Scene, scene

pytestmark = pytest.mark.postgres


def begin(stage: Scene) -> None:
    stage.load.start()
    stage.follow()
    stage.wait_durable(stage.position())
    stage.backup()


@pytest.mark.timeout(240)
def test_a_short_play_with_every_kind_of_death(tmp_path):
    with need(), scene(tmp_path / "play", 7, rate=60) as stage:
        begin(stage)
        stage.kill_server()
        stage.pause(0.5)
        stage.kill_backup()
        stage.kill_follower()
        stage.pause(0.5)
        stage.promote()
        # A backup taken before following is back on the new timeline ships its own WAL, behind a gap that following does not close yet.
        stage.wait_durable(stage.position())
        stage.backup()
        stage.pause(0.5)
        stage.restore_somewhere(timeline=1)
        stage.restore_somewhere(timeline=2)
        acks = stage.load.stop()
        assert {ack.era for ack in acks} == {0, 1}


@pytest.mark.timeout(240)
def test_synchronous_mode_loses_nothing_from_what_the_vault_alone_gives_back(tmp_path):
    with need(), scene(tmp_path / "play", 11, rate=60, synchronous=True) as stage:
        everything_but_the_vault_is_lost(stage)


def everything_but_the_vault_is_lost(stage: Scene) -> None:
    begin(stage)
    goal, end = stage.load.count() + 100, time.monotonic() + 60
    while stage.load.count() < goal:
        assert time.monotonic() < end, stage.words()
        time.sleep(0.05)
    assert stage.follower is not None
    # Both at once, in the middle of commits.
    stage.follower.send_signal(signal.SIGKILL)
    stage.primary.kill9()
    stage.follower.wait()
    shutil.rmtree(stage.primary.data)
    shutil.rmtree(stage.folder / "state")
    shutil.rmtree(stage.folder / "cache")
    acks = stage.load.stop()
    with stage.platform() as platform:
        found, _ = stage.look(platform, {"kind": "latest"}, {})
        assert platform.history(SYSTEM).points()
    stage.judge(found, {ack.number: ack.era for ack in acks}, set())


@pytest.mark.soak
@pytest.mark.timeout(0)
def test_soak(tmp_path):
    minutes = float(os.environ.get("SOAK_MINUTES", "10"))
    seed = int(os.environ.get("SOAK_SEED") or random.SystemRandom().randrange(10**6))
    version = int(os.environ.get("SOAK_VERSION", "15"))
    end = time.monotonic() + minutes * 60
    print(f"soak: seed {seed}, {minutes:g} minutes, PostgreSQL {version}")
    rounds = 0
    while time.monotonic() < end:
        rounds += 1
        with need(), scene(tmp_path / f"play{rounds}", seed + rounds, version=version) as stage:
            begin(stage)
            until = min(end, time.monotonic() + 240)
            while time.monotonic() < until:
                act(stage)
        with scene(tmp_path / f"sync{rounds}", seed + rounds, version=version, synchronous=True) as stage:
            everything_but_the_vault_is_lost(stage)
        for folder in tmp_path.iterdir():
            shutil.rmtree(folder)


def act(stage: Scene) -> None:
    """One random thing that happens, then a proof now and then."""
    choices = {
        stage.kill_server: 3,
        stage.kill_follower: 3,
        stage.kill_backup: 3,
        stage.backup: 2,
        stage.restore_somewhere: 4,
    }
    if len(stage.lives) < 6:
        choices[stage.promote] = 1
    (chosen,) = stage.random.choices(list(choices), list(choices.values()))
    print(f"  {len(stage.acknowledged()):>6} acknowledged, timeline {stage.lives[-1].timeline}: {chosen.__name__}", flush=True)
    stage.journal.append(chosen.__name__)
    chosen()
    if chosen == stage.promote:
        # A history can be returned to from its own points, or from those it inherits.
        stage.pause(1)
    stage.pause(stage.random.uniform(0.1, 2))
