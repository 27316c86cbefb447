"""Production goes on while a drill of it runs: what it writes meanwhile is not taken for a fault."""

import contextlib
import subprocess
import sys
import threading

import pytest

from holdfast.model import Silent
from tests.drills.kit import Shop, failed, fill, marks
from tests.servers import PostgresServer, need

pytestmark = [pytest.mark.postgres, pytest.mark.timeout(1800)]
MOVING = "drill: moving\ntitle: moving\nsystems: db\ndisaster: {kind: system-lost}\ncriteria: [sentinel, checks, content]\n"


@contextlib.contextmanager
def following(shop):
    words = [sys.executable, "-m", "holdfast.interfaces.cli.main", "follow", "db"]
    with subprocess.Popen(
        words, cwd=shop.folder, env=shop.environ, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as running:
        try:
            shop.server.wait_for("select count(*) = 1 from pg_stat_replication where state = 'streaming'", timeout=900)
            yield
        finally:
            running.terminate()
            running.wait(900)


@contextlib.contextmanager
def written(server):
    """Orders that come in all the time."""
    over = threading.Event()

    def write():
        number = 1000
        with server.connect() as connection:
            connection.autocommit = True
            while not over.wait(0.02):
                number += 1
                connection.execute("insert into orders values (%s, 'late', 1)", (number,))

    thread = threading.Thread(target=write)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def test_a_busy_database_that_is_followed(tmp_path):
    with need():
        server = PostgresServer.create(15)
    with server:
        fill(server)
        shop = Shop(server, tmp_path)
        shop.plan.write_text(shop.plan.read_text().replace("backup: daily, drill", "backup: daily, continuous: true, drill"))
        with shop.platform() as platform:
            platform.backup("db", Silent())
        with following(shop), written(server):
            done = shop.drill(MOVING, controls=("stale", "poisoned"))
        assert (done.outcome, failed(done)) == ("ok", []), [one.to_json() for one in done.checks if one.state == "failed"]
        compared = [one for one in done.checks if one.kind == "compare"]
        rows = next(one.actual["rows"] for one in compared if one.name.endswith("orders"))
        assert rows > 400, "nothing was written meanwhile: the test proves nothing"
        assert rows < server.value("select count(*) from orders")
        assert marks(server) is None
