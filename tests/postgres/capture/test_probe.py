"""What `check` finds out about a cluster."""

import pytest

from holdfast.model import SystemClock
from holdfast.systems.postgres.probes.run import probe
from holdfast.systems.postgres.settings import PostgresSettings
from tests.servers.account import server_folder, service_account
from tests.servers.ports import free_port

pytestmark = pytest.mark.postgres


def ask(server, **settings):
    found = probe(PostgresSettings(dsns=(server.dsn,), **settings), SystemClock())
    return {one.name: one for one in found}


def test_a_healthy_server_of_every_version_has_nothing_that_fails(pg_any):
    found = ask(pg_any, data_directory=pg_any.data)
    assert [one for one in found.values() if one.state == "fail"] == []
    for name in (
        "version",
        "wal_level",
        "max_wal_senders",
        "right to replicate",
        "page checksums",
        "data directory",
        "replication connection",
    ):
        assert found[name].state == "ok", name
    assert ("summarize_wal" in found) == (pg_any.version >= 17)
    assert all(one.hint for one in found.values() if one.state != "ok")


def test_what_a_restore_would_lose_is_listed(servers):
    import shutil

    server = servers(
        15, settings={"wal_level": "logical", "synchronous_standby_names": "", "archive_mode": "on", "archive_command": "false"}
    )
    space = server_folder("space")
    service_account().own(space)
    try:
        server.execute(f"create tablespace fast location '{space}'")
        server.execute("create database shop")
        server.execute('create unlogged table "Basket items" (a int)', dbname="shop")
        server.execute("select pg_create_logical_replication_slot('to_kafka', 'pgoutput')")
        server.execute("select pg_create_physical_replication_slot('old', true)")
        server.execute("create table t as select i from generate_series(1, 1000) i")
        server.execute("select pg_switch_wal()")
        server.wait_for("select failed_count > 0 from pg_stat_archiver", timeout=60)
        found = ask(server, wal_backlog_warn=1)
        assert "to_kafka (postgres)" in found["logical slots"].detail
        assert found["logical slots"].state == "warn"
        assert 'shop."Basket items"' in found["unlogged tables"].detail
        assert str(space) in found["tablespaces"].detail
        assert found["slot old"].state == "warn"
        assert "nobody reads from it" in found["slot old"].detail
        assert found["archiving"].state == "warn"
        assert found["replication connection"].state == "ok"
    finally:
        server.stop()
        shutil.rmtree(space)


def test_synchronous_settings_that_would_stop_production_are_told(servers):
    server = servers(15)
    server.configure({"synchronous_standby_names": "holdfast_orders", "synchronous_commit": "remote_apply"})
    server.reload()
    server.wait_for("select current_setting('synchronous_commit') = 'remote_apply'")
    found = ask(server)
    assert found["synchronous standbys"].state == "warn"
    assert found["remote_apply"].state == "fail"


def test_plan_and_server_agree_on_the_synchronous_follower(servers):
    server = servers(15)

    def told(**given) -> tuple[str, str] | None:
        settings = PostgresSettings(dsns=(server.dsn,), follower_slot="holdfast_shop", **given)
        found = {one.name: one for one in probe(settings, SystemClock())}.get("synchronous follower")
        return found and (found.state, found.hint)

    assert told() is None
    state, hint = told(synchronous=True)
    assert state == "fail"
    assert "'holdfast_shop'" in hint
    server.configure({"synchronous_standby_names": "ANY 1 (other, holdfast_shop)", "synchronous_commit": "local"})
    server.reload()
    server.wait_for("select current_setting('synchronous_standby_names') like '%holdfast_shop%'")
    assert told(synchronous=True)[0] == "ok"
    assert told()[0] == "warn"


def test_a_role_without_rights_is_told_what_to_grant(servers):
    server = servers(15)
    server.execute("create role little login")
    found = {
        one.name: one
        for one in probe(
            PostgresSettings(dsns=(server.dsn.replace("user=postgres", "user=little"),), data_directory=server.data), SystemClock()
        )
    }
    assert found["right to replicate"].state == "fail"
    assert "ALTER ROLE" in found["right to replicate"].hint
    assert found["right to back up in place"].state == "fail"
    assert "GRANT EXECUTE" in found["right to back up in place"].hint
    assert found["replication connection"].state == "fail"


def test_nothing_raises_when_nobody_answers():
    [member, chosen] = probe(PostgresSettings(dsns=(f"host=127.0.0.1 port={free_port()} user=x",)), SystemClock())
    assert (member.state, chosen.state) == ("fail", "fail")
    assert member.hint
    [broken] = probe(PostgresSettings(patroni="ftp://x"), SystemClock())
    assert broken.state == "fail"
