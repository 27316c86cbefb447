"""``holdfast incident outbox``.

JSON: ``{"messages": [{"id", "channel", "incident", "message", "kind", "title", "drill", "state", "queued", "due", "attempts", "tried",
"ended", "maybe_arrived", "error", "reference"}], "waiting", "lost", "retried", "dropped", "superseded", "sent"}``; states are waiting,
sent, lost, dropped; ``superseded``: of those retried, what is not sent any more, since something said later has arrived. Exit status 1
while a message is lost.
"""

from typing import Annotated

from holdfast.interfaces.cli.commands.incident.desk import Desk
from holdfast.interfaces.cli.context import Session
from holdfast.interfaces.cli.grammar.command import Argument, Option
from holdfast.interfaces.cli.terminal.tables import Cell
from holdfast.interfaces.cli.terminal.times import local
from holdfast.model.words import counted
from holdfast.state.outbox import Standing

STYLES = {"waiting": "warn", "sent": "ok", "lost": "fail", "dropped": "dim"}


def command(
    session: Session,
    incident: Annotated[str | None, Argument("an incident's id or its beginning; all when it is left out", "ID")] = None,
    *,
    all_: Annotated[bool, Option("those that arrived, too", "--all")] = False,
    retry: Annotated[bool, Option("try again what is lost, and now what waits (of ID, of the channel, or those that --id names)")] = False,
    drop: Annotated[bool, Option("give up what --id names")] = False,
    channel: Annotated[str | None, Option("only of this channel", metavar="NAME")] = None,
    number: Annotated[tuple[int, ...], Option("only this message; may be repeated", "--id", metavar="N")] = (),
    limit: Annotated[int, Option("how many of the newest")] = 100,
) -> int:
    """Messages that wait for their channel, and those that no channel took.

    A channel that is down is tried again for as long as the plan's ``give_up`` says, with the order of each incident kept; 'due --run'
    does it. A message that is refused, or waited too long, is lost: correct what is wrong, then --retry. What something said later has
    overtaken is not sent behind it: it is dropped, and told. Fails (1) while one is lost.
    """
    from holdfast.interfaces.cli.grammar.parser import WrongUsage

    if drop and not number:
        raise WrongUsage("--drop needs --id.", hint="The list shows the numbers.")
    if drop and retry:
        raise WrongUsage("--retry and --drop exclude each other.")
    desk = Desk(session)
    box = desk.incidents.box
    named = desk.find(incident) if incident else None
    before = {line.id for line in box.lines(standing=("dropped",), limit=100_000)}
    retried = box.retry(channel=channel, incident=named, ids=number) if retry else 0
    dropped = box.drop(number) if drop else 0
    # Dropped ones are written into the journal by the same way as sent ones.
    sent = desk.incidents.send(patience=10.0) if retried or dropped else 0
    superseded = [line for line in box.lines(standing=("dropped",), limit=100_000) if retried and line.id not in before]
    shown: tuple[Standing, ...] = () if all_ else ("waiting", "lost")
    lines = [
        line
        for line in box.lines(incident=named, standing=shown, limit=max(limit, 1))
        if (channel is None or line.channel == channel) and (not number or line.id in number)
    ]
    waiting, lost = (len(box.lines(standing=(one,), limit=100_000)) for one in ("waiting", "lost"))

    def human() -> None:
        if not lines:
            session.out.say("Nothing waits, and nothing is lost." if not (waiting or lost) else "None of those that you asked for.")
        else:
            rows = [
                (
                    str(line.id),
                    Cell(line.standing, STYLES[line.standing]),
                    line.channel,
                    line.message.incident,
                    local(line.queued, desk.bench.zone)[:19],
                    counted(line.attempts, "attempt"),
                    line.message.headline,
                    line.error + (" It may have arrived." if line.again and line.standing == "waiting" else ""),
                )
                for line in lines
            ]
            session.out.table(("id", "state", "channel", "incident", "queued", "tried", "what", "why not"), rows)
        for line in superseded:
            session.out.say(f"{line.message.headline} ({line.channel}): {line.error}")
        if sent:
            session.out.say(f"{counted(sent, 'message')} sent.")
        if lost:
            session.out.say(f"{counted(lost, 'message')} lost: correct the channel, then: holdfast incident outbox --retry")

    document = {
        "messages": [line.to_json() for line in lines],
        "waiting": waiting,
        "lost": lost,
        "retried": retried,
        "dropped": dropped,
        "superseded": len(superseded),
        "sent": sent,
    }
    session.out.result(document, human)
    return 1 if lost else 0
