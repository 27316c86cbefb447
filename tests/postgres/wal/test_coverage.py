"""Finding moments in a vault's log, against what the server itself recorded."""

import datetime as dt

import pytest

from holdfast.systems.postgres import lsn
from holdfast.systems.postgres.wal.coverage import LogIndex, indexes
from tests.postgres.wal.following import logs_of, new_vault, running
from tests.postgres.wal.test_follow import flushed
from tests.postgres.wal.wal_sample import dumped, make_wal

pytestmark = pytest.mark.postgres


@pytest.fixture(scope="module")
def covered(tmp_path_factory):
    """(index of the only branch, all commits as pg_waldump tells them, the server's clock before the first of them)."""
    from tests.servers import PostgresServer, need

    folder = tmp_path_factory.mktemp("covered")
    with need():
        server = PostgresServer.create(
            15, settings={"max_prepared_transactions": "5", "wal_keep_size": "1GB", "track_commit_timestamp": "on", "autovacuum": "off"}
        )
    new_vault(folder)
    with running(server.dsn, logs_of(folder), interval=0.02) as follow:
        follow.wait_for(lambda: follow.follower.durable)
        make_wal(server)
        for _ in range(25):
            server.execute("insert into t (v) select md5(n::text) from generate_series(1, 50) n")
            end = flushed(server)
            follow.wait(end)
    (index,) = indexes(logs_of(folder)).values()
    expected = dumped(server.data / "pg_wal", server.bin / "pg_waldump", index.stretches[0][0] + 40, end)
    yield index, [e for e in expected if e[0] == "COMMIT"], [e for e in expected if e[0] == "RESTORE_POINT"]
    server.remove()


def at(microseconds: int) -> dt.datetime:
    return dt.datetime(1970, 1, 1, tzinfo=dt.UTC) + dt.timedelta(microseconds=microseconds)


def test_every_commit_is_found_by_time_and_by_xid(covered) -> None:
    index, commits, _ = covered
    start, end = index.stretches[0]
    assert [(m.lsn, m.xid or 0, m.time) for m in index.commits(start, end)] == [(c[1], c[2], at(c[3])) for c in commits]
    for number in range(0, len(commits), 13):
        _, position, xid, stamp = commits[number]
        first = next(c for c in commits if c[3] >= stamp)
        found = index.first_after(at(stamp), start, end, inclusive=False)
        assert (found.lsn, found.time) == (first[1], at(first[3]))
        later = next((c for c in commits if c[3] > stamp), None)
        found = index.first_after(at(stamp), start, end)
        assert (found.lsn if found else None) == (later[1] if later else None)
        if xid:
            assert index.commit(xid, start, end).lsn == position
        assert index.last(start, position + 1).lsn == position
        assert index.last_before(at(stamp), start, end).lsn == (commits[commits.index(later) - 1][1] if later else commits[-1][1])
    assert index.last(start, end).lsn == commits[-1][1]
    assert index.first_after(at(commits[-1][3]), start, end) is None
    assert index.commit(4_000_000_000, start, end) is None
    assert index.last(start, start + 1) is None


def test_restore_points_and_bounds(covered) -> None:
    index, commits, points = covered
    start, end = index.stretches[0]
    assert [(m.lsn, m.name) for m in index.restore_points()] == [(p[1], p[3]) for p in points]
    assert index.named(points[0][3], start, end).lsn == points[0][1]
    assert index.named(points[0][3], points[0][1] + 1, end) is None
    assert index.named("no such point", start, end) is None
    assert index.first_commit == at(min(c[3] for c in commits[:1]))
    assert index.covered_until >= at(max(c[3] for c in commits)) - dt.timedelta(seconds=30)
    assert (index.timeline, index.history, index.gaps, index.segment_size) == (1, b"", (), lsn.SEGMENT)


def test_covered_time_is_never_ahead_of_what_is_there(covered) -> None:
    """Of each increment: nothing that was committed before its server time lies behind its end, but for what was slow to be written."""
    index, commits, _ = covered
    for one in index.increments:
        told = index.reader.meta(one).get("server_time")
        if told:
            assert all(c[1] < one.end for c in commits if at(c[3]) < dt.datetime.fromisoformat(told) - dt.timedelta(milliseconds=300))


def test_a_search_reads_little(covered) -> None:
    """By bisection: a search by time does not open every increment."""
    index, _, _ = covered
    fresh = LogIndex(index.reader)
    assert len(fresh.increments) > 20
    fresh.last(*fresh.stretches[0])
    assert len(fresh._metas) < len(fresh.increments) / 2
