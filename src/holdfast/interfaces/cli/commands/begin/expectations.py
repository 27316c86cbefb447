"""``holdfast expectations``.

Prints the suite, or with ``--into`` writes it; with ``--json``: ``{"system", "table", "reached", "file": path | null, "suite", "results":
[{"name", "state", "expected", "actual", "detail"}]}``. Exit status 0 when the table meets the suite that was derived from it, else 1.
"""

import json
import os
from pathlib import Path
from typing import Annotated, Any

from holdfast.errors import Usage
from holdfast.interfaces.cli.commands.recover.restore import _one
from holdfast.interfaces.cli.context import Session
from holdfast.interfaces.cli.grammar.command import Option, System
from holdfast.model import counted


class ExpectationsUsage(Usage):
    """Options of ``holdfast expectations`` that make no sense."""

    code = "expectations-usage"


def command(
    session: Session,
    system: System,
    *,
    table: Annotated[str, Option("the table; of files, Parquet or CSV files by path or pattern", metavar="TABLE")],
    to: Annotated[str | None, Option("as it was at this moment or point, not the newest", metavar="WHEN")] = None,
    within: Annotated[float, Option("by how many percent counts, sums and ranges may differ later", metavar="PERCENT")] = 10.0,
    exact: Annotated[bool, Option("exact values instead: for copies that stand at this very moment")] = False,
    into: Annotated[Path | None, Option("a new file, instead of printing the suite", metavar="FILE")] = None,
    database: Annotated[str | None, Option("of PostgreSQL: the database that the table is in")] = None,
) -> int:
    """Derive a Great Expectations suite from a healthy table: rows, columns, nulls, ranges, sums, small sets of values.

    An isolated copy is opened at the moment, its table is looked at, and the suite is tried on it. Review what it says, and name it in
    the plan.
    """
    from holdfast.protection.recorded import recorded
    from holdfast.validation import expectations

    [name] = _one(session, system)
    if not 0 <= within <= 100:
        raise ExpectationsUsage(f"--within takes 0 to 100 percent, not {within:g}.", hint="Write --exact for exact values.")
    if into is not None and into.exists():
        raise expectations.SuiteTaken(f"{into} is there already.", hint="Write to a new file, and compare the two.")
    platform = session.platform
    recovery = platform.recovery(name)
    until = recovery.target(to, session.clock.now(), session.plan.zone)
    with (
        session.progress() as progress,
        recorded(platform.state, platform.journal, session.clock, "expectations", name, table=table) as work,
        recovery.isolate(platform.history(name), until, {"purpose": "expectations"}, work.watch(progress)) as view,
    ):
        progress.phase("profile", None, "tables")
        facts = expectations.profile(view, table, distinct=expectations.DISTINCT, database=database)
        coordinate = expectations.coordinate(view.reached, table)
        where: dict[str, Any] = {"system": name, "table": table, "coordinate": coordinate, "taken": session.clock.now().isoformat()}
        derived = expectations.derive(facts, name=table, where=where, slack=None if exact else within / 100)
        text = json.dumps(derived, indent=2, ensure_ascii=False) + "\n"
        suite = expectations.parse(text.encode(), table, "the derived suite")
        results = expectations.outcomes(suite, view, table, session.clock, name=table, database=database)
        work.add(rows=facts["rows"], expectations=len(results), coordinate=coordinate)
        reached = dict(view.reached)
    # What was skipped looked at nothing: it is told, and is no reason against the suite.
    bad = [one for one in results if one.state == "failed"]
    if into is not None and not bad:
        _write(into, text)
    document = {
        "system": name,
        "table": table,
        "reached": reached,
        "file": str(into) if into is not None and not bad else None,
        "suite": derived,
        "results": [
            {"name": one.name, "state": one.state, "expected": one.expected, "actual": one.actual, "detail": one.detail} for one in results
        ],
    }

    def human() -> None:
        for one in bad:
            session.out.warn(f"{one.name}: {one.detail or one.actual}")
        if into is None:
            session.out.say(text.rstrip("\n"))
        elif not bad:
            stands = ", ".join(f"{key} {value}" for key, value in coordinate.items())
            session.out.say(f"{counted(len(results), 'expectation')} of {counted(facts['rows'], 'row')} at {stands} in {into}")
            session.out.say(f"Review it, and name it in the plan: checks: [{{name: {table} is right, suite: {into}, table: {table}}}]")

    session.out.result(document, human)
    return 1 if bad else 0


def _write(file: Path, text: str) -> None:
    from holdfast.validation.expectations import SuiteTaken

    file.parent.mkdir(parents=True, exist_ok=True)
    try:
        with file.open("x", encoding="utf-8") as opened:
            opened.write(text)
            opened.flush()
            os.fsync(opened.fileno())
    except FileExistsError as error:
        raise SuiteTaken(f"{file} is there already.", hint="Write to a new file, and compare the two.") from error
