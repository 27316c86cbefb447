"""``holdfast runbook new``.

JSON ``{"name", "file", "text"}``; without NAME ``{"templates": [{"name", "title"}]}``.
"""

import re
from typing import Annotated

from holdfast.interfaces.cli.commands.runbook.desk import Desk
from holdfast.interfaces.cli.commands.runbook.written.known import known
from holdfast.interfaces.cli.context import Session
from holdfast.interfaces.cli.grammar.command import Argument, Option
from holdfast.interfaces.cli.grammar.parser import WrongUsage
from holdfast.runbooks.errors import RunbookExists
from holdfast.runbooks.format.shipped import Known, from_template, shipped
from holdfast.runbooks.format.template import new_runbook


def command(
    session: Session,
    name: Annotated[str | None, Argument("what the runbook is called; without it the templates are listed", "NAME")] = None,
    *,
    template: Annotated[str | None, Option("a template that is shipped, for one kind of disaster", metavar="TEMPLATE")] = None,
    system: Annotated[str | None, Option("the system of the plan that it is for")] = None,
    title: Annotated[str | None, Option("its title")] = None,
    print_: Annotated[bool, Option("print it, write nothing", "--print")] = False,
) -> int:
    """Write a runbook with every section of the template and each kind of step once, to be filled in.

    With --template it has all steps of a restoration, filled in with what the plan says of --system. It goes into the plan's runbooks
    folder. A file that is there is never overwritten.
    """
    if name is None:
        return _list(session)
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,62}", name):
        raise WrongUsage(f"'{name}' is no name for a runbook.", hint="Use letters, digits, '-', '_' and '.': restore-orders-db")
    desk = Desk(session)
    facts = known(desk.plan, system) if system is not None and desk.plan is not None else Known(system=system or "")
    if template is not None:
        text = from_template(template, name, title=title, known=facts)
    else:
        text = new_runbook(name, title=title, system=system, owner=facts.owner or None)
    path = desk.library.folder / f"{name}.md"
    if not print_:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with path.open("x", encoding="utf-8") as file:
                file.write(text)
        except FileExistsError:
            raise RunbookExists(f"{path} is there already.", hint="Give another name, or edit that file.") from None

    def human() -> None:
        if print_:
            session.out.raw(text)
        else:
            session.out.say(f"{path} is written. Fill it in, then: holdfast runbook lint {name}")

    session.out.result({"name": name, "file": None if print_ else str(path), "text": text}, human)
    return 0


def _list(session: Session) -> int:
    found = shipped()

    def human() -> None:
        for each, title in found.items():
            session.out.say(f"{each}: {title}")
        session.out.say("holdfast runbook new NAME --template TEMPLATE --system SYSTEM writes one; without --template an empty one.")

    session.out.result({"templates": [{"name": each, "title": title} for each, title in found.items()]}, human)
    return 0
