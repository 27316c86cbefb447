"""Along the right timeline after one and two promotions, with the real follower; a standby that follows on."""

import datetime as dt

import psycopg
import pytest

from holdfast.model import Silent, SystemClock
from holdfast.recovery import plan, run
from holdfast.systems.postgres import lsn as positions
from tests.postgres.restore.conftest import stop
from tests.recovery.whole import whole
from tests.servers import PostgresServer, need

pytestmark = pytest.mark.postgres
CLOCK = SystemClock()


@pytest.fixture(scope="module")
def story(
    tmp_path_factory,
):
    """Rows say on which timeline they were written. Base on 1; promoted to 2; then to 3, with a base on 2."""
    with need():
        first = PostgresServer.create(15, settings={"wal_keep_size": "256MB"})
    servers = [first]
    try:
        with whole(first, tmp_path_factory.mktemp("vault")) as one:
            moments = {}
            first.execute("create table history(n int primary key, timeline int)")
            one.follow()
            one.backup("on one")

            def write(server, n, timeline):
                server.execute("insert into history values (%s, %s)", (n, timeline))
                moments[n] = server.value("select clock_timestamp()")

            write(first, 1, 1)
            write(first, 2, 1)
            for timeline in (2, 3):
                before = servers[-1]
                standby = before.standby()
                servers.append(standby)
                standby.wait_for(f"select pg_last_wal_replay_lsn() >= '{before.value('select pg_current_wal_flush_lsn()')}'")
                before.stop()
                standby.promote()
                one.server = standby
                write(standby, timeline * 10, timeline)
                write(standby, timeline * 10 + 1, timeline)
                one.follower.wait_for(lambda timeline=timeline: one.follower.timeline == timeline, 60)
                one.shipped()
                if timeline == 2:
                    one.backup("on two")
                    write(standby, 25, 2)
                    one.shipped()
            yield one, moments
    finally:
        for server in reversed(servers):
            server.remove()


def restored(one, name, to, **options):
    until = one.recovery.target(to, dt.datetime.now(dt.UTC), dt.UTC)
    made = plan(one.recovery, one.history, one.ground / name, until, {"start": True, "durable": False, **options})
    return made, run(made, one.recovery, one.history, Silent(), CLOCK)


def numbers(done):
    with psycopg.connect(done.restored.connection, autocommit=True) as connection:
        return [n for (n,) in connection.execute("select n from history order by n").fetchall()]


@pytest.mark.parametrize(
    ("upto", "expected", "timeline", "label"),
    [
        (1, [1], 1, "on one"),
        (20, [1, 2, 20], 2, "on one"),
        (25, [1, 2, 20, 21, 25], 3, "on two"),
        (30, [1, 2, 20, 21, 25, 30], 3, "on two"),
    ],
)
def test_to_a_time_on_each_timeline(story, upto, expected, timeline, label):
    one, moments = story
    made, done = restored(one, f"to{upto}", moments[upto].isoformat())
    assert made.restore.place["timeline"] == timeline
    assert made.restore.point.label == label
    assert numbers(done) == expected
    # A number that no server has used yet: the copy's history cannot be taken for one of production's.
    assert done.restored.reached["timeline"] == 4
    stop(done.restored.into)


def test_latest_is_the_newest_timeline_and_a_number_leads_to_an_older_one(story):
    one, _ = story
    made, done = restored(one, "latest", "latest")
    assert made.restore.place["timeline"] == 3
    assert numbers(done) == [1, 2, 20, 21, 25, 30, 31]
    stop(done.restored.into)
    made, done = restored(one, "older", "latest", timeline=1)
    assert numbers(done) == [1, 2]
    stop(done.restored.into)


def test_as_a_standby_it_stays_in_recovery_and_follows_on(story):
    one, _ = story
    primary = one.server
    info = f"host={primary.folder} port={primary.port} user=postgres"
    _, done = restored(one, "standby", "latest", **{"as": "standby", "primary_conninfo": info})
    assert done.restored.reached["recovering"]
    primary.execute("insert into history values (99, 3)")
    target = primary.value("select pg_current_wal_flush_lsn()")
    with psycopg.connect(done.restored.connection, autocommit=True) as connection:
        for _ in range(200):
            [at] = connection.execute("select pg_last_wal_replay_lsn()::text").fetchone()
            if positions.parse(at) >= positions.parse(target):
                break
            connection.execute("select pg_sleep(0.1)")
    assert 99 in numbers(done)
    stop(done.restored.into)
