"""The world of the protocol's model (``protocol``): locations, calls, who goes on next, and what must always hold.

A call takes effect at any moment before its answer; an actor may die or sleep between any two of its calls. A listing sees every object
whose put had returned before it began, and perhaps others. Nothing of the vault's code is used here: the model is what the code must be.
"""

import dataclasses
import random
from collections.abc import Generator
from dataclasses import dataclass, field
from typing import Any

LEASE = 10
WEEK = 1000
"""A request that was signed so long ago is refused by the store."""


@dataclass(frozen=True)
class Rules:
    """Each True is a rule of the protocol; a mutant has one of them False."""

    session_before_lists: bool = True
    writer_reads_lists: bool = True
    lists_before_packs: bool = True
    commit_at_one_name: bool = True
    waits_for_sessions: bool = True
    behind_after_list: bool = True
    fresh_mark: bool = True
    one_verdict: bool = True
    lists_read_before_mark: bool = True
    aborts_the_late: bool = True
    store_time: bool = True
    void_without_list: bool = True
    list_goes_first: bool = True
    remembered: bool = True
    drop_takes_the_name: bool = True
    drop_is_recorded: bool = True
    copy_stages: bool = True
    mark_counts_staged: bool = True
    copy_reads_lists: bool = True
    staged_until_put: bool = True
    heir_names_the_old: bool = True
    heir_looks_for_abort: bool = True
    copy_asks_whether_dropped: bool = True
    drop_looks_again: bool = True

    def without(self, name: str) -> "Rules":
        return dataclasses.replace(self, **{name: False})


RULES = [one.name for one in dataclasses.fields(Rules)]
ALL = Rules()


class Lost(AssertionError):
    """The invariant does not hold."""


@dataclass
class Held:
    value: Any
    time: int
    owner: "Actor | None"
    answered: int | None = None


@dataclass
class Call:
    verb: str
    place: int
    name: str
    value: Any = None
    began: int = 0
    done: bool = False
    answer: Any = None
    held: Held | None = None


Calls = Generator[Call, Any, Any]


@dataclass(eq=False)
class Actor:
    kind: str
    calls: Calls
    skew: int = 0
    call: Call | None = None
    woken: int = 0
    renews: str = ""


@dataclass
class World:
    """``places``: what each location holds. ``time`` is the stores' own. ``step`` counts everything that happened."""

    rules: Rules
    random: random.Random
    places: list[dict[str, Held]] = field(default_factory=lambda: [{}, {}])
    actors: list[Actor] = field(default_factory=list)
    time: int = 0
    steps: int = 0
    serial: int = 0
    committed: int = 0
    deleted: int = 0
    pardoned: int = 0
    copied: int = 0

    # ------------------------------------------------------------ the scheduler

    def new(self, kind: str) -> str:
        self.serial += 1
        return f"{kind}{self.serial:04d}"

    def start(self, kind: str, calls: Calls, skew: int = 0) -> Actor:
        actor = Actor(kind, calls, skew, woken=self.time)
        self.actors.append(actor)
        self._resume(actor, None)
        return actor

    def step(self, actor: Actor) -> None:
        """Its call takes effect, or its answer arrives."""
        self.steps += 1
        call = actor.call
        if call is None:
            return
        if not call.done:
            if self.time - actor.woken > WEEK:
                self.kill(actor)
                return
            call.done = True
            self._effect(actor, call)
            self.check()
        else:
            if call.held is not None:
                call.held.answered = self.steps
                call.held.owner = None
            self._resume(actor, call.answer)

    def kill(self, actor: Actor) -> None:
        """What it had under way took effect, or never does."""
        self.steps += 1
        actor.calls.close()
        for place in self.places:
            for held in place.values():
                if held.owner is actor:
                    held.owner, held.answered = None, self.steps
        if actor in self.actors:
            self.actors.remove(actor)

    def _resume(self, actor: Actor, answer: Any) -> None:
        actor.woken = self.time
        try:
            actor.call = actor.calls.send(answer)
            actor.call.began = self.steps
        except StopIteration:
            actor.call = None
            if actor in self.actors:
                self.actors.remove(actor)

    def _effect(self, actor: Actor, call: Call) -> None:
        place = self.places[call.place]
        if call.verb == "put":
            if call.name in place:
                self._seen(place[call.name])
                call.answer = False
            else:
                place[call.name] = call.held = Held(call.value, self.time, actor)
                call.answer = True
        elif call.verb == "overwrite":
            place[call.name] = Held(call.value, self.time, None, self.steps)
            call.answer = True
        elif call.verb == "delete":
            place.pop(call.name, None)
        elif call.verb == "get":
            held = place.get(call.name)
            if held is not None:
                self._seen(held)
            call.answer = None if held is None else held.value
        else:
            assert call.verb == "list"
            found = {}
            for name, held in place.items():
                if not name.startswith(call.name):
                    continue
                certain = held.answered is not None and held.answered <= call.began
                if certain or self.random.random() < 0.5:
                    self._seen(held)
                    found[name] = (held.value, held.time)
            call.answer = found

    def _seen(self, held: Held) -> None:
        """Once somebody saw it, everybody does."""
        if held.answered is None:
            held.answered = self.steps

    # ------------------------------------------------------------ the invariant

    def check(self) -> None:
        """In every location by itself: each listed point has all that it needs."""
        for number, place in enumerate(self.places):
            for name, held in place.items():
                if name.startswith("points/") and held.value[0] == "point" and f"dropped/{name[7:]}" not in place:
                    missing = [pack for pack in held.value[1] if f"packs/{pack}" not in place]
                    if missing:
                        raise Lost(f"location {number}: {name} lacks {missing} after {self.steps} steps")
