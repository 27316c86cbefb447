"""A platform of a database and a folder, in a vault with two locations, and drills of it without a terminal."""

import contextlib
import json
import os
from pathlib import Path

from holdfast.assembly import Platform
from holdfast.assembly.drills import PlatformStage
from holdfast.drills.contract import Answer
from holdfast.drills.engine.course import Asked
from holdfast.drills.engine.drill import Desk, drill
from holdfast.drills.engine.parts import Unattended
from holdfast.drills.scenario.library import Library
from holdfast.drills.scenario.read import compile_text
from holdfast.model import Silent, SystemClock
from holdfast.plan import load
from holdfast.storage.local import LocalStorage
from holdfast.vault import Vault
from holdfast.vault.keys.slots import PassphraseCost
from tests.cli.asking import ran
from tests.servers import server_binaries
from tests.servers.account import server_folder

SECRET = "correct horse battery staple"
PLAN = """
platform: shop
timezone: UTC
vault:
  key: {{env: HOLDFAST_KEY}}
  locations:
    - {{name: near, url: "file://{folder}/near"}}
    - {{name: far, url: "file://{folder}/far"}}
tiers:
  t: {{rpo: 2d, rto: 1h, backup: daily, drill: quarterly, keep: {{last: 3}}}}
sandbox: {{directory: "{boxes}", max: 4}}
systems:
  db:
    kind: postgres
    tier: t
    dsn: {{env: DB_DSN}}
    owner: dora
    checks:
      - {{name: no order without a customer, sql: "select count(*) from orders where customer is null", expect: 0}}
  docs: {{kind: files, tier: t, paths: ["{folder}/docs"]}}
{more}
"""


class Reporter:
    """Hears; ``at``: called with each (phase, state)."""

    def __init__(self, at=None) -> None:
        self.heard, self.at = [], at

    def told(self, text) -> None:
        self.heard.append(text)

    def phase(self, name, state) -> None:
        if self.at is not None:
            self.at(name, state)


class NoIncidents:
    def declare(self, run, title, systems):
        return None

    def note(self, incident, text) -> None:
        pass

    def open(self, run):
        return []

    def close(self, incident, text) -> None:
        pass


class Said:
    """Answers by what is asked, else the first option."""

    def __init__(self, **answers) -> None:
        self.answers, self.asked = answers, []

    def ask(self, question):
        self.asked.append(question)
        text = self.answers.get(question.id or question.what)
        if text is None:
            return Answer("carla", next(iter(question.options), "yes"))
        return Answer("carla", text, refused=text == "no" and question.what == "accept")


class Shop:
    """``server``: a real one, with orders in it. ``folder`` holds everything else."""

    def __init__(self, server, folder: Path, more: str = "", drills: str = "") -> None:
        self.server, self.folder = server, folder
        self.boxes = server_folder("drills")
        (folder / "docs").mkdir(parents=True, exist_ok=True)
        (folder / "docs" / "contract.txt").write_text("nobody may lose this\n" * 100)
        self.environ = {
            **{name: os.environ[name] for name in ("PATH", "LANG", "LC_ALL") if name in os.environ},
            "HOME": str(folder),
            "HOLDFAST_KEY": SECRET,
            "HOLDFAST_STATE": str(folder / "state"),
            "HOLDFAST_CACHE": str(folder / "cache"),
            "HOLDFAST_PG_BIN": str(server_binaries(server.version)) if server is not None else "",
            "DB_DSN": server.dsn if server is not None else "host=/nowhere",
        }
        places = [folder / "near", folder / "far"]
        if not places[0].exists():
            storages = [LocalStorage(str(place), create=True) for place in places]
            made, self.recovery_key = Vault.create(
                storages, SECRET, clock=SystemClock(), cache=folder / "made", cost=PassphraseCost(memory_kib=8, passes=1)
            )
            made.close()
        self.plan = folder / "holdfast.yaml"
        self.plan.write_text(PLAN.format(folder=folder, boxes=self.boxes / "boxes", more=more) + drills)

    @contextlib.contextmanager
    def platform(self):
        with Platform(load(self.plan), clock=SystemClock(), environ=self.environ) as made:
            yield made

    def drill(self, scenario, systems=("db",), *, controls=(), people=None, at=None, target=None, retest=None, detect=900.0):
        """``scenario``: a shipped one's name, or text."""
        snapshot = compile_text(scenario, "test.yaml") if "\n" in scenario else Library(None).snapshot(scenario)
        with self.platform() as platform:
            desk = Desk(platform.state, platform.journal, platform.clock, owners={"db": "dora"})
            asked = Asked(snapshot, tuple(systems), "carla", tuple(controls), target, retest, detect)
            return drill(desk, asked, PlatformStage(platform), people or Unattended("carla"), Reporter(at), NoIncidents(), Silent())

    def journal(self, kind=""):
        with self.platform() as platform:
            return [record for record in platform.journal.entries() if record.kind.startswith(kind)]

    def call(self, *words, expect=0, **environ):
        done = ran(["--json", *words], self.folder, {**self.environ, **environ}, timeout=1800)
        assert done.returncode == expect, f"{done.returncode}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
        return json.loads(done.stdout) if done.stdout.strip() else {}


def fill(server) -> None:
    """Orders, and a few lines each."""
    server.execute("create table orders(id int primary key, customer text, amount int)")
    server.execute("insert into orders select n, 'c' || n % 7, n * 3 from generate_series(1, 400) n")
    server.execute("create table lines(id int primary key, orders int references orders(id), what text)")
    server.execute("insert into lines select n, 1 + n % 400, 'thing' || n from generate_series(1, 300) n")


def marks(server) -> int | None:
    """Rows of the drill's marks in a server; None where their table is not there."""
    [[there]] = server.execute("select to_regclass('public.holdfast_sentinel') is not null")
    return int(server.execute("select count(*) from public.holdfast_sentinel")[0][0]) if there else None


def failed(done):
    return sorted(f"{one.system}/{one.name}" for one in done.checks if one.state == "failed")
