"""What a good runbook has besides being right: the sections of the template, its facts; and that every system of the plan has one."""

import datetime as dt
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from holdfast.plan.errors import Mark, Problem, did_you_mean
from holdfast.plan.values.units import format_duration, parse_duration
from holdfast.runbooks.format.compile import Snapshot
from holdfast.runbooks.format.library import Found

SECTIONS: Mapping[str, str] = {
    "Overview": r"overview",
    "Prerequisites & preparation": r"pre-?requisite|preparation",
    "Execution steps": r"execution",
    "Incident declaration & communication": r"declar|communicat",
    "Isolate & confirm scope": r"isolat|scope",
    "Recovery procedure": r"recovery|restor",
    "Verification & handover": r"verif|hand-?over",
    "Post-incident analysis": r"post-(incident|mortem)|lessons",
}
FACTS = {
    "purpose": "what it is for",
    "trigger": "when it is used",
    "rto": "how long it may take",
    "rpo": "how much is lost by following it",
    "severity": "how bad it is when it is needed",
    "owner": "who keeps it right",
    "systems": "which systems of the plan it is for",
}


@dataclass(frozen=True)
class Promised:
    """A system of the plan, as far as runbooks are concerned."""

    name: str
    rto: dt.timedelta | None


@dataclass(frozen=True)
class Coverage:
    """``covered``: by system, the names of its runbooks; ``uncovered``: systems without any that has no errors."""

    covered: Mapping[str, Sequence[str]]
    uncovered: Sequence[str]


def coverage(systems: Sequence[Promised], found: Sequence[Found]) -> Coverage:
    """By what the runbooks say in ``systems:``."""
    sound = [each.snapshot for each in found if each.snapshot is not None]
    covered = {one.name: [snapshot.name for snapshot in sound if one.name in snapshot.document["systems"]] for one in systems}
    return Coverage({name: names for name, names in covered.items() if names}, [name for name, names in covered.items() if not names])


def template(snapshot: Snapshot, file: str) -> list[Problem]:
    """Warnings for what the template has and this runbook lacks."""
    said = " | ".join(heading.text for heading in snapshot.page.headings).lower()
    top = Mark(file, 1, 1)
    problems = [
        Problem(Mark(file, snapshot.page.body, 1), "", f"the section '{title}' is missing", "see: holdfast runbook new --print", "warning")
        for title, pattern in SECTIONS.items()
        if not re.search(pattern, said)
    ]
    problems += [
        Problem(top, key, f"the front matter does not say {meaning}", f"add {key}:", "warning")
        for key, meaning in FACTS.items()
        if not snapshot.document.get(key)
    ]
    return problems


def against_plan(snapshot: Snapshot, file: str, systems: Sequence[Promised]) -> list[Problem]:
    """Systems that the plan does not have are errors; a runbook that takes longer than was promised is a warning."""
    by_name = {one.name: one for one in systems}
    top = Mark(file, 1, 1)
    problems = []
    for name in snapshot.document["systems"]:
        if name not in by_name:
            problems.append(Problem(top, "systems", f"the plan has no system '{name}'", did_you_mean(name, by_name)))
            continue
        promised, own = by_name[name].rto, snapshot.document.get("rto")
        if promised is not None and own is not None and parse_duration(own) > promised:
            message = f"it takes {own}, but {name} is promised back within {format_duration(promised)}"
            problems.append(Problem(top, "rto", message, "make it shorter, or the promise honest", "warning"))
    return problems


def same_names(found: Sequence[Found]) -> list[Problem]:
    """A name that two files claim leads nowhere."""
    first: dict[str, Found] = {}
    problems = []
    for each in found:
        other = first.setdefault(each.name, each)
        if other is not each:
            message = f"'{each.name}' is also the name of {other.path}"
            problems.append(Problem(Mark(str(each.path), 1, 1), "runbook", message, "give it a name of its own"))
    return problems
