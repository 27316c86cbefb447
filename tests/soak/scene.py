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
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from holdfast.assembly import Platform
from holdfast.demo.ledger import Acknowledged, Load, create
from holdfast.model import SystemClock
from holdfast.plan import load as load_plan
from holdfast.systems.postgres import lsn
from holdfast.systems.postgres.follow import slot_name
from tests.servers import PostgresServer
from tests.soak.tally import Tally

SYSTEM = "shop"
BACKUP_SECONDS = 180

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
    """``folder`` holds vault, key, plan and state; servers have folders of their own. ``tally`` is counted into.

    ``random`` decides what happens and draws the same for a seed; ``aims`` decides where to return to, from positions that were reached.
    """

    def __init__(
        self, folder: Path, seed: int, *, version: int = 15, rate: float = 120, synchronous: bool = False, tally: Tally | None = None
    ) -> None:
        self.folder, self.seed, self.version = folder, seed, version
        self.tally = tally or Tally()
        self.random, self.aims = random.Random(seed), random.Random(f"{seed} aims")
        self.clock = SystemClock()
        self.synchronous = synchronous
        settings = {"wal_keep_size": "256MB", "max_slot_wal_keep_size": "-1"}
        if synchronous:
            settings |= {"synchronous_standby_names": slot_name(SYSTEM), "synchronous_commit": "on"}
        self.primary = PostgresServer.create(version, settings=settings)
        # Where the server's user gets to, and of this scene alone: another worker plays at the same time.
        self.sandbox = self.primary.folder.parent / f"hf-soak-{self.primary.folder.name[-8:]}"
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
            sandbox=self.sandbox,
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
        assert process.wait(BACKUP_SECONDS) == 0, self.words()
        self.tally.count("backups")

    def words(self) -> str:
        """The end of what the processes said, for a failure's report."""
        return f"seed {self.seed}; {'; '.join(self.journal)}\n{self.said()[-3000:]}"

    def said(self) -> str:
        return (self.folder / "holdfast.log").read_text(errors="replace")

    def well(self) -> None:
        """What must hold at any time: the follower lives, no program met a bug in itself, the shop was refused nothing."""
        assert self.follower is not None
        assert self.follower.poll() is None, f"the follower ended with status {self.follower.returncode}; {self.words()}"
        assert "error[bug]" not in self.said(), self.words()
        assert not self.load.errors, self.load.errors[0]
        assert not self.load.refused, self.load.refused[0]

    # ------------------------------------------------------------ what goes wrong

    def kill_server(self) -> None:
        self.primary.kill9()
        self.pause(self.random.uniform(0, 1))
        self.primary.start()
        self.tally.count("kills of the server")

    def kill_follower(self) -> None:
        """Away for up to two seconds."""
        self.end_follower(signal.SIGKILL)
        self.tally.count("kills of the follower")
        self.pause(self.random.uniform(0, 2))
        self.follow()

    def back_up_unfollowed(self) -> None:
        """A backup ships its own WAL while the follower is away, which then goes on where it was."""
        self.end_follower(signal.SIGKILL)
        self.tally.count("kills of the follower")
        self.backup()
        self.follow()

    def end_follower(self, how: signal.Signals) -> None:
        assert self.follower is not None
        assert self.follower.poll() is None, f"the follower had ended by itself; {self.words()}"
        self.follower.send_signal(how)
        self.follower.wait(120)

    def kill_backup(self) -> None:
        """At a random moment; what it left must not keep the next one from its work."""
        longest = 4.0
        while True:
            process = self.holdfast("backup", SYSTEM)
            try:
                status = process.wait(self.random.uniform(0.3, longest))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                self.tally.count("kills of a backup")
                return
            # It was quicker.
            assert status == 0, self.words()
            self.tally.count("backups")
            longest /= 2

    def disturb_backup(self) -> None:
        """The server or the follower dies under a running backup, which may fail for it, in words, or come to its end."""
        process = self.holdfast("backup", SYSTEM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(self.random.uniform(0.3, 2.5))
        during = process.poll() is None
        self.random.choice((self.kill_server, self.kill_follower))()
        process.wait(BACKUP_SECONDS)
        if during:
            self.tally.count("backups that lost their server or follower")

    def promote(self) -> None:
        """The primary dies for good, its standby takes over on a new timeline; the service moves there.

        Asynchronous: some commits are lost, as promised. Half of the time the follower knew both servers before and finds its way alone,
        half of the time the plan changes and it is started anew.
        """
        known = self.random.random() < 0.5
        # A standby made while the vault lags would lack what the vault lacks: a gap, which following rightly refuses to pass over.
        self.wait_durable(self.position())
        standby = self.primary.standby(name="standby", settings={"hot_standby": "on"})
        self.standby = standby
        if known:
            self.plan()
            self.end_follower(signal.SIGTERM)
            self.follow()
            self.wait_durable(self.position())
        self.pause(self.random.uniform(0, 1))
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
            # An empty line stands between two histories.
            if line.strip():
                number, position, *_ = line.split("\t")
                left[int(number)] = lsn.parse(position)
        self.lives.append(Life(life.era + 1, timeline, left))
        self.load.era = life.era + 1
        self.primary, self.standby = standby, None
        old.remove()
        self.plan()
        if not known:
            self.end_follower(signal.SIGTERM)
            self.follow()
        self.tally.count("promotions")
        self.journal.append(
            f"timeline {timeline} left its past at {', '.join(map(lsn.show, left.values()))}, follower {'kept' if known else 'anew'}"
        )

    def pause(self, seconds: float) -> None:
        """Let the load go on."""
        time.sleep(seconds)

    # ------------------------------------------------------------ what is asked

    def life(self, timeline: int) -> Life:
        return next(life for life in self.lives if life.timeline == timeline)

    def wait_durable(self, position: int, timeout: float = 120) -> None:
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
        shutil.rmtree(self.sandbox, ignore_errors=True)


@contextlib.contextmanager
def scene(folder: Path, seed: int, **given: Any) -> Iterator[Scene]:
    folder.mkdir(parents=True, exist_ok=True)
    made = Scene(folder, seed, **given)
    try:
        yield made
    finally:
        made.close()
