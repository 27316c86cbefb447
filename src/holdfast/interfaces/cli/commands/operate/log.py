"""``holdfast log``: JSON ``{"entries": [{"n", "at", "kind", "payload", "hash"}], "whole": bool, "problems": [text…]}``."""

from typing import Annotated

from holdfast.interfaces.cli.commands.operate.cancel import RunUnknown
from holdfast.interfaces.cli.context import Session
from holdfast.interfaces.cli.grammar.command import Argument, Option
from holdfast.journal import Record


def command(
    session: Session,
    run: Annotated[str | None, Argument("a run's id or its beginning; all without it", "RUN")] = None,
    *,
    limit: Annotated[int, Option("how many of the newest entries")] = 50,
) -> int:
    """Show what the journal of this host holds, and whether it is whole.

    Fails (1) when the journal was cut, edited or reordered.
    """
    journal = session.platform.journal
    problems = journal.verify()
    entries: list[Record] = []
    for chain in journal.chains():
        entries += journal.believed(chain)
    if run:
        entries = [entry for entry in entries if str(entry.payload.get("run", "")).startswith(run)]
        if not entries:
            raise RunUnknown(f"The journal of this host knows no run that begins with '{run}'.", hint="See: holdfast jobs --all")
    entries = entries[-limit:]

    def human() -> None:
        for entry in entries:
            said = " ".join(
                f"{key}={value}" for key, value in entry.payload.items() if value not in (None, "") and not isinstance(value, dict)
            )
            session.out.say(
                f"{entry.at.astimezone(session.plan.zone).isoformat(timespec='seconds')}  {entry.n:>5}  {entry.kind:<14} {said}"
            )
        for problem in problems:
            session.out.warn(f"journal {problem.chain}: {problem.text}")

    document = {
        "entries": [{"n": e.n, "at": e.at, "kind": e.kind, "payload": e.payload, "hash": e.hash} for e in entries],
        "whole": not problems,
        "problems": [problem.text for problem in problems],
    }
    session.out.result(document, human)
    return 1 if problems else 0
