"""A log whose small increments were joined and removed: every moment is found as before, and recovered to."""

import datetime as dt

import psycopg
import pytest

from holdfast.model import Silent, SystemClock
from holdfast.recovery import plan, run
from holdfast.systems.postgres.follow.meta import merge
from holdfast.systems.postgres.wal.coverage import indexes
from holdfast.vault import prune
from holdfast.vault.logs.compact import compact_system
from holdfast.vault.points.retention import Keep
from tests.postgres.restore.conftest import stop
from tests.recovery.whole import whole
from tests.servers import PostgresServer, need

pytestmark = pytest.mark.postgres
AT_ONCE = dt.timedelta(seconds=-1)


def answers(one):
    (index,) = indexes(one.vault.logs("db")).values()
    (start, end) = index.stretches[0][0], index.stretches[-1][1]
    commits = list(index.commits(start, end))
    # Each answer may read a whole large increment.
    some = [commits[-1], commits[len(commits) // 2]]
    return {
        "commits": commits,
        "by xid": [index.commit(mark.xid, start, end) for mark in some],
        "after": [index.first_after(mark.time, start, end) for mark in some],
        "before": [index.last_before(mark.time, start, end) for mark in some],
        "named": index.restore_points(),
        "first": index.first_commit,
        "covered": index.covered_until,
        "stretches": index.stretches,
    }


def test_every_moment_is_found_and_recovered_to(tmp_path):
    with need():
        server = PostgresServer.create(15)
    with server, whole(server, tmp_path) as one:
        server.execute("create table t(n int)")
        one.follow()
        one.backup("base")
        moments = []
        for number in range(24):
            server.execute(f"insert into t values ({number})")
            if number == 11:
                server.execute("select pg_create_restore_point('eleven')")
            one.shipped()
            moments.append(one.now())
        one.follower.stop()
        one.follower = None
        before = answers(one)
        storage = one.vault.locations.first
        small = len(list(storage.list("logs/")))
        done = compact_system([storage], one.vault.notary, SystemClock(), system="db", merge=merge, settled=AT_ONCE)
        assert done.joined >= 20
        # Both lie there; then only the large ones.
        assert answers(one) == before
        made = prune.make(one.vault, {"db": Keep(last=1)}, zone=dt.UTC, grace=dt.timedelta(0))
        pruned = prune.run(one.vault, made, most=1)
        assert pruned.logs >= done.joined
        assert len(list(storage.list("logs/"))) <= small - done.joined + done.made
        after = answers(one)
        assert after == {**before, "stretches": after["stretches"]}
        assert after["stretches"][-1][1] == before["stretches"][-1][1]
        target = one.recovery.target(moments[11].isoformat(), one.now(), dt.UTC)
        wish = plan(one.recovery, one.history, one.ground / "eleven", target, {"start": True, "durable": False})
        restored = run(wish, one.recovery, one.history, Silent(), SystemClock())
        with psycopg.connect(restored.restored.connection, autocommit=True) as connection:
            assert connection.execute("select count(*), max(n) from t").fetchall() == [(12, 11)]
        stop(restored.restored.into)
