"""restore, open, when and verify as a person types them: one JSON document each, and exit statuses."""

import json
import os
import shlex
import subprocess
import sys
import textwrap

import psycopg
import pytest

from tests.postgres.restore.conftest import stop
from tests.postgres.wal.following import SECRET
from tests.recovery.whole import whole
from tests.servers import PostgresServer, need, server_binaries, service_account

pytestmark = pytest.mark.postgres

PLAN = """
platform: test
timezone: UTC
vault:
  key: {{env: HOLDFAST_KEY}}
  locations: [{{name: here, url: "file://{vault}"}}]
tiers:
  t: {{rpo: 2d, rto: 1h, backup: daily, keep: {{last: 3}}, locations: [here]}}
sandbox: {{directory: "{boxes}"}}
systems:
  db:
    kind: postgres
    tier: t
    dsn: {{env: DB_DSN}}
    checks:
      - {{name: enough rows, sql: "select count(*) >= 100 from goods", expect: true}}
      - {{name: rows as there, sql: "select count(*) from goods", compare: source}}
"""


@pytest.fixture(scope="module")
def one(tmp_path_factory):
    with need():
        server = PostgresServer.create(15)
    folder = tmp_path_factory.mktemp("commands")
    with server, whole(server, folder) as made:
        server.execute("create table goods(id int primary key)")
        server.execute("insert into goods select generate_series(1, 100)")
        made.follow()
        made.backup("base")
        for n in range(5):
            server.execute("insert into goods values (%s)", (1000 + n,))
        made.good = made.now()
        server.execute("delete from goods where id < 90")
        server.execute("insert into goods values (2000)")
        made.shipped()
        (folder / "holdfast.yaml").write_text(PLAN.format(vault=folder / "vault", boxes=made.ground / "boxes"))
        yield made


def call(one, *words, expect=0):
    environment = {
        **os.environ,
        "HOLDFAST_KEY": SECRET,
        "DB_DSN": one.server.dsn,
        "HOLDFAST_STATE": str(one.folder / "state"),
        "HOLDFAST_CACHE": str(one.folder / "cache-cli"),
        "HOLDFAST_PG_BIN": str(server_binaries(15)),
        "XDG_STATE_HOME": str(one.folder / "xdg"),
        "PYTHONWARNINGS": "default",
    }
    done = subprocess.run(
        [sys.executable, "-m", "holdfast.interfaces.cli.main", *words],
        cwd=one.folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == expect, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return json.loads(done.stdout) if done.stdout.startswith("{") else done.stdout


def test_dry_run_then_restore(one):
    into = one.ground / "by command"
    planned = call(one, "restore", "db", "--into", str(into), "--to", one.good.isoformat(), "--dry-run", "--json")
    assert planned["point"]["label"] == "base"
    assert planned["refuses"] == []
    assert not into.exists()
    done = call(one, "restore", "db", "--into", str(into), "--to", one.good.isoformat(), "--start", "--json")
    with psycopg.connect(done["result"]["connection"], autocommit=True) as connection:
        assert connection.execute("select count(*) from goods").fetchone() == (105,)
    assert into.owner() == service_account().name
    refused = call(one, "restore", "db", "--into", str(into), "--dry-run", "--json", expect=4)
    assert refused["refuses"][0]["code"] == "restore-directory-running"
    stop(into)
    call(one, "restore", "db", "--into", str(into), expect=4)
    call(one, "restore", "db", "--into", str(one.ground / "x"), "--to", "2999-01-01", expect=4)
    call(one, "restore", "db", "--into", str(one.ground / "x"), "--to", "lsn:zz", expect=2)


def test_verify_when_and_open(one):
    found = call(one, "verify", "db", "--json", expect=1)
    results = {each["name"]: each for each in found["systems"][0]["results"]}
    assert results["enough rows"]["state"] == "failed"
    assert results["rows as there"]["state"] == "passed"
    assert results["rows as there"]["expected"] == results["rows as there"]["actual"] == 17
    assert results["postgres.public.goods"]["state"] == "passed"
    when = call(one, "when", "db", "--check", "enough rows", "--json")
    assert when["state"] == "found"
    assert when["command"].endswith(f"--to lsn:{when['last_good']['lsn']}")
    opened = call(one, "open", "db", "--to", f"lsn:{when['last_good']['lsn']}", "--for", "0.1", "--json")
    assert opened["connection"]
    assert not list((one.ground / "boxes").glob("hf-box-*"))
    call(one, "when", "db", expect=2)


def test_one_table_into_a_folder(one):
    folder = one.folder / "dump"
    done = call(one, "restore", "db", "--into", str(folder), "--table", "goods", "--to", one.good.isoformat(), "--json")
    assert done["rows"] == 105
    assert (folder / "goods.dump").read_bytes().startswith(b"PGDMP")


def test_a_standby_follows_the_plans_server_without_its_password(one):
    into = one.ground / "second"
    call(one, "restore", "db", "--into", str(into), "--primary-conninfo", "host=x", expect=2)
    done = call(one, "restore", "db", "--into", str(into), "--as", "standby", "--start", "--json")
    conninfo = [line for line in (into / "postgresql.auto.conf").read_text().splitlines() if line.startswith("primary_conninfo")]
    assert str(one.server.folder) in conninfo[0]
    assert "password" not in conninfo[0]
    one.server.execute("create table later()")
    one.server.wait_for("select count(*) > 0 from pg_stat_replication where application_name = 'restored by holdfast'")
    with psycopg.connect(done["result"]["connection"], autocommit=True) as connection:
        assert connection.execute("select pg_is_in_recovery()").fetchone() == (True,)
    refused = call(one, "handover", str(into), "--yes", "--json", expect=4)
    assert refused["error"]["code"] == "restore-directory-running"
    stop(into)
    refused = call(one, "handover", str(into), "--yes", "--json", expect=4)
    assert "standby" in refused["error"]["message"]


def test_handed_over_it_has_its_sources_configuration(one):
    into = one.ground / "heir"
    done = call(one, "restore", "db", "--into", str(into), "--to", one.good.isoformat(), "--start", "--json")
    assert done["result"]["connection"]
    planned = call(one, "restore", "db", "--into", str(one.ground / "never"), "--dry-run", "--json")
    assert "earlier restore" in planned["estimate"]["basis"]
    stop(into)
    before = (into / "postgresql.conf").read_text()
    seen = call(one, "handover", str(into), "--dry-run", "--json")
    assert (seen["done"], (into / "postgresql.conf").read_text()) == (False, before)
    call(one, "handover", str(into), expect=4)
    done = call(one, "handover", str(into), "--yes", "--json")
    assert done["done"]
    assert "postgresql.conf" in done["files"]
    assert "restored by holdfast" not in (into / "postgresql.conf").read_text()
    with PostgresServer.attach(15, into) as heir:
        assert heir.value("select count(*) from goods") == 105


def test_a_checked_vault_is_a_proof_of_structure(one):
    call(one, "vault", "check")
    [seen] = call(one, "status", "--json", expect=1)["systems"]
    assert seen["proofs"]["structure"]["ok"]
    call(one, "log", "nosuch", expect=2)


def test_bare_postgres_recovers_from_an_export(one):
    folder = one.ground / "it's 100% portable"
    account = service_account()
    by_default = account.name == "postgres" or not account.switch
    owner = () if by_default else ("--owner", account.name)
    point = call(one, "export", "base", "--to", str(folder), "--all-wal", *owner, "--json")
    assert {path.name for path in folder.iterdir()} == {"data", "wal", "README"}
    assert point["wal"]
    # A file of zeros alone has its length.
    assert (folder / "data" / "pg_multixact" / "offsets" / "0000").stat().st_size == 8192
    call(one, "export", "base", "--to", str(folder), expect=4)
    assert point["owner"] == account.name
    assert point["notes"] == []
    # Nobody but the account that is to run it comes in, and it owns all of it.
    assert folder.stat().st_mode & 0o777 == 0o700
    assert {path.lstat().st_uid for path in (folder, *folder.rglob("*"))} == {account.uid}
    # What the README says, word for word, by that account; not the start, which needs a port of its own.
    readme = (folder / "README").read_text()
    commands = textwrap.dedent(readme[readme.index("  cp -a") : readme.index("  pg_ctl")])
    data = one.ground / "new's data"
    commands = commands.replace("/new/data", shlex.quote(str(data)))
    subprocess.run(["sh", "-e", "-c", commands], cwd="/", check=True, **account.popen)
    with PostgresServer.attach(15, data) as server:
        server.wait_for("select not pg_is_in_recovery()")
        assert server.value("select max(id) from goods") == 2000


def test_an_export_says_who_cannot_reach_it(one, tmp_path):
    if os.geteuid():
        call(one, "export", "base", "--to", str(tmp_path / "other"), "--owner", "root", expect=2)
        assert not (tmp_path / "other").exists()
        return
    closed = one.ground / "closed"
    closed.mkdir(mode=0o700)
    made = call(one, "export", "base", "--to", str(closed / "export"), "--owner", service_account().name, "--json")
    assert [f"may not pass through {closed}" in note for note in made["notes"]] == [True]
    call(one, "export", "base", "--to", str(one.ground / "nobodys"), "--owner", "no-such-account", expect=2)
    assert not (one.ground / "nobodys").exists()
