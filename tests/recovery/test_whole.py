"""Recovery from nothing but a vault: a real server, the real follower, the real vault."""

import datetime as dt
import socket
import time

import psycopg
import pytest

from holdfast.model import Silent, SystemClock
from holdfast.recovery import by_check, by_presence, plan, run, search, verify
from holdfast.systems.postgres import lsn as positions
from holdfast.systems.postgres.wal.ranges import ranges
from holdfast.validation import Check
from tests.postgres.restore.conftest import stop
from tests.recovery.whole import whole
from tests.servers import PostgresServer, need

pytestmark = pytest.mark.postgres
CLOCK = SystemClock()


@pytest.fixture(scope="module")
def one(tmp_path_factory):
    with need():
        server = PostgresServer.create(15)
    with server, whole(server, tmp_path_factory.mktemp("vault")) as made:
        server.execute("create table orders(id int primary key, amount numeric(10, 2), note text)")
        server.execute("insert into orders select i, i * 1.5, repeat('x', i % 50) from generate_series(1, 2000) i")
        server.execute("create table moved(n int); insert into moved values (1)")
        made.follow()
        made.backup("base")
        made.shipped()
        yield made


def restored(one, name, to=None, **options):
    until = one.recovery.target(to, one.now(), dt.UTC)
    made = plan(one.recovery, one.history, one.ground / name, until, {"start": True, "durable": False, **options})
    return run(made, one.recovery, one.history, Silent(), CLOCK)


def rows(done, sql):
    with psycopg.connect(done.restored.connection, autocommit=True) as connection:
        return connection.execute(sql).fetchall()


def test_a_wrong_update_is_undone_to_the_second(one):
    before = one.now()
    one.server.execute("update orders set amount = 0")
    one.shipped()
    done = restored(one, "undo", before.isoformat())
    assert rows(done, "select sum(amount) from orders") == [(1.5 * 2000 * 2001 / 2,)]
    document = done.to_json()
    assert document["result"]["clocks"]["total"] > 0
    assert document["point"]["label"] == "base"
    assert document["estimate"]["seconds"] > 0
    stop(done.restored.into)
    one.server.execute("update orders set amount = id * 1.5")


def test_a_moment_on_an_idle_server_is_reached(one):
    one.server.execute("insert into orders values (9001, 1, 'last')")
    one.shipped()
    time.sleep(1.5)
    moment = one.now() - dt.timedelta(seconds=0.7)
    end = time.monotonic() + 250
    while (one.covered(one.follower.now.branch) or moment) <= moment:
        assert time.monotonic() < end
        time.sleep(0.05)
    done = restored(one, "idle", moment.isoformat())
    assert done.plan.restore.place["ends"] == "end-of-log"
    assert rows(done, "select count(*) from orders where id = 9001") == [(1,)]
    stop(done.restored.into)
    one.server.execute("delete from orders where id = 9001")


def test_what_can_be_reached_is_told(one):
    one.shipped()
    [found] = ranges(one.history)
    assert found["timeline"] == 1
    assert positions.parse(found["from"]) < positions.parse(found["to"])


def test_verify_compares_a_quiet_source_by_content(one):
    checks = [
        Check("orders kept", sql="select count(*), sum(amount) from orders", compare=True),
        Check("no negative amounts", sql="select count(*) from orders where amount < 0", expect=0),
        Check("wrong expectation", sql="select 1", expect=2),
        Check("no answer", sql="select 1 where false", expect=0),
    ]
    found = verify(one.recovery, lambda: one.history, checks[:2], progress=Silent(), clock=CLOCK)
    states = {result.name: result.state for result in found.report.results}
    assert found.report.verdict == "passed", found.to_json()
    assert found.exact
    assert states["orders kept"] == states["postgres.public.orders"] == states["postgres#schema"] == "passed"
    assert states["postgres: amcheck"] == "skipped"
    assert not list((one.ground / "boxes").iterdir())
    found = verify(one.recovery, lambda: one.history, checks, progress=Silent(), clock=CLOCK, content=False)
    failed = {result.name: result for result in found.report.results if result.state == "failed"}
    assert set(failed) == {"wrong expectation", "no answer"}
    assert failed["wrong expectation"].expected == 2
    assert failed["wrong expectation"].actual == 1


def test_when_was_it_dropped(one):
    server = one.server
    server.execute("update orders set note = 'before the table' where id = 1")
    server.execute("create table doomed(n int)")
    for n in range(6):
        server.execute("insert into doomed values (%s)", (n,))
    last_good = server.value("select max(n) from doomed")
    server.execute("drop table doomed")
    for n in range(5):
        server.execute("update orders set note = %s where id = 1", (f"after {n}",))
    one.shipped()
    asked, question = one.recovery.presence("doomed")
    found = search(one.recovery, one.history, by_presence(question), options={}, progress=Silent(), clock=CLOCK)
    assert found.state == "never-good", "the table did not exist at the beginning of history"
    check = Check("ids", sql="select (select count(*) from orders where note like 'after%') > 0", expect=False)
    found = search(one.recovery, one.history, by_check(check), options={}, progress=Silent(), clock=CLOCK)
    assert found.state == "found"
    assert asked == "table doomed is there"
    done = restored(one, "dropped", f"lsn:{found.good.shown['lsn']}")
    assert rows(done, "select to_regclass('doomed') is null, (select count(*) from orders where note like 'after%')") == [(True, 0)]
    stop(done.restored.into)
    done = restored(one, "before-drop", f"before xid:{found.good.shown['xid']}")
    assert rows(done, "select max(n) from doomed") == [(last_good,)]
    stop(done.restored.into)


def test_a_transaction_under_way_locks_nobody_out(one):
    """On a paused copy it would keep its locks for ever: while a migration runs, questions of the search still get their answer."""
    server = one.server
    with server.connect(autocommit=False) as migration:
        migration.execute("alter table moved add column more text; drop table if exists nothing")
        for n in range(2):
            server.execute("update orders set note = %s where id = 2", (f"meanwhile {n}",))
        until = one.now()
        server.execute("update orders set note = 'behind' where id = 2")
        migration.commit()
    one.shipped()
    sql = "select (select count(*) from moved) = 1 and not exists (select 1 from orders where note = 'behind')"
    found = search(one.recovery, one.history, by_check(Check("kept", sql=sql, expect=True)), options={}, progress=Silent(), clock=CLOCK)
    assert found.state == "found"
    done = restored(one, "locked", until.isoformat(), target_action="pause")
    assert "relation(s) are locked" in " ".join(done.restored.notes)
    stop(done.restored.into)


def test_one_table_into_another_server(one):
    server = one.server
    server.execute('create table "odd name"(id int primary key, v text)')
    server.execute("""insert into "odd name" values (1, null), (2, ''), (3, 'ü')""")
    server.execute("create table parted(id int, at date) partition by range (at)")
    server.execute("create table parted_1 partition of parted for values from ('2026-01-01') to ('2026-02-01')")
    server.execute("create table parted_2 partition of parted for values from ('2026-02-01') to ('2026-03-01') partition by list (id)")
    server.execute('create table "parted 2.1" partition of parted_2 default')
    server.execute("insert into parted values (1, '2026-01-05'), (2, '2026-02-05'), (3, '2026-02-06')")
    server.execute("create database bare")
    good = one.now()
    server.execute('drop table parted; delete from "odd name"')
    one.shipped()
    with need():
        other = PostgresServer.create(15)
    with other:
        until = one.recovery.target(good.isoformat(), one.now(), dt.UTC)
        done = one.recovery.restore_single(one.history, until, {}, "postgres", '"odd name"', other.dsn, Silent())
        assert done["rows"] == 3
        assert other.execute('select * from "odd name" order by id') == [(1, None), (2, ""), (3, "ü")]
        with pytest.raises(Exception, match="already"):
            one.recovery.restore_single(one.history, until, {}, "postgres", '"odd name"', other.dsn, Silent())
        # The rows of a partitioned table lie in its partitions.
        done = one.recovery.restore_single(one.history, until, {}, "postgres", "parted", other.dsn, Silent())
        assert (done["rows"], done["tables"]) == (3, 2)
        assert other.value("select count(*) from parted") == 3
        # A database without a table of its own is a whole one.
        done = one.recovery.restore_single(one.history, until, {}, "bare", None, other.dsn, Silent())
        assert done["tables"] == 0
        assert other.value("select count(*) from pg_database where datname = 'bare'") == 1
    server.execute("drop database bare")
    server.execute('drop table "odd name"')


def test_a_port_that_was_taken_meanwhile_is_left_to_its_owner(one, monkeypatch):
    with socket.socket() as owner:
        owner.bind(("127.0.0.1", 0))
        owner.listen()
        taken = owner.getsockname()[1]
        monkeypatch.setattr("holdfast.systems.postgres.restore.run.choose_port", lambda *_: taken)
        done = restored(one, "port")
        try:
            assert f"port={taken}" not in done.restored.connection.replace("'", "")
            assert rows(done, "select 1") == [(1,)]
        finally:
            stop(done.restored.into)
