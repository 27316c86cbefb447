"""``holdfast incident postmortem``: JSON as of ``incident show``, with ``"sections": {NAME: TEXT}`` and ``"markdown"``."""

import hashlib
from pathlib import Path
from typing import Annotated

from holdfast.incidents.errors import IncidentUsage
from holdfast.incidents.postmortem.document import markdown, read
from holdfast.incidents.postmortem.rules import check_finishing
from holdfast.incidents.record.state import Incident
from holdfast.interfaces.cli.commands.incident.desk import As, Desk, Id
from holdfast.interfaces.cli.context import Session
from holdfast.interfaces.cli.grammar.command import Option
from holdfast.interfaces.cli.grammar.parser import WrongUsage


def command(
    session: Session,
    incident: Id,
    *,
    write: Annotated[Path | None, Option("write it as Markdown, with the facts filled in", metavar="FILE")] = None,
    read_: Annotated[Path | None, Option("take what people wrote into the journal", "--read", metavar="FILE")] = None,
    finish: Annotated[bool, Option("say that it is finished")] = False,
    as_: As = None,
) -> int:
    """Write down what was learnt. Facts (timeline, durations, promises, runs) come from the journal; causes and lessons from people.

    Without an option it is printed. It is due within the plan's time after the resolution. What is changed later must be finished anew.
    """
    desk = Desk(session, as_)
    found = desk.incidents.log.load(desk.find(incident))
    log = desk.incidents.log
    if read_ is not None:
        _take(desk, found.id, read_)
        found = log.load(found.id)
    if finish:
        found = desk.act(lambda: _ready(desk, found.id))
        digest = hashlib.sha256(markdown(desk.document(found), found.sections).encode()).hexdigest()
        found, _ = log.append(found.id, "finished", desk.person, {"sha256": digest}, check=check_finishing)
    shown = desk.document(found)
    text = markdown(shown, found.sections)
    if write is not None:
        try:
            with write.open("x", encoding="utf-8") as file:
                file.write(text)
        except FileExistsError as error:
            raise WrongUsage(
                f"{write} exists already.", hint="It may hold what somebody wrote: take it in with --read, or move it."
            ) from error
        except OSError as error:
            raise WrongUsage(f"{write} cannot be written: {error.strerror}.") from error
    if read_ is not None or finish:
        desk.pull()

    def human() -> None:
        if write is not None:
            session.out.say(f"Fill in {write}, then: holdfast incident postmortem {found.id} --read {write} --finish")
        elif finish:
            session.out.say(f"The post-mortem of {found.id} is finished. Close it: holdfast incident close {found.id}")
        elif read_ is not None:
            lacking = "; ".join(shown["postmortem"]["lacks"])
            session.out.say(f"Taken into the journal. {f'Missing: {lacking}.' if lacking else 'Nothing is missing: --finish.'}")
        else:
            session.out.raw(text)

    session.out.result({**shown, "sections": found.sections, "markdown": text}, human)
    return 0


def _ready(desk: Desk, incident: str) -> Incident:
    """As it is now. Raises PostmortemLacks."""
    found = desk.incidents.log.load(incident)
    check_finishing(found)
    return found


def _take(desk: Desk, incident: str, file: Path) -> None:
    found = desk.incidents.log.load(incident)
    try:
        taken = read(file.read_text(encoding="utf-8"), {name: action.text for name, action in found.actions.items()})
    except (OSError, UnicodeDecodeError) as error:
        raise WrongUsage(f"{file} cannot be read: {error}.") from error
    if taken.incident != incident:
        raise IncidentUsage(f"{file} is the post-mortem of {taken.incident}, not of {incident}.")
    changed = {name: text for name, text in taken.sections.items() if found.sections.get(name, "") != text}
    if changed:
        desk.incidents.log.append(incident, "written", desk.person, {"sections": changed})
    for name, said in taken.actions.items():
        before = found.actions.get(name)
        if before is None or (before.text, before.owner, before.due) != (said["text"], said["owner"], said["due"]):
            desk.room.action(incident, desk.person, name, **said)
