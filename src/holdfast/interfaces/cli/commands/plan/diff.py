"""``holdfast plan diff``."""

import json
from pathlib import Path
from typing import Annotated, Any

from holdfast.interfaces.cli.context import Session
from holdfast.interfaces.cli.grammar.command import Argument
from holdfast.plan import load
from holdfast.plan.diff import Change, changes, weakenings


def command(session: Session, old: Annotated[Path, Argument("the plan to compare with", "OLD")]) -> None:
    """What changed in meaning since the plan OLD, and which promises became weaker.

    Comments, order and splitting into files do not count.
    """
    before, after = load(old, session.settings.set), session.plan
    found, weaker = changes(before, after), weakenings(before, after)

    def human() -> None:
        for change in found:
            session.out.say(_line(change))
        if not found:
            session.out.say("No difference in meaning.")
        if weaker:
            session.out.say("\nWeaker than before:")
            for each in weaker:
                session.out.say(f"  {each.system}: {each.text}")

    session.out.result({"old": before.hash, "new": after.hash, "changes": found, "weaker": weaker}, human)


def _line(change: Change) -> str:
    if change.what == "added":
        return f"+ {change.path}: {_short(change.after)}"
    if change.what == "removed":
        return f"- {change.path}: {_short(change.before)}"
    return f"~ {change.path}: {_short(change.before)} → {_short(change.after)}"


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 160 else text[:157] + "…"
