"""The people of a drill answer what its runbook asks, by the runbook's own rules for who may."""

import getpass
import socket
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from holdfast.drills.contract import Answer, Question
from holdfast.errors import HoldfastError
from holdfast.model import Clock
from holdfast.runbooks.engine.answers import answer
from holdfast.runbooks.engine.decide import Next
from holdfast.runbooks.engine.people import Person
from holdfast.runbooks.engine.state import RunState
from holdfast.runbooks.format.insert import insert

AGREE = {"approve": "it may go on", "reject": "it may not"}
TRIES = 10
"""So often one thing is asked for again after an answer that the runbook does not take."""
NOT_PLAYED = ("settle", "undo_settle", "output")
"""What only somebody can say who looked: nobody is played for it, and the run stays waiting."""


def here(name: str) -> Person:
    """Somebody at this account."""
    return Person(name, getpass.getuser(), socket.gethostname())


class Cues:
    """Satisfies ``runbooks.engine.driver.Watcher``. ``ask`` and ``tell`` are the drill's."""

    def __init__(self, ask: Callable[[Question], Answer], tell: Callable[[str], None], clock: Clock) -> None:
        self._ask, self._tell, self._clock = ask, tell, clock
        self._refused: Counter[tuple[str, str]] = Counter()

    def told(self, state: RunState, event: str, data: dict[str, Any]) -> None:
        """Its beginnings, and what went wrong."""
        if event == "started":
            self._tell(f"runbook {state.document['name']}: {data['step']}")
        elif event == "finished" and data.get("outcome") != "ok":
            self._tell(f"runbook {state.document['name']}: {data['step']}: {data.get('outcome')}: {data.get('message')}")

    def ask(self, state: RunState, asked: Next) -> tuple[str, dict[str, Any]] | str | None:
        """Raises what the run says against an answer that nobody can give anew (one that was played, or given beforehand), or that is
        given again and again. Meanwhile somebody else may answer from elsewhere (``holdfast runbook approve``).
        """
        question = _question(state, asked)
        said = self._ask(question)
        if said.played_by and asked.what in NOT_PLAYED:
            return None
        try:
            return answer(state, asked, _person(said), _given(asked, said), self._clock.now())
        except HoldfastError as error:
            self._refused[asked.step, asked.what] += 1
            if said.played_by or said.beforehand or self._refused[asked.step, asked.what] >= TRIES:
                raise
            self._tell(f"{error.message} {error.hint}")
            return "again"


def _question(state: RunState, asked: Next) -> Question:
    spec = state.spec(asked.step)
    role = spec.get("by") if asked.what == "approve" else spec.get("who")
    options: Mapping[str, str] = spec.get("choose", {}) if asked.what == "choose" else AGREE if asked.what == "approve" else {}
    if asked.what in ("settle", "undo_settle"):
        options = {"yes": "it did" if asked.what == "settle" else "it was undone", "no": "it did not"}
    text = f"{spec['title']}: {insert(asked.text, _Lenient(state.values()))}".removesuffix(": ")
    if asked.what == "output":
        text = f"{text} (NAME=VALUE …: {', '.join(asked.missing)})"
    return Question(asked.what, text, role, options, asked.step, _names(state, asked, role))


class _Lenient(dict[str, Any]):
    def __missing__(self, key: str) -> str:
        return "${" + key + "}"


def _person(said: Answer) -> Person:
    """Who was played, or answered beforehand, has no account of this host."""
    if said.beforehand or said.played_by:
        return Person(said.name, f"{'played' if said.played_by else 'beforehand'}: {said.name}", socket.gethostname())
    return here(said.name)


def _names(state: RunState, asked: Next, role: str | None) -> tuple[str, ...]:
    """Who can be played: people of the role; for an approval none who asked for it, and somebody where the role has no other."""
    names = tuple(state.document["roles"].get(role or "", ()))
    if asked.what != "approve":
        return names
    free = tuple(one for one in names if one.casefold() not in _taken(state, asked))
    return free or (f"{role} {len(state.steps[asked.step].approvals) + 1}, played",)


def _taken(state: RunState, asked: Next) -> set[str]:
    step = state.steps[asked.step]
    return {one.name.casefold() for one in (state.by, step.asked_by, *step.approvals) if one is not None}


def _given(asked: Next, said: Answer) -> dict[str, Any]:
    note = f"{said.text} ({said.played_by})" if said.played_by else said.text
    if asked.what == "choose":
        return {"choice": said.text, "note": said.played_by or ""}
    if asked.what == "approve":
        return {"reject": said.text in ("reject", "no"), "note": note}
    if asked.what in ("settle", "undo_settle"):
        return {"happened": {"yes": True, "no": False}.get(said.text), "note": note}
    if asked.what == "output":
        return {"outputs": dict(part.split("=", 1) for part in said.text.split() if "=" in part), "note": ""}
    return {"note": note}
