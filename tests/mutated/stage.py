"""One real system of each kind, its vault after each of three days, and copies of it in which something is wrong."""

import contextlib
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from holdfast.assembly import Platform
from holdfast.model import Silent, SystemClock
from holdfast.plan import load as load_plan
from holdfast.protection.backup import Wish
from tests.servers import PostgresServer

DAYS = 3
ROWS = 600

PLAN = """\
platform: mutated
vault:
  key: {{file: {home}/vault.key}}
  locations: [{{name: vault, url: "file://{folder}/vault"}}]
sandbox: {{directory: "{sandbox}", max: 4}}
systems:
  {kind}:
    kind: {kind}
    {more}
    backup: daily
    rpo: {rpo}
    keep: {{last: 100}}
"""


class Case:
    """A vault in ``folder`` with a state of its own. The source is the stage's."""

    def __init__(self, stage: "Stage", folder: Path) -> None:
        self.stage, self.folder = stage, folder
        self.platform: Platform

    @property
    def vault(self) -> Path:
        return self.folder / "vault"

    def objects(self, prefix: str = "") -> list[Path]:
        """The vault's objects, in the order of their names; what no restore needs is left out."""
        found = [path for path in sorted(self.vault.rglob("*")) if path.is_file()]
        return [path for path in found if path.relative_to(self.vault).as_posix().startswith(prefix)]

    @contextlib.contextmanager
    def opened(self) -> Iterator[Platform]:
        more = "\n    ".join(self.stage.settings())
        rpo = "1s\n    continuous: true" if self.stage.kind == "postgres" else "1d"
        text = PLAN.format(home=self.stage.folder, folder=self.folder, sandbox=self.stage.sandbox, kind=self.stage.kind, more=more, rpo=rpo)
        (self.folder / "holdfast.yaml").write_text(text)
        with Platform(load_plan(self.folder / "holdfast.yaml"), clock=SystemClock(), environ=self.environ) as platform:
            yield platform

    @property
    def environ(self) -> dict[str, str]:
        return {
            **os.environ,
            "HOLDFAST_PLAN": str(self.folder / "holdfast.yaml"),
            "HOLDFAST_STATE": str(self.folder / "state"),
            "HOLDFAST_CACHE": str(self.folder / "cache"),
            **self.stage.environ(),
        }

    def backup(self, *, full: bool = False) -> None:
        with self.opened() as platform:
            platform.backup(self.stage.kind, Silent(), Wish(full=full))


class Stage:
    """``folder/home`` is the truth: the newest vault and state; ``folder/day1`` … what the vault was before."""

    kind = ""

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder, self.random = folder, random.Random(f"{self.kind} {seed}")
        folder.mkdir(parents=True)
        (folder / "vault.key").write_text("a key for this test")
        (folder / "vault.key").chmod(0o600)
        self.sandbox = folder / "boxes"
        self.home = Case(self, folder / "home")
        self.home.folder.mkdir()

    def build(self) -> None:
        with self.home.opened() as platform:
            platform.create_vault()
        for day in range(1, DAYS + 1):
            self.live(day)
            self.home.backup()
            self.settle()
            if day < DAYS:
                shutil.copytree(self.home.vault, self.folder / f"day{day}")

    def copy(self, folder: Path) -> Case:
        """A vault and a state like the real ones, to be spoilt."""
        folder.mkdir(parents=True)
        with self.still():
            for name in ("vault", "state"):
                shutil.copytree(self.home.folder / name, folder / name, ignore=shutil.ignore_patterns("*.sock"))
        return Case(self, folder)

    @contextlib.contextmanager
    def still(self) -> Iterator[None]:
        """Nobody writes into the vault or the state."""
        yield

    def bring(self, case: Case) -> None:
        """Into a case's vault what its source wrote since, as a follower would."""

    def settings(self) -> list[str]:
        raise NotImplementedError

    def environ(self) -> dict[str, str]:
        return {}

    def live(self, day: int) -> None:
        """What a day does to the source."""
        raise NotImplementedError

    def settle(self) -> None:
        """Until the vault has everything."""

    def close(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)


class FilesStage(Stage):
    kind = "files"

    def __init__(self, folder: Path, seed: int) -> None:
        super().__init__(folder, seed)
        self.source = folder / "source"
        self.source.mkdir()

    def settings(self) -> list[str]:
        return [f'paths: ["{self.source}"]']

    def live(self, day: int) -> None:
        for number in range(12):
            path = self.source / f"folder{number % 3}" / f"day{day}-{number}"
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(content(self.random, f"{day}-{number}", self.random.choice((200, 5000, 300_000))))
        link = self.source / f"link{day}"
        link.symlink_to("folder0")
        old = time.time() - 100
        for path in self.source.rglob("day*"):
            os.utime(path, (old, old))


class BucketStage(FilesStage):
    """A bucket in a folder: what S3 adds is tested elsewhere; here it is the vault and the objects in it that are spoilt."""

    kind = "bucket"

    def settings(self) -> list[str]:
        return [f'url: "file://{self.source}"']

    def live(self, day: int) -> None:
        for number in range(12):
            path = self.source / f"landing{number % 3}" / f"day{day}-{number}"
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(content(self.random, f"{day}-{number}", self.random.choice((200, 5000, 300_000))))


class DeltaStage(FilesStage):
    kind = "delta"

    def settings(self) -> list[str]:
        return [
            f'url: "file://{self.source}"',
            'checks: [{name: amounts, sql: "select count(*), sum(amount) from orders", compare: source}]',
        ]

    def live(self, day: int) -> None:
        for table in ("orders", "sales/lines"):
            append(self.source / table, self.random, day)


class PostgresStage(Stage):
    kind = "postgres"

    def __init__(self, folder: Path, seed: int) -> None:
        super().__init__(folder, seed)
        self.server = PostgresServer.create(15, settings={"checkpoint_timeout": "1d"})
        self.sandbox = self.server.folder.parent / f"hf-mutated-{self.server.folder.name[-8:]}"
        self.follower: subprocess.Popen[bytes] | None = None

    def settings(self) -> list[str]:
        return [
            f'dsn: "{self.server.dsn}"',
            f'data_directory: "{self.server.data}"',
            'checks: [{name: paid, sql: "select count(*), sum(amount) from orders where paid", compare: source}]',
        ]

    def environ(self) -> dict[str, str]:
        return {"HOLDFAST_PG_BIN": str(self.server.bin)}

    def live(self, day: int) -> None:
        if day == 1:
            self.server.execute(
                "create table orders(id int primary key, amount numeric, paid bool, note text); create index by_amount on orders(amount);"
                " create table lines(v text); create sequence tickets; create table still(id int primary key, note text)"
            )
            self.server.execute(f"insert into still select i, 'marker-' || lpad(i::text, 8, '0') from generate_series(1, {ROWS}) i")
            with (self.home.folder / "log").open("ab") as log:
                self.follower = subprocess.Popen(
                    [sys.executable, "-m", "holdfast.interfaces.cli.main", "follow", self.kind],
                    env=self.home.environ, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                )  # fmt: skip
        for part in range(2):
            first = (day * 2 + part) * ROWS
            self.server.execute(
                f"insert into orders select i, i / 7.0, i % 2 = 0, md5(i::text) from generate_series({first}, {first + ROWS}) i"
                " on conflict do nothing"
            )
            self.server.execute(f"insert into lines select 'line ' || i % 50 from generate_series(1, {ROWS}) i")
            self.server.execute(f"select nextval('tickets') from generate_series(1, {self.random.randrange(1, 60)})")
            # A stretch of log of its own: the follower ships it before more is written.
            self.settle()

    def settle(self) -> None:
        position = int(self.server.value("select pg_current_wal_flush_lsn() - '0/0'::pg_lsn"))
        end = time.monotonic() + 300
        with self.home.opened() as platform:
            while not any(beat.position >= position for beat in platform.state.heartbeats.newest(self.kind)):
                assert time.monotonic() < end, (self.home.folder / "log").read_text()[-3000:]
                assert self.follower is not None
                assert self.follower.poll() is None, (self.home.folder / "log").read_text()[-3000:]
                time.sleep(0.05)

    def build(self) -> None:
        super().build()
        # From here on the source stands still but for backups: the background writer would note running transactions.
        # Hint bits are set now: to read a page for the first time would log it whole, since it has a checksum.
        with self.server.connect() as session:
            session.execute("vacuum (freeze)")
        self.server.execute("checkpoint")
        writer = self.server.value("select pid from pg_stat_activity where backend_type = 'background writer'")
        os.kill(int(writer), signal.SIGSTOP)
        self.settle()

    @contextlib.contextmanager
    def still(self) -> Iterator[None]:
        assert self.follower is not None
        self.settle()
        self.follower.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.follower.send_signal(signal.SIGCONT)

    def copy(self, folder: Path) -> Case:
        case = super().copy(folder)
        for lease in case.objects("sessions/follow-"):
            lease.unlink()  # the follower's, which is not there: a backup would wait for it to run out
        return case

    def bring(self, case: Case) -> None:
        with self.still():
            for path in self.home.objects("logs/"):
                place = case.vault / path.relative_to(self.home.vault)
                if not place.exists():
                    place.parent.mkdir(parents=True, exist_ok=True)
                    shutil.copy2(path, place)

    def close(self) -> None:
        if self.follower is not None and self.follower.poll() is None:
            self.follower.kill()
            self.follower.wait()
        self.server.remove()
        shutil.rmtree(self.sandbox, ignore_errors=True)
        super().close()


STAGES: dict[str, type[Stage]] = {one.kind: one for one in (PostgresStage, FilesStage, BucketStage, DeltaStage)}


def content(draw: random.Random, name: str, size: int) -> bytes:
    """Bytes with a mark that can be found again, some of them incompressible."""
    return f"marker-{name:>12}\n".encode() + draw.randbytes(size // 2) + bytes(range(256)) * (size // 512)


def append(place: Path, draw: random.Random, day: int, mode: Any = "append") -> None:
    import pyarrow as pa
    from deltalake import WriterProperties, write_deltalake

    ids = [day * ROWS + i for i in range(ROWS)]
    table = pa.table(
        {"id": ids, "amount": [draw.randrange(10**6) / 4 for _ in ids], "note": [f"marker-{i:08d}" for i in ids], "day": [day] * ROWS}
    )
    place.parent.mkdir(parents=True, exist_ok=True)
    properties = WriterProperties(compression="UNCOMPRESSED")
    write_deltalake(str(place), table, mode=mode, partition_by=["day"], writer_properties=properties)
