"""Which rows differ, found by halving ranges of keys; samples that are the same on both sides; positions of sequences."""

import random

import pytest

from holdfast.systems.contract import Draw, TableUnknown
from holdfast.systems.postgres import digest as digests
from holdfast.systems.postgres.compare import keys, multiset, ranges
from holdfast.systems.postgres.view import PostgresView
from tests.servers import PostgresServer, need

pytestmark = pytest.mark.postgres

KINDS = {
    "numbers": ("id bigint primary key, v text", "i, md5(i::text)"),
    "texts": ("id text primary key, v int", "md5(i::text), i"),
    "pairs": ('"a, ""%%" int, b date, v text, primary key ("a, ""%%", b)', "i / 7, date '2026-01-01' + i, i::text"),
    "uuids": ("id uuid primary key, v numeric(8, 2)", "md5(i::text)::uuid, i / 3.0"),
    "bits": ("id bit(20) primary key, v text", "i::bit(20), repeat('x', i % 50)"),
    "times": ("id timestamptz primary key, v text", "timestamptz '2026-01-01 00:00:00.000001' + i * interval '1 minute', null"),
    "covered": ("id int, v text, unique (id) include (v)", "i, i::text"),
    "keyless": ("id int, v text", "i, i::text"),
}
ROWS = 3000


@pytest.fixture(scope="module")
def pair():
    with need():
        left, right = PostgresServer.create(15), PostgresServer.create(15)
    with left, right:
        for server in (left, right):
            for name, (columns, values) in KINDS.items():
                server.execute(f'create table "{name}" ({columns.replace("%%", "%")})')
                server.execute(f'insert into "{name}" select {values} from generate_series(1, {ROWS}) i')
            server.execute("alter table covered alter column id set not null; alter table covered alter column v set not null")
        yield left, right


def sides(pair, name):
    found = []
    for server in pair:
        session = PostgresView(server.dsn, {}).connect()
        session.execute(digests.SESSION)
        session.execute("set default_transaction_read_only = off")
        [table] = digests.tables(session, "postgres", [name])
        found.append((session, table, keys.key_of(session, table)))
    return found


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("seed", range(3))
def test_every_row_that_differs_is_found_and_no_other(pair, name, seed, monkeypatch):
    monkeypatch.setattr(ranges, "LEAF", 16)
    monkeypatch.setattr(ranges, "DENSE", 64)
    monkeypatch.setattr(multiset, "_IN_BUCKET", 50)
    monkeypatch.setattr(multiset, "_BATCH_ROWS", 120)
    draw = random.Random(f"{name} {seed}")
    (here, mine, left), (there, theirs, right) = sides(pair, name)
    with here, there:
        here.autocommit = False
        gone, more, changed = draw.choice((0, 1, 40)), draw.choice((0, 1, 5)), draw.choice((0, 1, 700))
        places = draw.sample(range(ROWS), gone + changed)
        ctids = [row[0] for row in here.execute(f"select ctid::text from {mine.quoted} order by ctid").fetchall()]
        for what, some in (("delete from", places[:gone]), ("update", places[gone:])):
            listed = ",".join(f"'{ctids[one]}'::tid" for one in some) or "'(0,0)'::tid"
            value = {"texts": "-1", "uuids": "0.01"}.get(name, "'other'")
            sql = f"{what} {mine.quoted}" + ("" if what != "update" else f" set v = {value}")
            here.execute(f"{sql} where ctid = any(array[{listed}])")
        values = KINDS[name][1]
        here.execute(f"insert into {mine.quoted} select {values} from generate_series({ROWS + 1}, {ROWS + more}) i")
        key = keys.in_ranges(left, right)
        # Text under the locale C has one order everywhere.
        assert (key is None) == (name == "keyless")
        if key is not None:
            found = ranges.differing(ranges.Side(here, mine, key), ranges.Side(there, theirs, key), chunk=700)
            by_hash = multiset.differing(here, mine, there, theirs, key)
            assert (by_hash.missing, by_hash.extra, by_hash.changed) == (gone, more, changed)
        else:
            found = multiset.differing(here, mine, there, theirs, None)
            gone, more, changed = gone + changed, more + changed, 0
        assert (found.missing, found.extra, found.changed) == (gone, more, changed)
        assert len(found.examples) == min(5, gone + more + changed)
        here.rollback()


def test_one_row_among_many_costs_a_few_small_ranges(pair):
    (here, mine, key), (there, theirs, _) = sides(pair, "numbers")
    with here, there:
        here.autocommit = False
        here.execute("update public.numbers set v = '' where id = 1234")
        read = []
        pace = read.append
        found = ranges.differing(ranges.Side(here, mine, key, pace), ranges.Side(there, theirs, key), chunk=ROWS + 1)
        assert found.examples == [{"key": "(1234)", "difference": "changed"}]
        # The whole once, then halves: no more than the whole again and its half.
        assert sum(read) < 2.2 * read[0]
        here.rollback()


def test_orders_that_may_differ_between_machines_are_not_trusted():
    text = keys.Key(("t",), ("text",), (None,))
    older = keys.Key(("t",), ("text",), ("c de_DE 2.31",))
    newer = keys.Key(("t",), ("text",), ("c de_DE 2.36",))
    assert keys.in_ranges(text, text) is None
    assert keys.in_ranges(older, newer) is None
    assert keys.in_ranges(newer, newer) is newer
    assert keys.common(older, newer) is older
    assert keys.common(None, newer) is None


def test_a_table_of_many_stretches_hashes_to_the_same(pair, monkeypatch):
    left, _ = pair
    with PostgresView(left.dsn, {}).connect() as session:
        session.execute(digests.SESSION)
        [table] = digests.tables(session, "postgres", ["numbers"])
        whole = digests.of_table(session, table)
        monkeypatch.setattr(digests, "STRETCH", 3)
        read = []
        assert digests.of_table(session, table, read.append) == whole
        assert len(read) > 3


def test_a_statement_that_takes_longer_than_it_may_ends(pair):
    from holdfast.systems.postgres.view import ContentUnreadable

    left, _ = pair
    with pytest.raises(ContentUnreadable, match="statement timeout"):
        PostgresView(left.dsn, {}, timeout=0.001).digest()


def test_a_sample_is_the_same_on_both_sides_and_another_with_another_seed(pair):
    left, right = (PostgresView(server.dsn, {}) for server in pair)
    first = left.sample(Draw("one", 300))
    one_in = {name: one.one_in for name, one in first.items()}
    assert right.sample(Draw("one", 300, one_in)) == first
    assert left.sample(Draw("two", 300))["postgres.public.numbers"].drawn != first["postgres.public.numbers"].drawn
    for name in KINDS:
        one = first[f"postgres.public.{name}"]
        assert (one.unit, one.total) == ("rows", ROWS)
        if name == "keyless":
            assert (one.one_in, list(one.drawn)) == (0, [""])
        else:
            # 300 are wanted of 3000; a binomial draw strays by less than six of its deviations.
            assert one.one_in == 10
            assert abs(len(one.drawn) - 300) < 6 * (300 * 0.9) ** 0.5
    assert "postgres#schema" in first


def test_names_with_dots_are_never_taken_for_each_other(pair):
    """Of two tables that are written alike without quotation marks each has its own digest, sample, differences and relation."""
    for server in pair:
        server.execute('create database "odd.db"')
        with PostgresView(server.dsn, {}).connect("odd.db") as session:
            session.execute("set default_transaction_read_only = off")
            session.execute('create schema "a.b"; create schema a')
            session.execute('create table "a.b".c (n int primary key); create table a."b.c" (n int primary key)')
            session.execute('create table a."x#schema" (n int); create sequence "a.b".s; create sequence a."b.s"')
            session.execute('insert into "a.b".c select generate_series(1, 3); insert into a."b.c" select generate_series(1, 5)')
    left, right = (PostgresView(server.dsn, {}, database="odd.db") for server in pair)
    names = ['"odd.db"."a.b".c', '"odd.db".a."b.c"', '"odd.db".a."x#schema"']
    digest = left.digest()
    assert [digest[name]["rows"] for name in names] == [3, 5, 0]
    assert digest['"odd.db"#sequences']["rows"] == 2
    assert digest == right.digest()
    assert set(digest) == set(left.sample(Draw("one", 10)))
    assert set(left.digest(['"a.b".c'])) == {names[0]}
    assert set(left.digest(['"odd.db".*'])) == set(names)
    with right.connect("odd.db") as session:
        session.execute("set default_transaction_read_only = off")
        session.execute('delete from a."b.c" where n = 2')
    assert right.digest()[names[0]] == digest[names[0]]
    assert left.differences(right, names[1])["extra"] == 1
    assert left.differences(right, names[0])["extra"] == 0
    assert left.differences(right, names[2])["examples"] == []
    found = [left.relation(name, "odd.db") for name in ('"a.b".c', 'a."b.c"')]
    assert [(one.schema, one.table) for one in found] == [("a.b", "c"), ("a", "b.c")]
    with pytest.raises(TableUnknown):
        left.relation("a.b.c", "odd.db")  # which of the two?
    assert left.relation("a.x#schema", "odd.db").table == "x#schema"


def test_large_objects_are_in_a_sample(pair):
    for server in pair:
        server.execute("create database objects")
        with PostgresView(server.dsn, {}).connect("objects") as session:
            session.execute("set default_transaction_read_only = off")
            session.execute(
                "select lo_from_bytea(100000 + i, decode(repeat(md5(i::text), 1 + i % 300), 'hex')) from generate_series(1, 200) i"
            )
            session.execute("select lo_create(200000)")
    left, right = (PostgresView(server.dsn, {}, database="objects") for server in pair)
    name = "objects#large objects"
    some = left.sample(Draw("one", 40))[name]
    assert (some.unit, some.total, some.one_in) == ("large objects", 201, 5)
    assert 10 < len(some.drawn) < 120
    assert right.sample(Draw("one", 40, {name: some.one_in}))[name] == some
    assert left.sample(Draw("two", 40))[name].drawn != some.drawn
    all_of_them = Draw("one", 1000)
    assert len(left.sample(all_of_them)[name].drawn) == 201
    with right.connect("objects") as session:
        session.execute("set default_transaction_read_only = off")
        session.execute("select lo_put(100007, 20, 'other'::bytea); select lo_unlink(200000)")
    mine, theirs = left.sample(all_of_them)[name].drawn, right.sample(all_of_them)[name].drawn
    assert sorted(key for key in mine.keys() | theirs.keys() if mine.get(key) != theirs.get(key)) == ["100007", "200000"]


def test_a_sequence_is_the_same_in_a_copy_made_of_its_log(tmp_path):
    with need(), PostgresServer.create(15, settings={"hot_standby": "on"}) as primary:
        primary.execute("create sequence s; create sequence stepped increment by -7 cache 5; create sequence fresh")
        primary.execute("create sequence cyc maxvalue 9 cycle")
        for statement in (
            "select nextval('s') from generate_series(1, 70)",
            "select nextval('stepped') from generate_series(1, 13)",
            "select nextval('cyc') from generate_series(1, 23)",
            "checkpoint",
        ):
            primary.execute(statement)
        with primary.standby() as copy:
            for statement in (
                "select nextval('s')",
                "select nextval('stepped')",
                "select setval('fresh', 50, false)",
                "select nextval('cyc')",
            ):
                primary.execute(statement)
            position = primary.value("select pg_current_wal_flush_lsn()::text")
            while not copy.value(f"select pg_last_wal_replay_lsn() >= '{position}'::pg_lsn"):
                pass
            views = [PostgresView(server.dsn, {}) for server in (copy, primary)]
            assert primary.value("select last_value from s") != copy.value("select last_value from s")
            found = [one.digest()["postgres#sequences"] for one in views]
            assert found[0] == found[1]
            assert found[0]["rows"] == 4
            copy.promote()
            copy.execute("select setval('s', 3)")
            assert views[0].digest()["postgres#sequences"] != found[1]
            told = views[0].differences(views[1], "postgres#sequences")
            assert told["changed"] == 1
            assert told["examples"][0]["key"].startswith("public.s: 3 instead of ")
            copy.execute("drop sequence fresh")
            assert views[0].differences(views[1], "postgres#sequences")["missing"] == 1
