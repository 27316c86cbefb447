"""``holdfast runbook approve``: JSON as of ``runbook run``, with ``answered``."""

from typing import Annotated, Any

from holdfast.interfaces.cli.commands.runbook.desk import Desk
from holdfast.interfaces.cli.commands.runbook.runs.driving import Job, document, driver, result, standing
from holdfast.interfaces.cli.commands.runbook.runs.person import person
from holdfast.interfaces.cli.context import Session
from holdfast.interfaces.cli.grammar.command import Argument, Option
from holdfast.interfaces.cli.grammar.parser import WrongUsage
from holdfast.runbooks.engine.answers import Answers


def command(
    session: Session,
    run: Annotated[str, Argument("a run's id, or its beginning", "RUN")],
    step: Annotated[str, Argument("the step that it waits at", "STEP")],
    *,
    as_: Annotated[str | None, Option("who you are (your account's name by default)", "--as", metavar="NAME")] = None,
    note: Annotated[str | None, Option("what was done, or why", "--note", metavar="TEXT")] = None,
    choose: Annotated[str | None, Option("a decision's choice", metavar="NAME")] = None,
    happened: Annotated[bool, Option("of an uncertain step: it happened (of an uncertain undo: it was undone)")] = False,
    did_not_happen: Annotated[bool, Option("of an uncertain step: it did not happen, and may be run")] = False,
    output: Annotated[tuple[str, ...], Option("a value that a step gave, where nobody saw it", metavar="NAME=VALUE")] = (),
    reject: Annotated[bool, Option("refuse the approval")] = False,
    break_glass: Annotated[bool, Option("go on without approval; needs --note, and is shown as such for ever")] = False,
    resume: Annotated[bool, Option("drive the run on afterwards")] = False,
) -> int:
    """Answer what a run waits for: approve or reject, confirm a step that people do, choose, say what happened.

    Who asked for an approval cannot give it, by name or by account; too late is refused. Where a process drives the run, it goes on there.
    """
    desk = Desk(session)
    found = desk.records.find(run)
    who = person(as_)
    if happened and did_not_happen:
        raise WrongUsage("--happened and --did-not-happen exclude each other.", hint="Give one of them.")
    outputs: dict[str, Any] = {}
    for text in output:
        name, equals, value = text.partition("=")
        if not equals:
            raise WrongUsage("--output takes NAME=VALUE.", hint="For example: --output port=5433")
        outputs[name] = value
    Answers(desk.records).say(
        found,
        who,
        step,
        note=note,
        choice=choose,
        happened=True if happened else False if did_not_happen else None,
        outputs=outputs,
        reject=reject,
        break_glass=break_glass,
    )
    if resume:
        with Job(session, desk, found, desk.records.load(found).document["name"]) as job:
            return result(session, driver(session, desk, who, job).resume(found, who))
    state, asked = standing(session, desk, found)

    def human() -> None:
        session.out.say(f"Noted for step {step} of run {found}.")
        session.out.say(f"Where nobody drives it: holdfast runbook resume {found}")

    session.out.result({**document(state, state.status, asked), "answered": step}, human)
    return 0
