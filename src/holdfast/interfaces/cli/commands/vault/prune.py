"""``holdfast vault prune``: JSON ``{"plan": {…}, "done": {"points", "packs", "logs", …} | null}``."""

import dataclasses
from typing import Annotated

from holdfast.interfaces.cli.command import DryRun, Option
from holdfast.interfaces.cli.commands.vault.check import Share
from holdfast.interfaces.cli.context import Session
from holdfast.interfaces.cli.tables import Cell
from holdfast.plan import format_duration, human_size
from holdfast.vault.prune import Pruned, PrunePlan
from holdfast.vault.prune.plan import MOST


def command(
    session: Session,
    *,
    most: Annotated[Share | None, Option("delete at most this share of the vault's bytes", metavar="SHARE")] = None,
    dry_run: DryRun = False,
) -> int:
    """Delete what no retention rule, hold or lock keeps. Shows what stays and why. Backups may run beside it."""
    limit = most.value if most else MOST
    plan = session.platform.prune_plan()
    if dry_run:
        session.out.result({"plan": plan.to_json(), "done": None}, lambda: _show(session, plan))
        return 0
    plan.require_allowed(limit)
    if not session.out.as_json:
        _show(session, plan)
    session.confirm(session.plan.platform, f"delete {len(plan.drop)} recovery points and {human_size(plan.freed)}")
    with session.progress() as progress:
        done = session.platform.prune(plan, most=limit, progress=progress)
    session.out.result({"plan": plan.to_json(), "done": dataclasses.asdict(done)}, lambda: _tell(session, done))
    return 0


def _tell(session: Session, done: Pruned) -> None:
    session.out.say(f"{done.points} points, {done.packs} packs and {done.logs} log increments removed: {human_size(done.bytes)}.")
    if done.waiting:
        session.out.say(
            f"{done.waiting} packs that nobody needs wait for the end of {len(done.behind)} running backups that may count on them:"
            " the next prune removes what is not needed then."
        )


def _show(session: Session, plan: PrunePlan) -> None:
    zone = session.plan.zone
    for system, decisions in plan.decisions.items():
        rows = [
            (
                Cell("keep", "ok") if one.keep else Cell("drop", "warn"),
                one.id[:14],
                one.at.astimezone(zone).isoformat(timespec="seconds"),
                ", ".join(one.reasons),
            )
            for one in decisions
        ]
        session.out.table(("", "point", "committed", "why"), rows, title=system)
    for system in plan.unruled:
        session.out.say(f"{system}: no retention policy, everything is kept")
    shown = {one.id for decisions in plan.decisions.values() for one in decisions}
    if unreadable := [one for one in plan.drop if one not in shown]:
        session.out.say(f"{len(unreadable)} recovery points of scopes that were erased go as well: nobody can read them any more")
    if plan.spared:
        session.out.say(
            f"{plan.spared} packs that nobody needs are younger than {format_duration(plan.grace)}, and stay for backups that were killed"
            " and are run again: a later prune removes them."
        )
    for url, why in plan.silent.items():
        session.out.warn(f"{url} did not answer ({why}): it is pruned another time, and until then no log is trimmed anywhere.")
    if plan.locked_until is not None:
        session.out.say(
            f"{plan.locked} packs that nobody needs are locked, the last until"
            f" {plan.locked_until.astimezone(zone).isoformat(timespec='seconds')}: a prune after that removes them."
        )
    session.out.say(
        f"{len(plan.packs)} packs and {len(plan.logs)} log increments would go: {human_size(plan.freed)} of {human_size(plan.bytes)}"
    )
