"""A running server captured in place, laid down by hand, started, and compared."""

import threading

import pytest

from holdfast.model import Silent
from holdfast.systems.postgres import lsn
from holdfast.systems.postgres.settings import PostgresSettings
from holdfast.systems.postgres.system import PostgresSystem
from tests.postgres.capture.recording import FolderWriter, MemoryLogs, restore_by_hand

pytestmark = pytest.mark.postgres


def system(server, *, in_place=True, **options):
    dsns = options.pop("dsns", (server.dsn,))
    patience = options.pop("patience", 120)
    return PostgresSystem(
        "s", PostgresSettings(dsns=dsns, data_directory=server.data if in_place else None, wal_wait=patience, summary_wait=120, **options)
    )


def content(server, table, dbname="postgres"):
    return server.value(
        f"select count(*) || ':' || coalesce(md5(string_agg(t::text, ',' order by t::text)), '') from {table} t", dbname=dbname
    )


def capture(server, folder, *, logs=None, base=None, writer=None, progress=None, **options):
    """A recorded point of the server as it runs."""
    writer = writer or FolderWriter(folder, base)
    system(server, **options).capture(writer, progress or Silent(), logs=logs if logs is not None else MemoryLogs())
    return writer.done()


@pytest.mark.parametrize("in_place", [True, False], ids=["in-place", "remote"])
def test_a_live_server_comes_back_consistent(servers, pg_version, tmp_path, in_place):
    server = servers(pg_version)
    server.execute(
        "create table accounts (id int primary key, balance int); insert into accounts select i, 100 from generate_series(1, 2000) i"
    )
    stop = threading.Event()

    def work():
        with server.connect() as connection:
            i = 0
            while not stop.is_set():
                i += 1
                with connection.transaction():
                    connection.execute("update accounts set balance = balance - 1 where id = %s", (i % 2000 + 1,))
                    connection.execute("update accounts set balance = balance + 1 where id = %s", ((i * 7) % 2000 + 1,))

    thread = threading.Thread(target=work)
    thread.start()
    try:
        logs = MemoryLogs()
        point = capture(server, tmp_path / "point", logs=logs, in_place=in_place)
    finally:
        stop.set()
        thread.join()

    facts, record = point.point.facts, point.point
    assert facts["system_identifier"] == server.value("select system_identifier::text from pg_control_system()")
    assert facts["version_num"] // 10000 == pg_version
    assert facts["segment_size"] == 16 << 20
    assert facts["block_size"] == 8192
    assert facts["checksums"] is True
    assert facts["role"] == "primary"
    assert facts["settings"]["max_connections"] == 40
    assert {"postgres", "template1"} <= {one["name"] for one in facts["databases"]}
    assert record.findings == []
    writer_order = list(point._entries)
    assert writer_order[-1] == "global/pg_control"
    begun, ended = lsn.parse(record.start["lsn"]), lsn.parse(record.stop["lsn"])
    assert begun < ended
    assert record.start["timeline"] == record.stop["timeline"] == 1
    assert record.logs == lsn.branch(facts["system_identifier"], 1)
    stored = logs.reader(record.logs).coverage(0)
    assert len(stored) == 1
    assert stored[0][0] == begun - begun % (16 << 20)
    assert stored[0][1] >= ended - ended % (16 << 20) + (16 << 20)

    restore_by_hand(point, logs, tmp_path / "restored")
    restored = servers.attach(pg_version, tmp_path / "restored")
    assert restored.value("select count(*) = 2000 and sum(balance) = 200000 from accounts") is True
    restored.execute("vacuum full accounts")


def test_entries_are_sorted_and_leave_out_what_must_stay_behind(servers, tmp_path):
    server = servers(15)
    server.execute("create unlogged table fleeting (a int); insert into fleeting values (1)")
    unlogged = server.value("select pg_relation_filepath('fleeting')")
    with server.connect() as connection:
        connection.execute("create temporary table scratch (a int)")
        scratch = connection.execute("select pg_relation_filepath('scratch')").fetchone()[0]
        (server.data / "base" / "pgsql_tmp").mkdir(exist_ok=True)
        (server.data / "base" / "pgsql_tmp" / "pgsql_tmp1.0").write_bytes(b"x")
        point = capture(server, tmp_path / "point")
    paths = list(point._entries)
    tail = ["backup_label", "global/pg_control"]
    assert paths[-2:] == tail
    assert paths[:-2] == sorted(paths[:-2])
    assert unlogged not in paths
    assert unlogged + "_init" in paths
    assert scratch not in paths
    for folder in (
        "pg_wal",
        "pg_wal/archive_status",
        "pg_replslot",
        "pg_dynshmem",
        "pg_notify",
        "pg_serial",
        "pg_snapshots",
        "pg_stat_tmp",
        "pg_subtrans",
    ):
        assert point._entries[folder].kind == "dir"
    inside = {path.split("/")[0] for path in paths if path.count("/") and path != "pg_wal/archive_status"}
    assert not inside & {"pg_wal", "pg_replslot", "pg_notify", "pg_subtrans", "pg_stat_tmp", "pg_dynshmem", "pg_serial", "pg_snapshots"}
    assert not {"postmaster.pid", "postmaster.opts"} & set(paths)
    assert not [path for path in paths if "pgsql_tmp" in path or path.endswith("pg_internal.init")]
    assert point._entries["base"].mode == 0o700
    assert point._entries["PG_VERSION"].mode == 0o600
