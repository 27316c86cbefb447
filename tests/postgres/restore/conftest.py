"""Shared by the restore tests: folders that the servers' account reaches, and a call that plans and restores."""

import datetime as dt
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from holdfast.model import Silent, SystemClock
from holdfast.systems.contract import Restored, RestorePlan, RestoreRequest
from holdfast.systems.postgres.restore.planning import plan as planning
from holdfast.systems.postgres.restore.planning import target as targets
from holdfast.systems.postgres.restore.run import restore
from holdfast.systems.postgres.running.binaries import Account, Binaries
from holdfast.systems.postgres.running.instance import Instance, running_pid
from tests.postgres.restore.standin import FolderHistory
from tests.servers import PostgresServer, need, server_binaries, service_account
from tests.servers.account import server_folder


@pytest.fixture
def ground() -> Iterator[Path]:
    """A short folder that the servers' account reaches; servers left running in it are ended by id."""
    folder = server_folder("restore")
    yield folder
    for pidfile in folder.rglob("postmaster.pid"):
        if running_pid(pidfile.parent):
            stop(pidfile.parent)
    shutil.rmtree(folder, ignore_errors=True)


def stop(data: Path) -> None:
    Instance(data, Binaries(Path(), 0, ""), who(), data, clock=SystemClock()).stop(fast=False)


def who() -> Account:
    account = service_account()
    return Account(account.name, account.uid, account.gid, switch=account.switch)


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    with need():
        found = PostgresServer.create(15, settings={"wal_keep_size": "512MB", "archive_mode": "off"})
    with found:
        yield found


class Bench:
    """Plan, restore, start; the answers."""

    def __init__(self, history: FolderHistory, ground: Path, version: int = 15) -> None:
        self.history, self.ground, self.version = history, ground, version
        self.count = 0

    def plan(self, to: str | None = None, into: Path | None = None, **options: Any) -> RestorePlan:
        self.count += 1
        now = dt.datetime.now(dt.UTC)
        until: Mapping[str, Any] = targets.parse(to, now).to_json()
        request = RestoreRequest(into or self.ground / f"r{self.count}", until, options)
        return planning.make("db", self.history, self.history.holdings(), request, now=now, who=who())

    def run(self, plan: RestorePlan) -> Restored:
        return restore(plan, self.history, Silent(), clock=SystemClock(), who=who(), binaries=self.binaries)

    def binaries(self, major: int) -> Binaries:
        with need():
            return Binaries(server_binaries(major), major, str(major))

    def restore(self, to: str | None = None, into: Path | None = None, **options: Any) -> Restored:
        return self.run(self.plan(to, into, **{"start": True, "durable": False, "shared_buffers": 16 << 20, **options}))


def query(restored: Restored, sql: str, database: str = "postgres") -> list[tuple[Any, ...]]:
    import psycopg

    assert restored.connection
    with psycopg.connect(restored.connection, dbname=database, autocommit=True) as connection:
        return connection.execute(sql).fetchall()


@pytest.fixture
def bench(ground: Path) -> Callable[[FolderHistory], Bench]:
    return lambda history: Bench(history, ground)
