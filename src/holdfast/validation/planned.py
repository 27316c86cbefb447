"""The checks that the plan has for a system: one reading of it for verifications, searches and drills."""

from holdfast.plan import Plan
from holdfast.validation.checks import Check
from holdfast.validation.expectations.suite import suites_in


def checks_of(plan: Plan, name: str) -> list[Check]:
    """Queries, commands and suites, in the plan's order; those that are compared with the source among them (``compare``)."""
    found = []
    for spec in plan.effective(name).spec.checks:
        timeout = spec.timeout.total_seconds() if spec.timeout else None
        if spec.suite is not None:
            suite = plan.resolve(spec.suite)
            found.append(Check(spec.name, database=spec.database, expect=[], timeout=timeout, suite=suite, table=spec.table or ""))
            continue
        found.append(Check(spec.name, spec.sql, spec.command, spec.database, spec.expect, spec.compare == "source", spec.on, timeout))
    folder = getattr(plan.effective(name).spec, "expectations", None)
    if folder is not None:
        # Without any, the folder itself fails as a check: what was to be judged was not.
        suites = suites_in(plan.resolve(folder)) or [(folder, plan.resolve(folder))]
        found += [Check(f"suite {table}", expect=[], suite=suite, table=table) for table, suite in suites]
    return found
