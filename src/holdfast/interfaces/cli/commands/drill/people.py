"""Who answers in a drill: a person at the terminal, answers given beforehand, or nobody."""

import sys
from collections.abc import Mapping
from dataclasses import replace

from holdfast.drills.contract import Answer, Question
from holdfast.drills.engine.parts import Unattended
from holdfast.drills.errors import DrillNeedsPeople, DrillUsage
from holdfast.interfaces.cli.context import Session
from holdfast.interfaces.cli.grammar.parser import WrongUsage
from holdfast.interfaces.cli.terminal.confirm import ask

NO = ("no", "n", "refuse", "refused")


class AtTerminal:
    """Asks whoever sits there. ``given``: answers by what is asked (declare, decide, accept, a question's id), which are not asked for."""

    def __init__(self, name: str, given: Mapping[str, str], *, alone: bool, unattended: bool) -> None:
        self._name, self._given = name, dict(given)
        self._alone = alone
        self._nobody = Unattended(name) if unattended else None

    @property
    def silent(self) -> bool:
        """Whether nothing is asked on a terminal."""
        return self._alone or self._nobody is not None

    def ask(self, question: Question) -> Answer:
        """Raises DrillNeedsPeople, DrillUsage."""
        key = question.id or question.what
        if key in self._given:
            return replace(self._answer(question, self._given[key]), beforehand=self._name)
        if self._nobody is not None:
            return self._nobody.ask(question)
        if self._alone:
            raise DrillNeedsPeople(
                f"The drill asks: {question.text} Nobody is at a terminal to answer.",
                hint=f"Answer beforehand with --answer {key}=…, or run it with --unattended.",
            )
        choices = "".join(f"\n  {name}: {meaning}" for name, meaning in question.options.items())
        who = f" ({question.role})" if question.role and question.role != question.what else ""
        default = next(iter(question.options), "yes" if question.what in ("declare", "accept") else "")
        while True:
            text = ask(f"DRILL {question.what}{who}: {question.text}{choices}\n", default)
            if text and (not question.options or text in question.options):
                return self._answer(question, text)

    def _answer(self, question: Question, text: str) -> Answer:
        """``name: text`` is said by somebody else than who sits there."""
        name, colon, rest = text.partition(": ")
        who, said = (name.strip(), rest.strip()) if colon else (self._name, text.strip())
        if question.options and said not in question.options:
            raise DrillUsage(f"'{said}' is no answer to {question.what}.", hint=f"One of: {', '.join(question.options)}")
        return Answer(who, said, refused=question.what == "accept" and said.lower() in NO)


def people(session: Session, name: str, answers: tuple[str, ...], *, unattended: bool, asked: bool) -> AtTerminal:
    """``asked`` False: the scenario itself says that nobody takes part."""
    given = {}
    for text in answers:
        key, equals, value = text.partition("=")
        if not equals:
            raise WrongUsage("--answer takes WHAT=TEXT.", hint='For example: --answer declare="dora: yes"')
        given[key] = value
    alone = session.settings.json or not sys.stdin.isatty()
    return AtTerminal(name, given, alone=alone, unattended=unattended or not asked)


def require_somebody(found: AtTerminal, needed: list[str]) -> None:
    """Before anything begins. Raises DrillNeedsPeople."""
    lacking = [one for one in needed if one not in found._given]  # noqa: SLF001 - both belong to this file
    if found._alone and found._nobody is None and lacking:  # noqa: SLF001
        raise DrillNeedsPeople(
            f"The drill asks people ({', '.join(lacking)}), and nobody is at a terminal.",
            hint="Run it at a terminal, or answer beforehand with --answer WHAT=TEXT; --unattended rehearses without people, and says so.",
            asked=lacking,
        )
