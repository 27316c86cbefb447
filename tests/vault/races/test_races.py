"""Whatever somebody else does in the middle of a deed, at any call of it: the deed goes on rightly, or ends with an error that says what
came in between, and nothing is lost.
"""

import random
from collections.abc import Iterator, Sequence

import pytest

from holdfast.storage.wrappers.base import Wrapper
from holdfast.vault.format import names
from tests.vault.races import work
from tests.vault.races.scene import DAY, Scene
from tests.vault.races.trial import Trial, calls_of, changes_of, run, settle
from tests.vault.races.work import DEEDS, MEANWHILE, Deed


@pytest.fixture(scope="module")
def scene(tmp_path_factory) -> Scene:
    return Scene(tmp_path_factory.mktemp("races"))


@pytest.mark.parametrize("deed", DEEDS, ids=lambda deed: deed.__name__)
def test_alone_each_deed_goes_through_and_leaves_nothing_over(scene, deed):
    """Also what the others are measured by: a scene in which nothing could go right would prove nothing."""
    scene.reset()
    deed(scene, lambda storage: storage)
    scene.require_whole(scene.storages)
    assert settle(scene) == ""


WHERE: Sequence[tuple[Deed, Deed, str, str, int]] = (
    (work.compact, work.a_compaction_and_a_prune, "get", names.LOGS, 1),
    (work.compact, work.a_compaction_and_a_prune, "put", names.LOGS, 0),
    (work.open_other, work.a_slot_goes, "get", names.SLOTS, 0),
    (work.open_all, work.an_erasure, "get", names.SCOPED, 0),
    (work.list_keys, work.an_erasure, "get", names.SCOPED, 0),
    (work.prove_slot, work.a_slot_goes, "put", names.RINGS, 0),
    (work.label_slot, work.a_slot_goes, "put", names.RINGS, 0),
    (work.rotate, work.a_rotation, "put", names.EPOCHS, 0),
    (work.check, work.a_prune, "get", names.POINTS, 3),
    (work.check, work.weeks, "get", names.CONDEMNED, 0),
    (work.check, work.weeks, "get", names.PACKS, 0),
    (work.check, work.a_heal, "get", names.POINTS, 0),
    (work.check, work.a_copy_and_a_prune, "get", names.POINTS, 0),
    (work.check, work.a_compaction_and_a_prune, "get", names.LOGS, 0),
    (work.check, work.a_slot_goes, "get", names.SLOTS, 0),
    (work.check, work.a_follower, "get", names.SESSIONS, 0),
    (work.check, work.a_rotation, "list", names.CONFIG, 0),
    (work.heal, work.a_revocation, "get", names.SLOTS, 0),
    (work.heal, work.an_erasure, "get", names.SCOPED, 0),
    (work.heal, work.two_prunes, "get", names.INDEX, 0),
    (work.heal, work.weeks, "get", names.PACKS, 0),
    (work.restore_old, work.two_prunes, "get", names.POINTS, 2),
    (work.restore_old, work.weeks, "get", names.PACKS, 0),
    (work.restore_old, work.weeks, "get", names.PACKS, 3),
    (work.backup_of_old_base, work.weeks, "get", names.PACKS, 0),
    (work.backup_of_old_base, work.weeks, "put", names.PACKS, 0),
    (work.copy_to_new, work.weeks, "get", names.PACKS, 0),
    (work.copy_to_far, work.weeks, "get", names.PACKS, 0),
    (work.look, work.weeks, "get", names.POINTS, 0),
)
"""The deed, what somebody else does, and before which of the deed's calls: the kind of call, the beginning of its name, which of them."""


@pytest.mark.parametrize(
    ("deed", "meanwhile", "verb", "prefix", "nth"), WHERE, ids=lambda one: getattr(one, "__name__", str(one).replace("/", "_"))
)
def test_where_something_went_wrong_once(scene, deed, meanwhile, verb, prefix, nth):
    calls = calls_of(scene, deed)
    at = [number for number, (made, name) in enumerate(calls) if made == verb and name.startswith(prefix)][nth]
    assert run(scene, Trial(deed, meanwhile, at)) == ""


@pytest.mark.parametrize("session_goes", [False, True])
def test_a_point_that_is_dropped_half_in_the_middle_of_a_listing_is_not_damaged(scene, session_goes):
    """Between the removal of a point and the abort in its place a prune may die: its record says that the point is none any more."""
    for cut in range(0, changes_of(scene, work.a_prune), 5):
        told = run(scene, Trial(work.look, work.a_prune, 24 + session_goes, cut))
        assert told == ""


def test_a_verdict_that_another_prune_made_and_forgot_means_nothing(scene):
    """Two prunes; the second one finds the verdict's name taken, sleeps for a week, and then finds neither verdict nor list."""
    scene.reset()
    scene.commit()
    steps: list[str] = []

    class Slow(Wrapper):
        def put_if_absent(self, name, parts):
            if name.endswith(".dead") and not steps:
                steps.append(name)
                scene.prune()
            self.inner.put_if_absent(name, parts)

        def get(self, name, start=0, length=None):
            if steps == [name]:
                steps.append("slept")
                scene.pass_time(8 * DAY)
                scene.prune()
            return self.inner.get(name, start, length)

    scene.prune(Slow)
    assert steps[1:] == ["slept"]
    scene.require_whole(scene.storages)


def moments(calls: Sequence[tuple[str, str]]) -> list[int]:
    """Where calls of one kind begin and end, and the second of each: in between nothing else could come in between."""
    kinds = [(verb, name.partition("/")[0], name.rpartition(".")[2]) for verb, name in calls]
    return [
        number
        for number, kind in enumerate(kinds)
        if number < 2 or kind != kinds[number - 1] or kinds[number - 1] != kinds[number - 2] or kind != (*kinds, None)[number + 1]
    ]


def pairs(scene: Scene) -> Iterator[tuple[Deed, list[int], Deed, int]]:
    changes = {meanwhile: changes_of(scene, meanwhile) for meanwhile in MEANWHILE}
    for deed in DEEDS:
        at = moments(calls_of(scene, deed))
        for meanwhile in MEANWHILE:
            yield deed, at, meanwhile, changes[meanwhile]


def test_anything_in_the_middle_of_anything(scene):
    """Of every third pair one moment; some are cut off, some in the middle of a listing."""
    chosen = random.Random(7)
    wrong = []
    for number, (deed, at, meanwhile, changes) in enumerate(pairs(scene)):
        if number % 3:
            continue
        cut = chosen.randrange(changes) if changes and number % 2 == 0 else None
        wrong.append(run(scene, Trial(deed, meanwhile, chosen.choice(at), cut, number % 5 == 0)))
        if number % 40 == 0:
            wrong.append(settle(scene))
    assert not [told for told in wrong if told], "\n\n".join(told for told in wrong if told)[:20000]


@pytest.mark.soak
def test_everything_in_the_middle_of_everything(scene):
    """Each moment of each pair, whole; and a moment of each pair with each cut. Afterwards everybody comes to an end."""
    chosen = random.Random(11)
    wrong = []
    count = 0
    for deed, at, meanwhile, changes in list(pairs(scene)):
        trials = [Trial(deed, meanwhile, one, None, torn) for one in at for torn in (False, True)]
        trials += [Trial(deed, meanwhile, chosen.choice(at), cut) for cut in range(changes)]
        for trial in trials:
            count += 1
            told = run(scene, trial)
            if not told and count % 10 == 0:
                told = settle(scene)
            if told:
                wrong.append(f"{trial}: {told}")
    print(f"races: {count} trials of {len(DEEDS)} deeds beside {len(MEANWHILE)} others, {len(wrong)} went wrong")
    assert not wrong, "\n\n".join(wrong)[:50000]
