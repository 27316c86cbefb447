"""The protocol of docs/prune-protocol.md as a pure model: actors that make one storage call after the other, each rule of it a switch.

Nothing of the vault's code is used here: the model is what the code must be.
"""

import random
from collections.abc import Iterator
from typing import Any

from tests.vault.prune.world import ALL, LEASE, WEEK, Actor, Call, Calls, Lost, Rules, World


def put(place: int, name: str, value: Any = ()) -> Call:
    return Call("put", place, name, value)


def get(place: int, name: str) -> Call:
    return Call("get", place, name)


def delete(place: int, name: str) -> Call:
    return Call("delete", place, name)


def listing(place: int, prefix: str) -> Call:
    return Call("list", place, prefix)


def read_lists(place: int) -> Calls:
    """list id → (packs, behind or None, dead or None)."""
    found = yield listing(place, "condemned/")
    lists = {}
    for name in found:
        key = name[len("condemned/") :]
        if "." in key:
            continue
        packs = yield get(place, name)
        if packs is None:
            continue
        behind = (yield get(place, f"{name}.behind")) if f"{name}.behind" in found else None
        dead = (yield get(place, f"{name}.dead")) if f"{name}.dead" in found else None
        lists[key] = (packs, behind, dead)
    return lists


def going(lists: dict[str, Any]) -> set[str]:
    return set().union(*(packs if dead is None else dead for packs, _, dead in lists.values()))


def writer(world: World, members: list[int], *, heir: bool = False) -> Calls:
    """A backup. ``heir``: its deciding location is lost on the way, and it goes on under another session in the others."""
    rules, rnd = world.rules, world.random
    session = world.new("s")
    if rules.session_before_lists:
        for place in members:
            yield put(place, f"sessions/{session}", ("session", ()))
    present: set[str] | None = None
    barred: set[str] = set()
    for place in members:
        here: set[str] = set()
        if not rules.lists_before_packs:
            here = {name[6:] for name in (yield listing(place, "packs/"))}
        if rules.writer_reads_lists:
            barred |= going((yield from read_lists(place)))
        if rules.lists_before_packs:
            here = {name[6:] for name in (yield listing(place, "packs/"))}
        present = here if present is None else present & here
    if not rules.session_before_lists:
        for place in members:
            yield put(place, f"sessions/{session}", ("session", ()))
    can = sorted((present or set()) - barred)
    reused = rnd.sample(can, min(len(can), rnd.randint(1, 3)))
    own = world.new("p")
    for place in members:
        yield put(place, f"packs/{own}")
    for number in range(rnd.choice((0, 0, 1, 2))):
        for place in members:
            yield put(place, f"sessions/{session}.{number}", ("session", ()))
    if heir and len(members) > 1:
        members = members[1:]
        old, session = session, world.new("s")
        for place in members:
            yield put(place, f"sessions/{session}", ("session", (old,) if rules.heir_names_the_old else ()))
        if rules.heir_looks_for_abort:
            for place in members:
                if (yield get(place, f"points/{old}")) is not None:
                    return
    needs = frozenset([own, *reused])
    for place in members:
        if rules.commit_at_one_name:
            won = yield put(place, f"points/{session}", ("point", needs))
            if not won and place == members[0]:
                return
        else:
            yield Call("overwrite", place, f"points/{session}", ("point", needs))
    world.committed += 1
    if rnd.random() < 0.3:
        # An answer was lost: the commit is repeated, perhaps much later.
        for place in members:
            yield put(place, f"points/{session}", ("point", needs))


def abort_expired(world: World, place: int, now: int) -> Calls:
    found = yield listing(place, "sessions/")
    decided = yield listing(place, "points/")
    newest: dict[str, int] = {}
    for name, (_, time) in found.items():
        session = name[9:].partition(".")[0]
        newest[session] = max(newest.get(session, 0), time)
    late = [session for session, time in sorted(newest.items()) if time + LEASE < now and f"points/{session}" not in decided]
    if world.rules.aborts_the_late:
        for session in late:
            if newest[session] + LEASE >= world.time:
                raise Lost(f"{session} is aborted in its lease")
            yield put(place, f"points/{session}", ("late", frozenset()))
    return set(late)


def mark(world: World, place: int) -> Calls:
    """(needed packs, decided sessions)."""
    points = yield listing(place, "points/")
    drops = yield listing(place, "dropped/")
    needed: set[str] = set()
    gone = {name[8:] for name in drops}
    for name, ((kind, packs), _) in points.items():
        if kind == "point" and name[7:] not in gone:
            needed |= packs
    if world.rules.mark_counts_staged:
        for name, (packs, _) in (yield listing(place, "coming/")).items():
            # Dropped for good: it does not come.
            if points.get(f"points/{name[7:]}", (("", ()), 0))[0][0] != "dropped":
                needed |= packs
    return needed, {name[7:] for name in points} | gone


def give_up(world: World, places: list[int], point: str) -> Calls:
    """A prune that knows several locations drops a point in all of them."""
    for place in places:
        yield put(place, f"dropped/{point}")
    for again in (False, True) if world.rules.drop_looks_again else (False,):
        for place in places:
            yield from take_the_name(world, place, point)
            if not again:
                yield delete(place, f"coming/{point}")
    for place in places:
        yield delete(place, f"dropped/{point}")


def drop(world: World, place: int, point: str) -> Calls:
    if world.rules.drop_is_recorded:
        yield put(place, f"dropped/{point}")
    yield from take_the_name(world, place, point)
    yield delete(place, f"coming/{point}")
    yield delete(place, f"dropped/{point}")


def take_the_name(world: World, place: int, point: str) -> Calls:
    while True:
        held = yield get(place, f"points/{point}")
        if held is not None and held[0] == "dropped":
            break
        yield delete(place, f"points/{point}")
        if not world.rules.drop_takes_the_name or (yield put(place, f"points/{point}", ("dropped", frozenset()))):
            break


def prune(world: World, place: int, skew: int) -> Calls:
    rules, rnd = world.rules, world.random

    def now() -> int:
        return world.time if rules.store_time else world.time + skew

    late = yield from abort_expired(world, place, now())
    for name in list((yield listing(place, "dropped/"))):
        yield from drop(world, place, name[8:])
    points = yield listing(place, "points/")
    kept = [name[7:] for name, ((kind, _), _) in points.items() if kind == "point"]
    for point in rnd.sample(kept, rnd.randint(0, max(0, len(kept) - 1))):
        yield from drop(world, place, point)
    needed, _ = yield from mark(world, place)
    stale = needed
    lists = yield from read_lists(place)
    packs = {name[6:] for name in (yield listing(place, "packs/"))}
    behind_before = sorted({name[9:].partition(".")[0] for name in (yield listing(place, "sessions/"))})
    new = packs - needed - going(lists)
    if new:
        yield put(place, f"condemned/{world.new('l')}", frozenset(new))
    for key, (_, behind, dead) in (yield from read_lists(place)).items():
        if behind is None and dead is None:
            undecided = behind_before
            if rules.behind_after_list:
                sessions = yield listing(place, "sessions/")
                decided = yield listing(place, "points/")
                undecided = sorted({name[9:].partition(".")[0] for name in sessions} - {name[7:] for name in decided})
            yield put(place, f"condemned/{key}.behind", frozenset(undecided))
    lists = yield from read_lists(place)
    late |= yield from abort_expired(world, place, now())
    heirs = {name[9:].partition(".")[0]: value[1] for name, (value, _) in (yield listing(place, "sessions/")).items()}
    needed, decided = yield from mark(world, place)
    if not rules.lists_read_before_mark:
        lists = yield from read_lists(place)
    if not rules.aborts_the_late:
        decided = decided | late
    dead: set[str] = set()
    for key, (condemned, behind, said) in lists.items():
        verdict = said
        if verdict is None:
            waits = (behind or frozenset()) - decided
            waits |= {heir for heir, old in heirs.items() if heir not in decided and set(old) & (behind or frozenset())}
            if rules.waits_for_sessions and (waits or (behind is None and rules.lists_read_before_mark)):
                continue
            verdict = condemned - (needed if rules.fresh_mark else stale)
            world.pardoned += len(condemned - verdict)
            if not (yield put(place, f"condemned/{key}.dead", verdict)) and rules.one_verdict:
                verdict = (yield get(place, f"condemned/{key}.dead")) or frozenset()
            if rules.void_without_list and (yield get(place, f"condemned/{key}")) is None:
                yield delete(place, f"condemned/{key}.dead")
                verdict = frozenset()
        dead |= verdict
    for pack in sorted(dead & {name[6:] for name in (yield listing(place, "packs/"))}):
        yield delete(place, f"packs/{pack}")
        world.deleted += 1
    yield from forget(world, place)


def forget(world: World, place: int) -> Calls:
    rules = world.rules
    found = yield listing(place, "condemned/")
    lists = yield from read_lists(place)
    stored = {name[6:] for name in (yield listing(place, "packs/"))}
    for key, (_, _, dead) in lists.items():
        since = max((time for name, (_, time) in found.items() if name.partition(".")[0] == f"condemned/{key}"), default=world.time)
        if dead is None or dead & stored or (dead and rules.remembered and world.time - since <= WEEK):
            continue
        order = ("", ".behind", ".dead") if rules.list_goes_first else (".dead", ".behind", "")
        for suffix in order:
            yield delete(place, f"condemned/{key}{suffix}")
    for name in found:
        key, dot, _ = name.partition(".")
        # A listing may miss a list whose put is not answered yet.
        if dot and key not in found and (yield get(place, key)) is None:
            yield delete(place, name)


def copy(world: World, source: int, target: int) -> Calls:
    """One point that the target lacks, or aborted because its session came too late there."""
    rules = world.rules
    there = yield listing(target, "points/")
    points = {name: value for name, (value, _) in (yield listing(source, "points/")).items() if value[0] == "point"}
    dropped = yield listing(source, "dropped/")
    lacking = sorted(name for name in points if (name not in there or there[name][0][0] == "late") and f"dropped/{name[7:]}" not in dropped)
    if not lacking:
        return
    name = world.random.choice(lacking)
    needs = points[name][1]
    if rules.copy_stages:
        yield put(target, f"coming/{name[7:]}", needs)
    if rules.copy_reads_lists and going((yield from read_lists(target))) & needs:
        return
    held = {found[6:] for found in (yield listing(target, "packs/"))}
    for pack in sorted(needs - held):
        if (yield get(source, f"packs/{pack}")) is None:
            return
        yield put(target, f"packs/{pack}")
    if not rules.staged_until_put:
        yield delete(target, f"coming/{name[7:]}")
    removed = False
    for _ in range(3):
        if (yield put(target, name, ("point", needs))):
            if removed and rules.copy_asks_whether_dropped and (yield from given_up(source, target, name)):
                return
            world.copied += 1
            break
        held = yield get(target, name)
        if held is None or held[0] != "late":
            break
        yield delete(target, name)
        removed = True
    else:
        return
    yield delete(target, f"coming/{name[7:]}")


def given_up(source: int, target: int, name: str) -> Calls:
    """The abort that the copy removed may have been the one for good that a prune had just put."""
    under_way = (yield get(target, f"dropped/{name[7:]}")) is not None or (yield get(source, f"dropped/{name[7:]}")) is not None
    held = yield get(source, name)
    if not under_way and (held is None or held[0] != "dropped"):
        return False
    yield delete(target, name)
    held = yield get(source, name)
    if held is not None and held[0] == "dropped":
        yield put(target, name, held)
    return True


# ---------------------------------------------------------------- what may happen


def happenings(world: World) -> Iterator[tuple[float, Any]]:
    """(weight, what) of everything that may happen next."""
    rnd = world.random
    busy = len(world.actors)
    if busy < 4:
        yield 3, lambda: world.start("writer", writer(world, rnd.choice(([0], [1], [0, 1], [1, 0])), heir=rnd.random() < 0.25))
        for place in (0, 1):
            skew = rnd.choice((-3, 0, 50))
            yield 2, lambda place=place, skew=skew: world.start("prune", prune(world, place, skew))
            yield 1.5, lambda place=place: world.start("copy", copy(world, 1 - place, place))
    for actor in list(world.actors):
        yield 30 / busy, lambda actor=actor: burst(world, actor)
        yield 0.3 / busy, lambda actor=actor: world.kill(actor)
    yield 0.6, lambda: pass_time(world, rnd.choice((1, LEASE + 1, LEASE + 1)))
    yield 0.1, lambda: pass_time(world, WEEK + 1)


def burst(world: World, actor: Actor) -> None:
    """Some of its calls in a row: who is always interrupted never gets to where it matters."""
    for _ in range(world.random.choice((1, 1, 2, 5, 20, 60))):
        if actor not in world.actors:
            return
        world.step(actor)


def pass_time(world: World, amount: int) -> None:
    world.steps += 1
    world.time += amount


def walk(seed: int, rules: Rules = ALL, happening: int = 120) -> World:
    """A random walk; raises Lost."""
    world = World(rules, random.Random(seed))
    for _ in range(happening):
        weights, what = zip(*happenings(world), strict=True)
        world.random.choices(what, weights)[0]()
    return world
