"""``holdfast drill show``.

JSON: ``{"scenario", "hash", "file", "document"}``, the document as the drill would keep it.
"""

from typing import Annotated

from holdfast.interfaces.cli.commands.drill.desk import DrillDesk
from holdfast.interfaces.cli.context import Session
from holdfast.interfaces.cli.grammar.command import Argument


def command(session: Session, scenario: Annotated[str, Argument("a scenario's name, or the path of its file", "SCENARIO")]) -> int:
    """Print a scenario as it is in its file: copy a shipped one into the plan's folder of drills to change it."""
    snapshot = DrillDesk(session).library.snapshot(scenario)
    session.out.result(
        {"scenario": snapshot.name, "hash": snapshot.hash, "file": snapshot.file, "document": dict(snapshot.document)},
        lambda: session.out.raw(snapshot.text),
    )
    return 0
