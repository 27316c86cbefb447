"""``holdfast vault prune``: JSON ``{"plan": {…}, "done": {"points", "packs", "logs", …} | null}``."""

import dataclasses
from typing import Annotated

from holdfast.interfaces.cli.commands.vault.check import Share
from holdfast.interfaces.cli.context import Session
from holdfast.interfaces.cli.grammar.command import DryRun, Option
from holdfast.interfaces.cli.terminal.tables import Cell
from holdfast.model import counted
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
    session.confirm(session.plan.platform, f"delete {counted(len(plan.drop), 'recovery point')} and {human_size(plan.freed)}")
    with session.progress() as progress:
        done = session.platform.prune(plan, most=limit, progress=progress)
    session.out.result({"plan": plan.to_json(), "done": dataclasses.asdict(done)}, lambda: _tell(session, done))
    return 0


def _counts(points: int, packs: int, logs: int) -> str:
    return f"{counted(points, 'point')}, {counted(packs, 'pack')} and {counted(logs, 'log increment')}"


def _tell(session: Session, done: Pruned) -> None:
    session.out.say(f"{_counts(done.points, done.packs, done.logs)} removed: {human_size(done.bytes)}.")
    if done.waiting:
        session.out.say(
            f"{counted(done.waiting, 'pack that nobody needs waits', 'packs that nobody needs wait')} for the end of"
            f" {counted(len(done.behind), 'running backup')} that may count on them:"
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
        session.out.say(f"{counted(len(unreadable), 'recovery point')} of erased scopes will go as well: what nobody can read any more")
    if plan.spared:
        session.out.say(
            f"{counted(plan.spared, 'pack that nobody needs is', 'packs that nobody needs are')} younger than"
            f" {format_duration(plan.grace)}, kept for backups that were killed"
            " and are run again: a later prune removes what is still not needed."
        )
    for url, why in plan.silent.items():
        session.out.warn(f"{url} did not answer ({why}): it is pruned another time, and until then no log is trimmed anywhere.")
    if plan.locked_until is not None:
        session.out.say(
            f"{counted(plan.locked, 'pack that nobody needs is', 'packs that nobody needs are')} locked, the last until"
            f" {plan.locked_until.astimezone(zone).isoformat(timespec='seconds')}: a prune after that removes what is not needed then."
        )
    session.out.say(
        f"{counted(len(plan.packs), 'pack')} and {counted(len(plan.logs), 'log increment')} would go:"
        f" {human_size(plan.freed)} of {human_size(plan.bytes)}"
    )
