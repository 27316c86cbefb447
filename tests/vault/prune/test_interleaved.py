"""The vault's own code under the scheduler: whatever happens between any two storage calls, what is listed comes back with its log."""

from collections import Counter

import pytest

from holdfast.errors import HoldfastError
from holdfast.storage.memory import MemoryStorage
from holdfast.vault.packs import condemned
from holdfast.vault.prune.place import Place
from tests.vault.prune.actors import play
from tests.vault_care import test_prune
from tests.vault_care.conftest import Depot


def test_nothing_listed_is_lost():
    played = [play(seed) for seed in range(12)]
    ends = Counter(kind for platform in played for kind, error in platform.scheduler.ends if error is None)
    assert all(ends[kind] for kind in ("back_up", "prune", "copy", "killed prune", "killed back_up")), ends
    assert sum(platform.listed for platform in played) > 20


@pytest.mark.soak
def test_nothing_listed_is_lost_for_long():
    played = [play(seed) for seed in range(1000, 1400)]
    steps = sum(platform.scheduler.steps for platform in played)
    ends = Counter(kind for platform in played for kind, _ in platform.scheduler.ends)
    print(f"prune interleaved: {steps} storage calls let go one by one, {dict(ends)}, nothing lost")
    assert steps > 300_000


def nobody_is_waited_for(monkeypatch):
    monkeypatch.setattr(Place, "_open_behind", lambda *_: set())


def lists_are_not_read(monkeypatch):
    monkeypatch.setattr(condemned, "read", lambda *_: condemned.CondemnedLists((), ()))


@pytest.mark.parametrize(
    ("mutant", "story"),
    [
        (nobody_is_waited_for, test_prune.test_a_backup_commits_what_was_condemned_beside_it_and_the_prune_pardons),
        (lists_are_not_read, test_prune.test_a_session_that_begins_during_the_prune_reuses_nothing_that_is_condemned),
    ],
)
def test_code_without_a_rule_is_caught(tmp_path, mutant, story, monkeypatch):
    """The stories that keep the code to its rules fail when the rule is taken out of the code."""

    def depot(name):
        return Depot(tmp_path / name, lambda clock: [MemoryStorage(clock, "near"), MemoryStorage(clock, "far")])

    story(depot("whole"))
    mutant(monkeypatch)
    with pytest.raises((AssertionError, HoldfastError)):
        story(depot("without"))
