"""A service under load, protected by real `holdfast` processes, in which everything can be killed at any time."""

import contextlib
import dataclasses
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from holdfast.assembly import Platform
from holdfast.demo.ledger import Acknowledged, Comparison, Load, compare, create
from holdfast.model import Silent, SystemClock
from holdfast.plan import load as load_plan
from holdfast.systems.postgres import lsn
from tests.servers import PostgresServer

SYSTEM = "shop"

PLAN = """\
platform: soak
vault:
  key: {{file: {folder}/vault.key}}
  locations: [{{name: vault, url: "file://{folder}/vault"}}]
sandbox: {{directory: "{sandbox}", max: 2}}
systems:
  {system}:
    kind: postgres
    hosts: {{dsn: [{dsns}]}}
    {more}
    backup: hourly
    continuous: true
    rpo: 1s
    rto: 1h
    keep: {{last: 100}}
"""


@dataclasses.dataclass
class Life:
    """One history of the service: the timeline it writes, and where each older timeline it comes from was left."""

    era: int
    timeline: int
    left: dict[int, int]


class Scene:
    """``folder`` holds vault, key, plan and state; servers have folders of their own."""

    def __init__(self, folder: Path, seed: int, *, version: int = 15, rate: float = 120, synchronous: bool = False) -> None:
        self.folder, self.seed, self.version = folder, seed, version
        self.random = random.Random(seed)
        self.clock = SystemClock()
        self.synchronous = synchronous
        settings = {"wal_keep_size": "256MB", "max_slot_wal_keep_size": "-1"}
        if synchronous:
            settings |= {"synchronous_standby_names": "holdfast", "synchronous_commit": "on"}
        self.primary = PostgresServer.create(version, settings=settings)
        self.standby: PostgresServer | None = None
        with self.primary.connect(options="-c synchronous_commit=local") as connection:
            create(connection)
        self.load = Load(self.connect, self.clock, seed=seed, writers=4, rate=rate)
        self.lives = [Life(0, 1, {})]
        self.follower: subprocess.Popen[bytes] | None = None
        self.journal: list[str] = []
        (folder / "vault.key").write_text("a key for the soak")
        (folder / "vault.key").chmod(0o600)
        self.plan()
        with self.platform() as platform:
            platform.create_vault()

    def connect(self) -> Any:
        """To wherever the service is now."""
        return self.primary.connect()

    # ------------------------------------------------------------ holdfast

    @property
    def environ(self) -> dict[str, str]:
        return {
            **os.environ,
            "HOLDFAST_PLAN": str(self.folder / "holdfast.yaml"),
            "HOLDFAST_STATE": str(self.folder / "state"),
            "HOLDFAST_CACHE": str(self.folder / "cache"),
            "HOLDFAST_PG_BIN": str(self.primary.bin),
        }

    def plan(self) -> None:
        """Write the plan for the members that there are now."""
        members = [server for server in (self.primary, self.standby) if server]
        more = "synchronous: true" if self.synchronous else f'data_directory: "{self.primary.data}"' if self.random.random() < 0.5 else ""
        text = PLAN.format(
            folder=self.folder,
            sandbox=self.primary.folder.parent / f"hf-soak-{self.folder.name}",
            system=SYSTEM,
            dsns=", ".join(json.dumps(server.dsn) for server in members),
            more=more,
        )
        (self.folder / "holdfast.yaml").write_text(text)

    def platform(self) -> Platform:
        return Platform(load_plan(self.folder / "holdfast.yaml"), clock=self.clock, environ=self.environ)

    def holdfast(self, *words: str) -> "subprocess.Popen[bytes]":
        with (self.folder / "holdfast.log").open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "holdfast.interfaces.cli.main", *words],
                env=self.environ,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def follow(self) -> None:
        self.follower = self.holdfast("follow", SYSTEM)

    def backup(self) -> None:
        """A whole one; must succeed."""
        process = self.holdfast("backup", SYSTEM)
        assert process.wait(120) == 0, self.words()

    def words(self) -> str:
        """The end of what the processes said, for a failure's report."""
        text = (self.folder / "holdfast.log").read_text(errors="replace")
        return f"seed {self.seed}; {'; '.join(self.journal)}\n{text[-3000:]}"

    # ------------------------------------------------------------ what goes wrong

    def kill_server(self) -> None:
        self.primary.kill9()
        self.primary.start()

    def kill_follower(self) -> None:
        self.end_follower(signal.SIGKILL)
        self.follow()

    def end_follower(self, how: signal.Signals) -> None:
        assert self.follower is not None
        self.follower.send_signal(how)
        self.follower.wait(60)

    def kill_backup(self) -> None:
        """At a random moment; what it left must not keep the next one from its work."""
        process = self.holdfast("backup", SYSTEM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(self.random.uniform(0.3, 2.5))
        process.kill()
        process.wait()

    def promote(self) -> None:
        """The primary dies for good, its standby takes over on a new timeline; the service moves there.

        Asynchronous: some commits are lost, as promised.
        """
        # A standby made while the vault lags would lack what the vault lacks: a gap, which following rightly refuses to pass over.
        self.wait_durable(self.position())
        standby = self.primary.standby(name="standby", settings={"hot_standby": "on"})
        self.standby = standby
        self.pause(0.5)
        old = self.primary
        old.kill9()
        standby.promote()
        life = self.lives[-1]
        timeline = standby.value("select timeline_id from pg_control_checkpoint()")
        while timeline == life.timeline:
            standby.execute("checkpoint")
            timeline = standby.value("select timeline_id from pg_control_checkpoint()")
        left = {}
        for line in (standby.data / "pg_wal" / f"{timeline:08X}.history").read_text().splitlines():
            number, position, *_ = line.split("\t")
            left[int(number)] = lsn.parse(position)
        self.lives.append(Life(life.era + 1, timeline, left))
        self.load.era = life.era + 1
        self.primary, self.standby = standby, None
        old.remove()
        self.plan()
        self.end_follower(signal.SIGTERM)
        self.follow()

    def pause(self, seconds: float) -> None:
        """Let the load go on."""
        time.sleep(seconds)

    # ------------------------------------------------------------ what must hold

    def life(self, timeline: int) -> Life:
        return next(life for life in self.lives if life.timeline == timeline)

    def must(self, timeline: int, position: int) -> tuple[dict[int, int], set[tuple[int, int]]]:
        """(number → era that must be there, (number, era) that cannot be) in the history that ends at ``position`` of ``timeline``."""
        target = self.life(timeline)
        there: dict[int, int] = {}
        absent: set[tuple[int, int]] = set()
        for ack in self.load.acknowledged():
            own = self.lives[ack.era].timeline
            end = position if own == timeline else target.left.get(own)
            if end is None or ack.before >= end:
                absent.add((ack.number, ack.era))
            elif ack.after is not None and ack.after <= end:
                there[ack.number] = ack.era
        return there, absent

    def wait_durable(self, position: int, timeout: float = 60) -> None:
        """Until the follower said that the vault holds the log up to ``position`` of the newest timeline."""
        end = time.monotonic() + timeout
        with self.platform() as platform:
            while True:
                beats = [b for b in platform.state.heartbeats.newest(SYSTEM) if int(b.branch.split("-")[1]) == self.lives[-1].timeline]
                if any(beat.position >= position for beat in beats):
                    return
                assert time.monotonic() < end, self.words()
                assert self.follower is not None
                assert self.follower.poll() is None, self.words()
                time.sleep(0.1)

    def position(self) -> int:
        """The log's flushed end on the primary."""
        return int(self.primary.value("select pg_current_wal_flush_lsn() - '0/0'::pg_lsn"))

    def restore_somewhere(self, timeline: int | None = None) -> None:
        """Open a copy at a random place of a random timeline, and compare everything with the ledger."""
        life = self.life(timeline) if timeline else self.random.choice(self.lives)
        if life is self.lives[-1]:
            self.wait_durable(self.position())
        with self.platform() as platform:
            low, high = self._range(platform, life)
            position = self.random.randint(low, high)
            self.prove(platform, life, position)

    def _range(self, platform: Platform, life: Life) -> tuple[int, int]:
        """Positions of a timeline that can be returned to: behind a point's end, within what the vault covers."""
        logs = platform.logs(SYSTEM)
        branch = next(one for one in logs.branches() if int(one.split("-")[1]) == life.timeline)
        high = logs.reader(branch).coverage()[-1][1] - 8
        ends = []
        for point in platform.history(SYSTEM).points():
            stop, at = lsn.parse(point.stop["lsn"]), int(point.stop["timeline"])
            if at == life.timeline or stop <= life.left.get(at, -1):
                ends.append(stop)
        begin = max(min(ends), max(life.left.values(), default=0))
        assert begin < high, f"nothing to return to on timeline {life.timeline}: {begin:#x} to {high:#x}; {self.words()}"
        return begin + 1, high

    def prove(self, platform: Platform, life: Life, position: int) -> None:
        until = {"kind": "lsn", "lsn": lsn.show(position), "inclusive": True}
        found, reached = self.look(platform, until, {"timeline": str(life.timeline)})
        there, _ = self.must(life.timeline, position)
        # Recovery ends behind the record that holds the target: what was not begun by then cannot be there.
        _, absent = self.must(life.timeline, max(position, reached))
        where = f"{life.timeline}/{lsn.show(position)} (reached {lsn.show(reached)})"
        self.journal.append(f"restored {where}: {len(found.ledger)} transactions, {len(there)} sure")
        self.judge(found, there, absent)

    def look(self, platform: Platform, until: Mapping[str, Any], options: Mapping[str, Any]) -> tuple[Comparison, int]:
        """(the comparison of a throw-away copy, the position that it reached)."""
        import psycopg

        recovery = platform.recovery(SYSTEM)
        with (
            recovery.isolate(platform.history(SYSTEM), until, {**options, "target_action": "pause"}, Silent()) as view,
            psycopg.connect(view.connection, autocommit=True) as connection,
        ):
            return compare(connection, self.seed, self.load.writers), lsn.parse(str(view.reached["lsn"]))

    def judge(self, found: Comparison, there: Mapping[int, int], absent: set[tuple[int, int]]) -> None:
        assert found.ok, f"{found.first_wrong()}; {self.words()}"
        missing = {number: era for number, era in there.items() if found.ledger.get(number) != era}
        assert not missing, f"{len(missing)} acknowledged transactions are missing: {sorted(missing)[:5]}; {self.words()}"
        early = absent & set(found.ledger.items())
        assert not early, f"{len(early)} transactions are there too early: {sorted(early)[:5]}; {self.words()}"

    # ------------------------------------------------------------ end

    def acknowledged(self) -> list[Acknowledged]:
        return self.load.acknowledged()

    def close(self) -> None:
        with contextlib.suppress(RuntimeError):
            self.load.stop()
        if self.follower is not None and self.follower.poll() is None:
            self.follower.kill()
            self.follower.wait()
        for server in (self.primary, self.standby):
            if server is not None:
                server.remove()
        shutil.rmtree(self.primary.folder.parent / f"hf-soak-{self.folder.name}", ignore_errors=True)


@contextlib.contextmanager
def scene(folder: Path, seed: int, **given: Any) -> Iterator[Scene]:
    folder.mkdir(parents=True, exist_ok=True)
    made = Scene(folder, seed, **given)
    try:
        yield made
    finally:
        made.close()
