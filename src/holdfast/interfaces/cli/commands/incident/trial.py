"""``holdfast incident test-channel``.

JSON: ``{"channel", "kind", "message", "reference": {"ids", "url"}, "repeats"}``. Exit status 3 when it was not taken.
"""

import secrets
from typing import Annotated

from holdfast.connect.channels import Message, Severity
from holdfast.interfaces.cli.commands.runbook.runs.person import person
from holdfast.interfaces.cli.context import Session
from holdfast.interfaces.cli.grammar.command import Argument, Option


def command(
    session: Session,
    name: Annotated[str, Argument("a channel of the plan", "NAME")],
    *,
    severity: Annotated[Severity, Option("as which it is sent: what pages somebody at night may depend on it")] = "P4",
    to: Annotated[tuple[str, ...], Option("an address of mail besides the channel's own; may be repeated", metavar="ADDRESS")] = (),
) -> int:
    """Send a message that is marked as a test, and say what the service made of it.

    A ticket system makes a ticket of it, and PagerDuty an alert that somebody must resolve. It is sent at once, not queued.
    """
    channel = session.platform.channels.open(name)
    now = session.clock.now()
    stamp = f"test-{now:%Y%m%dT%H%M%S}-{secrets.token_hex(3)}"
    who = person(None).name
    message = Message(
        incident=stamp,
        key=f"{stamp}.1",
        kind="test",
        title=f"Holdfast reaches you here (channel {name})",
        text="A test of the channel. Nothing is wrong, and nothing is to be done but to close what it opened.",
        severity=severity,
        platform=session.plan.platform,
        by=who,
        at=now.isoformat(timespec="seconds"),
        to=to,
    )
    reference = channel.send(message, None)
    document = {"channel": name, "kind": channel.kind, "message": message.key, "reference": reference.to_json(), "repeats": channel.repeats}

    def human() -> None:
        made = f" as {reference}" if str(reference) else ""
        session.out.say(f"{name} ({channel.kind}) took the message{made}: {message.headline}")
        if reference.url:
            session.out.say(reference.url)
        session.out.say(f"When a send is interrupted: {channel.repeats}.")

    session.out.result(document, human)
    return 0
