"""Round the phases: the mark, the beginning, teardown with proof, findings and the end. And what becomes of a drill that was killed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from holdfast.drills.contract import People, Reporter, Responder, Stage
from holdfast.drills.engine import judge
from holdfast.drills.engine.course import Asked, Course
from holdfast.drills.engine.record import DrillRecord, Marker, Markers, changes_left, entries
from holdfast.drills.engine.run import Play
from holdfast.drills.engine.tabletop import Tabletop
from holdfast.drills.errors import DrillNotSteady
from holdfast.drills.findings import Book, Finding
from holdfast.errors import HoldfastError
from holdfast.evidence.drilled import Check, Ended
from holdfast.evidence.drilled import Finding as Reported
from holdfast.journal import Journal, Record
from holdfast.model import Clock, Progress
from holdfast.protection.recorded import Cancelled, Recorded
from holdfast.state import State

OK, FAILED, CANCELLED, INTERRUPTED, REFUSED = "ok", "failed", "cancelled", "interrupted", "refused"


@dataclass(frozen=True)
class Finished:
    """A drill that has an end. ``error``: why it did not start, or was stopped, or broke off."""

    run: str
    outcome: str
    checks: Sequence[Check]
    clocks: Mapping[str, float]
    findings: Sequence[Finding]
    teardown: Sequence[Mapping[str, Any]]
    torn_down: bool
    said: Mapping[str, Any] = field(default_factory=dict)
    error: BaseException | None = None


@dataclass
class Desk:
    """What every drill of a host shares."""

    state: State
    journal: Journal
    clock: Clock
    owner: str | None = None
    """Of findings, where neither scenario nor system names one."""
    owners: Mapping[str, str] = field(default_factory=dict)

    @property
    def book(self) -> Book:
        return Book(self.journal, self.clock)

    @property
    def markers(self) -> Markers:
        return Markers(self.state.folder)


def drill(desk: Desk, asked: Asked, stage: Stage, people: People, reporter: Reporter, responder: Responder, progress: Progress) -> Finished:
    """Run it. Raises, before anything was written: DrillActive, DrillProduction, DrillUsage. What happens later is in what it returns."""
    systems = ",".join(asked.systems)
    run = desk.state.runs.begin(
        "drill", asked.systems[0] if len(asked.systems) == 1 else None, scenario=asked.snapshot.name, systems=systems
    )
    record = DrillRecord(desk.journal, desk.clock, run)
    marker: Marker | None = None
    try:
        watched = Recorded(desk.state, desk.clock, run).watch(progress)
        play: Course = (
            Tabletop(asked, record, people, reporter, responder, desk.clock)
            if asked.snapshot.scenario.kind == "tabletop"
            else Play(asked, stage, record, people, reporter, responder, desk.clock, watched)
        )
        play.refuse()
        marker = desk.markers.set(run, asked.snapshot.name)
        record.write("begin", asked_by=asked.by, retest=asked.retest, target=asked.target, **play.begun().to_json())
    except BaseException as error:
        desk.state.runs.end(run, CANCELLED if isinstance(error, KeyboardInterrupt) else FAILED)
        if marker is not None:
            marker.remove()
        raise
    return _Closing(desk, asked, stage, play, marker).close(_played(play))


def _played(play: Course) -> BaseException | None:
    """What ended it early. A fault of this program goes on after everything is undone."""
    try:
        play.run()
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - everything is undone first, then it is told
        return error
    return None


class _Closing:
    """Teardown, findings, end: in this order, and each whatever became of the one before."""

    def __init__(self, desk: Desk, asked: Asked, stage: Stage, play: Course, marker: Marker) -> None:
        self.desk, self.asked, self.stage, self.play, self.marker = desk, asked, stage, play, marker
        self.record, self.played = play.record, play.played

    def close(self, error: BaseException | None) -> Finished:
        teardown, whole = self._tear_down()
        outcome = self._outcome(error)
        if error is not None and outcome == FAILED:
            why = f"{error.code}: {error.message}" if isinstance(error, HoldfastError) else f"{type(error).__name__}: {error}"
            self.played.add("ran to its end", "drill", ok=False, expected="every phase", actual=why)
        findings = self._findings() if outcome in (OK, FAILED) else []
        ended = self._ended(outcome, findings, teardown, whole=whole)
        message = error.message if isinstance(error, HoldfastError) else type(error).__name__ if error else None
        code = error.code if isinstance(error, HoldfastError) else None
        said = ended.to_json()
        seconds = round(self.desk.clock.monotonic() - self.play.began, 3)
        # The state first: when the journal cannot be written, at least nobody waits for this run.
        self.desk.state.runs.end(self.record.run, outcome, clocks=said["clocks"], message=message or "")
        self.record.write("end", outcome=outcome, seconds=seconds, message=message, code=code, controls=self.played.controls, **said)
        if outcome in (OK, FAILED) and self.asked.snapshot.scenario.kind != "tabletop":
            for name in self.asked.systems:
                self.desk.state.proofs.add(name, "drill", ok=outcome == OK, scenario=self.asked.snapshot.name)
        self._incident(outcome)
        if whole:
            self.marker.remove()
        else:
            self.marker.close()
        return Finished(self.record.run, outcome, self.played.checks, self.played.clocks, findings, teardown, whole, said, error)

    def _outcome(self, error: BaseException | None) -> str:
        if isinstance(error, DrillNotSteady):
            return REFUSED
        if isinstance(error, (KeyboardInterrupt, Cancelled)):
            return CANCELLED
        red = error is not None or any(one.state == "failed" for one in self.played.checks)
        proved = any(one.state == "passed" and one.kind not in ("teardown", "isolation") for one in self.played.checks)
        return OK if proved and not red else FAILED

    def _tear_down(self) -> tuple[list[dict[str, Any]], bool]:
        """(what was looked for, whether all of it is gone)."""
        self.record.write("phase", name="teardown", state="begun", title="everything that was made or changed is undone")
        self.play.reporter.phase("teardown", "begun")
        began = self.desk.clock.monotonic()
        wrong: list[str] = []
        if self.play.prober is not None:
            self.play.prober.stop()
            self._probes()
        try:
            self.play.standing.close()
        except Exception as error:  # noqa: BLE001 - told as what it is: something may be left
            wrong.append(f"copies: {type(error).__name__}: {error}")
        wrong += undo(self.stage, self.record)
        proofs = [*self.record.undone_proofs]
        for one in {id(each): each for each in (*self.play.restorers, *self.play.returning)}.values():
            try:
                left = list(one.sweep())
            except Exception as error:  # noqa: BLE001 - told as what it is: something may be left
                wrong.append(f"{one.system}: {_said(error)}")
                continue
            proofs.append({"name": f"copies of {one.system}", "expected": "none is left", "actual": left or "none is left"})
        proofs += [{"name": text, "expected": "undone", "actual": "still there"} for _, text, _ in self.record.open]
        whole = not wrong and not self.record.open
        actual = "all gone" if whole else "; ".join(wrong)
        self.played.add("teardown", "teardown", ok=whole, expected="all gone", actual=actual)
        seconds = round(self.desk.clock.monotonic() - began, 3)
        facts = {"wrong": wrong, "proofs": len(proofs)}
        self.record.write("phase", name="teardown", state="ended", seconds=seconds, outcome="ok" if whole else "failed", facts=facts)
        self.play.reporter.phase("teardown", "ended")
        return proofs, whole

    def _probes(self) -> None:
        assert self.play.prober is not None
        for series in self.play.prober.series:
            self.record.write("probed", name=series.name, looks=len(series.seen), series=series.to_json(self.play.began))

    def _findings(self) -> list[Finding]:
        scenario, book = self.asked.snapshot.scenario, self.desk.book
        due = (self.desk.clock.now() + scenario.findings.due).date()
        made = []
        for one in self.played.checks:
            if one.state != "failed":
                continue
            owner = scenario.findings.owner or self.desk.owners.get(one.system) or self.desk.owner or self.asked.by
            limit = self.play.objectives.get(one.system, {}).get(one.name) if one.kind == "objective" else None
            made.append(
                book.open(
                    judge.sentence(one),
                    judge.about(one),
                    owner=owner,
                    due=due,
                    scenario=scenario.drill,
                    run=self.record.run,
                    systems=self.asked.systems,
                    limit=limit,
                )
            )
        return list({one.id: one for one in made}.values())

    def _ended(self, outcome: str, findings: Sequence[Finding], teardown: Sequence[Mapping[str, Any]], *, whole: bool) -> Ended:
        played = self.played
        losses = [one for one in played.lost.values() if one.seconds is not None]
        # Of a system whose loss nobody could count, the others' loss says nothing.
        promised = [name for name, one in self.play.objectives.items() if "rpo" in one]
        uncounted = [name for name in promised if name not in played.lost or played.lost[name].seconds is None]
        worst = None if uncounted else max(losses, key=lambda one: one.seconds or 0.0, default=None)
        absent = {
            "results.transactions_lost": "a drill counts its own marks and not the source's transactions: see how the loss was counted"
        }
        if played.sign_off is None:
            absent["closure.sign_off"] = played.unsigned
        if not played.points:
            absent["backup"] = "no point was taken for this drill"
        return Ended(
            verdict="passed" if outcome == OK else "failed" if outcome == FAILED else "skipped",
            results=played.checks,
            clocks={name: round(seconds, 3) for name, seconds in played.clocks.items()},
            people=self.play.cast.did,
            steps=played.steps,
            findings=[Reported(one.text, one.owner, one.due.isoformat(), "medium", f"holdfast drill retest {one.id}") for one in findings],
            sign_off=played.sign_off,
            isolation=self.play.isolation,
            isolation_proof=played.isolation,
            teardown=teardown,
            torn_down=whole,
            returned=played.returned,
            rpo={
                "lost_seconds": None if worst is None or worst.seconds is None else round(worst.seconds, 3),
                "newest_recovered": worst.newest_recovered if worst else None,
                "newest_committed": worst.newest_committed if worst else None,
                "counted": worst.counted if worst else f"not measured of {', '.join(uncounted) or 'any system'}: no mark came back",
            },
            points=played.points,
            runs=played.runs,
            phases=played.phases,
            incident={"id": played.incident} if played.incident else None,
            retest={"finding": self.asked.retest} if self.asked.retest else None,
            absent=absent,
        )

    def _incident(self, outcome: str) -> None:
        """The drill's own, and what a runbook's steps declared in it."""
        try:
            mine = [self.played.incident] if self.played.incident is not None else []
            others = self.play.responder.open(self.record.run) if self.played.runs else []
            for incident in dict.fromkeys([*mine, *others]):
                self.play.responder.close(incident, f"The drill ended: {outcome}.")
        except HoldfastError as error:
            self.play.reporter.told(f"the drill's incident could not be closed: {error.message}")


def undo(stage: Stage, record: DrillRecord) -> list[str]:
    """Take back what is open, the newest first, each whatever became of the others; what could not be, in words."""
    wrong = []
    for number, text, how in reversed(list(record.open)):
        try:
            record.undone(number, stage.undo(how))
        except Exception as error:  # noqa: BLE001 - whatever hinders one, the others are undone, and the drill gets its end
            wrong.append(f"{text}: {_said(error)}")
    return wrong


def _said(error: Exception) -> str:
    return error.message if isinstance(error, HoldfastError) else f"{type(error).__name__}: {error}".partition("\n")[0][:300]


def after_kills(desk: Desk, stage: Stage, responder: Responder) -> list[str]:
    """Undo what killed drills left, close their incidents, and give each an end; told in sentences. What cannot be undone now is tried by
    the next command.
    """
    if any(True for _ in desk.markers.at_work()):
        return []  # its copies must not be taken for those of a killed one
    told = []
    for marker in desk.markers.left():
        found = entries(desk.journal, marker.run)
        begin = next((one for one in found if one.kind == "drill.begin"), None)
        record = DrillRecord(desk.journal, desk.clock, marker.run)
        record.open = changes_left(found)
        wrong = undo(stage, record) if record.open else []
        systems = list(begin.payload.get("systems") or ()) if begin else []
        for one in stage.restorers(systems) if systems else ():
            try:
                left = list(one.sweep())
            except Exception as error:  # noqa: BLE001 - told as what it is: something may be left
                wrong.append(f"{one.system}: {_said(error)}")
                continue
            record.undone_proofs.append({"name": f"copies of {one.system}", "expected": "none is left", "actual": left or "none is left"})
        wrong += _over(responder, marker.run) if _declared(found) else []
        if begin is not None and not any(one.kind == "drill.end" for one in found):
            record.write("end", **_killed(record, whole=not wrong))
            told.append(f"The drill {marker.run} was killed; what it left is undone, and it is recorded as interrupted.")
        if wrong:
            told.append(f"Of the drill {marker.run} something is left: {'; '.join(wrong)}. The next command tries again.")
            marker.close()
        else:
            marker.remove()
    return told


def _declared(found: Sequence[Record]) -> bool:
    """Whether an incident may be open: one was declared, was about to be, or could have been by a runbook's steps."""
    phases = [entry.payload for entry in found if entry.kind == "drill.phase" and entry.payload["name"] in ("incident", "runbook")]
    ended = [one for one in phases if one["state"] == "ended"]
    return len(phases) > 2 * len(ended) or any(one["name"] == "runbook" or (one.get("facts") or {}).get("incident") for one in ended)


def _over(responder: Responder, run: str) -> list[str]:
    """Nobody works on the incident of a drill whose process is gone; what hinders closing it, in words."""
    try:
        for incident in responder.open(run):
            responder.close(incident, "The drill's process was killed; what it left was undone by a later command.")
    except HoldfastError as error:
        return [f"its incident: {error.message}"]
    return []


def _killed(record: DrillRecord, *, whole: bool) -> dict[str, Any]:
    check = Check("teardown", "teardown", "passed" if whole else "failed", "all gone", "all gone" if whole else "something is left")
    ended = Ended(
        "skipped",
        [check],
        {},
        [],
        [],
        [],
        None,
        "its process was killed",
        [],
        record.undone_proofs,
        whole,
        absent={"results.rto": "its process was killed", "closure.sign_off": "its process was killed", "people": "its process was killed"},
    )
    return {"outcome": INTERRUPTED, "seconds": None, "message": "its process was killed", "code": None, "controls": [], **ended.to_json()}
