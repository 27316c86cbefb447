"""``holdfast incident plan``: JSON ``{"sha256", "markdown", "reviewed": {"at", "by", "sha256"} | null, "changed", "due_at"}``."""

from pathlib import Path
from typing import Annotated

from holdfast.incidents.written import html, newest_review, review, review_due, written
from holdfast.interfaces.cli.commands.incident.desk import As, Desk
from holdfast.interfaces.cli.context import Session
from holdfast.interfaces.cli.grammar.command import Option
from holdfast.interfaces.cli.grammar.parser import WrongUsage


def command(
    session: Session,
    *,
    out: Annotated[Path | None, Option("into a file; one that ends in .html is a page", metavar="FILE")] = None,
    reviewed: Annotated[bool, Option("journal that you went through it, and found it right")] = False,
    as_: As = None,
) -> int:
    """Print the written incident plan, made of the plan: roles, contacts, escalation, what was promised, how each system comes back.

    Its review is due when the plan says so (incidents: review:), and when it changed in between; 'due' and 'status' tell.
    """
    desk = Desk(session, as_)
    plan = session.plan
    runbooks = sorted((found.name, list(found.snapshot.document["systems"])) for found in desk.bench.library.all() if found.snapshot)
    document = written(plan, desk.incidents.policy, runbooks)
    if reviewed:
        review(desk.incidents.journal, desk.person, document)
    last = newest_review(desk.incidents.log)
    text = document.markdown
    if out is not None:
        try:
            out.write_text(html(document) if out.suffix in (".html", ".htm") else text, encoding="utf-8")
        except OSError as error:
            raise WrongUsage(f"{out} cannot be written: {error.strerror}.") from error
    due = review_due(plan, last, session.clock.now())

    def human() -> None:
        if out is None and not reviewed:
            session.out.raw(text)
        said = f"reviewed {last.at.isoformat()[:16]} by {last.by}" if last else "never reviewed"
        session.out.note(f"{said}{', and changed since' if last and last.sha256 != document.sha256 else ''}; sha256 {document.sha256[:16]}")

    session.out.result(
        {
            "sha256": document.sha256,
            "markdown": text,
            "reviewed": {"at": last.at, "by": last.by, "sha256": last.sha256} if last else None,
            "changed": last is not None and last.sha256 != document.sha256,
            "due_at": due,
        },
        human,
    )
    return 0
