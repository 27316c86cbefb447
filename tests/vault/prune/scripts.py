"""Orders of events so rare that random walks hardly meet them, written out: each loses a point when its rule is left out.

Each runs the whole story for any rules; with all of them nothing is lost.
"""

import random
from collections.abc import Callable

from tests.vault.prune.protocol import copy, give_up, pass_time, prune, writer
from tests.vault.prune.world import LEASE, WEEK, Actor, Held, Lost, Rules, World


class Told(random.Random):
    """Does what it is told: ``wanted`` is what a sample picks; in a listing what is not certain is not seen."""

    def __init__(self) -> None:
        super().__init__(0)
        self.wanted: set[str] = set()

    def sample(self, population, k):
        del k
        return [one for one in population if one in self.wanted]

    def randint(self, low, high):
        del low
        return high

    def choice(self, some):
        return some[0]

    def random(self):
        return 0.9


class Story:
    def __init__(self, rules: Rules) -> None:
        self.told = Told()
        self.world = World(rules, self.told)

    def back_up(self, members=(0,), reusing=(), *, heir=False) -> Actor:
        self.told.wanted = set(reusing)
        return self.world.start("writer", writer(self.world, list(members), heir=heir))

    def prune(self, dropping=(), place=0) -> Actor:
        """Told to drop when it comes to that: call ``until`` first, where others choose in between."""
        self.told.wanted = set(dropping)
        return self.world.start("prune", prune(self.world, place, 0))

    def until(self, actor: Actor, verb: str, name: str, times: int = 1) -> Actor:
        """It is about to make such a call for that many a time."""
        seen = 0
        while actor in self.world.actors:
            call = actor.call
            if not call.done and (call.verb, call.name[: len(name)]) == (verb, name):
                seen += 1
                if seen == times:
                    return actor
            self.world.step(actor)
        raise AssertionError(f"{actor.kind} never came to {verb} {name}")

    def to_the_end(self, actor: Actor) -> None:
        while actor in self.world.actors:
            self.world.step(actor)

    def effect(self, actor: Actor) -> None:
        """The call that it is about to make takes effect, and is answered."""
        self.world.step(actor)
        self.world.step(actor)

    def stored(self, kind: str, place: int = 0) -> set[str]:
        return {name.partition("/")[2] for name in self.world.places[place] if name.startswith(f"{kind}/")}


def _pardoned_between(story: Story, *, orphan: bool) -> tuple[str, str, Actor]:
    """A pack that is condemned while its session runs; the session commits; one prune has read the list, and sleeps before its mark.

    (the pack, its point, the sleeper). ``orphan``: another pack on the list is dead, so that the list stays for a week.
    """
    if orphan:
        story.world.kill(story.until(story.back_up(), "put", "points/"))
        pass_time(story.world, LEASE + 1)
    before = story.stored("packs")
    session = story.until(story.back_up(), "put", "points/")
    (pack,) = story.stored("packs") - before
    story.to_the_end(story.prune())
    story.to_the_end(session)
    (point,) = {name[7:] for name, held in story.world.places[0].items() if name.startswith("points/") and held.value[0] == "point"}
    return pack, point, story.until(story.prune(), "list", "sessions/", 3)


def one_verdict(rules: Rules) -> None:
    """Two prunes judge a list; between their marks the point that earned the pardon is dropped, and a new session relies on the pardon."""
    story = Story(rules)
    pack, point, sleeper = _pardoned_between(story, orphan=True)
    story.to_the_end(story.prune())
    session = story.until(story.back_up(reusing=[pack]), "put", "points/")
    story.to_the_end(story.prune(dropping=[point]))
    story.told.wanted = set()
    story.to_the_end(sleeper)
    story.to_the_end(session)


def void_without_list(rules: Rules) -> None:
    """As before, but the list is gone, so that the sleeper's verdict finds its name free."""
    story = Story(rules)
    pack, point, sleeper = _pardoned_between(story, orphan=False)
    story.to_the_end(story.prune())
    session = story.until(story.back_up(reusing=[pack]), "put", "points/")
    story.to_the_end(story.prune(dropping=[point]))
    story.told.wanted = set()
    story.to_the_end(sleeper)
    story.to_the_end(session)


def list_goes_first(rules: Rules) -> None:
    """The same in the middle of the list's removal."""
    story = Story(rules)
    pack, point, sleeper = _pardoned_between(story, orphan=False)
    remover = story.until(story.prune(), "delete", "condemned/")
    session = story.until(story.back_up(reusing=[pack]), "put", "points/")
    story.until(story.prune(dropping=[point]), "list", "condemned/")
    story.effect(remover)
    story.told.wanted = set()
    story.to_the_end(sleeper)
    story.to_the_end(session)


def heir_names_the_old(rules: Rules) -> None:
    """A backup loses its deciding location and goes on under a new session just when the lease of the old one has ended."""
    story = Story(rules)
    story.world.kill(story.until(story.back_up((0, 1)), "put", "points/"))
    (pack,) = story.stored("packs", 1)
    pass_time(story.world, LEASE + 1)
    heir = story.until(story.back_up((0, 1), reusing=[pack], heir=True), "put", "packs/")
    story.to_the_end(story.prune(place=1))
    pass_time(story.world, LEASE + 1)
    story.until(heir, "put", "points/")
    story.to_the_end(story.prune(place=1))
    story.to_the_end(heir)


def lists_before_packs(rules: Rules) -> None:
    """A prune died before it deleted; a week later another one does, and forgets the list, while a backup chooses."""
    story = Story(rules)
    story.world.kill(story.until(story.back_up(), "put", "points/"))
    (pack,) = story.stored("packs")
    pass_time(story.world, LEASE + 1)
    story.world.kill(story.until(story.prune(), "delete", "packs/"))
    pass_time(story.world, WEEK + 1)
    writer_ = story.back_up(reusing=[pack])
    story.until(writer_, "list", "packs/")
    if rules.lists_before_packs:
        story.until(writer_, "list", "packs/")
    else:
        story.effect(writer_)
    story.to_the_end(story.prune())
    story.told.wanted = {pack}
    story.to_the_end(writer_)


def _replacing(story: Story) -> tuple[str, Actor]:
    """A point of location 0 whose session came too late in 1, and a copy that is about to remove that abort."""
    story.to_the_end(story.back_up((0, 1)))
    (point,) = story.stored("points")
    story.world.places[1][f"points/{point}"] = Held(("late", frozenset()), 0, None, 0)
    return point, story.until(story.world.start("copy", copy(story.world, 0, 1)), "delete", "points/")


def _require_dropped(story: Story, point: str) -> None:
    stand = [place.get(f"points/{point}") for place in story.world.places]
    if [held and held.value[0] for held in stand] != ["dropped", "dropped"]:
        raise Lost(f"{point} was given up, and there stand {stand}")


def copy_asks_whether_dropped(rules: Rules) -> None:
    """A prune gives the point up in both locations: what the copy removes is the prune's abort."""
    story = Story(rules)
    point, copying = _replacing(story)
    story.to_the_end(story.world.start("prune", give_up(story.world, [0, 1], point)))
    story.to_the_end(copying)
    _require_dropped(story, point)


def drop_looks_again(rules: Rules) -> None:
    """The copy comes in between: where it has the point from, there is no abort yet."""
    story = Story(rules)
    point, copying = _replacing(story)
    giving = story.until(story.world.start("prune", give_up(story.world, [1, 0], point)), "delete", "coming/")
    story.to_the_end(copying)
    story.to_the_end(giving)
    _require_dropped(story, point)


SCRIPTS: dict[str, Callable[[Rules], None]] = {
    script.__name__: script
    for script in (
        one_verdict,
        void_without_list,
        list_goes_first,
        heir_names_the_old,
        lists_before_packs,
        copy_asks_whether_dropped,
        drop_looks_again,
    )
}
