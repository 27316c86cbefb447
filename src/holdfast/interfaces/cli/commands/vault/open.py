"""``holdfast vault open``.

JSON: ``{"vault": {…}, "points": [RecoveryPoint…], "records": {"plan": bool, "runbooks": [path…], "suites": [path…], "journal":
[{"host", "entries", "whole", "problem"}]}, "plan"?: path, "plan_from"?: "vault" | "points", "suites"?: [path…], "written"?: folder}``.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

from holdfast.errors import Refused
from holdfast.interfaces.cli.commands.vault.status import show
from holdfast.interfaces.cli.context import Session
from holdfast.interfaces.cli.grammar.command import Argument, Option
from holdfast.plan import human_size


class PlanInTheWay(Refused):
    """A file stands where a plan is to be written."""

    code = "plan-in-the-way"


def command(
    session: Session,
    url: Annotated[str, Argument("where the vault is: file:///folder or s3://bucket/prefix", "URL")],
    *,
    key: Annotated[str, Option("the environment variable that holds the key", metavar="NAME")] = "HOLDFAST_KEY",
    endpoint: Annotated[str | None, Option("of an S3-compatible store; credentials come from the environment", metavar="URL")] = None,
    records: Annotated[
        Path | None,
        Option("write what lies there of the plan, the runbooks, the suites and the journal into this new folder", metavar="DIR"),
    ] = None,
    write_plan: Annotated[
        Path | None, Option("write a plan that knows this vault and its systems, to go on with, and its suites beside it", metavar="FILE")
    ] = None,
) -> int:
    """Look into a vault by its address and a key alone, on a machine that knows nothing else."""
    from holdfast import assembly
    from holdfast.storage import versions_of
    from holdfast.vault.status import status

    if write_plan is not None and write_plan.exists():
        raise PlanInTheWay(f"{write_plan} exists, and is kept.", hint="Name a new file.")
    if records is not None and records.exists():
        raise PlanInTheWay(f"{records} exists, and is kept.", hint="Name a new folder.")
    with assembly.bare_vault(url, key, endpoint=endpoint, clock=session.clock) as vault:
        found = status(vault)
        points = vault.points()
        kept = assembly.stored_records(vault)
        written, wrong = (
            assembly.stored_plan(vault, url, key, endpoint=endpoint, suites=kept.suites) if write_plan is not None else (None, [])
        )
        versions = versions_of(vault.locations.first) is not None
    for sentence in (*wrong, *kept.wrong):
        session.out.warn(sentence)
    for sentence in kept.strange() if write_plan is not None else ():
        session.out.warn(sentence)
    beside = write_plan.parent if write_plan is not None and written else None
    if beside is not None and (taken := kept.suites_in_the_way(beside)):
        raise PlanInTheWay(f"{taken[0]} exists, is not the vault's suite of that name, and is kept.", hint="Name a plan in another folder.")
    document: dict[str, Any] = {"vault": found.to_json(), "points": points, "records": kept.to_json()}
    if records is not None:
        kept.write(records)
        document["written"] = str(records)
    if write_plan is not None:
        text = written or assembly.bare_plan(url, key, endpoint=endpoint, points=points, versions=versions)
        write_plan.write_text(text, encoding="utf-8")
        document["plan"] = str(write_plan)
        document["plan_from"] = "vault" if written else "points"
    if beside is not None:
        document["suites"] = [str(one) for one in kept.write_suites(beside)]

    def human() -> None:
        zoneless = [
            (
                one.id[:14],
                one.system,
                one.committed_at.isoformat(timespec="seconds"),
                one.method,
                human_size(one.totals.bytes),
                one.label or "",
            )
            for one in reversed(points)
        ]
        _vault_only(session, found, zoneless)
        session.out.say(kept.sentence)
        if records is not None:
            session.out.say(f"Wrote them into {records}.")
        if document.get("suites"):
            session.out.say(f"Wrote {', '.join(document['suites'])}: what the plan's checks expect of its tables.")
        if write_plan is not None:
            session.out.say(
                f"Wrote {write_plan}, {'the plan that lay in the vault' if written else 'made from the points: the vault holds no plan'}."
                f" Next, with --plan {write_plan}: holdfast points, then: holdfast restore SYSTEM --into DIR"
            )
        else:
            session.out.say("To restore from it, write a plan first: the same command with --write-plan holdfast.yaml")

    session.out.result(document, human)
    return 5 if found.damaged else 1 if kept.broken else 0


def _vault_only(session: Session, found: Any, rows: Sequence[Sequence[str]]) -> None:
    show(session, found)
    session.out.table(("point", "system", "committed", "method", "size", "label"), rows, right=(4,))
