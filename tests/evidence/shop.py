"""A platform with real vaults and a real journal, whose runs are made up: what they say is the test's choice, the rest is real."""

import contextlib
import datetime as dt
import json
import random
from pathlib import Path

from holdfast.assembly import Platform
from holdfast.assembly.evidence.proving import Prover
from holdfast.model import SystemClock
from holdfast.plan import load
from holdfast.protection.recorded import recorded
from holdfast.storage.local import LocalStorage
from holdfast.vault import Vault
from holdfast.vault.keys.slots import PassphraseCost

PLAN = """
platform: shop
vault:
  key: {{env: HOLDFAST_KEY}}
  locations:
    - {{name: near, url: "file://{near}"}}
    - {{name: far, url: "file://{far}"}}
tiers:
  t: {{rpo: 2d, rto: 15m, backup: daily, keep: {{last: 3}}, verify: {{restore: weekly, structure: daily}}}}
systems:
  orders: {{kind: files, tier: t, paths: [/srv/orders], owner: core-data}}
{more}
"""
SECRET = "correct horse battery staple"


class Moved(SystemClock):
    """The machine's clock, set ``by`` another time."""

    def __init__(self) -> None:
        self.by = dt.timedelta()

    def now(self) -> dt.datetime:
        return super().now() + self.by


class Shop:
    """``home`` holds everything. Hosts of one vault are Shops with the same ``vault`` folder."""

    def __init__(self, home: Path, vault: Path | None = None, more: str = "") -> None:
        self.home = home
        home.mkdir(parents=True, exist_ok=True)
        at = vault or home
        self.places = [at / "near", at / "far"]
        self.clock = Moved()
        if not self.places[0].exists():
            storages = [LocalStorage(str(place), create=True) for place in self.places]
            Vault.create(storages, SECRET, clock=self.clock, cache=home / "made", cost=PassphraseCost(memory_kib=8, passes=1))[0].close()
        self.plan = home / "holdfast.yaml"
        self.plan.write_text(PLAN.format(near=self.places[0], far=self.places[1], more=more))
        self.told: list[str] = []
        self.environ = {"HOLDFAST_KEY": SECRET, "HOLDFAST_STATE": str(home / "state"), "HOLDFAST_CACHE": str(home / "cache")}
        self.open()

    def open(self) -> None:
        """As another process would."""
        self.platform = Platform(load(self.plan), clock=self.clock, environ=self.environ)

    @property
    def root(self) -> str:
        return self.platform.vault().notary.bundle.root_public.hex()

    def prover(self) -> Prover:
        self.platform.vault()
        return Prover(self.platform, self.told.append)

    def run(self, verb: str = "verify", *, system: str | None = "orders", fails: bool = False, **facts) -> str:
        """A run as commands record it; returns its id."""
        error = RuntimeError("made to fail")
        with (
            contextlib.suppress(RuntimeError),
            recorded(self.platform.state, self.platform.journal, self.clock, verb, system) as work,
        ):
            work.add(**facts)
            if fails:
                raise error
        return work.run

    def report(self, run: str):
        prover = self.prover()
        return prover.report(prover.find(run))

    def proved(self, **facts):
        """The report of a verification that passed."""
        given = {
            "verdict": "passed",
            "clocks": {"prepare": 0.2, "restore": 2.5, "replay": 1.25, "validate": 0.75},
            "reached": {"time": self.clock.now().isoformat(), "lsn": "0/3000028"},
            "results": [check("paid orders kept", [7], [7])],
            "exact": False,
            "until": {"kind": "latest"},
            "torn_down": True,
        }
        return self.report(self.run(**{**given, **facts}))

    def close(self) -> None:
        self.platform.close()


def check(name, expected, actual, state="passed", detail=""):
    return {"name": name, "kind": "check", "state": state, "expected": expected, "actual": actual, "detail": detail, "seconds": 0.01}


TEXTS = [
    "paid orders kept",
    "Überweisungen ganz",
    "no orphan lines",
    "注文",
    'quote " and \\ back',
    "tab\tand\nline",
    "\ud800 alone",
    "é",
    "é",
]


def any_facts(chance: random.Random) -> dict:
    """What a run may say: of any shape that the journal takes."""

    def value(depth: int = 0):
        kinds = [
            lambda: chance.choice(TEXTS),
            lambda: chance.randrange(-(10**15), 10**15),
            lambda: chance.random() * 10 ** chance.randrange(-9, 12),
            lambda: chance.choice([True, False, None]),
            lambda: -0.0,
        ]
        if depth < 3:
            kinds += [lambda: [value(depth + 1) for _ in range(chance.randrange(4))]]
            kinds += [lambda: {chance.choice(TEXTS): value(depth + 1) for _ in range(chance.randrange(4))}]
        return chance.choice(kinds)()

    states = ["passed", "passed", "passed", "failed", "skipped"]
    results = [
        check(chance.choice(TEXTS), value(), value(), chance.choice(states), chance.choice(TEXTS)) for _ in range(chance.randrange(6))
    ]
    phases = [name for name in ("prepare", "restore", "replay", "validate", "source", "total") if chance.random() < 0.7]
    return {
        "verdict": chance.choice(["passed", "failed", "inconclusive"]),
        "clocks": {name: chance.random() * 2000 for name in phases},
        "reached": chance.choice(
            [None, {"time": "2026-05-01T10:00:00+00:00"}, {"time": "not a time"}, {"place": {"time": None}}, {"lsn": "0/1"}]
        ),
        "results": results,
        "exact": chance.choice([True, False]),
        "until": chance.choice([{"kind": "latest"}, {"kind": "time"}, None]),
        "torn_down": True,
        "note": value(),
    }


def signed_file(issued) -> dict:
    return json.loads(issued.data)
