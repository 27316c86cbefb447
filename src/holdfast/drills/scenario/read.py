"""From a scenario's text to a checked scenario and its hash, with every problem at its line."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from holdfast.drills.errors import ScenarioInvalid
from holdfast.drills.scenario.shape import Scenario
from holdfast.plan.checks.words import in_words
from holdfast.plan.errors import Mark, Problem
from holdfast.plan.source.reader import read
from holdfast.plan.source.tree import Mapping as Tree
from holdfast.plan.source.tree import plain

LARGEST = 1 << 18


@dataclass(frozen=True)
class Snapshot:
    """A scenario as a drill keeps it, whatever becomes of its file. ``document``: JSON-ready and complete, ``text`` the file as it was."""

    scenario: Scenario
    document: Mapping[str, Any]
    text: str
    file: str

    @property
    def name(self) -> str:
        return self.scenario.drill

    @property
    def hash(self) -> str:
        """``sha256:`` and the SHA-256 in hex of the canonical JSON (keys sorted, no spaces, ASCII)."""
        text = json.dumps(self.document, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
        return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


def compile_text(text: str, file: str) -> Snapshot:
    """Raises ScenarioInvalid with every error."""
    snapshot, problems = examine(text, file)
    if snapshot is None:
        raise ScenarioInvalid(problems)
    return snapshot


def examine(text: str, file: str) -> tuple[Snapshot | None, list[Problem]]:
    """The snapshot (None where there are errors), and what is wrong, in the order of the file."""
    if len(text) > LARGEST:
        return None, [Problem(Mark(file, 1, 1), "", f"{len(text)} characters are no scenario", f"at most {LARGEST}")]
    tree, problems = read(text.replace("\r\n", "\n").removeprefix("\ufeff"), file, what="a scenario", begin="drill: NAME")
    if any(problem.severity == "error" for problem in problems):
        return None, problems
    try:
        scenario = Scenario.model_validate(plain(tree))
    except ValidationError as error:
        problems += [_worded(tree, detail) for detail in error.errors(include_url=False)]
        return None, sorted(dict.fromkeys(problems), key=lambda problem: problem.mark)
    return Snapshot(scenario, scenario.model_dump(mode="json", exclude_none=True), text, file), problems


def _worded(tree: Tree, detail: Any) -> Problem:
    found = in_words(tree, Scenario, (), detail, whole="the scenario")
    return Problem(found.mark, found.path, found.message.removeprefix(": "), found.hint, found.severity)
