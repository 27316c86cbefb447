"""``holdfast runbook show``: JSON ``{"file", "hash", "runbook": the compiled snapshot}``."""

from pathlib import Path
from typing import Annotated

from holdfast.interfaces.cli.commands.runbook.desk import Desk
from holdfast.interfaces.cli.context import Session
from holdfast.interfaces.cli.grammar.command import Argument, Option
from holdfast.runbooks.format.page import Vault, page


def command(
    session: Session,
    name: Annotated[str, Argument("a runbook's name, or the path of its file", "NAME")],
    *,
    print_: Annotated[bool, Option("the page for paper: every step by hand, with room to write", "--print")] = False,
    output: Annotated[Path | None, Option("write it into this new file", "-o", "--output", metavar="FILE")] = None,
) -> int:
    """Show a runbook: its facts and its steps; with --print the page that works on paper."""
    desk = Desk(session)
    found, snapshot = desk.library.snapshot(name)
    text = page(snapshot, vault=_vault(desk)) if print_ or output is not None else ""
    if output is not None:
        with output.open("x", encoding="utf-8") as file:
            file.write(text)

    def human() -> None:
        if output is not None:
            session.out.say(f"{output} is written.")
            return
        if print_:
            session.out.raw(text)
            return
        said = snapshot.document
        session.out.say(f"{said['title']}  ({snapshot.name}, {snapshot.hash[:19]})")
        session.out.say(f"{found.path}: for {', '.join(said['systems']) or 'no system of the plan'}, RTO {said['rto'] or 'not said'}")
        for parameter, shape in said["parameters"].items():
            session.out.say(f"  --param {parameter}=…  {shape.get('ask') or shape['type']}")
        rows = [
            (str(number), step["id"], step["kind"], step["title"], "yes" if step.get("undo") else "", "yes" if step.get("probe") else "")
            for number, step in enumerate(snapshot.steps, 1)
        ]
        session.out.table(("", "step", "kind", "what", "undo", "probe"), rows, right=(0,))

    session.out.result({"file": found.path, "hash": snapshot.hash, "runbook": snapshot.document}, human)
    return 0


_EXTRAS = {"postgres": "postgres", "delta": "delta"}


def _vault(desk: Desk) -> Vault:
    """What the plan knows of where the vault lies; without a plan the reader has to know."""
    if desk.plan is None:
        return Vault(extras=("s3", "postgres"))
    places = [(str(one.url), str(one.endpoint) if one.endpoint else None) for one in desk.plan.document.vault.locations]
    kinds = {desk.plan.effective(name).kind for name in desk.plan.systems}
    extras = {_EXTRAS[kind] for kind in kinds if kind in _EXTRAS} | ({"s3"} if any(url.startswith("s3:") for url, _ in places) else set())
    return Vault(tuple(places), str(desk.directory), tuple(sorted(extras)))
