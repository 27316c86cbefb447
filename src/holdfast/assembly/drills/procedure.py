"""A runbook of the plan, followed in a drill. Satisfies ``drills.contract.Procedure``."""

import contextlib
import json
import os
import secrets
import shutil
import signal
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from holdfast.assembly.drills import surroundings
from holdfast.assembly.drills.restorer import PlatformRestorer
from holdfast.assembly.drills.returned import Back, returned
from holdfast.drills.contract import Answer, Changes, Copy, Followed, Question, Restorer
from holdfast.drills.errors import DrillProduction, DrillUsage, NothingReturned, NotTornDown
from holdfast.drills.runbook import playable, timing
from holdfast.drills.runbook.asking import Cues, here
from holdfast.drills.runbook.following import Following, Page
from holdfast.errors import HoldfastError
from holdfast.protection.recorded import Cancelled
from holdfast.runbooks.actions.process import marked
from holdfast.runbooks.engine.record import Records
from holdfast.runbooks.format.insert import as_text, insert
from holdfast.runbooks.format.library import FOLDER, Library
from holdfast.runbooks.format.parameters import Parameter, values

if TYPE_CHECKING:
    from holdfast.assembly.platform import Platform

UNDO = "runbook"


class PlatformProcedure:
    """``spec``: of the scenario. ``settings``: given with ``--set``, for the steps' own commands."""

    def __init__(self, platform: "Platform", spec: Mapping[str, Any], settings: Sequence[str] = ()) -> None:
        self.platform, self._settings = platform, tuple(settings)
        self._spec = spec
        plan = platform.plan
        self._found, self._snapshot = Library(plan.resolve(plan.document.runbooks or FOLDER)).snapshot(spec["name"])
        self._allow = tuple(spec.get("allow") or ())
        self._without: Mapping[str, str] = spec.get("without") or {}
        self._into = surroundings.place(platform) / f"{surroundings.FOLDER}{secrets.token_hex(6)}"
        self._came: dict[str, Back] = {}
        self.run = ""

    @property
    def facts(self) -> Mapping[str, Any]:
        document = self._snapshot.document
        return {"name": document["name"], "title": document["title"], "hash": self._snapshot.hash}

    @property
    def people(self) -> list[str]:
        """Ids of the steps at which somebody is asked whatever was chosen before."""
        asking = ("human", "decision", "approval")
        steps = [step for step in self._snapshot.steps if step["kind"] in asking and not step.get("when")]
        return [step["id"] for step in steps if step["id"] not in self._without]

    # ------------------------------------------------------------ before anything begins

    def refuse(self, systems: Sequence[str]) -> None:
        document, name = self._snapshot.document, self._snapshot.name
        strange = playable.unknown(document, [*self._allow, *self._without, *(self._spec.get("clocks") or {})])
        if strange:
            raise DrillUsage(
                f"The runbook {name} has no step {', '.join(strange)}.", hint=f"See: holdfast runbook show {name}", steps=strange
            )
        wrong = playable.refused(document, self._allow, tuple(self._without))
        if wrong:
            lines = "\n".join(f"  {step}: {why}" for step, why in wrong)
            raise DrillProduction(
                f"Steps of the runbook {name} could reach production:\n{lines}",
                hint="Leave them out (runbook: without: {STEP: why}); or, where you know that a program touches only what"
                " the drill hands it, say so (runbook: allow: [STEP]).",
                steps=[step for step, _ in wrong],
            )
        self._refuse_places(self._parameters(self._preview(systems)))
        lacking = [tool["name"] for tool in document["needs"]["tools"] if shutil.which(tool["name"], path=self._path()) is None]
        if lacking:
            raise DrillUsage(f"The runbook {name} needs {', '.join(lacking)}, which is not on the PATH.", hint="Install it.", tools=lacking)

    def _refuse_places(self, parameters: Mapping[str, Any]) -> None:
        for step in self._snapshot.steps:
            for action in playable.actions(step) if step["id"] not in self._without else ():
                if action["name"] != "holdfast":
                    continue
                try:
                    argv = [as_text(word) for word in insert(list(action["spec"]["argv"]), parameters)]
                except KeyError:
                    continue  # an earlier step gives it: looked at when it is known
                why = playable.outside(argv, self._into)
                if why:
                    raise DrillProduction(
                        f"Step {step['id']} of the runbook {self._snapshot.name} goes elsewhere: {why}.",
                        hint='Give it a place below ${into}: runbook: parameters: {target: "${into}/db"}.',
                        step=step["id"],
                    )

    def _path(self) -> str | None:
        return surroundings.environment(self.platform, "").get("PATH")

    def _preview(self, systems: Sequence[str]) -> dict[str, str]:
        """Values as they will be named, before they are known."""
        until = {name: {"kind": "latest"} for name in systems}
        points = dict.fromkeys((f"point.{name}" for name in systems), "00000000")
        return self._values(until, {"nonce": "0", "incident": "none", **points})

    def _values(self, until: Mapping[str, Mapping[str, Any]], given: Mapping[str, str]) -> dict[str, str]:
        found = {"into": str(self._into), **{key: value for key, value in given.items() if value}}
        found |= {f"until.{name}": in_words(moment) for name, moment in until.items()}
        if len(until) == 1:
            [name] = until
            found["until"], found["system"] = found[f"until.{name}"], name
            if f"point.{name}" in found:
                found["point"] = found[f"point.{name}"]
        return found

    def _parameters(self, named: Mapping[str, str]) -> dict[str, Any]:
        """The runbook's parameters. Raises DrillUsage, ParameterWrong."""
        plan = self.platform.plan
        shapes = {name: Parameter.model_validate(shape) for name, shape in self._snapshot.document["parameters"].items()}
        try:
            given = {name: as_text(insert(value, named)) for name, value in (self._spec.get("parameters") or {}).items()}
        except KeyError as error:
            raise DrillUsage(
                f"The drill has no value {error.args[0]} for a parameter of the runbook {self._snapshot.name}.",
                hint=f"It has {', '.join(sorted(named))}.",
            ) from None
        return values(shapes, given, now=self.platform.clock.now(), zone=plan.zone, systems=plan.systems)

    # ------------------------------------------------------------ the way back

    def follow(
        self,
        drill: str,
        by: str,
        until: Mapping[str, Mapping[str, Any]],
        given: Mapping[str, str],
        ask: Callable[[Question], Answer],
        tell: Callable[[str], None],
        changes: Changes,
    ) -> Followed:
        platform, journal = self.platform, self.platform.journal
        records = Records(platform.state, journal, platform.clock)
        page = Page(self._snapshot, str(self._found.path), self._parameters(self._values(until, given)), self._without)
        self.run = records.new_id()
        undo = {"kind": UNDO, "run": self.run, "folder": str(self._into), "drill": drill, "incident": given.get("incident", "")}
        changes.doing(f"the run {self.run} of the runbook {page.snapshot.name}, and all that it makes in {self._into}", undo)
        surroundings.made(platform, self._into)
        look = surroundings.looking(self._into, given.get("incident", ""), self._snapshot.document)
        following = Following(records, surroundings.bench(platform, drill, look, self._settings))
        inside = {"incident": given["incident"]} if given.get("incident") else {}
        began = platform.clock.monotonic()
        stopped = following.follow(
            self.run,
            page,
            here(by),
            Cues(ask, tell, platform.clock),
            lambda: platform.state.runs.cancelled(drill),
            drill=drill,
            **inside,
        )
        if stopped.how == "cancelled":
            raise Cancelled("The drill was cancelled.", hint="What it changed is undone.", run=drill)
        phases = timing.phases(self._snapshot.document, self._spec.get("clocks") or {})
        said = (f'"run":{json.dumps(self.run)}', '"kind":"restore.')
        entries = [entry for _, entry in sorted({entry.n: entry for text in said for entry in journal.mentioning(text)}.items())]
        mine = {
            str(entry.payload["run"]): Path(entry.payload["into"])
            for entry in entries
            if entry.kind == "restore.start" and _inside(entry.payload.get("into"), self._into)
        }
        ends = [entry for entry in entries if entry.kind == "restore.end" and entry.payload.get("run") in mine]
        self._came = {one.system: one for end in ends if (one := _back(end.payload, mine)) is not None}
        told = [entry for entry in entries if entry.kind.startswith("runbook.") or entry in ends]
        clocks, _ = timing.split(told, self.run, began, phases, until)
        outcome = stopped.state.outcome or stopped.how
        asked = stopped.next
        why = "" if outcome == "done" else stopped.state.why or f"{asked.step}: {asked.text}"
        return Followed(self.run, outcome, why, clocks, phases)

    def returned(self, restorer: Restorer) -> AbstractContextManager[Copy]:
        back = self._came.get(restorer.system)
        if back is None or not isinstance(restorer, PlatformRestorer):
            raise NothingReturned(
                f"The runbook {self._snapshot.name} restored nothing of {restorer.system}.",
                hint="A step must bring it back below ${into}: holdfast: [restore, NAME, --into, …].",
                system=restorer.system,
            )
        return returned(self.platform, restorer, back)


def in_words(until: Mapping[str, Any]) -> str:
    """A moment as ``holdfast restore --to`` takes it."""
    kind = until.get("kind", "latest")
    if kind in ("point", "name", "xid", "lsn"):
        before = "" if until.get("inclusive", True) or kind in ("point", "name") else "before "
        return str(until["point"]) if kind == "point" else f"{before}{kind}:{until[kind]}"
    return str(until["time"]) if kind == "time" else "latest"


def _inside(into: Any, folder: Path) -> bool:
    return isinstance(into, str) and Path(into).is_relative_to(folder)


def _back(said: Mapping[str, Any], places: Mapping[str, Path]) -> Back | None:
    """``said``: a restore's end; ``places``: into which each restore's run went."""
    if said.get("outcome") != "ok" or not said.get("point"):
        return None
    return Back(str(said["system"]), places[str(said["run"])], str(said["point"]), said.get("reached") or {}, said.get("until") or {})


# ---------------------------------------------------------------- undone, by this process or a later one


def undo(platform: "Platform", said: Mapping[str, Any], settings: Sequence[str] = ()) -> str:
    """End the run where it has no end, with what its steps undo; stop what runs in the folder, and remove it. Returns the proof.

    Raises NotTornDown.
    """
    from holdfast.systems.postgres.running.isolate import tear_down

    run, folder = str(said["run"]), Path(str(said["folder"]))
    if not folder.name.startswith(surroundings.FOLDER):
        raise NotTornDown(f"{folder} is no folder of a drill: it is left.", hint="Remove it by hand.", folder=str(folder))
    records = Records(platform.state, platform.journal, platform.clock)
    _end(_at_work(records, run))
    wrong = ""
    outcome = "was not begun"
    if records.events(run):
        look = surroundings.looking(folder, str(said.get("incident") or ""), records.load(run).document)
        following = Following(records, surroundings.bench(platform, str(said["drill"]), look, settings))
        try:
            outcome = following.end(run, here("holdfast"), f"the drill {said['drill']} is over").outcome or "has no end"
        except HoldfastError as error:
            wrong = error.message
    tear_down(folder)
    _end(marked(run))
    if wrong or folder.exists():
        raise NotTornDown(wrong or f"{folder} is still there.", hint=f"Look at it: holdfast runbook history {run}", run=run)
    return f"the run {run} {outcome}; {folder} and what ran in it are gone"


def _at_work(records: Records, run: str) -> list[int]:
    """Processes that do a step even now: of a drill that was killed."""
    from holdfast.runbooks.engine.at_work import AtWork

    if not records.events(run):
        return []
    state, work = records.load(run), AtWork(records.state.folder, run)
    return [
        process
        for step in state.steps.values()
        for attempt in ([step.attempts] if step.phase == "running" else [0] if step.undo == "running" else [])
        for process in work.still(step.id, attempt)
    ]


def _end(processes: Sequence[int]) -> None:
    """Each leads a session of its own, or is what such a one started."""
    for process in processes:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if os.getpgid(process) == process:
                os.killpg(process, signal.SIGKILL)
            else:
                os.kill(process, signal.SIGKILL)
