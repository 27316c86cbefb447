"""``holdfast when``.

JSON: ``{"system", "asked", "state": "found" | "never-bad" | "never-good" | "nothing", "last_good": {"lsn", "time", "xid"} |
null, "first_bad": … | null,
"restore_to", "answers", "opened", "candidates", "seconds", "to", "command"}``; ``to`` is what
restore takes as --to. Exit status 0 when found, else 1.
"""

import datetime as dt
from typing import Annotated, Any

from holdfast.errors import Usage
from holdfast.interfaces.cli.commands.recover.restore import _one
from holdfast.interfaces.cli.context import Session
from holdfast.interfaces.cli.grammar.command import Option, System
from holdfast.interfaces.cli.terminal.times import local
from holdfast.model import counted


class WhenUsage(Usage):
    """What to search for is missing, or cannot be searched for."""

    code = "when-usage"


def command(
    session: Session,
    system: System,
    *,
    check: Annotated[str | None, Option("a check of the plan with an expected value: when did it first fail?", metavar="NAME")] = None,
    dropped: Annotated[str | None, Option("a table: when was it dropped?", metavar="TABLE")] = None,
    timeline: Annotated[str | None, Option("which history to search", metavar="N")] = None,
) -> int:
    """Search history for the last good moment and the first bad one, by opening isolated copies at moments between."""
    from holdfast.protection.recorded import recorded
    from holdfast.recovery import by_check, by_presence, search

    [name] = _one(session, system)
    if (check is None) == (dropped is None):
        raise WhenUsage("Say what to search for: --check NAME or --dropped TABLE.")
    recovery = session.platform.searchable(name)
    grown = False
    if dropped is not None:
        asked, question = recovery.presence(dropped)
        judge = by_presence(question)
    else:
        wanted = _check(session, name, check or "")
        asked = f"check {wanted.name}: " + (repr(wanted.expect) if wanted.suite is None else f"suite of {wanted.table}")
        grown, judge = wanted.suite is not None, by_check(wanted)
    options = {"timeline": timeline} if timeline else {}
    with (
        session.progress() as progress,
        recorded(session.platform.state, session.platform.journal, session.clock, "when", name, asked=asked) as work,
    ):
        history = session.platform.history(name)
        found = search(recovery, history, judge, options=options, progress=work.watch(progress), clock=session.clock, grown=grown)
        work.add(**{name: value for name, value in found.to_json().items() if name != "seconds"})
    document: dict[str, Any] = {"system": name, "asked": asked, **found.to_json()}
    good = document["last_good"]
    to = document["to"] = _to(good, found.good) if good and found.state == "found" else None
    where = "NEW_DIRECTORY" if good and "lsn" in good else "NEW_PLACE"
    document["command"] = f"holdfast restore {name} --into {where} --to {to}" if to else None

    def human() -> None:
        out = session.out
        if found.state == "found" and found.good and found.bad:
            out.say(f"last good:  {_line(found.good.shown, session.plan.zone)}")
            out.say(f"first bad:  {_line(found.bad.shown, session.plan.zone)}")
            out.say(f"Get it back: {document['command']}")
        elif found.state == "never-bad":
            out.say("It is good at the newest moment that can be reached.")
        elif found.state == "never-good":
            out.say("It is bad already at the oldest moment that can be reached.")
        else:
            out.say("Nothing was committed in what the vault holds.")
        out.say(f"{counted(found.opened, 'copy', 'copies')} opened, {counted(found.candidates, 'moment')}, {found.seconds:.1f} s")

    session.out.result(document, human)
    return 0 if found.state == "found" else 1


def _to(good: Any, moment: Any) -> str:
    if "lsn" in good:
        return f"lsn:{good['lsn']}"
    versions = moment.until["versions"]
    several = ",".join(f"{table}@{version}" for table, version in versions.items())
    return f"version:{several if len(versions) > 1 else good['version']}"


def _line(shown: Any, zone: dt.tzinfo) -> str:
    return "  ".join(f"{name} {local(value, zone) if name == 'time' else value}" for name, value in shown.items() if value is not None)


def _check(session: Session, system: str, name: str) -> Any:
    from holdfast.validation import checks_of
    from holdfast.validation.expectations import read

    checks = checks_of(session.plan, system)
    found = next((one for one in checks if one.name == name), None)
    if found is None:
        raise WhenUsage(f"{system} has no check '{name}'.", hint="It has: " + (", ".join(one.name for one in checks) or "none"))
    if found.suite is not None and read(found.suite).coordinate:
        raise WhenUsage(
            f"The suite of the check '{name}' holds exact values, which fit one moment only.",
            hint="Derive one without --exact: holdfast expectations",
        )
    if found.compare:
        raise WhenUsage(
            f"The check '{name}' compares with the source; history can be searched only for an expected value.",
            hint="Give it expect: VALUE.",
        )
    return found
