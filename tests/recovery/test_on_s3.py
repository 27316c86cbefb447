"""A PostgreSQL server whose vault is S3, and one in a folder and on S3 together, by the commands that a person types."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time

import psycopg
import pytest

from holdfast.assembly import Platform
from holdfast.plan import load
from holdfast.storage.local import LocalStorage
from holdfast.systems.postgres import lsn
from tests.cli.asking import ran
from tests.postgres.restore.conftest import stop
from tests.postgres.wal.following import PATIENCE
from tests.servers import MinioServer, PostgresServer, need, server_binaries
from tests.servers.account import server_folder

pytestmark = [pytest.mark.postgres, pytest.mark.minio]
PLAN = """
platform: stored
timezone: UTC
vault:
  key: {{env: HOLDFAST_KEY}}
  locations:
{locations}
sandbox: {{directory: "{ground}/boxes"}}
systems:
  shop:
    kind: postgres
    hosts: {{dsn: ["{dsn}"]}}
    data_directory: "{data}"
    backup: hourly
    continuous: true
    rpo: 1s
    rto: 1h
    min_copies: 1
    keep: {{last: 5}}
    checks:
      - {{name: rows as there, sql: "select count(*) from goods", compare: source}}
"""
S3 = """\
    - name: away
      url: "s3://{bucket}/vault"
      endpoint: "{endpoint}"
      region: {region}
      credentials: {{access_key_id: {{env: S3_ID}}, secret_access_key: {{env: S3_SECRET}}}}
"""
FOLDER = """\
    - {{name: here, url: "file://{folder}/vault"}}
"""


class Shop:
    """``folder`` holds plan, state and, where there is one, the vault's folder; ``ground`` is where restores go."""

    def __init__(self, server, minio, folder, *, local: bool) -> None:
        self.server, self.minio, self.folder, self.ground = server, minio, folder, server_folder("s3")
        where = S3.format(bucket=minio.bucket(), endpoint=minio.endpoint, region=minio.region)
        locations = (FOLDER.format(folder=folder) if local else "") + where
        text = PLAN.format(locations=locations, ground=self.ground, dsn=server.dsn, data=server.data)
        (folder / "holdfast.yaml").write_text(text)
        self.environ = {
            **os.environ,
            "HOLDFAST_KEY": "correct horse",
            "S3_ID": minio.access_key,
            "S3_SECRET": minio.secret_key,
            "HOLDFAST_PLAN": str(folder / "holdfast.yaml"),
            "HOLDFAST_STATE": str(folder / "state"),
            "HOLDFAST_CACHE": str(folder / "cache"),
            "HOLDFAST_PG_BIN": str(server_binaries(server.version)),
        }
        self.log = folder / "follow.log"
        with self.platform() as platform:
            platform.create_vault()

    def platform(self) -> Platform:
        return Platform(load(self.folder / "holdfast.yaml"), environ=self.environ)

    def holdfast(self, *words: str, expect: int = 0):
        done = ran([*words, "--json"], self.folder, self.environ, timeout=600)
        assert done.returncode == expect, done.stdout + done.stderr
        return json.loads(done.stdout)

    @contextlib.contextmanager
    def following(self):
        with self.log.open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "holdfast.interfaces.cli.main", "follow", "shop"], env=self.environ, stdout=log, stderr=log
            )
        try:
            yield process
            assert process.poll() is None, self.log.read_text()
        finally:
            process.send_signal(signal.SIGTERM)
            assert process.wait(PATIENCE) == 0, self.log.read_text()

    def durable(self, location: str) -> int:
        with self.platform() as platform:
            return max((b.position for b in platform.state.heartbeats.newest("shop") if b.location == location), default=0)

    def wait(self, location: str, position: int | None = None) -> None:
        """Until the follower said that a location holds what the server has flushed now."""
        goal = self.position() if position is None else position
        self.until(lambda: self.durable(location) >= goal)

    def until(self, truth) -> None:
        end = time.monotonic() + PATIENCE
        while not truth():
            assert time.monotonic() < end, self.log.read_text()[-3000:]
            time.sleep(0.1)

    def position(self) -> int:
        return lsn.parse(self.server.value("select pg_current_wal_flush_lsn()::text"))

    def restored(self, to: str, name: str) -> list[int]:
        into = self.ground / name
        done = self.holdfast("restore", "shop", "--into", str(into), "--to", to, "--start")
        try:
            with psycopg.connect(done["result"]["connection"], autocommit=True) as connection:
                return [n for (n,) in connection.execute("select n from goods order by n")]
        finally:
            stop(into)


@pytest.fixture
def shop(tmp_path, request):
    with need():
        server, minio = PostgresServer.create(18, settings={"summarize_wal": "on"}), MinioServer.create()
    with server, minio:
        server.execute("create table goods (n int primary key, x text)")
        made = Shop(server, minio, tmp_path, local=request.param)
        yield made


def write(server, first: int, last: int) -> None:
    server.execute("insert into goods select n, repeat(md5(n::text), 20) from generate_series(%s::int, %s::int) n", (first, last))


@pytest.mark.parametrize("shop", [False], indirect=True, ids=["s3"])
def test_the_vault_is_on_s3(shop) -> None:
    """Followed, backed up in place, incrementally, brought back to a time and to the newest, and verified."""
    server = shop.server
    with shop.following():
        shop.until(lambda: shop.durable("away"))
        shop.holdfast("backup", "shop")
        write(server, 1, 2000)
        moment = server.value("select clock_timestamp()")
        write(server, 2001, 2500)
        shop.wait("away")
        shop.holdfast("backup", "shop")
        write(server, 2501, 2600)
        shop.wait("away")
        assert shop.restored(moment.isoformat(), "then") == list(range(1, 2001))
        assert shop.restored("latest", "now") == list(range(1, 2601))
        found = shop.holdfast("verify", "shop")
        results = {each["name"]: each["state"] for each in found["systems"][0]["results"]}
        assert results["rows as there"] == "passed", results
        assert "failed" not in results.values()
    with shop.platform() as platform:
        first, newest = sorted(platform.history("shop").points(), key=lambda point: point.committed_at)
        assert newest.totals.stored * 4 < first.totals.stored
    shop.holdfast("vault", "check", "--read", "all")


@pytest.mark.parametrize("shop", [True], indirect=True, ids=["folder-and-s3"])
def test_s3_is_away_for_a_while_beside_a_folder(shop) -> None:
    """One copy is demanded: following goes on, loses nothing, and S3 is brought level when it is back; each alone gives everything back."""
    server, minio = shop.server, shop.minio
    with shop.following():
        shop.until(lambda: shop.durable("away"))
        shop.holdfast("backup", "shop")
        write(server, 1, 1000)
        shop.wait("away")
        minio.stop()
        before = shop.position()
        write(server, 1001, 2000)
        shop.wait("here")
        shop.until(lambda: "Going on without s3://" in shop.log.read_text())
        # What it does not hold is not told of it.
        assert shop.durable("away") <= before
        write(server, 2001, 2100)
        shop.wait("here")
        minio.start()
        shop.wait("away")
    with shop.platform() as platform:
        one, two = platform.vault("shop").locations.storages
        assert {each.name for each in one.list("logs/")} == {each.name for each in two.list("logs/")}
    # Only S3 is left.
    storage = LocalStorage(str(shop.folder / "vault"))
    assert any(storage.list("logs/"))
    shutil.rmtree(shop.folder / "vault")
    shutil.rmtree(shop.folder / "cache")
    assert shop.restored("latest", "alone") == list(range(1, 2101))
