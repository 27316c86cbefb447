"""Content hashes: equal for equal content in any order and place, different for any change; and where two copies differ."""

import pytest

from holdfast.systems.postgres.digest import compare
from holdfast.systems.postgres.view import ContentUnreadable, PostgresView, QuestionFailed
from tests.servers import PostgresServer, need

pytestmark = pytest.mark.postgres

TABLES = """
create table kinds(id bigint primary key, n numeric, t text, b bytea, f float8, at timestamptz, j jsonb, a int[], "odd ""name" text);
insert into kinds select i, i / 7.0, case i % 3 when 0 then null when 1 then '' else repeat('ü', i) end,
  decode(lpad(to_hex(i), 8, '0'), 'hex'), i / 3.0,
  timestamptz '2026-01-01' + i * interval '1 hour', jsonb_build_object('k', i), array[i, null], 'x' from generate_series(1, 300) i;
create table keyless(v text);
insert into keyless values ('a'), ('a'), ('b'), (null);
create table "Ünïcode tåble"(id int primary key);
create table wide(id int primary key, big text);
insert into wide select i, (select string_agg(md5(i::text || n), '') from generate_series(1, 400) n) from generate_series(1, 20) i;
create unlogged table unkept(n int);
create materialized view counted as select count(*) from kinds;
create table parts(n int) partition by range (n);
create table part1 partition of parts for values from (0) to (10);
insert into parts values (1), (2);
"""


@pytest.fixture(scope="module")
def pair():
    with need():
        left, right = PostgresServer.create(15), PostgresServer.create(15)
    with left, right:
        left.execute(TABLES)
        # The same rows, written in another order and with dead ones between.
        right.execute(TABLES)
        right.execute("create table shuffled as select * from kinds order by md5(id::text)")
        right.execute("delete from kinds")
        right.execute("insert into kinds select * from shuffled")
        right.execute("drop table shuffled")
        yield left, right


def view(server):
    return PostgresView(server.dsn, {})


def test_equal_content_has_equal_hashes_whatever_the_order(pair):
    left, right = pair
    digest = view(left).digest()
    assert digest == view(right).digest()
    assert digest["postgres.public.kinds"]["rows"] == 300
    assert set(digest) == {f"postgres.public.{name}" for name in ("kinds", "keyless", "Ünïcode tåble", "wide", "counted", "part1")} | {
        "postgres#schema"
    }
    assert compare(digest, view(right).digest()) == []


@pytest.mark.parametrize(
    ("change", "names"),
    [
        ("update kinds set t = null where t = '' and id = 1", {"postgres.public.kinds"}),
        ("update kinds set n = n + 0.0000001 where id = 300", {"postgres.public.kinds"}),
        ("delete from keyless where ctid = (select min(ctid) from keyless where v = 'a')", {"postgres.public.keyless"}),
        ("update wide set big = overlay(big placing '!' from 9000) where id = 7", {"postgres.public.wide"}),
        ("insert into parts values (3)", {"postgres.public.part1"}),
        ("create index on kinds(t)", {"postgres#schema"}),
        ('alter table "Ünïcode tåble" add extra int', {"postgres#schema"}),
        ("select lo_from_bytea(0, 'large')", {"postgres#large objects"}),
    ],
)
def test_any_change_shows_in_its_table_alone(pair, change, names):
    left, right = pair
    before = view(left).digest()
    with right.connect(autocommit=False) as session:
        session.execute(change)
        from holdfast.systems.postgres import digest as digests

        session.execute(digests.SESSION)
        after = {one.name: digests.of_table(session, one) for one in digests.tables(session, "postgres")}
        after["postgres#schema"] = digests.of_schema(session)
        large = digests.of_large_objects(session)
        after |= {"postgres#large objects": large} if large["rows"] else {}
        session.rollback()
    assert {one["name"] for one in compare(before, after)} == names


def test_a_role_that_may_not_read_everything_is_told_what_to_grant(pair):
    left, _ = pair
    left.execute("create role reader login; create role blind login; grant select on all tables in schema public to reader")
    reader = PostgresView(left.dsn.replace("user=postgres", "user=reader"), {})
    # Without large objects nobody needs the right to read them.
    assert reader.digest() == view(left).digest()
    with pytest.raises(ContentUnreadable, match="Role blind cannot read all of database postgres") as denied:
        PostgresView(left.dsn.replace("user=postgres", "user=blind"), {}).digest()
    assert 'grant pg_read_all_data to "blind"' in denied.value.hint
    oid = left.value("select lo_from_bytea(0, 'large')")
    try:
        with pytest.raises(ContentUnreadable, match="pg_largeobject") as denied:
            reader.digest()
        assert "grant select on pg_largeobject" in denied.value.hint
    finally:
        left.execute(f"select lo_unlink({oid})")
    left.execute("grant pg_read_all_data to reader; alter table keyless enable row level security")
    with pytest.raises(ContentUnreadable, match="row-level security") as denied:
        reader.digest()
    assert "bypassrls" in denied.value.hint
    left.execute("alter table keyless disable row level security")


def test_where_rows_differ_is_told_with_examples(pair):
    left, right = pair
    right.execute("update kinds set f = 0 where id in (5, 250)")
    right.execute("delete from kinds where id = 17")
    right.execute("insert into kinds(id) values (9001)")
    right.execute("insert into keyless values ('a')")
    found = view(right).differences(view(left), "postgres.public.kinds")
    assert (found["missing"], found["extra"], found["changed"], found["key"]) == (1, 1, 2, ["id"])
    assert {(one["key"], one["difference"]) for one in found["examples"]} == {
        ("(5)", "changed"),
        ("(250)", "changed"),
        ("(17)", "missing"),
        ("(9001)", "extra"),
    }
    keyless = view(right).differences(view(left), "postgres.public.keyless")
    assert (keyless["missing"], keyless["extra"], keyless["changed"], keyless["key"]) == (0, 1, 0, [])
    assert keyless["examples"] == [{"key": "(a)", "difference": "extra"}]


def test_a_view_cannot_write_and_a_bad_question_is_told(pair):
    left, _ = pair
    with pytest.raises(QuestionFailed, match="read-only"):
        view(left).query("create table no(n int)")
    with pytest.raises(QuestionFailed, match="does not exist"):
        view(left).query("select * from nowhere")
    with pytest.raises(QuestionFailed, match="timeout"):
        view(left).query("select pg_sleep(5)", timeout=0.1)


def test_structure_finds_an_invalid_index_and_a_page_that_cannot_be_read(pair):
    left, _ = pair
    states = {one.name: one.state for one in view(left).structure()}
    assert states == {"postgres: valid indexes": "passed", "postgres: amcheck": "skipped", "postgres: full scan": "passed"}
    left.execute("create table broken(n int)")
    left.execute("insert into broken select generate_series(1, 5000)")
    path = left.value("select pg_relation_filepath('broken')")
    left.stop()
    with (left.data / path).open("r+b") as file:
        file.seek(8192 + 100)
        file.write(b"\x99" * 64)
    left.start()
    left.execute("update pg_index set indisvalid = false where indexrelid = 'kinds_pkey'::regclass")
    found = {one.name: one for one in view(left).structure()}
    assert found["postgres: valid indexes"].state == "failed"
    assert found["postgres: full scan"].state == "failed"
    assert "broken" in found["postgres: full scan"].detail
