"""``holdfast show``: JSON is the recovery point itself."""

import json
from typing import Annotated

from holdfast.interfaces.cli.context import Session
from holdfast.interfaces.cli.grammar.command import Argument
from holdfast.model import counted
from holdfast.plan import human_size

Point = Annotated[str, Argument("a recovery point: its id (or how it begins), or its label", "POINT")]


def command(session: Session, point: Point) -> int:
    """Show one recovery point in full: when, from where, what it holds, what was found."""
    found = session.platform.vault().point(point).point

    def human() -> None:
        out, totals = session.out, found.totals
        base = f" on {found.base[:14]}" if found.base else ""
        out.say(f"{found.id}  {found.system} ({found.kind}), {found.method}{base}")
        committed = found.committed_at.astimezone(session.plan.zone).isoformat(timespec="seconds")
        out.say(f"  committed  {committed} by {found.host or 'an unknown host'}")
        out.say(f"  from       {json.dumps(found.start, default=str)}")
        out.say(f"  consistent {json.dumps(found.stop, default=str)}")
        read, stored = human_size(totals.read), human_size(totals.stored)
        packs = counted(found.packs, "pack")
        out.say(f"  holds      {counted(totals.files, 'file')}, {human_size(totals.bytes)}; read {read}, stored {stored} in {packs}")
        out.say(f"  logs       {found.logs or 'none: restores to its own moment only'}")
        for label, text in (("label", found.label), ("note", found.note)):
            if text:
                out.say(f"  {label:<10} {text}")
        for finding in found.findings:
            out.say(f"  FOUND      {finding.message}")
        out.detail(json.dumps(found.facts, indent=2, default=str))

    session.out.result(found, human)
    return 0
