"""``holdfast plan assess``."""

from typing import Any

from holdfast.interfaces.cli.context import Session
from holdfast.interfaces.cli.grammar.command import Systems
from holdfast.plan.assess import Assessment, assess


def command(session: Session, systems: Systems = ()) -> None:
    """What is promised beside what is configured, measured and paid, and what the plan leaves open.

    Measured is what this host's own history tells, without asking anybody. Figures that nobody measured are not invented.
    """
    from holdfast.protection.measured import measured

    plan = session.plan
    chosen = set(plan.select(systems))
    state = session.platform.state
    known = state.folder.is_dir()  # a CI job has no history, and gets none by asking
    seen = {name: measured(name, state, session.clock.now()) for name in chosen} if known else {}
    found = [each for each in assess(plan, seen) if each.system in chosen]
    currency = plan.document.prices.currency if plan.document.prices else None

    def human() -> None:
        session.out.table(
            ["system", "tier", "rpo", "between backups", "follows log", "rto", "copies", "exposure", "restore takes"],
            [_row(each) for each in found],
        )
        for each in found:
            if each.cost:
                costs = ", ".join(f"{key.replace('_', ' ')} {_value(value)}" for key, value in each.cost.items())
                session.out.say(f"\n{each.system} costs{f' ({currency})' if currency else ''}: {costs}")
            for gap in each.gaps:
                session.out.say(f"{each.system}: {gap}")

    session.out.result({"hash": plan.hash, "currency": currency, "systems": found}, human)


def _row(each: Assessment) -> list[str]:
    return [
        each.system,
        each.tier or "-",
        _value(each.promised["rpo"]),
        _value(each.configured["between_backups"]),
        "yes" if each.configured["follows_log"] else "no",
        _value(each.promised["rto"]),
        f"{each.configured['min_copies']} of {len(each.configured['locations'])}",
        _value(each.measured["exposure"]),
        _value(each.measured["restore"]),
    ]


def _value(value: Any) -> str:
    if isinstance(value, dict):
        distinct = {str(part) for part in value.values()}
        return distinct.pop() if len(distinct) == 1 else ", ".join(f"{key} {part}" for key, part in value.items()) or "-"
    return "-" if value is None else str(value)
