"""The platform before the disaster: a database, a lake, a bucket and files on one machine, protected by a plan with two locations."""

import json
import os
import secrets
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from holdfast.demo.ledger import Load, create
from holdfast.demo.platform.app.export import Table
from holdfast.demo.platform.machine import Machine, end
from holdfast.demo.server import EmbeddedServer, in_turn
from holdfast.model import Clock

SYSTEMS = ("app", "orders-db", "lake", "raw")
"""In the order of the flows: programs, the source, what is fed by it."""
SEED, WRITERS, RATE = 2026, 4, 60
RUNBOOK = "platform-lost"
SENTINELS = {"nonce": "string", "at": "string"}
_HERE = Path(__file__).parent
PROMISES = {"orders-db": (10, 180), "lake": (3600, 300), "raw": (3600, 300), "app": (86400, 300)}
"""By system: RPO and RTO of its tier, seconds."""

PLAN = """\
# The plan of the drill's platform: what matters, what was promised, how it is kept.
platform: acme-orders
vault:
  key: {{file: vault.key}}
  locations:
    - {{name: onsite, url: "file://{onsite}", failure_domain: machine-1}}
    - {{name: offsite, url: "file://{offsite}", failure_domain: elsewhere}}
tiers:
  critical:
    rpo: {{onsite: 5s, offsite: 10s}}
    rto: 3m
    backup: hourly
    continuous: true
    verify: {{restore: daily}}
    drill: quarterly
    keep: {{last: 3, daily: 7}}
    locations: [onsite, offsite]
    min_copies: 2
  important:
    rpo: 1h
    rto: 5m
    backup: hourly
    drill: yearly
    keep: {{last: 3, daily: 7}}
    locations: [onsite, offsite]
    min_copies: 2
  ordinary: {{rpo: 1d, rto: 5m, backup: daily, keep: {{last: 3, daily: 7}}, locations: [onsite, offsite], min_copies: 2}}
systems:
  orders-db:
    kind: postgres
    tier: critical
    owner: core-data
    dsn: "{dsn}"
    data_directory: "{data}"
    checks:
      - {{name: no orphan lines, sql: "select count(*) from lines l left join orders o on o.id = l.order_id where o.id is null", expect: 0}}
  lake: {{kind: delta, tier: important, owner: analytics, url: "file://{lake}", tables: [orders, sentinels]}}
  raw: {{kind: bucket, tier: important, owner: core-data, url: "file://{bucket}"}}
  app: {{kind: files, tier: ordinary, owner: web, paths: ["{app}"]}}
flows:
  - {{from: orders-db, to: lake/orders, key: number}}
  - {{from: orders-db, to: raw/receipts, key: number}}
runbooks: ./runbooks
"""


class Production(Machine):
    """``folder`` holds everything that the disaster takes: servers, lake, bucket, files, plan, state, journal, the location onsite.

    ``address``: the clients' address book, elsewhere: a file that says where the database is.
    """

    def __init__(self, folder: Path, offsite: Path, install: Path, address: Path, clock: Clock) -> None:
        super().__init__(folder, clock, {"HOLDFAST_PG_BIN": str(install / "bin")})
        self.offsite = offsite
        self.onsite = folder / "vault"
        self.lake, self.bucket, self.app = folder / "lake", folder / "bucket", folder / "app"
        self.server = EmbeddedServer(install, folder / "db", clock)
        self.address = address
        self.load = Load(self.reach, clock, seed=SEED, writers=WRITERS, rate=RATE)
        self.running: list[subprocess.Popen[bytes]] = []

    def reach(self) -> Any:
        """A connection as clients make it: to wherever the address book says that the database is."""
        import psycopg

        try:
            where = self.address.read_text(encoding="utf-8").strip()
        except OSError as error:
            raise psycopg.OperationalError(str(error)) from error
        return psycopg.connect(where, autocommit=True, connect_timeout=10)

    def build(self) -> str:
        """Everything up to the first backup; returns the recovery key."""
        self.server.create()
        self.server.start()
        with self.server.connect() as connection:
            create(connection)
            connection.execute("create table sentinels (nonce text primary key, at timestamptz not null default clock_timestamp())")
        self.address.write_text(self.server.dsn + "\n", encoding="utf-8")
        Table(self.lake / "orders").create()
        Table(self.lake / "sentinels", SENTINELS).create()
        (self.bucket / "receipts").mkdir(parents=True)
        self._install()
        shutil.copytree(_HERE / "runbooks", self.home / "runbooks")
        self.plan.write_text(
            PLAN.format(
                onsite=self.onsite,
                offsite=self.offsite,
                dsn=self.server.dsn,
                data=self.server.data,
                lake=self.lake,
                bucket=self.bucket,
                app=self.app,
            ),
            encoding="utf-8",
        )
        descriptor = os.open(self.home / "vault.key", os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        os.write(descriptor, secrets.token_urlsafe(24).encode())
        os.close(descriptor)
        return str(self.ask("init", "--yes")["recovery_key"])

    def _install(self) -> None:
        """The application: its program, its settings, a link to the release in use."""
        release = self.app / "releases" / "1"
        release.mkdir(parents=True)
        shutil.copy(_HERE / "app" / "export.py", release / "export.py")
        (release / "settings.json").write_text(json.dumps({"shop": "acme", "currency": "EUR", "pause": 0.5}, indent=2) + "\n")
        (self.app / "current").symlink_to("releases/1")

    def live(self) -> None:
        """Orders come in, are carried into the lake and the bucket, and the log is followed."""
        self.load.start()
        words = [sys.executable, str(self.app / "current" / "export.py"), "--address", str(self.address)]
        self.running.append(self.begin([*words, "--lake", str(self.lake), "--bucket", str(self.bucket)], "export.log"))
        self.running.append(self.begin([*self.program, "follow"], "follow.log"))

    def settled(self) -> bool:
        """Whether orders reach the lake and the bucket."""
        return Table(self.lake / "orders").version() > 0 and any((self.bucket / "receipts").iterdir())

    def plant(self, nonce: str) -> None:
        """The sentinel of a drill in each of the four systems: what comes back without it is not of today."""
        at = self._clock.now().isoformat()
        with self.server.connect() as connection:
            connection.execute("insert into sentinels (nonce) values (%s)", (nonce,))
        Table(self.lake / "sentinels", SENTINELS).append([(nonce, at)], {})
        for folder in (self.bucket / "sentinels", self.app / "sentinels"):
            folder.mkdir(exist_ok=True)
            (folder / nonce).write_text(at + "\n", encoding="utf-8")

    def lose(self) -> dict[str, Any]:
        """The disaster: every process of the machine ends at once, and nothing of it is left. What was done, for the record."""
        ended = [process.pid for process in self.running if process.poll() is None] + ([self.server.pid] if self.server.running else [])
        # All at once first, as when the power goes; then each is waited for.
        for process in self.running:
            process.kill()
        self.server.kill()
        for process in self.running:
            end(process)
        files = sum(len(names) for _, _, names in os.walk(self.folder))
        shutil.rmtree(self.folder)
        return {"processes": ended, "files": files, "folder": str(self.folder), "gone": not self.folder.exists()}

    def strike(self) -> None:
        """Everything down, also after a failure. May be called twice."""
        in_turn(self._stop_load, *(lambda one=one: end(one) for one in self.running), self.server.kill)

    def _stop_load(self) -> None:
        self.load.stop()
