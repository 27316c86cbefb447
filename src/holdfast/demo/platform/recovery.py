"""The way back on an empty machine: a location's address and the recovery key, the plan and the runbook out of the vault, people who agree.

The people are played: each answer says so. Whatever is done here is a command that a person could type, run in a process of its own.
"""

import math
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from holdfast.demo.platform.judge import Judged, Known, Places, judge
from holdfast.demo.platform.machine import Machine
from holdfast.demo.platform.production import RUNBOOK
from holdfast.evidence.drilled import Did, Finding
from holdfast.model import Clock

COMMANDER, APPROVER, VERIFIER = "carla", "dora", "emil"
ROLES = {COMMANDER: "incident commander", APPROVER: "approver (head of data)", VERIFIER: "verifier"}
PLAYED = "by the demonstration, nobody was asked"


@dataclass
class Way:
    """What happened. ``run``: the runbook's; ``answered``: what people did."""

    run: str = ""
    incident: str = ""
    judged: Judged | None = None
    answered: list[Did] = field(default_factory=list)
    points: dict[str, str] = field(default_factory=dict)
    connection: str = ""
    opened: dict[str, Any] = field(default_factory=dict)


class Recovery:
    """``machine`` is empty when it begins. ``into``: where the systems come back."""

    def __init__(self, machine: Machine, clock: Clock, tell: Callable[[str], None]) -> None:
        self.machine = machine
        self.into = machine.folder / "srv"
        self.way = Way()
        self._clock, self._tell = clock, tell
        self.before = sorted(path.name for path in machine.home.iterdir())
        """What lay on the machine before it was used: nothing."""

    def declare(self, drill: str, detected: str) -> str:
        """The incident, marked as a drill on everything that is sent about it; its id. No plan and no vault is needed for it."""
        words = ["--severity", "P1", "--drill", drill, "--detected", detected, "--as", COMMANDER]
        self.way.incident = str(
            self.machine.ask("incident", "declare", "nothing of the platform answers", *words, planless=True)["incident"]
        )
        return self.way.incident

    def note_findings(self, found: Sequence[Finding]) -> dict[str, Any]:
        """What is to be done becomes actions of the incident. The incident, as it then stands."""
        for one in found:
            self.machine.ask(
                "incident", "action", self.way.incident, one.finding, "--owner", one.owner, "--due", one.due, "--as", COMMANDER
            )
        return self.machine.ask("incident", "show", self.way.incident)

    def open_vault(self, url: str) -> None:
        """The plan, the runbooks and the journals of the lost hosts out of the vault."""
        records = self.machine.home / "records"
        self.way.opened = self.machine.ask(
            "vault", "open", url, "--records", str(records), "--write-plan", str(records / "holdfast.yaml"), planless=True
        )
        # The plan names its runbooks beside itself.
        (records / "holdfast.yaml").rename(self.machine.plan)
        shutil.copytree(records / "runbooks", self.machine.home / "runbooks")

    def run(self, program: Path, address: Path, known: Callable[[], Known]) -> Way:
        """The runbook to its end. ``known``: asked for when the comparison is due."""
        self.into.mkdir(mode=0o711)
        words = ["--param", f"into={self.into}", "--param", f"program={program}", "--param", f"address={address}"]
        words += ["--param", f"incident={self.way.incident}"]
        said = self.machine.ask("runbook", "run", RUNBOOK, "--as", COMMANDER, *words, status=(0, 1))
        self.way.run = str(said["run"])
        answers: Mapping[str, Callable[[dict[str, Any]], tuple[str, str, list[str]]]] = {
            "way": lambda _: (COMMANDER, "decided: the machine is lost, the platform is built anew", ["--choose", "rebuild"]),
            "agree": lambda _: (APPROVER, "approved the restore", []),
            "compare": lambda said: self._compare(said, program, known()),
            "accept": lambda _: (APPROVER, "accepted the recovery", []),
            "told": lambda _: (COMMANDER, "told everybody", ["--note", "told the shop and the analysts: back, and what was lost"]),
        }
        while said["status"] == "waiting":
            step = str(said["waiting_for"]["step"])
            name, did, more = answers[step](said)
            self._tell(f"    {name} ({ROLES[name]}): {did}")
            self.way.answered.append(Did(ROLES[name], name, self._now(), did, step, PLAYED))
            said = self.machine.ask("runbook", "approve", self.way.run, step, "--as", name, *more, "--resume", status=(0, 1))
        if said["status"] != "ended" or said["outcome"] != "done":
            raise RuntimeError(f"the runbook did not come to its end: {said['status']}, {said['why']}")
        return self.way

    def _compare(self, said: dict[str, Any], program: Path, known: Known) -> tuple[str, str, list[str]]:
        outputs = {one["step"]: one["outputs"] for one in said["steps"]}
        self.way.points = {
            system: outputs[step]["point"]
            for system, step in (("app", "restore-app"), ("orders-db", "restore-db"), ("lake", "restore-lake"), ("raw", "restore-raw"))
        }
        self.way.connection = outputs["restore-db"]["connection"]
        places = Places(self.way.connection, self.into / "lake", self.into / "bucket", Path(f"{self.into / 'app'}{program}"))
        self.way.judged = found = judge(places, known, int(outputs["replay"]["orders"]), int(outputs["replay"]["receipts"]), self._clock)
        lost = f"orders-db={math.ceil(found.lost_seconds)}s" if found.lost else "orders-db=0"
        self.machine.ask("incident", "systems", self.way.incident, "--lost", lost, "--as", VERIFIER)
        good = sum(one.state == "passed" for one in found.checks)
        text = f"{good} of {len(found.checks)} comparisons equal; {found.lost} of {len(known.acknowledged)} acknowledged orders lost"
        return VERIFIER, f"compared with the ledger: {text}", ["--note", text]

    def _now(self) -> str:
        return self._clock.now().isoformat(timespec="microseconds")
