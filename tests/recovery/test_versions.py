"""The whole way on every other version: a chain of points in place and remote, following, and back to a time, a name and the end.

(Version 15 is what the other tests of this folder run on.)
"""

import datetime as dt

import psycopg
import pytest

from holdfast.model import Silent, SystemClock
from holdfast.recovery import plan, run, verify
from holdfast.systems.postgres import lsn as positions
from tests.postgres.restore.conftest import stop
from tests.recovery.whole import whole
from tests.servers import VERSIONS, PostgresServer, need

pytestmark = pytest.mark.postgres
CLOCK = SystemClock()

TABLES = """
    select format('select %L, count(*), md5(coalesce(string_agg(x::text, chr(10) order by x::text), '''')) from %I.%I x',
                  n.nspname || '.' || c.relname, n.nspname, c.relname)
      from pg_class c join pg_namespace n on n.oid = c.relnamespace
     where c.relkind in ('r', 'm') and n.nspname not in ('pg_catalog', 'information_schema', 'pg_toast') order by 1
"""


def content(dsn):
    """Every row of every database, in the server's own words."""
    found = {}
    with psycopg.connect(dsn, autocommit=True) as connection:
        names = [name for (name,) in connection.execute("select datname from pg_database where datallowconn order by 1").fetchall()]
    for name in names:
        with psycopg.connect(dsn, dbname=name, autocommit=True) as connection:
            for (query,) in connection.execute(TABLES).fetchall():
                table, count, digest = connection.execute(query).fetchone()
                found[name, table] = count, digest
    return found


@pytest.fixture(scope="module", params=[one.major for one in VERSIONS if one.major != 15], ids=lambda major: f"pg{major}")
def story(request, tmp_path_factory):
    """(the whole, content at each moment by name, its time). Points: in place 1, 2, 3 and remote 4, each on the one before."""
    version = request.param
    settings = {"summarize_wal": "on"} if version >= 17 else {}
    with need():
        server = PostgresServer.create(version, settings=settings)
    with server, whole(server, tmp_path_factory.mktemp("vault")) as one:
        moments = {}

        def remember(name):
            server.execute(f"select pg_create_restore_point('{name}')")
            moments[name] = (one.now(), content(server.dsn))
            # Something behind it, so that a restore which goes too far is seen.
            server.execute("insert into tick values (default)")

        one.amcheck = bool(server.value("select count(*) from pg_available_extensions where name = 'amcheck'"))
        if one.amcheck:
            server.execute("create extension amcheck")
        server.execute("create table tick(n serial primary key); create unlogged table quick as select 1 as n")
        server.execute("create table big as select i, md5(i::text) s from generate_series(1, 20000) i; create index on big(s)")
        server.execute("create table cut as select i from generate_series(1, 3000) i; create table gone as select 1 a")
        server.execute("vacuum")
        one.follow()
        one.points = [one.backup("1")]
        server.execute("update big set s = 'second' where i % 4000 = 0; truncate cut; insert into cut values (1)")
        server.execute("create database copied template template0" + (" strategy file_copy" if version >= 15 else ""))
        server.execute("create table inside(t text); insert into inside values ('ä')", dbname="copied")
        remember("before the second")
        one.points.append(one.backup("2", base=one.points[-1]))
        server.execute("delete from big where i > 15000; drop table gone")
        server.execute("vacuum big")
        server.execute("insert into big select i, 'third' from generate_series(30000, 31000) i")
        remember("after the second")
        one.points.append(one.backup("3", base=one.points[-1]))
        server.execute("update inside set t = 'ö'", dbname="copied")
        one.points.append(one.backup("4", base=one.points[-1], in_place=False))
        server.execute("create table fresh as select i from generate_series(1, 100) i; reindex table big")
        remember("after the last")
        server.execute("update big set s = 'wrong'")
        moments["latest"] = (one.now(), content(server.dsn))
        one.shipped()
        yield one, moments


@pytest.mark.parametrize(
    ("name", "by", "label"),
    [
        ("before the second", "name", "1"),
        ("after the second", "time", "2"),
        ("after the last", "time", "4"),
        ("latest", "latest", "4"),
    ],
)
def test_back_to_a_moment_with_all_content(story, name, by, label):
    one, moments = story
    time, expected = moments[name]
    to = {"name": f"name:{name}", "time": time.isoformat(), "latest": "latest"}[by]
    until = one.recovery.target(to, one.now(), dt.UTC)
    made = plan(one.recovery, one.history, one.ground / f"{by}-{label}", until, {"start": True, "durable": False, "port": 0})
    assert made.restore.point.label == label
    done = run(made, one.recovery, one.history, Silent(), CLOCK)
    dsn = done.restored.connection
    # Unlogged tables come back empty.
    assert _lasting(content(dsn)) == _lasting(expected)
    with psycopg.connect(dsn, autocommit=True) as connection:
        [[quick]] = connection.execute("select count(*) from quick").fetchall()
        assert quick == 0
        if one.amcheck:
            checked = connection.execute(
                "select count(bt_index_check(c.oid, true)::text) from pg_class c join pg_am a on a.oid = relam "
                "where amname = 'btree' and c.relkind = 'i'"
            ).fetchone()
            assert checked[0] > 100
            damaged = "select count(*) from pg_class c, lateral verify_heapam(c.oid::regclass) where c.relkind in ('r', 'm', 't')"
            assert connection.execute(damaged + " and c.relpersistence = 'p'").fetchone() == (0,)
    stop(done.restored.into)


def _lasting(found):
    return {key: value for key, value in found.items() if key[1] != "public.quick"}


def test_the_chain_is_of_four_points_and_summaries_save_reading(story):
    one, _ = story
    assert [point.method for point in one.points] == ["full", "incremental", "incremental", "incremental"]
    assert [point.facts["method"] for point in one.points] == ["in-place"] * 3 + ["remote"]
    whole_, second, third, _ = one.points
    if one.server.version >= 17:
        assert second.totals.read < whole_.totals.bytes / 2
        assert third.totals.read < whole_.totals.bytes / 2
    assert all(point.totals.new < whole_.totals.new / 2 for point in one.points[1:])


def test_verify_checks_structure_where_amcheck_is(story):
    one, _ = story
    one.shipped()
    found = verify(one.recovery, lambda: one.history, [], progress=Silent(), clock=CLOCK)
    states = {result.name: result.state for result in found.report.results}
    assert found.report.verdict == "passed", found.to_json()
    assert states["postgres: amcheck"] == ("passed" if one.amcheck else "skipped")


def test_a_position_at_the_very_end_is_reached_by_whoever_starts_the_copy(story):
    """Nothing is logged behind it, so to PostgreSQL it is the end of the log; the directory says so already."""
    one, moments = story
    one.shipped()
    end = one.server.value("select pg_current_wal_flush_lsn()")
    until = one.recovery.target(f"lsn:{positions.show(positions.parse(end) - 4)}", one.now(), dt.UTC)
    into = one.ground / "by-hand"
    made = plan(one.recovery, one.history, into, until, {"durable": False})
    run(made, one.recovery, one.history, Silent(), CLOCK)
    assert "recovery_target_lsn" not in (into / "postgresql.auto.conf").read_text()
    with need():
        by_hand = PostgresServer.attach(one.server.version, into)
    try:
        by_hand.wait_for("select not pg_is_in_recovery()")
        assert _lasting(content(by_hand.dsn)) == _lasting(moments["latest"][1])
    finally:
        by_hand.remove()
