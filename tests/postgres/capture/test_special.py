"""What lies in real clusters: tablespaces, odd names, outside configuration, bad pages, thousands of relations, nothing at all."""

import os
import time

import pytest

from holdfast.systems.postgres.faults import BackupWalMissing, DataDirectoryDiffers, DumpFailed
from tests.postgres.capture.recording import FolderWriter, MemoryLogs, restore_by_hand
from tests.postgres.capture.test_inplace import capture, content
from tests.servers.account import server_folder, service_account

pytestmark = pytest.mark.postgres
BOTH = pytest.mark.parametrize("in_place", [True, False], ids=["in-place", "remote"])


@pytest.fixture
def folder():
    """A folder that the servers' account may write."""
    made = []

    def make():
        made.append(server_folder("space"))
        return made[-1]

    yield make
    import shutil

    for one in made:
        shutil.rmtree(one, ignore_errors=True)


@pytest.mark.parametrize(("version", "in_place"), [(14, False), (15, True), (18, False)])
def test_tablespaces_belong_to_the_point(servers, tmp_path, folder, in_place, version):
    server = servers(version)
    space = folder() / "näme with space"
    space.mkdir(mode=0o700)
    service_account().own(space)
    server.execute(f"create tablespace \"Ä space\" location '{space}'")
    server.execute('create table far (a int) tablespace "Ä space"; insert into far select generate_series(1, 5000)')
    server.execute('create database "fär dätabase" tablespace "Ä space"')
    server.execute('create table "ta""ble" ("säulen name" text); insert into "ta""ble" values (\'grüße\')', dbname="fär dätabase")
    (space / "PG_99_1").mkdir()
    (space / "PG_99_1" / "foreign").write_bytes(b"another cluster's")
    expected = content(server, "far"), content(server, '"ta""ble"', "fär dätabase")
    oid = server.value("select oid::int8 from pg_tablespace where spcname = 'Ä space'")
    logs = MemoryLogs()
    point = capture(server, tmp_path / "point", logs=logs, in_place=in_place)
    assert point.point.facts["tablespaces"] == [{"oid": oid, "path": str(space), "name": "Ä space"}]
    assert "fär dätabase" in [one["name"] for one in point.point.facts["databases"]]
    top = point._entries[f"pg_tblspc/{oid}"]
    assert (top.kind, top.extra) == ("dir", {"tablespace": str(space), "name": "Ä space"})
    assert not [path for path in point._entries if "PG_99" in path]
    assert f"{oid} {space}" in (point.folder / "tablespace_map").read_text()

    restore_by_hand(point, logs, tmp_path / "restored")
    server.stop()
    restored = servers.attach(version, tmp_path / "restored")
    assert (content(restored, "far"), content(restored, '"ta""ble"', "fär dätabase")) == expected


def damage(server, table, block, at=4000):
    """Flips a byte of a table's block while the server is down."""
    path = server.data / server.value(f"select pg_relation_filepath('{table}')")
    server.execute("checkpoint")
    server.stop()
    with path.open("r+b") as file:
        file.seek(block * 8192 + at)
        byte = file.read(1)
        file.seek(block * 8192 + at)
        file.write(bytes([byte[0] ^ 0xFF]))
    server.start()
    return str(path.relative_to(server.data))


@pytest.mark.parametrize(("version", "in_place"), [(15, True), (15, False), (18, True)])
def test_a_bad_page_is_named_and_the_backup_completes(servers, tmp_path, in_place, version):
    server = servers(version)
    server.execute(
        "create schema shop; create table shop.\"Order lines\" as select i, repeat('x', 100) as s from generate_series(1, 5000) i"
    )
    path = damage(server, 'shop."Order lines"', 3)
    point = capture(server, tmp_path / "point", in_place=in_place)
    [found] = point.point.findings
    assert found.code == "pg-bad-page"
    assert found.where["path"] == path
    assert found.where["block"] == 3
    assert found.where["relation"] == 'postgres.shop."Order lines"'
    assert point.point.facts["bad_pages"] == 1
    assert point._entries[path].size > 0


def test_a_bad_page_in_the_base_stays_named_in_an_incremental(servers, tmp_path):
    server = servers(18, settings={"summarize_wal": "on"})
    server.execute("create table t as select i, repeat('x', 100) as s from generate_series(1, 5000) i")
    path = damage(server, "t", 2)
    logs = MemoryLogs()
    base = capture(server, tmp_path / "base", logs=logs)
    writer = FolderWriter(tmp_path / "next", base)
    point = capture(server, tmp_path / "next", logs=logs, writer=writer)
    assert writer.reused
    assert path not in writer.reused
    assert [one.where["path"] for one in point.point.findings] == [path]


def test_without_checksums_pages_are_not_judged(servers, tmp_path):
    server = servers(15, checksums=False)
    server.execute("create table t as select i from generate_series(1, 500) i")
    damage(server, "t", 0)
    point = capture(server, tmp_path / "point")
    assert point.point.facts["checksums"] is False
    assert point.point.findings == []


@BOTH
def test_configuration_outside_belongs_to_the_point(servers, tmp_path, folder, in_place):
    server = servers(15, start=False)
    etc = folder() / "etc postgresql"
    (etc / "conf.d").mkdir(parents=True)
    (etc / "conf.d" / "extra.conf").write_text("work_mem = '5MB'\n")
    for name in ("postgresql.conf", "pg_hba.conf", "pg_ident.conf"):
        (server.data / name).rename(etc / name)
    with (etc / "postgresql.conf").open("a") as conf:
        conf.write(f"data_directory = '{server.data}'\n")
        conf.write(f"hba_file = '{etc}/pg_hba.conf'\nident_file = '{etc}/pg_ident.conf'\ninclude_dir = 'conf.d'\n")
    service_account().own(etc)
    server.settings["config_file"] = str(etc / "postgresql.conf")
    server.start()
    assert server.value("show work_mem") == "5MB"
    point = capture(server, tmp_path / "point", in_place=in_place)
    facts = {one["entry"]: one for one in point.point.facts["config_files"]}
    assert facts["holdfast/config/postgresql.conf"] == {
        "setting": "config_file",
        "path": str(etc / "postgresql.conf"),
        "entry": "holdfast/config/postgresql.conf",
    }
    for entry, original in {
        "holdfast/config/postgresql.conf": etc / "postgresql.conf",
        "holdfast/config/pg_hba.conf": etc / "pg_hba.conf",
        "holdfast/config/pg_ident.conf": etc / "pg_ident.conf",
        f"holdfast/config/include/{str(etc).lstrip('/')}/conf.d/extra.conf": etc / "conf.d" / "extra.conf",
    }.items():
        assert (point.folder / entry).read_bytes() == original.read_bytes()
        assert point._entries[entry].extra["original"] == str(original)
    assert point.point.facts["config_missing"] == []


def test_ten_thousand_relations(servers, tmp_path):
    server = servers(15, settings={"max_locks_per_transaction": "4096"})
    server.execute("do $$ begin for i in 1..5000 loop execute format('create table t%s (a int primary key)', i); end loop; end $$")
    began = time.monotonic()
    point = capture(server, tmp_path / "point")
    seconds = time.monotonic() - began
    relations = [path for path in point._entries if path.startswith(("base/5/", "base/1"))]
    assert len(relations) > 10_000
    assert seconds < 200


def test_an_empty_cluster(servers, tmp_path):
    server = servers(18)
    logs = MemoryLogs()
    point = capture(server, tmp_path / "point", logs=logs)
    restore_by_hand(point, logs, tmp_path / "restored")
    assert servers.attach(18, tmp_path / "restored").value("select count(*) from pg_class") > 300


def test_a_relation_that_vanishes_while_it_is_read_is_no_fault(servers, tmp_path):
    server = servers(15)
    server.execute("create table zz as select i from generate_series(1, 50000) i; create table other as select 1 as a")
    path = server.value("select pg_relation_filepath('zz')")
    logs = MemoryLogs()
    writer = FolderWriter(tmp_path / "point")
    did = []

    def drop(entry):
        if not did:
            did.append(entry.path)
            server.execute("drop table zz")
            # The first segment's file goes at a checkpoint.
            server.execute("checkpoint")
            assert not (server.data / path).exists()

    writer.before_read = drop
    point = capture(server, tmp_path / "point", logs=logs, writer=writer)
    assert did
    assert point.point.findings == []
    restore_by_hand(point, logs, tmp_path / "restored")
    restored = servers.attach(15, tmp_path / "restored")
    assert restored.value("select to_regclass('zz') is null and to_regclass('other') is not null") is True


def test_a_growing_and_a_shrinking_file_are_no_fault(servers, tmp_path):
    server = servers(15)
    server.execute(
        "create table grows as select 1 as i; create table shrinks as select i, repeat('x', 500) s from generate_series(1, 30000) i"
    )
    paths = {name: server.value(f"select pg_relation_filepath('{name}')") for name in ("grows", "shrinks")}
    writer = FolderWriter(tmp_path / "point")
    logs = MemoryLogs()

    def change(entry):
        if entry.path == paths["grows"]:
            server.execute("insert into grows select generate_series(1, 100000)")
        if entry.path == paths["shrinks"]:
            server.execute("delete from shrinks where i > 10")
            server.execute("vacuum (freeze) shrinks")
            server.execute("checkpoint")

    writer.before_read = change
    point = capture(server, tmp_path / "point", logs=logs, writer=writer)
    assert point.point.findings == []
    restore_by_hand(point, logs, tmp_path / "restored")
    restored = servers.attach(15, tmp_path / "restored")
    assert restored.value("select (select count(*) from grows) = 100001 and (select count(*) from shrinks) = 10") is True


@pytest.mark.soak
def test_a_relation_over_a_gibibyte(servers, tmp_path):
    server = servers(15)
    server.execute("create table big (a int, filler char(2000)) with (fillfactor = 10)")
    server.execute("insert into big select i, '' from generate_series(1, 140000) i")
    path = server.value("select pg_relation_filepath('big')")
    assert (server.data / f"{path}.1").exists()
    expected = server.value("select count(*) || ':' || sum(a) from big")
    logs = MemoryLogs()
    point = capture(server, tmp_path / "point", logs=logs)
    assert point.point.findings == []
    restore_by_hand(point, logs, tmp_path / "restored")
    assert servers.attach(15, tmp_path / "restored").value("select count(*) || ':' || sum(a) from big") == expected


def test_another_clusters_data_directory_is_not_read(servers, tmp_path):
    server, other = servers(15), servers(15)
    writer = FolderWriter(tmp_path / "point")
    from holdfast.model import Silent
    from holdfast.systems.postgres.settings import PostgresSettings
    from holdfast.systems.postgres.system import PostgresSystem

    # Not running there: over the protocol, and from the server that the plan names.
    system = PostgresSystem("s", PostgresSettings(dsns=(server.dsn,), data_directory=other.data))
    point = system.capture(writer, Silent(), logs=MemoryLogs())
    assert point.facts["method"] == "remote"
    assert point.facts["system_identifier"] == server.value("select system_identifier::text from pg_control_system()")
    # Same port, same start, but the server's processes are not that postmaster's children.
    lines = (server.data / "postmaster.pid").read_text().splitlines()
    (other.data / "postmaster.pid").write_text("\n".join([str(other.pid), *lines[1:]]) + "\n")
    point = system.capture(FolderWriter(tmp_path / "third"), Silent(), logs=MemoryLogs())
    assert point.facts["method"] == "remote"
    # A control file that says otherwise is refused, whatever postmaster.pid says.
    (other.data / "postmaster.pid").write_bytes((server.data / "postmaster.pid").read_bytes())
    with pytest.raises(DataDirectoryDiffers):
        system.capture(FolderWriter(tmp_path / "again"), Silent(), logs=MemoryLogs())


def test_a_logical_dump_lies_beside_the_copy(servers, tmp_path):
    from tests.servers.versions import client_tool

    server = servers(15)
    server.execute('create database "with space"')
    server.execute("create table t as select 42 as answer", dbname="with space")
    point = capture(server, tmp_path / "point", databases=("with space",), pg_dump=str(client_tool("pg_dump")))
    [dump] = point.point.facts["dumps"]
    assert dump["database"] == "with space"
    assert dump["entry"] == "holdfast/logical/with%20space.dump"
    data = (point.folder / dump["entry"]).read_bytes()
    assert data.startswith(b"PGDMP")
    assert b"answer" in data
    assert len(data) == dump["bytes"]


def test_a_dump_that_fails_commits_nothing(servers, tmp_path):
    from tests.servers.versions import client_tool

    server = servers(15)
    writer = FolderWriter(tmp_path / "point")
    with pytest.raises(DumpFailed, match="nowhere"):
        capture(server, tmp_path / "point", writer=writer, databases=("nowhere",), pg_dump=str(client_tool("pg_dump")))
    assert not hasattr(writer, "point")
    with pytest.raises(DumpFailed, match="cannot be started"):
        capture(server, tmp_path / "p2", databases=("postgres",), pg_dump="/no/such/pg_dump")


@BOTH
def test_no_wal_no_commit(servers, tmp_path, in_place):
    from holdfast.storage.contract import StorageFull

    server = servers(15)
    writer, logs = FolderWriter(tmp_path / "point"), MemoryLogs()
    logs.fault = StorageFull("full")
    with pytest.raises(StorageFull):
        capture(server, tmp_path / "point", writer=writer, logs=logs, in_place=in_place)
    assert not hasattr(writer, "point")
    # Nothing stays behind on the server: no slot, no backup in progress, no sender.
    server.wait_for("select count(*) = 0 from pg_replication_slots")
    server.wait_for("select count(*) = 0 from pg_stat_replication")


def test_a_follower_that_holds_the_branch_brings_the_wal(servers, tmp_path):
    # The stand-in of a follower has no slot: the server must keep the WAL for it all the same.
    server = servers(15, settings={"wal_keep_size": "256MB"})
    source, held = MemoryLogs(), MemoryLogs()
    first = capture(server, tmp_path / "first", logs=source)
    branch = first.point.logs
    held.held.add(branch)
    with pytest.raises(BackupWalMissing) as caught:
        capture(server, tmp_path / "waits", logs=held, patience=1.0)
    assert "follower" in caught.value.message
    assert caught.value.details["stop"]

    import threading

    copied = threading.Event()

    def follow():
        # A follower of another process, in short: it ships what the server has, again and again.
        from holdfast.systems.postgres.link.replication import ReplicationClient

        with ReplicationClient(server.dsn) as client:
            position = client.identify().position
            stream = client.start(position - position % (16 << 20), 1)
            while not copied.is_set():
                buffer = bytearray()
                if stream.receive(buffer, 1 << 20, 0.1):
                    held.pieces.setdefault(branch, []).append((stream.position - len(buffer), bytes(buffer), {}))
                if stream.reply_requested:
                    stream.confirm(stream.position)

    server.execute("create table t as select i from generate_series(1, 1000) i")
    thread = threading.Thread(target=follow)
    thread.start()
    try:
        point = capture(server, tmp_path / "point", logs=held)
    finally:
        copied.set()
        thread.join()
    restore_by_hand(point, held, tmp_path / "restored")
    assert servers.attach(15, tmp_path / "restored").value("select count(*) from t") == 1000


def test_wal_that_is_there_already_is_not_sent_again(servers, tmp_path):
    server = servers(15)
    logs = MemoryLogs()
    for number in range(3):
        capture(server, tmp_path / str(number), logs=logs)
    [pieces] = logs.pieces.values()
    covered = set()
    for at, data, _ in pieces:
        stretch = range(at // 8192, (at + len(data)) // 8192)
        assert not covered & set(stretch)
        covered |= set(stretch)
    meta = pieces[-1][2]
    assert meta["segment_size"] == 16 << 20
    assert meta["timeline"] == 1
    assert os.fspath(server.data) not in str(meta)
