"""Following real servers into a real vault."""

import pytest

from holdfast.systems.postgres import lsn
from tests.postgres.wal.following import assembled, logs_of, new_vault, running
from tests.postgres.wal.wal_sample import make_wal

pytestmark = pytest.mark.postgres
BUSY = {"max_prepared_transactions": "5", "wal_keep_size": "1GB"}


def flushed(server) -> int:
    return lsn.parse(server.value("select pg_current_wal_flush_lsn()::text"))


def server_bytes(server, start: int, end: int, timeline: int = 1) -> bytes:
    """The same stretch out of the server's own pg_wal."""
    first = start - start % lsn.SEGMENT
    names = [lsn.segment_name(timeline, at) for at in range(first, end, lsn.SEGMENT)]
    return b"".join((server.data / "pg_wal" / name).read_bytes() for name in names)[start - first : end - first]


@pytest.mark.parametrize("version", [14, 15, 18])
def test_the_vault_holds_the_servers_bytes(servers, tmp_path, version) -> None:
    server = servers(version, settings=BUSY)
    new_vault(tmp_path)
    with running(server.dsn, logs_of(tmp_path)) as follow:
        follow.wait_for(lambda: follow.follower.durable)
        make_wal(server)
        server.pgbench("-i", "-s", "3", "-q")
        server.pgbench("-T", "2", "-c", "2", "-n")
        end = flushed(server)
        follow.wait(end)
        restart = server.value("select restart_lsn::text from pg_replication_slots where slot_name = 'holdfast_db' and active")
        server.wait_for(f"select flush_lsn >= '{lsn.show(end)}' from pg_stat_replication")
        assert restart
        status = follow.statuses[-1]
        assert status.commits > 100
        follow.wait_for(lambda: follow.follower.status().exposure < 1 and follow.follower.status().covered)
    logs = logs_of(tmp_path)
    (branch,) = logs.branches()
    ((start, stop),) = logs.reader(branch).coverage()
    assert start % lsn.SEGMENT == 0
    assert stop >= end
    assert assembled(logs, branch, start, end) == server_bytes(server, start, end)
    metas = [logs.reader(branch).meta(i) for i in logs.reader(branch).increments()]
    assert {p["name"] for m in metas for p in m.get("restore_points", [])} == {"before the switch", "Zürich 'quoted'"}
    assert sum(m["commits"] for m in metas) == status.commits or follow.statuses[-1].commits == sum(m["commits"] for m in metas)
    assert not any("unreadable" in m for m in metas)
