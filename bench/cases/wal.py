"""Shipping WAL under load, catching up with a backlog, and recovery through it."""

import re
import shutil
import statistics
import time
from collections.abc import Callable

from bench.cases.recover import recover
from bench.contenders.holdfast import Holdfast
from bench.contenders.pgbackrest import PgBackRest
from bench.data import SETTINGS
from bench.exposure import Exposure
from bench.measure import RunFailed
from bench.results import Results
from bench.shippers import ByHoldfast, ByPgBackRest, Nobody, Shipper
from tests.servers import PostgresServer, ServerMissing

Say = Callable[[str], None]
SCALE = 20
CLIENTS = ("-c", "4", "-j", "2")
MIB = 1 << 20


def measure(results: Results, gib: float, seconds: float, rounds: int, wanted: set[str], say: Say) -> None:
    """On one server of pgbench's; every contender ships the same WAL."""
    say("WAL: making the server")
    with PostgresServer.create(15, settings={**SETTINGS, "wal_keep_size": "0", "max_slot_wal_keep_size": "-1"}) as server:
        server.pgbench("-i", "-q", "-s", str(SCALE), timeout=600)
        peer, ours = _contenders(results, server, wanted)
        shippers: list[Shipper] = [Nobody()]
        if peer:
            shippers.append(ByPgBackRest(peer))
        if ours:
            shippers.append(ByHoldfast(ours, server))
        try:
            # Archiving was on for the base backup; nobody ships when nobody's turn begins.
            for one in shippers:
                one.stop()
            if peer:
                peer.archive("hold")
            _load(results, server, shippers, seconds, min(rounds, 3), say)
            shippers = shippers[1:]
            for one in shippers:
                one.stop()
            size = _backlog(server, gib, say)
            for one in shippers:
                say(f"WAL: {one.name} catches up with {size / MIB:.0f} MiB")
                _catch_up(results, server, one, size)
            recover(results, server, [one for one in (peer, ours) if one], size, min(rounds, 3), say)
        finally:
            for one in shippers:
                one.stop()
            for home in (peer.home if peer else None, ours.home if ours else None):
                if home:
                    shutil.rmtree(home, ignore_errors=True)


def _contenders(results: Results, server: PostgresServer, wanted: set[str]) -> tuple[PgBackRest | None, Holdfast | None]:
    """Both with a full backup to recover from; one that cannot begin is named."""
    peer, ours = None, None
    try:
        if "pgbackrest" in wanted:
            peer = PgBackRest(server, asynchronous=True)
            peer.fresh()
            peer.full()
    except (ServerMissing, RunFailed) as problem:
        results.missing.append(f"pgbackrest, WAL: {problem}")
        peer = None
    try:
        if "holdfast" in wanted:
            ours = Holdfast(server, continuous=True)
            ours.fresh()
            # The slot is there from now on, so that every contender has the same WAL to ship.
            follower = ByHoldfast(ours, server)
            follower.start()
            ours.full()
            follower.stop()
    except (ServerMissing, RunFailed, RuntimeError) as problem:
        results.missing.append(f"holdfast, WAL: {problem}")
        ours = None
    return peer, ours


def _load(results: Results, server: PostgresServer, shippers: list[Shipper], seconds: float, rounds: int, say: Say) -> None:
    rates: dict[str, list[float]] = {one.name: [] for one in shippers}
    exposures: dict[str, list[float]] = {one.name: [] for one in shippers}
    server.pgbench("-n", "-T", "3", *CLIENTS)
    for turn in range(rounds):
        for one in shippers if turn % 2 == 0 else reversed(shippers):
            say(f"WAL: load, {one.name}, round {turn + 1} of {rounds}")
            server.execute("checkpoint")
            one.start()
            # A backlog from the turns of others is not this turn's exposure.
            _until_shipped(server, one)
            watch = Exposure(server, one)
            cpu, started = one.cpu(), server.value("select (pg_current_wal_lsn() - '0/0')::bigint")
            watch.start()
            said = server.pgbench("-n", "-T", str(round(seconds)), *CLIENTS)
            watch.stop()
            written = server.value("select (pg_current_wal_lsn() - '0/0')::bigint") - started
            rates[one.name].append(float(re.findall(r"tps = ([\d.]+)", said)[-1]))
            if not isinstance(one, Nobody):
                exposures[one.name] += watch.seconds()
                if one.ours:
                    used = (one.cpu() - cpu) / (written / (1 << 30))
                    results.fact("wal", "under load", one.name, cpu_per_gib=used, memory=watch.memory)
            one.stop()
    base = statistics.median(rates["nobody"])
    for name, found in rates.items():
        results.fact("wal", "under load", name, tps=statistics.median(found), tps_loss=1 - statistics.median(found) / base)
        ages = sorted(exposures[name])
        if ages:
            p99 = ages[min(len(ages) - 1, int(len(ages) * 0.99))]
            results.fact("wal", "under load", name, exposure_median=statistics.median(ages), exposure_p99=p99, exposure_max=ages[-1])


def _backlog(server: PostgresServer, gib: float, say: Say) -> int:
    """Writes about ``gib`` GiB of WAL while nobody ships; returns the bytes written."""
    say(f"WAL: writing {gib:g} GiB that nobody ships yet")
    started = server.value("select (pg_current_wal_lsn() - '0/0')::bigint")
    server.execute("create table if not exists backlog (i bigint, note text)")
    turn = 0
    while (written := server.value("select (pg_current_wal_lsn() - '0/0')::bigint") - started) < gib * (1 << 30):
        turn += 1
        server.execute("insert into backlog select i, md5(i::text || %s::text) || md5(i::text) from generate_series(1, 200000) i", [turn])
    server.execute("select pg_switch_wal()")
    return int(written)


def _until_shipped(server: PostgresServer, shipper: Shipper) -> None:
    """Waits until everything written before the call is shipped."""
    if isinstance(shipper, Nobody):
        return
    if isinstance(shipper, ByPgBackRest):
        server.execute("select pg_switch_wal()")
    target = server.value("select (pg_current_wal_flush_lsn() - '0/0')::bigint")
    target -= target % (16 * MIB) if isinstance(shipper, ByPgBackRest) else 0
    end = time.monotonic() + 600
    while (server.value(shipper.shipped) or 0) < target:
        if time.monotonic() > end:
            raise TimeoutError(f"{shipper.name} has not shipped {target} after 600 s")
        time.sleep(0.02)


def _catch_up(results: Results, server: PostgresServer, shipper: Shipper, size: int) -> None:
    began = time.monotonic()
    shipper.start()
    # A shipper is resident: how fast it comes up is told, and is not part of the rate.
    started = time.monotonic()
    _until_shipped(server, shipper)
    seconds = time.monotonic() - started
    results.fact("wal", "catch up", shipper.name, mib_per_second=size / MIB / seconds, wall=seconds, start=started - began)
    shipper.stop()
