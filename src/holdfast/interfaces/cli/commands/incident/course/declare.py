"""``holdfast incident declare``.

JSON: as of ``incident show``, with ``"declared"``: false where the incident was there already. With ``--alertmanager``: ``{"incidents":
[{"incident", "declared", "state", …}]}``. Where the plan could not be read: ``"plan_unread"``, why.
"""

import os
import sys
from pathlib import Path
from typing import Annotated

from holdfast.incidents.room import Declaration, severity
from holdfast.interfaces.cli.commands.incident.desk import As, Desk, pairs
from holdfast.interfaces.cli.context import Session
from holdfast.interfaces.cli.grammar.command import Argument, Option
from holdfast.interfaces.cli.grammar.parser import WrongUsage
from holdfast.plan.values.moments import parse_time
from holdfast.runbooks.actions.contract import RUN_MARK, STEP_MARK


def command(
    session: Session,
    title: Annotated[str | None, Argument("what is wrong, in one line", "TITLE")] = None,
    *,
    severity_: Annotated[
        str | None, Option("P1 (SEV1) to P4; without it by the tiers of the systems", "--severity", metavar="P1|P2|P3|P4")
    ] = None,
    system: Annotated[tuple[str, ...], Option("an affected system of the plan; may be repeated", "--system", metavar="SYSTEM")] = (),
    description: Annotated[str, Option("what is known", "--description", metavar="TEXT")] = "",
    ticket: Annotated[str | None, Option("its ticket elsewhere", "--ticket", metavar="TEXT")] = None,
    bridge: Annotated[str | None, Option("where people meet: a call, a room", "--bridge", metavar="TEXT")] = None,
    channel: Annotated[str | None, Option("where people write", "--channel", metavar="TEXT")] = None,
    role: Annotated[tuple[str, ...], Option("who takes a role from the beginning; may be repeated", "--role", metavar="ROLE=NAME")] = (),
    detected: Annotated[str | None, Option("when it began or was noticed", "--detected", metavar="TIME")] = None,
    drill: Annotated[str | None, Option("this is a drill: its id; every message says so", "--drill", metavar="ID")] = None,
    key: Annotated[
        str | None, Option("names what is wrong: while an incident with this key is open, no second one is declared", metavar="KEY")
    ] = None,
    alertmanager: Annotated[Path | None, Option("what Alertmanager's webhook sent ('-': from stdin)", metavar="FILE")] = None,
    quiet: Annotated[bool, Option("page and tell nobody")] = False,
    as_: As = None,
) -> int:
    """Declare an incident: those who answer for its systems are told at once, and the clocks of their promises run.

    It needs neither the vault nor a plan nor a network: it is in this host's journal when the command says so, and messages wait until
    their channels answer. Inside a runbook's step it is declared once, however often the step is tried.
    """
    desk = Desk(session, as_, plan_needed=False)
    if alertmanager is not None:
        return _alerts(session, desk, alertmanager)
    if title is None or not title.strip():
        raise WrongUsage("An incident needs a title.", hint='holdfast incident declare "orders are gone" --system orders-db')
    plan = desk.bench.plan
    systems = tuple(dict.fromkeys(name for name in plan.select(system))) if plan is not None and system else tuple(system)
    zone = desk.bench.zone
    if key is None and (run := os.environ.get(RUN_MARK)):
        key = f"runbook/{run}/{os.environ.get(STEP_MARK, '')}"
    elif key is not None and (inside := os.environ.get("HOLDFAST_DRILL")):
        key = f"drill/{inside}/{key}"  # inside of a drill nothing that is open in earnest is meant
    what = Declaration(
        title,
        systems,
        severity(severity_) if severity_ else None,
        description,
        key=key or "",
        drill=drill or os.environ.get("HOLDFAST_DRILL", ""),
        detected=parse_time(detected, now=session.clock.now(), zone=zone) if detected else None,
        roles=pairs(role, "--role"),
        references={name: text for name, text in (("ticket", ticket), ("bridge", bridge), ("channel", channel)) if text},
        quiet=quiet,
    )
    found, new = desk.room.declare(what, desk.person)
    session.out.note(f"{found.id} {'is declared' if new else 'was declared already'}: {found.severity} {found.title}")
    return desk.done(found, declared=new)


def _alerts(session: Session, desk: Desk, file: Path) -> int:
    from holdfast.incidents.alerts import take

    text = sys.stdin.read() if str(file) == "-" else _read(file)
    made = take(text, desk.room, desk.incidents.machine)
    desk.incidents.tell([one for one, _ in made])
    desk.pull()
    shown = [{**desk.document(desk.incidents.log.load(one.id)), "declared": new} for one, new in made]

    def human() -> None:
        for one, new in made:
            session.out.say(f"{one.id} {'is declared' if new else 'is there already'}: {one.severity} {one.title} ({one.state})")
        if not made:
            session.out.say("Nothing to declare: no alert fires.")

    session.out.result({"incidents": shown, **desk.without}, human)
    return 0


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise WrongUsage(f"{file} cannot be read: {error}.") from error
