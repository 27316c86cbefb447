"""A runbook followed in a drill: begun, without what is left out, driven by the engine of runbooks, and never left open."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from holdfast.drills.contract import Answer, Question
from holdfast.drills.errors import NotTornDown
from holdfast.drills.runbook.asking import Cues
from holdfast.runbooks.engine.answers import Answers
from holdfast.runbooks.engine.driver import Driver, Stopped, Watcher
from holdfast.runbooks.engine.people import Person
from holdfast.runbooks.engine.record import Records
from holdfast.runbooks.engine.state import RunState
from holdfast.runbooks.engine.work import Bench
from holdfast.runbooks.errors import RunOver
from holdfast.runbooks.format.compile import Snapshot

PLAYED = "nobody was asked: what is left of a drill is undone"


@dataclass(frozen=True)
class Page:
    """What is followed. ``without``: step → why it is left out."""

    snapshot: Snapshot
    file: str
    parameters: Mapping[str, Any]
    without: Mapping[str, str] = field(default_factory=dict)


class Following:
    """One runbook's runs, by one host's records."""

    def __init__(self, records: Records, bench: Bench) -> None:
        self.records, self.bench = records, bench

    def follow(self, run: str, page: Page, by: Person, watcher: Watcher, cancelled: Callable[[], bool], **facts: Any) -> Stopped:
        """``run``: a new id. ``facts`` join the run's begin (``incident``, ``drill``). Leaving it by an error leaves the run to ``end``."""
        document = page.snapshot.document
        begun = {"snapshot": dict(document), "hash": page.snapshot.hash, "parameters": dict(page.parameters), "file": page.file, **facts}
        self.records.append(run, 0, "begin", by=by.to_json(), **begun)
        for step, why in page.without.items():
            Answers(self.records).skip(run, by, step, why)
        return self._drive(run, by, watcher, cancelled)

    def _drive(self, run: str, by: Person, watcher: Watcher, cancelled: Callable[[], bool] = lambda: False) -> Stopped:
        return Driver(self.records, self.bench, watcher, cancelled=cancelled).resume(run, by)

    def end(self, run: str, by: Person, why: str) -> RunState:
        """A run that did not come to its end is aborted: what ran is undone by its steps' own undo, people are played for it. What only a
        person could tell is left, and said. Raises NotTornDown.
        """
        state = self.records.load(run)
        if state.status == "ended":
            return state
        try:
            Answers(self.records).abort(run, by, why, undo=True)
        except RunOver:
            return self.records.load(run)
        stopped = self._drive(run, by, Cues(_nobody, _silent, self.records.clock))
        left: list[str] = []
        while stopped.how in ("waiting", "stopped"):
            left.append(f"{stopped.next.step} ({stopped.next.text})")
            Answers(self.records).skip(run, by, stopped.next.step, f"{PLAYED}: {stopped.next.text}")
            stopped = self._drive(run, by, Cues(_nobody, _silent, self.records.clock))
        if left:
            raise NotTornDown(
                f"The run {run} of the runbook {state.document['name']} is ended, and of its steps these are not undone: {'; '.join(left)}",
                hint=f"Look at what they left: holdfast runbook history {run}",
                run=run,
                steps=left,
            )
        return stopped.state


def _nobody(question: Question) -> Answer:
    return Answer("holdfast", next(iter(question.options), "undone"), played_by=PLAYED)


def _silent(text: str) -> None:
    del text
