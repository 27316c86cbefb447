"""Who takes which part in a drill, and what they said."""

import datetime as dt
from collections.abc import Mapping, Sequence

from holdfast.drills.contract import Answer, People, Question
from holdfast.drills.engine.record import DrillRecord
from holdfast.drills.errors import NotYourPart
from holdfast.evidence.drilled import Did
from holdfast.model import Clock


class Cast:
    """Asks people, checks that it is their part, and writes down what they said before anything is done with it."""

    def __init__(self, roles: Mapping[str, Sequence[str]], people: People, record: DrillRecord, clock: Clock) -> None:
        self._roles, self._people, self._record, self._clock = roles, people, record, clock
        self.did: list[Did] = []

    def ask(self, question: Question) -> Answer:
        """Raises NotYourPart."""
        answer = self._people.ask(question)
        names = self._roles.get(question.role or "", ())
        if names and answer.played_by is None and answer.name.casefold() not in {name.casefold() for name in names}:
            raise NotYourPart(
                f"{answer.name} may not {question.what} in this drill: it is the part of {question.role}.",
                hint=f"Ask {' or '.join(names)}. Say who you are with --as NAME.",
                role=question.role,
            )
        played = answer.played_by or (f"given beforehand by {answer.beforehand}" if answer.beforehand else None)
        self.note(question.role or question.what, answer.name, f"{question.what}: {answer.text}", played_by=played)
        return answer

    def note(self, role: str, name: str, did: str, *, played_by: str | None = None) -> Did:
        """What somebody did."""
        at = self._clock.now().astimezone(dt.UTC).isoformat(timespec="microseconds")
        one = Did(role, name, at, did, None, played_by)
        self._record.write("said", **one.to_json())
        self.did.append(one)
        return one


class Unattended:
    """Nobody is asked: each answer is the first one that is offered, and the record says that nobody gave it."""

    def __init__(self, name: str) -> None:
        self._name = name

    def ask(self, question: Question) -> Answer:
        name = question.names[0] if question.names else self._name
        return Answer(name, next(iter(question.options), "yes"), played_by="nobody was asked: an unattended drill")
