"""A cluster returned to a time, an LSN, a transaction, a named restore point, the end of the log, or the first consistent moment."""

import datetime as dt
import time

import pytest

from holdfast.systems.postgres import lsn as positions
from holdfast.systems.postgres.restore.errors import NoRecoveryPoint, TargetUnreachable
from tests.postgres.restore.conftest import query, stop
from tests.postgres.restore.standin import FolderHistory

pytestmark = pytest.mark.postgres


@pytest.fixture(scope="module")
def story(server):
    """A table of moments: one row a commit, between a base backup and the end of the log."""
    history = FolderHistory()
    server.execute("create table moments(n int primary key, lsn pg_lsn, xid xid8)")
    server.execute("insert into moments values (0)")
    before_all = server.value("select clock_timestamp()")
    point = history.take_point(server, label="first")
    moments = {}
    for n in range(1, 6):
        [(xid,)] = server.execute("insert into moments values (%s) returning pg_current_xact_id()::text::bigint", (n,))
        moments[n] = {
            "time": server.value("select clock_timestamp()"),
            "lsn": server.value("select pg_current_wal_insert_lsn()"),
            "xid": xid,
        }
        server.execute("select pg_create_restore_point(%s)", (f"after-{n}",))
        time.sleep(0.02)
    server.execute("checkpoint")
    history.take_wal(server)
    return history, point, moments, before_all


def rows(restored):
    return [n for (n,) in query(restored, "select n from moments order by n")]


def test_to_a_time_between_commits(story, bench):
    history, _, moments, _ = story
    restored = bench(history).restore(moments[3]["time"].isoformat())
    assert rows(restored) == [0, 1, 2, 3]
    assert query(restored, "select pg_is_in_recovery()") == [(False,)]
    assert restored.reached["timeline"] == 2
    assert set(restored.clocks) == {"prepare", "restore", "replay"}
    stop(restored.into)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("lsn", [0, 1, 2]),
        ("xid", [0, 1, 2]),
        ("before xid", [0, 1]),
        ("name", [0, 1, 2]),
        ("latest", [0, 1, 2, 3, 4, 5]),
        ("immediate", [0]),
        ("label", [0]),
        ("after last commit", [0, 1, 2, 3, 4, 5]),
    ],
)
def test_to_each_kind_of_target(story, bench, text, expected):
    history, point, moments, _ = story
    two = moments[2]
    to = {
        "lsn": f"lsn:{two['lsn']}",
        "xid": f"xid:{two['xid']}",
        "before xid": f"before xid:{two['xid']}",
        "name": "name:after-2",
        "latest": "latest",
        "immediate": "immediate",
        "label": "first",
        "after last commit": (history.covered[point.logs] - dt.timedelta(microseconds=1)).isoformat(),
    }[text]
    restored = bench(history).restore(to)
    assert rows(restored) == expected
    stop(restored.into)


def test_paused_it_is_read_only_at_the_target(story, bench):
    history, _, moments, _ = story
    restored = bench(history).restore(moments[1]["time"].isoformat(), target_action="pause")
    assert rows(restored) == [0, 1]
    assert query(restored, "select pg_is_in_recovery()") == [(True,)]
    stop(restored.into)


def test_the_future_is_refused_and_nothing_is_written(story, bench):
    history, *_ = story
    work = bench(history)
    with pytest.raises(TargetUnreachable, match="future"):
        work.plan("2999-01-01", into=work.ground / "never")
    assert not (work.ground / "never").exists()


def test_before_the_first_point_is_refused_with_the_nearest(story, bench):
    history, point, _, before_all = story
    with pytest.raises(TargetUnreachable) as caught:
        bench(history).plan((before_all - dt.timedelta(hours=1)).isoformat())
    assert "was begun only at" in caught.value.message
    assert caught.value.details["nearest"][0]["side"] == "after"
    assert caught.value.details["nearest"][0]["lsn"] == point.stop["lsn"]


def test_past_what_the_follower_covered_is_refused(story, bench):
    history, point, *_ = story
    time.sleep(0.01)
    with pytest.raises(TargetUnreachable, match="known only until"):
        bench(history).plan((history.covered[point.logs] + dt.timedelta(milliseconds=5)).isoformat())


def test_an_unknown_label_or_empty_vault(story, bench):
    history, *_ = story
    with pytest.raises(NoRecoveryPoint, match="frist"):
        bench(history).plan("frist")
    with pytest.raises(NoRecoveryPoint, match="no recovery point"):
        bench(FolderHistory()).plan()


def test_a_gap_in_the_wal_names_the_missing_part(server, bench):
    history = FolderHistory()
    server.execute("create table if not exists gap(n int)")
    point = history.take_point(server)
    log = history.branches_[point.logs]
    for n in range(3):
        server.execute("insert into gap values (%s)", (n,))
        server.execute("select pg_switch_wal()")
    after = server.value("select clock_timestamp()")
    server.execute("insert into gap values (9)")
    target = server.value("select pg_current_wal_insert_lsn()")
    history.take_wal(server)
    missing = sorted(log.segments)[-3]
    assert missing > positions.parse(point.stop["lsn"])
    del log.segments[missing]
    with pytest.raises(TargetUnreachable) as caught:
        bench(history).plan(f"lsn:{target}")
    assert caught.value.details["missing"] == {"from": positions.show(missing), "to": positions.show(missing + log.size), "bytes": log.size}
    assert positions.show(missing) in caught.value.message
    with pytest.raises(TargetUnreachable) as caught:
        bench(history).plan(after.isoformat())
    assert caught.value.details["missing"]["from"] == positions.show(missing)
    plan = bench(history).plan("latest")
    assert plan.place["lsn"] == positions.show(missing)
    assert "WAL is missing" in plan.warnings[0]
