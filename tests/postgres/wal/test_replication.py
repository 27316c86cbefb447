"""The replication client against real servers: what it reads, and what its refusals are called."""

import time

import pytest

from holdfast.systems.postgres import faults, lsn
from holdfast.systems.postgres.link.replication import ReplicationClient
from holdfast.systems.postgres.link.replication_errors import ReplicationLost, SlotBusy, TimelineUnknown, WalAhead
from tests.postgres.wal.test_follow import flushed

pytestmark = pytest.mark.postgres


def test_slots_and_identity_on_every_version(pg_any) -> None:
    with ReplicationClient(pg_any.dsn) as client:
        server = client.identify()
        assert server.timeline == 1
        assert server.system_identifier == str(pg_any.value("select system_identifier from pg_control_system()"))
        assert server.position <= flushed(pg_any)
        assert client.segment_size() == lsn.SEGMENT
        assert client.timeline_history(1) == b""
        assert not client.in_recovery
        assert client.read_slot("it's a slot") is None
        assert client.create_slot("hf_one")
        assert not client.create_slot("hf_one")
        state = client.read_slot("hf_one")
        assert 0 < state.restart <= flushed(pg_any)
        assert client.create_slot("hf_two", temporary=True, reserve=False)
        client.drop_slot("hf_one")
        assert client.read_slot("hf_one") is None
        with pytest.raises(ReplicationLost):
            client.command("NONSENSE")
        # An error leaves the connection fit for use.
        assert client.identify().system_identifier == server.system_identifier
    pg_any.wait_for("select count(*) = 0 from pg_replication_slots")


def test_stream_stop_and_go_on(pg_any) -> None:
    pg_any.execute("create table if not exists streamed (x text)")
    with ReplicationClient(pg_any.dsn) as client:
        start = client.identify().position // lsn.SEGMENT * lsn.SEGMENT
        for _ in range(2):
            stream = client.start(start, 1)
            pg_any.execute("insert into streamed select md5(n::text) from generate_series(1, 2000) n")
            end, data = flushed(pg_any), bytearray()
            until = time.monotonic() + 60
            while stream.position < end:
                assert time.monotonic() < until
                stream.receive(data, 1 << 20, 0.5)
            name = lsn.segment_name(1, start)
            held = (pg_any.data / "pg_wal" / name).read_bytes()
            assert bytes(data[: lsn.SEGMENT])[: end - start] == held[: end - start]
            before = stream.server_time
            while (stream.covered(stream.position) or 0) < before:
                assert time.monotonic() < until
                stream.confirm(stream.position, reply=True)
                stream.receive(data, 1 << 20, 0.5)
            stream.stop()
            assert client.identify().timeline == 1


def test_what_cannot_be_started_is_told_apart(pg15) -> None:
    with ReplicationClient(pg15.dsn) as client:
        here = client.identify().position
        with pytest.raises(WalAhead):
            client.start(here + (1 << 40), 1).receive(bytearray(), 1, 30)
        with pytest.raises(TimelineUnknown):
            client.start(here, 7)
        client.create_slot("hf_busy")
        stream = client.start(here, 1, "hf_busy")
        with ReplicationClient(pg15.dsn, timeout=30) as other, pytest.raises(SlotBusy):
            other.start(here, 1, "hf_busy")
        stream.stop()
        client.drop_slot("hf_busy")


def connected(dsn: str) -> ReplicationClient:
    """Once a walsender is free."""
    until = time.monotonic() + 60
    while True:
        try:
            return ReplicationClient(dsn)
        except faults.NoWalSender:
            assert time.monotonic() < until
            time.sleep(0.05)


def test_refusals_have_the_names_that_check_gives_them(servers) -> None:
    server = servers(15, password="secret word", settings={"max_wal_senders": "1", "max_replication_slots": "1"})
    server.execute("create role plain login password 'secret word'")
    with pytest.raises(faults.LoginRefused) as refused:
        ReplicationClient(f"{server.tcp_dsn} password='not that'")
    assert "not that" not in refused.value.message
    # The one walsender is free again when the process that refused has ended.
    with pytest.raises(faults.NoReplicationRight):
        connected(f"{server.tcp_dsn} user=plain password='secret word'")
    with connected(server.dsn) as client:
        client.create_slot("one")
        with pytest.raises(faults.NoSlotFree):
            client.create_slot("two")
        with pytest.raises(faults.NoWalSender):
            ReplicationClient(server.dsn)
    server.stop()
    with pytest.raises(faults.ServerUnreachable):
        ReplicationClient(server.dsn)
    minimal = servers(15, settings={"wal_level": "minimal", "max_wal_senders": "0", "max_replication_slots": "1"})
    with pytest.raises((faults.WalLevelMinimal, faults.NoWalSender)):
        ReplicationClient(minimal.dsn).create_slot("one")
