"""From a standby: the role is found at each run, the copy is consistent, and a promotion in the middle is never a point."""

import http.server
import json
import threading
import time

import pytest

from holdfast.model import Silent
from holdfast.systems.postgres import faults, lsn
from holdfast.systems.postgres.cluster import members
from holdfast.systems.postgres.link.replication import ReplicationClient
from holdfast.systems.postgres.settings import PostgresSettings
from holdfast.systems.postgres.system import PostgresSystem
from tests.postgres.capture.recording import FolderWriter, MemoryLogs, restore_by_hand
from tests.postgres.capture.test_inplace import content

pytestmark = pytest.mark.postgres


@pytest.fixture
def pair(servers):
    def make(version):
        primary = servers(version)
        primary.execute("create table t as select i, md5(i::text) as s from generate_series(1, 20000) i")
        standby = servers.keep(primary.standby(slot="standby"))
        caught_up(primary, standby)
        return primary, standby

    return make


def caught_up(primary, standby):
    target = primary.value("select pg_current_wal_lsn()::text")
    standby.wait_for(f"select pg_last_wal_replay_lsn() >= '{target}'")


def system(primary, standby, policy="standby", **more):
    return PostgresSystem("s", PostgresSettings(dsns=(primary.dsn, standby.dsn), policy=policy, wal_wait=120, **more))


def test_a_standby_that_was_just_started_shows_its_lag_when_it_has_replayed_something(pair):
    """Behind, and no commit replayed yet: nobody knows by how much."""
    primary, standby = pair(15)
    for one in (primary, standby):
        one.execute("checkpoint")
    standby.restart()
    standby.execute("select pg_wal_replay_pause()")
    standby.wait_for("select pg_get_wal_replay_pause_state() = 'paused'")
    primary.execute("update t set s = 'new' where i = 1")
    standby.wait_for("select pg_last_wal_receive_lsn() > pg_last_wal_replay_lsn()")
    assert standby.value("select pg_last_xact_replay_timestamp() is null")
    later = threading.Timer(1, lambda: standby.execute("select pg_wal_replay_resume()"))
    later.start()
    _, found = members.discover(PostgresSettings(dsns=(primary.dsn, standby.dsn)))
    later.join()
    assert found.role == "standby"
    assert found.lag is not None
    assert 0 <= found.lag < 60


@pytest.mark.parametrize(("version", "in_place"), [(14, True), (15, False), (18, True)])
def test_a_standby_is_captured_consistently(servers, pair, tmp_path, version, in_place):
    primary, standby = pair(version)
    stop = threading.Event()

    def work():
        with primary.connect() as connection:
            i = 0
            while not stop.wait(0.002):
                i += 1
                connection.execute("update t set s = 'w' || %s where i = %s", (i, i % 20000 + 1))

    thread = threading.Thread(target=work)
    thread.start()
    writer, logs = FolderWriter(tmp_path / "point"), MemoryLogs()
    try:
        point = system(primary, standby, data_directory=standby.data if in_place else None).capture(writer, Silent(), logs=logs)
    finally:
        stop.set()
        thread.join()
    assert point.facts["role"] == "standby"
    assert point.facts["method"] == ("in-place" if in_place else "remote")
    assert "BACKUP FROM: standby" in (tmp_path / "point" / "backup_label").read_text()
    assert "standby.signal" not in writer.entries
    assert point.findings == []
    [(_, end)] = logs.reader(point.logs).coverage(0)
    assert end >= lsn.parse(point.stop["lsn"])
    restore_by_hand(writer.done(), logs, tmp_path / "restored")
    restored = servers.attach(version, tmp_path / "restored")
    assert restored.value("select count(*) from t") == 20000
    restored.execute("vacuum full t")


@pytest.mark.parametrize("in_place", [True, False], ids=["in-place", "remote"])
def test_a_promotion_in_the_middle_is_never_a_point(pair, tmp_path, in_place):
    primary, standby = pair(15)
    writer = FolderWriter(tmp_path / "point")

    class Promoter(Silent):
        def phase(self, name, total=None, unit="B"):
            if name == "data":
                primary.stop()
                standby.promote()

    with pytest.raises(faults.PromotedDuringBackup) as caught:
        system(primary, standby, data_directory=standby.data if in_place else None).capture(writer, Promoter(), logs=MemoryLogs())
    assert not hasattr(writer, "point")
    assert "again" in caught.value.hint


def test_a_stream_that_a_promotion_ended_may_still_be_told_what_is_durable(pair):
    """The word comes from a timer: it may fall due in the very round in which the end was heard."""
    primary, standby = pair(15)
    with ReplicationClient(standby.dsn) as client:
        stream = client.start(client.identify().position // lsn.SEGMENT * lsn.SEGMENT, 1)
        primary.stop()
        standby.promote()
        until, heard = time.monotonic() + 60, bytearray()
        while stream.ended is None:
            assert time.monotonic() < until
            stream.receive(heard, 1 << 20, 0.5)
            heard.clear()
        stream.confirm(stream.position)
        assert client.identify().timeline == 2


def test_roles_are_found_anew_after_a_promotion(servers, pair, tmp_path):
    primary, standby = pair(15)
    both = system(primary, standby)
    assert both.member().role == "standby"
    before = both.coordinate()
    assert (before["role"], before["timeline"]) == ("primary", 1)
    primary.stop()
    standby.promote()
    with pytest.raises(faults.NoSuitableMember):
        both.member()
    promoted = system(primary, standby, policy="prefer-standby")
    assert promoted.member().role == "primary"
    assert promoted.coordinate()["timeline"] == 2
    standby.execute("insert into t values (0, 'on timeline 2')")
    writer, logs = FolderWriter(tmp_path / "point"), MemoryLogs()
    point = promoted.capture(writer, Silent(), logs=logs)
    assert point.start["timeline"] == point.stop["timeline"] == 2
    history = (standby.data / "pg_wal" / "00000002.history").read_bytes()
    assert point.logs == lsn.branch(point.facts["system_identifier"], 2, history)
    assert point.facts["timeline_history"] == history.decode()
    expected = content(standby, "t")
    restore_by_hand(writer.done(), logs, tmp_path / "restored")
    (tmp_path / "restored" / "pg_wal" / "00000002.history").write_bytes(history)
    assert content(servers.attach(15, tmp_path / "restored"), "t") == expected


def test_two_primaries_are_refused(pair):
    primary, standby = pair(15)
    standby.promote()
    with pytest.raises(faults.MembersDiffer, match="primary"):
        system(primary, standby).member()


def test_a_standby_that_lags_too_far_is_not_used(pair):
    primary, standby = pair(15)
    primary.execute("insert into t values (1, 'replayed')")
    caught_up(primary, standby)
    standby.execute("select pg_wal_replay_pause()")
    primary.execute("insert into t values (1, 'later')")
    standby.wait_for("select pg_last_wal_receive_lsn() > pg_last_wal_replay_lsn()")
    settings = PostgresSettings(dsns=(primary.dsn, standby.dsn))
    found = members.discover(settings)
    lagging = next(one for one in found if one.role == "standby")
    assert lagging.lag is not None
    assert lagging.lag > 0
    with pytest.raises(faults.NoSuitableMember, match="behind"):
        members.choose(found, "standby", 0.0)
    assert members.choose(found, "prefer-standby", 0.0).role == "primary"
    assert members.choose(found, "prefer-standby", 3600.0).role == "standby"


def test_an_idle_standby_that_has_everything_does_not_lag(pair):
    primary, standby = pair(15)
    caught_up(primary, standby)
    found = members.discover(PostgresSettings(dsns=(primary.dsn, standby.dsn)))
    assert [one.lag for one in found] == [0.0, 0.0]


def test_patroni_names_the_members(pair):
    primary, standby = pair(15)
    answer = {"members": [{"name": "a", "role": "leader", "host": "127.0.0.1", "port": one.port} for one in (primary, standby)]}
    answers = [(200, json.dumps(answer).encode()), (200, b"<html>"), (503, b"{}")]

    class Patroni(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            assert self.path == "/cluster"
            status, body = answers.pop(0)
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = http.server.HTTPServer(("127.0.0.1", 0), Patroni)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        settings = PostgresSettings(dsns=("user=postgres dbname=postgres",), patroni=f"http://127.0.0.1:{server.server_port}")
        found = members.discover(settings)
        # Who is primary is the servers' own word, whatever Patroni calls them.
        assert sorted(str(one.role) for one in found) == ["primary", "standby"]
        for _ in range(2):
            with pytest.raises(faults.PatroniUnreachable):
                members.discover(settings)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    with pytest.raises(faults.PatroniUnreachable):
        members.discover(settings)


def test_a_standby_of_which_nothing_is_known_is_not_taken_for_a_fresh_one():
    unknown = members.Member("host=x", "x:5432", role="standby", lag=None)
    with pytest.raises(faults.NoSuitableMember, match="lag unknown"):
        members.choose([unknown], "standby", float("inf"))
