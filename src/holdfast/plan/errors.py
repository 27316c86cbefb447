"""What is wrong with a plan, and where."""

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from holdfast.errors import Usage


@dataclass(frozen=True, slots=True, order=True)
class Mark:
    """A place in a file; ``line`` and ``column`` count from 1."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong (or doubtful) in a plan. ``path`` is dotted: ``tiers.critical.rpo``. Never holds the value of a secret."""

    mark: Mark
    path: str
    message: str
    hint: str = ""
    severity: Literal["error", "warning"] = "error"

    def __str__(self) -> str:
        text = f"{self.mark}: {self.severity}: {self.message}"
        return f"{text}; {self.hint}" if self.hint else text

    def document(self) -> dict[str, object]:
        """JSON-ready."""
        return {
            "severity": self.severity,
            "file": self.mark.file,
            "line": self.mark.line,
            "column": self.mark.column,
            "path": self.path,
            "message": self.message,
            "hint": self.hint,
        }


class PlanInvalid(Usage):
    """The plan has errors; all that were found are listed with file, line and column."""

    code = "plan-invalid"

    def __init__(self, problems: Sequence[Problem]) -> None:
        ordered = sorted(problems, key=lambda problem: problem.mark)
        count = sum(problem.severity == "error" for problem in ordered)
        lines = "\n".join(f"  {problem}" for problem in ordered)
        super().__init__(
            f"The plan has {count} error{'s' if count != 1 else ''}:\n{lines}",
            hint="Correct these lines, then run: holdfast plan lint",
            problems=[problem.document() for problem in ordered],
        )
        self.problems = tuple(ordered)


class PlanMissing(Usage):
    """No plan file where one was expected."""

    code = "plan-missing"


class BadValue(Usage, ValueError):
    """A value that cannot be read as what its place asks for."""

    code = "bad-value"


class KindNotThereYet(Usage):
    """The plan names a kind of system that this version parses but cannot protect."""

    code = "kind-not-there-yet"


class UnknownSystem(Usage):
    """A pattern matches no system of the plan."""

    code = "unknown-system"


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known word most like ``word``, or None when nothing is close."""
    candidates = list(known)
    lowered = {candidate.lower(): candidate for candidate in candidates}
    if word.lower() in lowered:
        return lowered[word.lower()]
    plain = {candidate.lower().replace("-", "_"): candidate for candidate in candidates}
    found = difflib.get_close_matches(word.lower().replace("-", "_"), plain, n=1, cutoff=0.6)
    return plain[found[0]] if found else None


def did_you_mean(word: str, known: Iterable[str], *, show: int = 20) -> str:
    """A hint for a wrong name: the nearest right one, else what there is."""
    names = sorted(known)
    close = nearest(word, names)
    if close:
        return f"did you mean '{close}'?"
    if not names:
        return "none is defined"
    listed = ", ".join(names[:show])
    return f"known here: {listed}{', …' if len(names) > show else ''}"


class UnknownLocation(Usage):
    """The vault has no location of that name."""

    code = "unknown-location"
