"""Long WAL is not laid into the directory: the server fetches it while it recovers, from whoever opens the vault."""

import contextlib
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import psycopg
import pytest

import holdfast
from holdfast.systems.postgres import lsn
from holdfast.systems.postgres.restore.fetch import RECIPE, SOCKET
from holdfast.systems.postgres.running.instance import environment
from tests.postgres.restore.conftest import stop
from tests.postgres.wal.following import PATIENCE, SECRET
from tests.recovery.whole import whole
from tests.servers import PostgresServer, need, server_binaries, service_account
from tests.servers.account import server_folder

pytestmark = pytest.mark.postgres
PLAN = """
platform: fetched
timezone: UTC
vault:
  key: {{{key}}}
  locations: [{{name: here, url: "file://{vault}"}}]
tiers:
  t: {{rpo: 2d, rto: 1h, backup: daily, keep: {{last: 3}}, locations: [here]}}
systems:
  db: {{kind: postgres, tier: t, dsn: {{env: DB_DSN}}}}
"""


class Story:
    """A vault that the servers' account may read, with a history of two timelines over more than a dozen segments."""

    def __init__(self, folder: Path, target: Path) -> None:
        self.folder, self.ground, self.count = folder, target, 0
        self.python = reachable_python(target)

    def holdfast(self, *words: str, expect: int = 0, **more: str):
        done = subprocess.run(
            [sys.executable, "-m", "holdfast.interfaces.cli.main", *words],
            env={
                **os.environ,
                "HOLDFAST_PLAN": str(self.folder / "holdfast.yaml"),
                "HOLDFAST_STATE": str(self.folder / "state-own"),
                "HOLDFAST_CACHE": str(self.folder / "cache-own"),
                "HOLDFAST_PG_BIN": str(server_binaries(15)),
                "DB_DSN": "host=/nowhere",
                "HOLDFAST_PYTHON": self.python or sys.executable,
                **more,
            },
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )
        assert done.returncode == expect, done.stdout + done.stderr
        return json.loads(done.stdout) if done.stdout.startswith("{") else done.stdout

    def restore(self, to: str, *words: str, **more: str):
        self.count += 1
        into = self.ground / f"restored {self.count}"
        said = self.holdfast(
            "restore", "db", "--into", str(into), "--to", to, "--fetch-wal-above", "0" if words else "1MiB", "--json", *words, **more
        )
        return into, said["result"]


@pytest.fixture(scope="module")
def story(tmp_path_factory):
    with need():
        first = PostgresServer.create(15, settings={"wal_keep_size": "1GB"})
    ground = server_folder("fetch", keep=True)
    second = None
    try:
        with whole(first, tmp_path_factory.mktemp("vault")) as one:
            first.execute("create table rows (n bigserial primary key, x text)")
            one.follow()
            one.backup("base")

            def write(server, segments: int) -> None:
                for _ in range(segments):
                    server.execute("insert into rows (x) select repeat(md5(n::text), 10) from generate_series(1, 8000) n")
                    server.execute("select pg_switch_wal()")

            made = Story(ground, ground)
            write(first, 6)
            second = first.standby()
            second.wait_for(f"select pg_last_wal_replay_lsn() >= '{first.value('select pg_current_wal_flush_lsn()')}'")
            first.stop()
            second.promote()
            one.server = second
            write(second, 3)
            made.moment = one.now()
            made.rows_then, made.sum_then = second.execute("select count(*), sum(hashtext(x)) from rows")[0]
            made.lsn = second.value("select pg_current_wal_lsn()::text")
            write(second, 5)
            second.execute("insert into rows (x) values ('the last')")
            made.rows, made.sum = second.execute("select count(*), sum(hashtext(x)) from rows")[0]
            one.follower.wait_for(lambda: one.follower.timeline == 2)
            one.shipped()
            # Nobody stores or removes anything while the vault is copied.
            one.follower.stop()
            one.follower = None
            shutil.copytree(one.folder / "vault", ground / "vault")
        (ground / "key").write_text(SECRET)
        (ground / "key").chmod(0o600)
        (ground / "holdfast.yaml").write_text(PLAN.format(key=f"file: {ground}/key", vault=ground / "vault"))
        (ground / "secret.yaml").write_text(PLAN.format(key="env: HOLDFAST_KEY", vault=ground / "vault"))
        service_account().own(ground)
        yield made
    finally:
        for server in (second, first):
            if server is not None:
                server.remove()
        shutil.rmtree(ground, ignore_errors=True)


@contextlib.contextmanager
def started(data: Path):
    """As an administrator starts it, with nothing of our environment."""
    who = service_account()
    port = next(line.split("'")[1] for line in (data / "postgresql.conf").read_text().splitlines() if line.startswith("port"))
    with (data / "own.log").open("wb") as log:
        who.own(data / "own.log")
        process = subprocess.Popen(
            [server_binaries(15) / "postgres", "-D", data, "-c", f"unix_socket_directories={data}"],
            cwd="/", env=environment(data), stdout=log, stderr=log, start_new_session=True, **who.popen,
        )  # fmt: skip
    try:
        yield process, f"host='{data}' port={port} user=postgres dbname=postgres"
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGQUIT)
        process.wait()
        for name in (SOCKET,):
            (data / name).unlink(missing_ok=True)


def recovered(data: Path, process, dsn: str) -> tuple[int, int]:
    until = time.monotonic() + PATIENCE
    while True:
        assert process.poll() is None, (data / "own.log").read_text()[-3000:]
        assert time.monotonic() < until, (data / "own.log").read_text()[-3000:]
        with contextlib.suppress(psycopg.OperationalError), psycopg.connect(dsn, autocommit=True) as connection:
            if not connection.execute("select pg_is_in_recovery()").fetchone()[0]:
                return connection.execute("select count(*), sum(hashtext(x)) from rows").fetchone()
        time.sleep(0.1)


def residents(data: Path) -> list[int]:
    """Processes that serve a directory's recipe."""
    found = []
    for one in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            words = (one / "cmdline").read_bytes().split(b"\0")
            if b"serve" in words and os.fsencode(data / RECIPE) in words:
                found.append(int(one.name))
    return found


def reachable_python(folder: Path) -> str | None:
    """A Python that the servers' account can run with what is installed here: this one, else the machine's own of the same version."""
    who = service_account()
    for program in (sys.executable, f"/usr/bin/python{sys.version_info.major}.{sys.version_info.minor}"):
        wrapper = folder / "python"
        path = ":".join(one for one in (*sys.path, str(Path(holdfast.__file__).parents[1])) if one)
        wrapper.write_text(f'#!/bin/sh\nPYTHONPATH={shlex.quote(path)} exec {program} "$@"\n')
        wrapper.chmod(0o755)
        words = [str(wrapper), "-P", "-c", "import holdfast.interfaces.cli.main, holdfast.vault, psycopg"]
        done = subprocess.run(words, cwd="/", env=environment(folder), capture_output=True, check=False, **who.popen)
        if done.returncode == 0:
            return str(wrapper)
    return None


@pytest.mark.parametrize("kind", ["lsn", "time", "latest"])
def test_a_directory_fetches_what_it_needs_when_somebody_starts_it(story, kind) -> None:
    to = {"lsn": f"lsn:{story.lsn}", "time": story.moment.isoformat(), "latest": "latest"}[kind]
    into, result = story.restore(to)
    if not story.python:
        # A checkout below a private home: everything was laid into the directory, and it was said why.
        assert any("could not fetch it" in note for note in result["notes"])
        return
    assert any("must stay readable" in note for note in result["notes"])
    laid = [one for one in (into / "pg_wal").iterdir() if len(one.name) == 24]
    assert len(laid) <= 2
    recipe = (into / RECIPE).read_text()
    assert (into / RECIPE).stat().st_mode & 0o777 == 0o600
    assert SECRET not in recipe + (into / "postgresql.auto.conf").read_text()
    assert list(json.loads(recipe)["histories"]) == ["2"]
    expected = (story.rows, story.sum) if kind == "latest" else (story.rows_then, story.sum_then)
    with started(into) as (process, dsn):
        if kind != "latest":
            assert recovered(into, process, dsn) == expected
            return
        # Whoever serves is killed in the middle, twice; the next question finds another.
        killed = 0
        while killed < 2:
            assert process.poll() is None, (into / "own.log").read_text()[-3000:]
            for pid in residents(into):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
                    killed += 1
            if (into / "recovery.signal").exists() is False:
                break
            time.sleep(0.02)
        assert killed
        assert recovered(into, process, dsn) == expected
        # The timeline after the two that were there.
        assert (into / "pg_wal" / "00000003.history").exists()


def test_started_by_the_restore_it_is_served_from_there(story) -> None:
    """The key is in the environment of the restore alone: nobody else could open the vault, and nobody needs to."""
    into, result = story.restore("latest", "--start", HOLDFAST_PLAN=str(story.folder / "secret.yaml"), HOLDFAST_KEY=SECRET)
    try:
        with psycopg.connect(result["connection"], autocommit=True) as connection:
            assert connection.execute("select count(*), sum(hashtext(x)) from rows").fetchone() == (story.rows, story.sum)
        assert not result["notes"] or not story.python
        assert not (into / RECIPE).exists()
        assert not (into / SOCKET).exists()
    finally:
        stop(into)


def test_what_the_server_could_not_fetch_by_itself_is_laid_into_the_directory(story) -> None:
    into, result = story.restore("latest", HOLDFAST_PLAN=str(story.folder / "secret.yaml"), HOLDFAST_KEY=SECRET)
    assert any("All WAL was laid into the directory" in note and "HOLDFAST_KEY" in note for note in result["notes"])
    assert not (into / RECIPE).exists()
    assert len([one for one in (into / "pg_wal").iterdir() if len(one.name) == 24]) > 12
    assert "false" in (into / "postgresql.auto.conf").read_text()


def test_wal_get_opens_the_vault_by_itself(story, tmp_path) -> None:
    """What a standby's or an administrator's own restore_command calls: no follower anywhere."""
    socket, log = story.ground / "own.sock", story.ground / "own.sock.log"
    base = [sys.executable, "-m", "holdfast.interfaces.cli.main", "wal", "get"]
    options = ["--plan", str(story.folder / "holdfast.yaml"), "--system", "db", "--socket", str(socket)]
    environ = {
        **os.environ,
        "HOLDFAST_STATE": str(tmp_path / "state"),
        "HOLDFAST_CACHE": str(tmp_path / "cache"),
        "DB_DSN": "host=/nowhere",
    }

    def get(name: str) -> tuple[int, bytes]:
        target = tmp_path / name
        done = subprocess.run([*base, *options, name, str(target)], env=environ, capture_output=True, text=True, timeout=120, check=False)
        assert target.exists() == (done.returncode == 0), done.stderr
        return done.returncode, target.read_bytes() if target.exists() else done.stderr.encode()

    try:
        status, history = get("00000002.history")
        assert status == 0, history
        assert history.startswith(b"1\t")
        position = lsn.parse(story.lsn)
        codes: list[int] = []
        # Several at once, and the process that serves them all is there once.
        threads = [
            threading.Thread(target=lambda at=at: codes.append(get(lsn.segment_name(2, at))[0]))
            for at in (position, position + lsn.SEGMENT)
        ]
        for one in threads:
            one.start()
        for one in threads:
            one.join()
        assert codes == [0, 0]
        assert get(lsn.segment_name(2, position + (1 << 40)))[0] == 1
        assert get("00000007.history")[0] == 1
        assert log.exists()
    finally:
        # It ends by itself when nobody could find it any more.
        socket.unlink(missing_ok=True)
    options[1] = str(story.folder / "nowhere.yaml")
    status, said = get("00000002.history")
    assert status == 200
    assert b"the vault cannot be opened" in said
    options[:2] = []
    status, said = get("00000002.history")
    assert status == 200
    assert b"no follower listens" in said
