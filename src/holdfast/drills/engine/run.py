"""A drill in which something comes back: from a healthy platform through the disaster to the acceptance."""

import contextlib
import datetime as dt
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from holdfast.drills.contract import (
    RED_BY,
    Control,
    Copy,
    Look,
    Mark,
    People,
    Procedure,
    Question,
    Reporter,
    Responder,
    Restorer,
    Stage,
)
from holdfast.drills.engine import judge
from holdfast.drills.engine.course import Asked, Course
from holdfast.drills.engine.probing import Prober
from holdfast.drills.engine.record import DrillRecord
from holdfast.drills.errors import DrillNotSteady, DrillUsage
from holdfast.errors import HoldfastError
from holdfast.evidence.drilled import Begun, Check, Returned, State
from holdfast.model import Clock, Progress
from holdfast.protection.recorded import Cancelled


class Play(Course):
    """The phases."""

    def __init__(
        self,
        asked: Asked,
        stage: Stage,
        record: DrillRecord,
        people: People,
        reporter: Reporter,
        responder: Responder,
        clock: Clock,
        progress: Progress,
    ) -> None:
        super().__init__(asked, record, people, reporter, responder, clock)
        self.stage, self.progress = stage, progress
        self.nonce = secrets.token_hex(12)
        self.marks: dict[str, list[Mark]] = {}
        self._backed: dict[str, dt.datetime] = {}
        disaster = self.scenario.disaster
        assert disaster is not None
        said = disaster.model_dump(mode="python", exclude_none=True)
        self.injector = stage.injector({**said, "at": asked.target or disaster.at})
        self.standing.callback(self.injector.close)
        page = self.scenario.runbook
        self.procedure = stage.procedure(page.model_dump(mode="python", exclude_none=True)) if page is not None else None
        self.restorers = stage.restorers(asked.systems)
        self.returning = self.restorers
        self.objectives = {one.system: self._objective(one) for one in self.restorers}

    # ------------------------------------------------------------ before it begins

    def refuse(self) -> None:
        """Whatever must not or cannot be: nothing has been written yet. Raises DrillProduction, DrillUsage."""
        if not self.restorers:
            raise DrillUsage(f"The drill {self.scenario.drill} is about no system.", hint="Name some: --system NAME")
        unknown = sorted({*self.asked.systems} - {one.system for one in self.restorers})
        if unknown:
            raise DrillUsage(f"The plan has no system {', '.join(unknown)} any more.", hint="Name others: --system NAME", systems=unknown)
        bare = [name for name, found in self.objectives.items() if not found]
        if bare:
            raise DrillUsage(
                f"Nothing was promised for {', '.join(bare)}: such a drill could not fail.",
                hint="Give its tier rto or rpo, or the scenario objectives:",
                systems=bare,
            )
        unjudged = [one.system for one in self.restorers if not self._criteria(one)]
        if unjudged:
            raise DrillUsage(
                f"Nothing of {', '.join(unjudged)} would be looked at: the scenario's criteria are {', '.join(self.scenario.criteria)}, and"
                " the plan has no checks for it, or no place for marks.",
                hint="Add content or structure to the scenario's criteria:, or checks of the system to the plan.",
                systems=unjudged,
            )
        if self.procedure is not None and self.asked.target is not None:
            raise DrillUsage(
                f"The drill {self.scenario.drill} follows a runbook, which is played against throw-away copies, not against the target"
                f" {self.asked.target}.",
                hint="Leave --target out, or take a scenario without runbook:.",
                target=self.asked.target,
            )
        self.injector.refuse()
        if self.procedure is not None:
            self.procedure.refuse([one.system for one in self.restorers])

    def begun(self) -> Begun:
        """What is fixed from here on."""
        said = self.scenario
        excluded = [{"name": name, "reason": reason} for name, reason in said.exclusions.items()]
        excluded += [
            {"name": f"checks of {one.system}", "reason": "the plan has none for it"}
            for one in self.restorers
            if "checks" in said.criteria and not one.has_checks
        ]
        excluded += [
            {"name": f"sentinel of {one.system}", "reason": one.unmarked}
            for one in self.restorers
            if "sentinel" in said.criteria and not one.marked
        ]
        excluded += [
            {"name": f"control {name} of {one.system}", "reason": f"a system of kind {one.kind} cannot be fed with it"}
            for one in self.restorers
            for name in self.asked.controls
            if name not in one.controls
        ]
        excluded += [
            {
                "name": f"check {name} of {one.system}",
                "reason": "it compares with the source; a drill compares content with what stood before",
            }
            for one in self.restorers
            if "checks" in said.criteria
            for name in one.unasked
        ]
        criteria = [f"{one.system}: {name}" for one in self.restorers for name in self._criteria(one)]
        criteria += [f"{one.system}: control {name}: red by {RED_BY[name]}" for one in self.restorers for name in self._controls(one)]
        if self.procedure is not None and said.runbook is not None:
            page = self.procedure.facts
            criteria.insert(0, f"the runbook {page['name']} ({page['hash']}) is followed to its end")
            excluded += [{"name": f"step {step} of {page['name']}", "reason": why} for step, why in said.runbook.without.items()]
            if self.asked.controls:
                excluded.append({"name": "controls by the runbook", "reason": "they are fed to Holdfast's own restore of each system"})
        snapshot = self.asked.snapshot
        return Begun(
            test_kind=said.kind,
            scenario={"name": said.drill, "title": said.title, "hash": snapshot.hash, "text": snapshot.text, "file": snapshot.file},
            systems=list(self.asked.systems),
            objectives=self.objectives,
            criteria=criteria,
            exclusions=excluded,
            participants=[{"role": role, "name": name} for role, names in said.roles.items() for name in names],
        )

    def _objective(self, one: Restorer) -> dict[str, float]:
        own = self.scenario.objectives
        rto = own.rto.total_seconds() if own.rto is not None else one.promised.rto
        rpo = own.rpo.total_seconds() if own.rpo is not None else one.promised.rpo
        return {name: value for name, value in (("rto", rto), ("rpo", rpo)) if value is not None}

    def _controls(self, one: Restorer) -> list[Control]:
        """Those that it can be fed with, and that are red by what is a criterion of it."""
        needed = {"stale": "sentinel", "poisoned": "content"}
        criteria = self._criteria(one)
        return [name for name in self.asked.controls if name in one.controls and needed.get(name, criteria[0]) in criteria]

    def _criteria(self, one: Restorer) -> list[str]:
        there = {"checks": one.has_checks, "sentinel": one.marked}
        return [name for name in self.scenario.criteria if there.get(name, True)]

    # ------------------------------------------------------------ the phases

    def run(self) -> None:
        """Raises DrillNotSteady, and what hinders a phase before the disaster."""
        self._steady()
        self._protect()
        standing = self._stage()
        self._inject(standing)
        if not self._answer():
            return
        expected = self._expected
        came = self._recover(expected)
        self._accept()
        self._control(came)

    def _steady(self) -> None:
        with self.phase("steady", "looked whether the platform is healthy") as facts:
            found = [judge.check(result, one.system) for one in self.restorers for result in one.steady()]
            facts["looked"] = [f"{one.system}: {one.name}: {one.state}" for one in found]
            sick = [judge.sentence(one) for one in found if one.state == "failed"]
            if sick or not found:
                raise DrillNotSteady(
                    f"The platform is not healthy, so the drill did not start: {'; '.join(sick) or 'nothing was looked at'}",
                    hint="Put that right first (holdfast check); a drill of a sick platform proves nothing.",
                    sick=sick,
                )

    def _protect(self) -> None:
        with self.phase("prepare drill", "made ready what the disaster needs") as facts:
            self.restorers, self.returning = self.injector.prepare(self.restorers, self.record, self.progress)
            facts["systems"] = [one.system for one in self.returning]
        if "stale" in self.asked.controls:
            # Now that it is known out of which vault it comes: one that was made for the drill has no point yet.
            bare = [one for one in self.restorers if not one.points()]
            if bare:
                with self.phase("earlier", "took a point that the control 'stale' is fed with"):
                    for one in bare:
                        one.backup(self.progress)
        with self.phase("sentinel", "wrote a fresh nonce into each source") as facts:
            for one in self.restorers:
                self._plant(one)
            facts["nonce"] = self.nonce
        if self.scenario.backup == "new":
            with self.phase("backup", "took a recovery point of each source") as facts:
                for one in self.restorers:
                    self.played.points[one.system] = facts[one.system] = one.backup(self.progress)
                    self._backed[one.system] = self.clock.now()

    def _plant(self, one: Restorer) -> None:
        if "sentinel" in self._criteria(one):
            marks = self.marks.setdefault(one.system, [])
            marks.append(one.plant(self.nonce, len(marks), self.record))

    def _stage(self) -> dict[str, Copy]:
        standing: dict[str, Copy] = {}
        self._losing: dict[str, contextlib.ExitStack] = {}
        with self.phase("stage", "made what stands for production, and began to probe it") as facts:
            # The last mark is older than what stands for production, so that both hold the same, or the difference is loss.
            for one in self.restorers:
                self._plant(one)
            for one in self.restorers:
                stack = self._losing[one.system] = self.standing.enter_context(contextlib.ExitStack())
                standing[one.system] = stack.enter_context(one.stand_in(self.progress))
            self.prober = Prober(self.stage.probes(self._specs(), standing), self.clock)
            self.prober.start()
            red = self.prober.red_now()
            if red:
                raise DrillNotSteady(
                    f"A probe is red before anything happened: {red[0]}", hint="Correct the probe or what it looks at.", probes=red
                )
            self._expected = {
                name: (copy.until, copy.digest() if "content" in self.scenario.criteria else None) for name, copy in standing.items()
            }
            facts["probes"] = [one.name for one in self.prober.series]
        return standing

    _expected: dict[str, tuple[Mapping[str, Any], Mapping[str, Any] | None]]

    def _inject(self, standing: Mapping[str, Copy]) -> None:
        with self.phase("inject", "the disaster happened") as facts:
            self._disaster = self.clock.monotonic()
            self._at = self.clock.now()
            done = self.injector.do(standing, self._lose, self.record)
            self.played.injected = done.what
            facts |= {"what": done.what, **done.facts}
            self.reporter.told(f"disaster: {done.what}")
        with self.phase("detect", "somebody or something noticed") as facts:
            assert self.prober is not None
            if done.detected:
                self.played.clock("detect", self.clock.monotonic() - self._disaster)
                facts["by"] = "by what happened itself"
                return
            red = self.prober.wait_for_red(self._disaster, self.asked.detect)
            seconds = (red[0] if red else self.clock.monotonic()) - self._disaster
            self.played.clock("detect", max(seconds, 0.0))
            facts["by"] = red[1] if red else None
            within = f"a red probe within {self.asked.detect:g} s"
            self.played.add("detected", "detection", ok=red is not None, expected=within, actual=red[1] if red else "all stayed green")

    def _lose(self, system: str) -> None:
        self._losing[system].close()

    def _answer(self) -> bool:
        """Declared and decided; False where the decision was not to recover."""
        said = self.scenario
        with self.phase("declare", "the disaster was declared", "declare") as facts:
            answer = self.cast.ask(Question("declare", f"{self.played.injected}. Declare it?", "declare"))
            facts["by"] = answer.name
        self.declared = self.clock.monotonic()
        with self.phase("incident", "an incident was opened", "declare") as facts:
            try:
                self.played.incident = self.responder.declare(self.record.run, said.title, self.asked.systems)
                facts["incident"] = self.played.incident
            except HoldfastError as error:
                facts["failed"] = f"{error.code}: {error.message}"
                self.reporter.told(f"no incident could be opened: {error.message}")
        with self.phase("decide", "somebody chose the way back", "decide") as facts:
            options = dict(said.options) or {"restore": self._way()}
            answer = self.cast.ask(Question("decide", "Which way back?", "decide", options))
            facts |= {"by": answer.name, "chosen": answer.text}
            right = next(iter(options))
            if answer.text != right:
                self.played.add("decision", "decision", ok=False, expected=right, actual=answer.text)
            return answer.text == right

    def _way(self) -> str:
        return f"follow the runbook {self.procedure.facts['name']}" if self.procedure else "restore from the vault into a new place"

    def _follow(self, procedure: Procedure) -> None:
        """The runbook, as the way back of all systems. One that does not end is red; what came back is looked at all the same."""
        page = dict(procedure.facts)
        until = {name: moment for name, (moment, _) in self._expected.items()}
        given = {"nonce": self.nonce, "incident": self.played.incident or ""}
        given |= {f"point.{name}": point for name, point in self.played.points.items()}
        wanted, name = "followed to its end", f"runbook {page['name']}"
        with self.phase("runbook", f"the runbook {page['name']} was followed") as facts:
            facts |= {"runbook": page}
            try:
                done = procedure.follow(self.record.run, self.asked.by, until, given, self.cast.ask, self.reporter.told, self.record)
            except Cancelled:
                raise
            except HoldfastError as error:
                self.played.add(name, "runbook", ok=False, expected=wanted, actual=f"{error.code}: {error.message}")
                facts["failed"] = f"{error.code}: {error.message}"
                return
            finally:
                self.played.runs += [procedure.run] if procedure.run else []
                facts["run"] = procedure.run
            for phase, seconds in done.clocks.items():
                self.played.clock(phase, seconds)
            self.played.phases |= done.phases
            facts |= {"outcome": done.outcome, "stopped": done.why}
            actual = wanted if done.outcome == "done" else f"{done.outcome}: {done.why}"
            self.played.add(name, "runbook", ok=done.outcome == "done", expected=wanted, actual=actual)

    def _back(self, one: Restorer, until: Mapping[str, Any], clocks: dict[str, float]) -> contextlib.AbstractContextManager[Copy]:
        if self.procedure is not None:
            return self.procedure.returned(one)
        return one.recover(until, None, clocks, self.progress)

    def _recover(self, expected: Mapping[str, tuple[Mapping[str, Any], Mapping[str, Any] | None]]) -> dict[str, Mapping[str, Any]]:
        came: dict[str, Mapping[str, Any]] = {}
        if self.procedure is not None:
            self._follow(self.procedure)
        for one in self.returning:
            until, digest = expected[one.system]
            clocks: dict[str, float] = {}
            try:
                with self.phase("recover", f"{one.system} came back out of the vault") as facts:
                    copy = self.standing.enter_context(self._back(one, until, clocks))
                    facts |= {"system": one.system, "reached": dict(copy.reached), "clocks": dict(clocks)}
            except HoldfastError as error:
                self.played.add(
                    "recovery", "recovery", ok=False, expected="came back", actual=f"{error.code}: {error.message}", system=one.system
                )
                self._measured(one, {}, None)
                continue
            finally:
                for name in ("prepare", "restore", "replay"):
                    if name in clocks:
                        self.played.clock(name, clocks[name])
            came[one.system] = until
            with self.phase("validate", f"{one.system} was looked at", "validate") as facts:
                found = self._judged(one, copy, digest)
                self.played.checks += found
                self._kept_apart(one, copy)
                marks = copy.marks(self.nonce) if self.marks.get(one.system) else []
                facts["counts"] = {state: sum(1 for each in found if each.state == state) for state in ("passed", "failed", "skipped")}
            self._measured(one, dict(copy.reached), marks)
        if len(came) == len(self.returning):
            # Where something did not come back, nothing says how long the way back is.
            self.played.clocks["total"] = self.clock.monotonic() - self.declared
        return came

    def _kept_apart(self, one: Restorer, copy: Copy) -> None:
        """A copy that reaches production proves nothing that a drill may say."""
        for said in copy.isolation():
            self.played.isolation.append({**said, "system": one.system})
            ok = said["expected"] == said["actual"]
            name = str(said["name"])
            self.played.add(name, "isolation", ok=ok, expected=said["expected"], actual=said["actual"], system=one.system)

    def _judged(self, one: Restorer, copy: Copy, digest: Mapping[str, Any] | None, only: Sequence[str] = ()) -> list[Check]:
        wanted = [name for name in self._criteria(one) if not only or name in only]
        found: list[Check] = []
        if "sentinel" in wanted:
            found.append(judge.sentinel(one.system, self.nonce, self.marks.get(one.system, ()), copy.marks(self.nonce)))
        if "probes" in wanted:
            found += self._green_again(one, copy)
        try:
            asked = [name for name in wanted if name not in ("sentinel", "probes")]
            found += [judge.check(result, one.system) for result in copy.judge(asked, digest)]
        except HoldfastError as error:
            if only:
                raise
            found.append(Check("validation", "validation", "failed", "ran", error.code, error.message, 0.0, one.system))
        return [*found, *(lacking for name in wanted if (lacking := judge.criterion(name, one.system, found)) is not None)]

    def _green_again(self, one: Restorer, copy: Copy) -> list[Check]:
        """Every probe, on what came back."""
        found = []
        for probe in self.stage.probes(self._specs(), {one.system: copy}):
            if probe.needs_before:
                found.append(Check(probe.name, "probe", "skipped", "green", None, probe.needs_before, 0.0, one.system))
                continue
            try:
                seen = probe.look()
            except HoldfastError as error:
                seen = Look(None, None, f"{error.code}: {error.message}")
            state: State = "passed" if seen.ok else "failed"
            found.append(Check(probe.name, "probe", state, "green", seen.value, seen.detail, 0.0, one.system))
        return found

    def _specs(self) -> list[dict[str, Any]]:
        return [{**spec.model_dump(exclude_none=True), "every": spec.every.total_seconds()} for spec in self.scenario.probes]

    def _measured(self, one: Restorer, reached: Mapping[str, Any], marks: Sequence[Mark] | None) -> None:
        """Objectives, against what was fixed at the beginning."""
        promised = self.objectives[one.system]
        rto = None if marks is None else self.clock.monotonic() - self.declared
        written = self.marks.get(one.system, ())
        # Where no mark could be written: the newest moment that what came back says of itself, which an idle source makes too old.
        loss = judge.lost(written, marks or ()) if written else judge.by_time(reached if marks is not None else {}, self._at)
        if one.system in self._backed and loss.seconds is not None:
            # What is newer than the point came out of a followed log: that says something of the plan.
            newest = dt.datetime.fromisoformat(loss.newest_recovered) if loss.newest_recovered and not written else None
            loss = replace(loss, own_point=bool(loss.marks) if written else newest is None or newest <= self._backed[one.system])
        self.played.lost[one.system] = loss
        how = "from the declaration to the last check"
        for found in (
            judge.objective("rto", one.system, promised.get("rto"), rto, how),
            judge.objective("rpo", one.system, promised.get("rpo"), loss.seconds, loss.counted),
        ):
            if found is not None:
                self.played.checks.append(found)
        self.played.returned.append(
            Returned(
                one.system,
                str(reached.get("point") or self.played.points.get(one.system, "")),
                promised.get("rto"),
                None if rto is None else round(rto, 3),
                promised.get("rpo"),
                None if loss.seconds is None else round(loss.seconds, 3),
                None,
                loss.newest_recovered,
                loss.counted,
            )
        )

    def _accept(self) -> None:
        with self.phase("accept", "somebody accepted what came back", "accept") as facts:
            red = [judge.sentence(one) for one in self.played.checks if one.state == "failed"]
            text = f"Accept what came back? {len(red)} checks are red: {'; '.join(red[:3])}" if red else "Everything is green. Accept it?"
            answer = self.cast.ask(Question("accept", text, "accept"))
            facts |= {"by": answer.name, "accepted": not answer.refused}
            self.played.sign(self.cast.did[-1], answer, len(red))
            if answer.refused:
                self.played.add("acceptance", "acceptance", ok=False, expected="accepted", actual=answer.text or "refused")

    def _control(self, came: Mapping[str, Mapping[str, Any]]) -> None:
        for control in self.asked.controls:
            fed = [one for one in self.returning if control in self._controls(one)]
            for one in fed:
                with self.phase("control", f"{one.system} was fed with something {control}") as facts:
                    found = self._fed(one, control, came.get(one.system) or self._expected[one.system][0])
                    self.played.checks.append(found.check())
                    said = {"name": control, "system": one.system, "expected": RED_BY[control], "got": found.got}
                    self.record.write("control", **said, code=found.code, right=found.right)
                    facts |= {**said, "code": found.code, "right": found.right}
            if fed:
                self.played.controls.append(control)

    def _fed(self, one: Restorer, control: Control, until: Mapping[str, Any]) -> judge.Fed:
        digest = self._expected[one.system][1]
        try:
            with one.recover(until, control, {}, self.progress) as copy:
                found = self._judged(one, copy, digest, ("sentinel", "content"))
        except HoldfastError as error:
            return judge.Fed(control, one.system, error=error)
        red = [each for each in found if each.state == "failed"]
        return judge.Fed(control, one.system, red, passed=sum(1 for each in found if each.state == "passed"))
