"""Full backup, incremental after a change and after nothing, restore and delta restore, over one kind of data."""

import shutil
from collections.abc import Callable
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
    """Every case over one kind of data, contenders taking turns; who comes first alternates."""
    say(f"{kind}: making about {gib:g} GiB")
    made = server(kind, gib, orders)
    try:
        results.fact(kind, "data", "server", bytes=int(made.value("select sum(pg_database_size(oid)) from pg_database")))
        contenders = _contenders(results, made, wanted)
        bound = _bound(results, made, wanted)
        _fulls(results, kind, contenders, bound, rounds, say)
        _incrementals(results, kind, contenders, made, rounds, say)
        _restores(results, kind, contenders, rounds, say)
    finally:
        made.remove()


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
    account = service_account()
    for turn in range(rounds):
        say(f"{kind}: restore, round {turn + 1} of {rounds}")
        for one in _order(contenders, turn):
            home = server_folder("to")
            into = home / "data"
            into.mkdir(mode=0o700)
            account.own(into)
            try:
                if _attempt(results, kind, "restore", one, contenders, lambda one=one, into=into: one.restore(into)):
                    damage_pages(into, CHANGED, seed=turn)
                    _attempt(results, kind, "delta restore", one, contenders, lambda one=one, into=into: one.delta(into))
            finally:
                shutil.rmtree(home, ignore_errors=True)


def _order(contenders: list[Contender], turn: int) -> list[Contender]:
    return list(contenders) if turn % 2 == 0 else list(reversed(contenders))
