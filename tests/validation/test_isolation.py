"""An isolated copy of a server that archives, subscribes and runs jobs reaches nobody: its own configuration waits beside it."""

import psycopg
import pytest

from holdfast.model import Silent
from holdfast.systems.postgres.running import netless
from holdfast.systems.postgres.view import PostgresView
from tests.recovery.whole import whole
from tests.servers import PostgresServer, need

pytestmark = pytest.mark.postgres


@pytest.mark.timeout(600)
def test_a_copy_reaches_none_of_those_that_its_source_speaks_to(tmp_path):
    with need(), PostgresServer.create(15, settings={"wal_level": "logical"}) as publisher, PostgresServer.create(15) as source:
        archive = source.folder / "archived"
        source.configure(
            {
                "archive_mode": "on",
                "archive_command": f"echo %f >> {archive}",
                "primary_conninfo": publisher.dsn.replace("'", "''"),
                "restore_command": f"echo fetched >> {archive}; false",
                "archive_cleanup_command": f"echo cleaned >> {archive}",
                "recovery_end_command": f"echo ended >> {archive}",
                "local_preload_libraries": "",
            }
        )
        source.restart()
        publisher.execute("create table t(n int primary key); create publication p for table t")
        source.execute("create table t(n int primary key)")
        source.execute(f"create subscription s connection '{publisher.dsn.replace(chr(39), chr(39) * 2)}' publication p")

        def followers():
            return publisher.value("select count(*) from pg_stat_replication")

        with whole(source, tmp_path) as one:
            one.backup()
            source.stop()
            # The source is gone, and with it whom the publisher spoke to: whoever comes now is the copy.
            publisher.execute("select pg_terminate_backend(pid) from pg_stat_replication")
            slot = publisher.value("select confirmed_flush_lsn from pg_replication_slots")
            publisher.execute("insert into t values (1)")
            before = archive.read_text() if archive.exists() else ""
            with one.recovery.isolate(one.history, {"kind": "immediate"}, {"target_action": "promote"}, Silent()) as copy:
                assert isinstance(copy, PostgresView)
                with copy.connect() as session:
                    session.execute("set default_transaction_read_only = off")
                    assert session.execute("select subenabled from pg_subscription").fetchone() == (True,)
                    session.execute("create table filled as select generate_series(1, 1000) n")
                    session.execute("select pg_switch_wal()")
                    session.execute("checkpoint")
                    shown = dict(session.execute("select name, setting from pg_settings").fetchall())
                    workers = session.execute(
                        "select backend_type from pg_stat_activity where backend_type ~ 'logical|archiver'"
                    ).fetchall()
                    rows = session.execute("select count(*) from t").fetchone()
                assert (shown["archive_mode"], shown["archive_command"], shown["primary_conninfo"]) == ("off", "(disabled)", "")
                assert shown["max_logical_replication_workers"] == "0"
                assert shown["shared_preload_libraries"] == ""
                # By a socket in a private folder alone.
                assert shown["listen_addresses"] == ""
                assert workers == []
                if netless.words(one.recovery._who({})):
                    with copy.connect() as session:
                        session.execute("set default_transaction_read_only = off")
                        session.execute("create extension dblink")
                        # Told where production is, by its address as by its socket's folder: the one is not there, the other is no network.
                        with pytest.raises(psycopg.errors.SqlclientUnableToEstablishSqlconnection, match="unreachable"):
                            session.execute(f"select dblink_connect('host=127.0.0.1 port={publisher.port} user=postgres dbname=postgres')")
                assert rows == (0,)
                assert followers() == 0
            assert (archive.read_text() if archive.exists() else "") == before
            assert publisher.value("select confirmed_flush_lsn from pg_replication_slots") == slot
