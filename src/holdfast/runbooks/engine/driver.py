"""Drives a run: decides, writes down what it is about to do, does it, writes down what came of it. One driver at a time holds the lease."""

import datetime as dt
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from holdfast.plan.values.units import parse_duration
from holdfast.runbooks.actions.contract import Result
from holdfast.runbooks.actions.kept import Keeper
from holdfast.runbooks.engine.at_work import AtWork
from holdfast.runbooks.engine.decide import Next, decide
from holdfast.runbooks.engine.held import Held
from holdfast.runbooks.engine.people import Person
from holdfast.runbooks.engine.record import Records
from holdfast.runbooks.engine.state import RunState, StepState, fold
from holdfast.runbooks.engine.work import Bench, outputs_of, streams_of
from holdfast.runbooks.errors import StepStillRuns

UNDO = 0  # stands for an attempt, where it is an undo


class Watcher(Protocol):
    """Who looks on: a terminal, or nobody. ``ask`` returns the event that answers (kind, data without the step), None to leave the run
    waiting, or 'again' to look once more whether somebody else answered.
    """

    def told(self, state: RunState, event: str, data: dict[str, Any]) -> None: ...

    def ask(self, state: RunState, asked: Next) -> "tuple[str, dict[str, Any]] | str | None": ...


@runtime_checkable
class Listening(Protocol):
    """A watcher that is also told what a step prints while it is at work: ``stream`` is 'out' or 'err', secrets are taken out."""

    def printed(self, step: str, stream: str, text: str) -> None: ...


class Nobody:
    """Leaves every question waiting."""

    def told(self, state: RunState, event: str, data: dict[str, Any]) -> None:
        pass

    def ask(self, _state: RunState, _asked: Next) -> "tuple[str, dict[str, Any]] | str | None":
        return None


@dataclass(frozen=True, slots=True)
class Stopped:
    """Why a driver came back: ``ended``, ``waiting`` for a person, ``stopped`` after a failure, ``cancelled``."""

    how: str
    state: RunState
    next: Next


class Driver:
    """``cancelled`` is asked between steps."""

    def __init__(self, records: Records, bench: Bench, watcher: Watcher, *, cancelled: Callable[[], bool] = lambda: False) -> None:
        self.records = records
        self.bench = bench
        self.watcher = watcher
        self.cancelled = cancelled
        self.person: Person | None = None
        self._held: Held | None = None

    def begin(self, run: str, person: Person, **data: Any) -> Stopped:
        """A new run; ``data``: snapshot, hash, parameters, file."""
        with self._lease(run):
            self.records.append(run, 0, "begin", by=person.to_json(), **data)
            return self._drive(run, person)

    def resume(self, run: str, person: Person) -> Stopped:
        """Go on. A step whose process lives, or ended while nobody drove the run, is waited for, not begun again.

        Raises RunHeld while another process drives it, StepStillRuns while something that it started is at work and cannot be waited for.
        """
        with self._lease(run):
            state = fold(run, self.records.reconciled(run))
            if state.status != "ended":
                left = self._left(state)
                if left is None:
                    self._refuse_while_at_work(state)
                here = self.records.state.runbooks.host
                before = [host for _, host in sorted(self.records.state.runbooks.hosts(run).items()) if host]
                other = {"from": before[-1], "host": here} if before and before[-1] != here else {}
                attached = {"attached": left} if left is not None else {}
                self._must(state, "resumed", by=person.to_json(), **other, **attached)
                if left is not None:
                    self.person = person
                    self._attach(self.records.load(run), left)
            return self._drive(run, person)

    def _left(self, state: RunState) -> str | None:
        """The step whose process can be waited for: it lives, or it ended and said how."""
        for step in state.steps.values():
            keeper = self._keeper(state, step, attach=True)
            if keeper is not None and keeper.waits():
                return step.id
        return None

    def _keeper(self, state: RunState, step: StepState, *, attach: bool) -> Keeper | None:
        """Of what the step, or its undo, does now; None where nothing is kept of it."""
        if step.undo != "running" and not (step.phase == "running" and state.spec(step.id)["kind"] == "automatic"):
            return None
        watcher, word = self.watcher, self._held.word if self._held is not None else None

        def printed(stream: str, text: str) -> None:
            if isinstance(watcher, Listening):
                watcher.printed(step.id, stream, text)

        tell = printed if isinstance(watcher, Listening) else None
        return AtWork(self.records.state.folder, state.id).keeper(step.event, attach=attach, word=word, printed=tell)

    def _attach(self, state: RunState, name: str) -> None:
        """Wait for what another process of this host began, and write down how it ended. An abort ends it first."""
        spec, step = state.spec(name), state.steps[name]
        keeper = self._keeper(state, step, attach=True)
        if keeper is None:  # somebody wrote meanwhile
            return
        undoing = step.undo == "running"
        kind, attempt = ("undo_finished", UNDO) if undoing else ("finished", step.attempts)
        self.watcher.told(state, "attached", {"step": name, "processes": keeper.processes()})
        if state.status == "aborting" and not undoing:
            keeper.end(self.records.clock)
        doing = spec["undo"] if undoing else spec
        result = self._guarded(state, name, attempt, lambda: self._done(state, spec, doing, attempt, keeper), kind=kind, keeper=keeper)
        if not keeper.attached:
            if keeper.processes():
                raise StepStillRuns(
                    f"Step {name} of run {state.id} is still at work, and cannot be waited for: {result.message}",
                    hint="Put that right and resume; or wait until it ends, or end it.",
                    run=state.id,
                    step=name,
                    processes=keeper.processes(),
                )
            result = Result("interrupted", None, result.message)
        self._finish(state, step, kind, attempt, result, keeper.seconds, attached=True)
        keeper.forget()

    def _refuse_while_at_work(self, state: RunState) -> None:
        """Two of one step at once could do harm."""
        work = AtWork(self.records.state.folder, state.id)
        for step in state.steps.values():
            attempt = step.attempts if step.phase == "running" else UNDO if step.undo == "running" else None
            keeper = self._keeper(state, step, attach=True)
            if keeper is not None and keeper.record() is not None:
                working = keeper.processes()
            else:
                working = work.still(step.id, attempt) if attempt is not None else []
            if working:
                raise StepStillRuns(
                    f"Run {state.id} was left while step {step.id} was at work, and it still is: process {', '.join(map(str, working))}.",
                    hint="Wait until it ends, or end it; then resume. Two of it at once could do harm.",
                    run=state.id,
                    step=step.id,
                    processes=working,
                )

    def _lease(self, run: str) -> Held:
        self._held = Held(self.records, run)
        return self._held

    def _drive(self, run: str, person: Person) -> Stopped:
        self.person = person
        waiting: tuple[int, Next] | None = None
        while True:
            state = self.records.load(run)
            now = self.records.clock.now()
            found = decide(state, now)
            if found.do == "over":
                self.records.note(state)
                return Stopped("ended", state, found)
            if found.do == "stop":
                if state.status != "stopped":
                    self._append(state, "stopped", step=found.step, why=found.text)
                    state = self.records.load(run)
                self.records.note(state)
                return Stopped("stopped", state, found)
            if found.do == "ask":
                if waiting != (state.n, found):
                    waiting = (state.n, found)
                    self.records.note(state)
                answer = self.watcher.ask(state, found)
                if answer is None:
                    return Stopped("waiting", state, found)
                if not isinstance(answer, str):
                    kind, data = answer
                    self._append(state, kind, **{"step": found.step, "by": person.to_json(), **data})
                continue
            if self.cancelled():
                return Stopped("cancelled", state, found)
            self.records.note(state)
            self._DO[found.do](self, state, found, now)

    def _append(self, state: RunState, kind: str, **data: Any) -> bool:
        """False when somebody else was faster: then the run is looked at anew."""
        done = self.records.append(state.id, state.n, kind, **data)
        if done:
            state.n += 1
            self.watcher.told(state, kind, data)
        return done

    def _must(self, state: RunState, kind: str, **data: Any) -> None:
        """What was done is written down, whoever else wrote meanwhile."""
        while not self._append(state, kind, **data):
            state.n = self.records.load(state.id).n

    # ------------------------------------------------------------ one thing each

    def _start(self, state: RunState, found: Next, _now: dt.datetime) -> None:
        spec, step = state.spec(found.step), state.steps[found.step]
        self.records.clock.sleep(found.delay)
        attempt = step.attempts + 1
        if not self._append(state, "started", step=step.id, attempt=attempt, by=self._by()):
            return
        # The state was folded before this attempt was written down.
        step.phase, step.attempts, step.event = "running", attempt, state.n - 1
        keeper = self._keeper(state, step, attach=False)
        begun = self.records.clock.monotonic()
        result = self._guarded(
            state,
            step.id,
            attempt,
            lambda: self._waited(state, spec) if spec["kind"] == "wait" else self._done(state, spec, spec, attempt, keeper),
            keeper=keeper,
        )
        self._finish(state, step, "finished", attempt, result, round(self.records.clock.monotonic() - begun, 3))
        if keeper is not None:
            keeper.forget()

    def _finish(
        self, state: RunState, step: StepState, kind: str, attempt: int, result: Result, seconds: float | None, **more: Any
    ) -> None:
        """What came of a doing."""
        if kind == "undo_finished":
            self._must(
                state,
                kind,
                step=step.id,
                outcome=result.outcome,
                message=result.message,
                code=result.code,
                streams=streams_of(result),
                **more,
            )
            return
        spec = state.spec(step.id)
        outputs, lacking = outputs_of(spec, result) if result.outcome == "ok" else ({}, "")
        outcome, message = ("failed", lacking) if lacking else (result.outcome, result.message)
        self._must(
            state,
            "finished",
            step=step.id,
            attempt=attempt,
            outcome=outcome,
            message=message,
            code=result.code,
            seconds=seconds,
            outputs=outputs,
            streams=streams_of(result),
            **more,
        )

    def _guarded(
        self, state: RunState, step: str, attempt: int, do: Callable[[], Result], *, kind: str = "finished", keeper: Keeper | None = None
    ) -> Result:
        try:
            return do()
        except KeyboardInterrupt:
            self._sure()  # it may be the lease's end that interrupted
            if keeper is not None and keeper.processes():
                raise  # interrupted once more, before it had ended: whoever resumes waits for that
            message = "stopped by a person while it was at work"
            self._must(state, kind, step=step, attempt=attempt, outcome="interrupted", message=message)
            raise

    def _done(self, state: RunState, spec: Any, doing: Any, attempt: int, keeper: Keeper | None) -> Result:
        work = AtWork(self.records.state.folder, state.id)

        def note(found: Mapping[str, Any]) -> None:
            self._must(state, "noted", step=spec["id"], note=dict(found))
            step.note = {**step.note, **found}

        step = state.steps[spec["id"]]
        return self.bench.call(
            state,
            spec["id"],
            doing,
            began=lambda process: work.began(spec["id"], attempt, process),
            note=note,
            sure=self._sure,
            keeper=keeper,
        )

    def _waited(self, state: RunState, spec: Any) -> Result:
        clock = self.records.clock
        every = parse_duration(spec["every"]).total_seconds()
        deadline = clock.monotonic() + parse_duration(spec["timeout"]).total_seconds()
        looked = 0
        while True:
            result = self.bench.call(state, spec["id"], spec["until"], sure=self._sure)
            looked += 1
            if result.answer is True:
                return result
            if clock.monotonic() + every > deadline:
                last = f"; the last look said: {result.message}" if result.message else ""
                message = f"not green within {spec['timeout']}, looked at {looked} times{last}"
                return Result("timeout", None, message, result.streams, result.document, result.text, result.code)
            clock.sleep(every)

    def _probe(self, state: RunState, found: Next, _now: dt.datetime) -> None:
        self.records.clock.sleep(found.delay)
        self._ask_probe(state, found, "probed")

    def _undo_probe(self, state: RunState, found: Next, _now: dt.datetime) -> None:
        self._ask_probe(state, found, "undo_probed")

    def _ask_probe(self, state: RunState, found: Next, kind: str) -> None:
        spec = state.spec(found.step)
        step = state.steps[found.step]
        own = {f"{step.id}.{name}": value for name, value in step.outputs.items()}
        try:
            result = self.bench.call(state, step.id, spec["probe"], own=own)
        except KeyError as error:
            # The probe needs what the step would have given.
            result = Result("failed", None, f"the probe needs {error.args[0]}, which is not known")
        answer = {True: "yes", False: "no", None: "unknown"}[result.answer]
        outputs, _ = outputs_of(spec, result) if answer == "yes" and kind == "probed" else ({}, "")
        self._must(state, kind, step=step.id, answer=answer, message=result.message, outputs=outputs, streams=streams_of(result))

    def _request(self, state: RunState, found: Next, now: dt.datetime) -> None:
        expires = now + parse_duration(state.spec(found.step)["expires"])
        self._append(state, "requested", step=found.step, by=self._by(), expires=expires.isoformat())

    def _skip(self, state: RunState, found: Next, _now: dt.datetime) -> None:
        self._append(state, "skipped", step=found.step, by=None, reason=found.text)

    def _expire(self, state: RunState, found: Next, _now: dt.datetime) -> None:
        self._append(state, "expired", step=found.step)

    def _undo(self, state: RunState, found: Next, _now: dt.datetime) -> None:
        spec = state.spec(found.step)
        if not self._append(state, "undo_started", step=found.step, by=self._by()):
            return
        step = state.steps[found.step]
        step.undo, step.event = "running", state.n - 1
        keeper = self._keeper(state, step, attach=False)
        result = self._guarded(
            state, found.step, 0, lambda: self._done(state, spec, spec["undo"], UNDO, keeper), kind="undo_finished", keeper=keeper
        )
        self._finish(state, step, "undo_finished", UNDO, result, None)
        if keeper is not None:
            keeper.forget()

    def _end(self, state: RunState, found: Next, _now: dt.datetime) -> None:
        AtWork(self.records.state.folder, state.id).ended()
        undone = [step.id for step in state.steps.values() if step.undo == "undone"]
        self._append(state, "ended", outcome=found.what, undone=undone)

    def _sure(self) -> None:
        """Right before something is done: raises RunLost where another host took the run while this process stood still."""
        if self._held is not None:
            self._held.sure()

    def _by(self) -> dict[str, str]:
        assert self.person is not None
        return self.person.to_json()

    _DO = {  # noqa: RUF012 - a table of methods
        "start": _start,
        "probe": _probe,
        "undo_probe": _undo_probe,
        "request": _request,
        "skip": _skip,
        "expire": _expire,
        "undo": _undo,
        "end": _end,
    }
