"""The way back on an empty machine: a location's address and the recovery key, the plan and the runbook out of the vault, people who agree.

The people are played: each answer says so. The runbook is followed as any drill follows one; its steps, and whatever else is done here, are
commands that a person could type, run in processes of their own.
"""

import math
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from holdfast.assembly.drills.surroundings import hidden
from holdfast.demo.platform.judge import Judged, Known, Places, judge
from holdfast.demo.platform.machine import DemoCommandFailed, Machine
from holdfast.demo.platform.production import RUNBOOK
from holdfast.drills.contract import Answer, Question
from holdfast.drills.runbook.asking import Cues, here
from holdfast.drills.runbook.following import Following, Page
from holdfast.evidence.drilled import Did, Finding
from holdfast.model import Clock
from holdfast.runbooks.engine.record import Records
from holdfast.runbooks.engine.work import Bench
from holdfast.runbooks.format.library import Library
from holdfast.runbooks.format.parameters import Parameter, values

if TYPE_CHECKING:
    from holdfast.assembly import Platform

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

    def run(self, platform: "Platform", drill: str, program: Path, address: Path, known: Callable[[], Known]) -> Way:
        """The runbook to its end, as drills follow one. ``drill``: the drill's run; ``known``: asked for when the comparison is due."""
        self.into.mkdir(mode=0o711)
        found, snapshot = Library(self.machine.home / "runbooks").snapshot(RUNBOOK)
        given = {"into": str(self.into), "program": str(program), "address": str(address), "incident": self.way.incident}
        shapes = {name: Parameter.model_validate(shape) for name, shape in snapshot.document["parameters"].items()}
        page = Page(snapshot, str(found.path), values(shapes, given, now=self._clock.now(), zone=platform.plan.zone))
        records = Records(platform.state, platform.journal, self._clock)
        self.way.run = records.new_id()
        answers: Mapping[str, Callable[[], tuple[str, str, str]]] = {
            "way": lambda: (COMMANDER, "decided: the machine is lost, the platform is built anew", "rebuild"),
            "agree": lambda: (APPROVER, "approved the restore", "approve"),
            "compare": lambda: self._compare(records, program, known()),
            "accept": lambda: (APPROVER, "accepted the recovery", "approve"),
            "told": lambda: (COMMANDER, "told everybody", "told the shop and the analysts: back, and what was lost"),
        }

        def ask(question: Question) -> Answer:
            name, did, text = answers[question.id]()
            self._tell(f"    {name} ({ROLES[name]}): {did}")
            self.way.answered.append(Did(ROLES[name], name, self._now(), did, question.id, PLAYED))
            return Answer(name, text, played_by=PLAYED)

        following = Following(records, self._bench(platform))
        facts = {"incident": self.way.incident, "drill": drill}
        stopped = following.follow(self.way.run, page, here(COMMANDER), Cues(ask, _silent, self._clock), lambda: False, **facts)
        if stopped.state.outcome != "done":
            raise RuntimeError(f"the runbook did not come to its end: {stopped.how}, {stopped.next.step}: {stopped.next.text}")
        return self.way

    def _bench(self, platform: "Platform") -> Bench:
        """On a machine of its own nothing is production: its steps may reach whatever is there."""
        program = [*self.machine.program, "--plan", str(self.machine.plan)]
        return Bench(program, self.machine.environ, self.machine.plan.parent, self._clock, _no_secrets, hidden=hidden(platform))

    def _compare(self, records: Records, program: Path, known: Known) -> tuple[str, str, str]:
        outputs = {name: step.outputs for name, step in records.load(self.way.run).steps.items()}
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
        return VERIFIER, f"compared with the ledger: {text}", text

    def _now(self) -> str:
        return self._clock.now().isoformat(timespec="microseconds")


def _silent(text: str) -> None:
    del text


def _no_secrets(place: Mapping[str, Any]) -> str:
    raise DemoCommandFailed(f"The runbook asks for a secret ({', '.join(place)}), and the demonstration has none.")
