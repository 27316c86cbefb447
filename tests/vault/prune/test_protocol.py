"""The protocol's model: what it promises holds on every walk, and no rule of it can be taken out unnoticed."""

import pytest
from hypothesis import HealthCheck, settings

from tests.vault.prune.machine import Protocol, play
from tests.vault.prune.protocol import walk
from tests.vault.prune.scripts import SCRIPTS
from tests.vault.prune.world import ALL, RULES, Lost

SEEDS = {
    "session_before_lists": 17,
    "writer_reads_lists": 30,
    "commit_at_one_name": 3,
    "waits_for_sessions": 0,
    "behind_after_list": 610,
    "fresh_mark": 0,
    "lists_read_before_mark": 96,
    "aborts_the_late": 3,
    "store_time": 0,
    "remembered": 753,
    "drop_takes_the_name": 2611,
    "drop_is_recorded": 2178,
    "copy_stages": 7,
    "mark_counts_staged": 146,
    "copy_reads_lists": 30,
    "staged_until_put": 328,
    "heir_looks_for_abort": 262,
}
"""Where random walks found each mutant at first; when the model changes, it is looked for again from there."""


def test_nothing_needed_is_lost_on_random_walks():
    worlds = [walk(seed) for seed in range(250)]
    assert sum(world.steps for world in worlds) > 100_000
    # The walks go where it matters.
    for counted in ("committed", "deleted", "pardoned", "copied"):
        assert sum(getattr(world, counted) for world in worlds) > 100, counted


@pytest.mark.parametrize("rule", RULES)
def test_no_rule_can_be_left_out(rule):
    if rule in SCRIPTS:
        SCRIPTS[rule](ALL)
        with pytest.raises(Lost):
            SCRIPTS[rule](ALL.without(rule))
        return
    with pytest.raises(Lost):
        _walks(range(SEEDS[rule], SEEDS[rule] + 3000), ALL.without(rule))


def _walks(seeds, rules):
    for seed in seeds:
        walk(seed, rules)


Protocol.TestCase.settings = settings(
    max_examples=40, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True
)
TestProtocol = Protocol.TestCase


@pytest.mark.soak
def test_long_play():
    taken = play(100_000)
    walks = [walk(seed).steps for seed in range(1000, 4000)]
    print(f"prune protocol: {taken} state-machine steps, {sum(walks)} steps of random walks, nothing lost")
    assert taken >= 100_000
