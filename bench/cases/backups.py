"""Full backup, incremental after a change and after nothing, restore and delta restore, over one kind of data."""

import contextlib
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from bench.contenders import Contender
from bench.contenders.bound import Bound
from bench.contenders.holdfast import Holdfast
from bench.contenders.pgbackrest import PgBackRest
from bench.data import change_pages, damage_pages, server
from bench.measure import Run, RunFailed
from bench.results import Results
from tests.servers import PostgresServer, ServerMissing
from tests.servers.account import server_folder, service_account

CHANGED = 0.01


def measure(results: Results, kind: str, gib: float, rounds: int, orders: Path, wanted: set[str], say: Callable[[str], None]) -> None:
    """Every case over one kind of data, contenders taking turns; who comes first alternates. "empty": full backups alone."""
    say(f"{kind}: making the server" + (f" with about {gib:g} GiB" if kind != "empty" else ""))
    made = server(kind, gib, orders)
    contenders: list[Contender] = []
    bound = None
    try:
        results.fact(kind, "data", "server", bytes=int(made.value("select sum(pg_database_size(oid)) from pg_database")))
        contenders = _contenders(results, made, wanted)
        bound = _bound(results, made, wanted) if kind != "empty" else None
        say(f"{kind}: everything once, not timed")
        _warm(results, kind, contenders)
        _fulls(results, kind, contenders, bound, rounds, say)
        if kind == "empty":
            return
        _incrementals(results, kind, contenders, made, rounds, say)
        _restores(results, kind, contenders, rounds, say)
    finally:
        made.remove()
        for home in [one.home for one in contenders] + ([bound.home] if bound else []):
            shutil.rmtree(home, ignore_errors=True)


def _contenders(results: Results, made: PostgresServer, wanted: set[str]) -> list[Contender]:
    found: list[Contender] = []
    for one in (PgBackRest, Holdfast):
        if one.name in wanted:
            try:
                found.append(one(made))
            except ServerMissing as missing:
                results.missing.append(str(missing))
    return found


def _bound(results: Results, made: PostgresServer, wanted: set[str]) -> Bound | None:
    if "bound" in wanted:
        try:
            return Bound(made.data / "base")
        except ServerMissing as missing:
            results.missing.append(str(missing))
    return None


def _warm(results: Results, kind: str, contenders: list[Contender]) -> None:
    """Every command of everybody once: programs and data are in the page cache, and modules compiled, before a clock starts."""
    for one in list(contenders):
        with _folder() as into:
            try:
                one.fresh()
                for action in (one.full, one.incremental, lambda one=one: one.restore(into), lambda one=one: one.delta(into)):
                    action()
            except RunFailed as failure:
                results.missing.append(f"{one.name} failed before the race on {kind}: {failure}")
                contenders.remove(one)


@contextlib.contextmanager
def _folder() -> Iterator[Path]:
    """An empty data directory of the servers' account."""
    home = server_folder("to")
    into = home / "data"
    into.mkdir(mode=0o700)
    service_account().own(into)
    try:
        yield into
    finally:
        shutil.rmtree(home, ignore_errors=True)


def _attempt(results: Results, kind: str, case: str, contender: Contender, contenders: list[Contender], action: Callable[[], Run]) -> bool:
    """One timed run; a contender that fails is named and leaves the race."""
    try:
        results.add(kind, case, contender.name, action())
    except RunFailed as failure:
        results.missing.append(f"{contender.name} failed at {case} on {kind}: {failure}")
        contenders.remove(contender)
        return False
    return True


def _fulls(results: Results, kind: str, contenders: list[Contender], bound: Bound | None, rounds: int, say: Callable[[str], None]) -> None:
    for turn in range(rounds):
        say(f"{kind}: full, round {turn + 1} of {rounds}")
        for one in _order(contenders, turn):
            try:
                one.fresh()
            except RunFailed as failure:
                results.missing.append(f"{one.name} could not begin on {kind}: {failure}")
                contenders.remove(one)
                continue
            if _attempt(results, kind, "full", one, contenders, one.full):
                results.fact(kind, "full", one.name, stored=one.stored() - one.wal_bytes())
        if bound:
            results.add(kind, "full", "bound", bound.full())


def _incrementals(
    results: Results, kind: str, contenders: list[Contender], made: PostgresServer, rounds: int, say: Callable[[str], None]
) -> None:
    for turn in range(rounds):
        say(f"{kind}: incremental, round {turn + 1} of {rounds}")
        pages = change_pages(made, kind, CHANGED, seed=turn)
        results.fact(kind, "incremental 1 %", "server", pages=pages)
        for case in ("incremental 1 %", "incremental 0"):
            for one in _order(contenders, turn):
                before = one.stored() - one.wal_bytes()
                if _attempt(results, kind, case, one, contenders, one.incremental):
                    results.fact(kind, case, one.name, stored=one.stored() - one.wal_bytes() - before)


def _restores(results: Results, kind: str, contenders: list[Contender], rounds: int, say: Callable[[str], None]) -> None:
    for turn in range(rounds):
        say(f"{kind}: restore, round {turn + 1} of {rounds}")
        for one in _order(contenders, turn):
            with _folder() as into:
                if _attempt(results, kind, "restore", one, contenders, lambda one=one, into=into: one.restore(into)):
                    damage_pages(into, CHANGED, seed=turn)
                    _attempt(results, kind, "delta restore", one, contenders, lambda one=one, into=into: one.delta(into))


def _order(contenders: list[Contender], turn: int) -> list[Contender]:
    return list(contenders) if turn % 2 == 0 else list(reversed(contenders))
