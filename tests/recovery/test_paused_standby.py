"""A standby whose replay is paused is a source that stands still: copies are compared at its moment, while the primary goes on."""

import pytest

from holdfast.model import Silent, SystemClock
from holdfast.recovery import Content, verify
from holdfast.systems.postgres import lsn as positions
from holdfast.validation import Check
from tests.recovery.whole import whole
from tests.servers import PostgresServer, need

pytestmark = pytest.mark.postgres


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    with need():
        primary = PostgresServer.create(15, settings={"wal_keep_size": "256MB"})
    standby = None
    with primary, whole(primary, tmp_path_factory.mktemp("vault")) as one:
        try:
            primary.execute("create table rows (n int primary key, x text)")
            primary.execute("insert into rows select n, md5(n::text) from generate_series(1, 100) n")
            standby = primary.standby()
            one.recovery.connect = lambda on: standby.dsn if on == "standby" else primary.dsn
            one.follow()
            yield one, primary, standby
        finally:
            if standby is not None:
                standby.stop()
                standby.remove()


def caught_up(primary: PostgresServer, standby: PostgresServer) -> None:
    standby.wait_for(f"select pg_last_wal_replay_lsn() >= '{primary.value('select pg_current_wal_flush_lsn()')}'")


def verified(one, **options):
    how = Content(on="standby")
    asked = [Check("how many", sql="select count(*) from rows", compare=True, on="standby")]
    return verify(one.recovery, lambda: one.history, asked, progress=Silent(), clock=SystemClock(), content=how, **options)


def test_a_copy_is_compared_at_the_moment_at_which_the_standby_stands(pair):
    one, primary, standby = pair
    one.backup("base")
    primary.execute("insert into rows select n, md5(n::text) from generate_series(101, 150) n")
    caught_up(primary, standby)
    standby.execute("select pg_wal_replay_pause()")
    standby.wait_for("select pg_get_wal_replay_pause_state() = 'paused'")
    paused = standby.value("select pg_last_wal_replay_lsn()::text")
    # The primary goes on: what it does now is neither in the standby's answers nor in the copy.
    primary.execute("update rows set x = 'wrong'; delete from rows where n > 120")
    primary.execute("select pg_switch_wal()")
    one.shipped()
    seen = verified(one, patience=300.0)
    results = {result.name: result for result in seen.report.results}
    assert (seen.report.verdict, seen.exact, seen.compared.how) == ("passed", True, "exact"), results
    assert results["how many"].actual == 150
    assert results["postgres.public.rows"].expected["rows"] == 150
    assert positions.parse(str(seen.reached["lsn"])) == positions.parse(paused)
    # The same question to the primary, at its own moment, has another answer: it was the standby that was asked above.
    other = verify(one.recovery, lambda: one.history, [], progress=Silent(), clock=SystemClock(), patience=300.0)
    assert {result.name: result for result in other.report.results}["postgres.public.rows"].expected["rows"] == 120
    # A point from after the pause does not stand in: an earlier one and its log are what the copy is made of.
    newest = one.backup("behind")
    one.shipped()
    seen = verified(one, patience=300.0)
    assert (seen.report.verdict, seen.exact) == ("passed", True)
    assert seen.reached["point"] != newest.id
    # Once it goes on, it is compared where it stands then.
    standby.execute("select pg_wal_replay_resume()")
    caught_up(primary, standby)
    again = verified(one, patience=300.0)
    assert (again.report.verdict, again.exact) == ("passed", True)
    assert {result.name: result for result in again.report.results}["postgres.public.rows"].expected["rows"] == 120
