"""Does a passed drill close a finding? Pure."""

from collections.abc import Sequence

from holdfast.drills.contract import CONTROLS, Control
from holdfast.drills.engine.judge import KINDS, about
from holdfast.drills.errors import RetestWeaker
from holdfast.drills.findings import BY_HAND, Finding
from holdfast.drills.scenario.shape import Scenario
from holdfast.evidence.drilled import Check


def forced(finding: Finding) -> tuple[Control, ...]:
    """The control that a finding is about, which its retest is fed whatever the schedule says."""
    name = finding.about.partition("/control/control ")[2]
    return tuple(control for control in CONTROLS if control == name)


def refuse_weaker(finding: Finding, scenario: Scenario) -> None:
    """Before the retest. Raises RetestWeaker where the scenario asks for less than when the finding was opened."""
    kind = finding.about.split("/")[1]
    name = finding.about.split("/", 2)[2]
    wanted = [criterion for criterion, kinds in KINDS.items() if kind in kinds or (kind == "criterion" and criterion == name)]
    if wanted and not set(wanted) & set(scenario.criteria):
        raise RetestWeaker(
            f"The finding {finding.id} is about {wanted[0]}, which is no criterion of {scenario.drill} any more.",
            hint=f"Put it back: criteria: [{wanted[0]}, …]",
            finding=finding.id,
        )
    if kind == "runbook" and scenario.runbook is None:
        raise RetestWeaker(
            f"The finding {finding.id} is about {name}, and {scenario.drill} follows no runbook any more.",
            hint="Put it back: runbook: {name: …}",
            finding=finding.id,
        )
    own = getattr(scenario.objectives, name, None) if kind == "objective" else None
    if own is not None and finding.limit is not None and own.total_seconds() > finding.limit:
        raise RetestWeaker(
            f"The finding {finding.id} is about {name} of {finding.limit:g} s, and the scenario now allows {own.total_seconds():g} s.",
            hint="A longer promise closes nothing: meet the one that was missed.",
            finding=finding.id,
        )


def proved(finding: Finding, passed: bool, checks: Sequence[Check]) -> tuple[bool, str]:
    """(whether the run closes it, why not). What the finding is about must have been looked at and passed, within the same promise."""
    if not passed:
        return False, "the drill did not pass"
    if finding.about.startswith(BY_HAND):
        return True, ""
    system, kind, name = finding.about.split("/", 2)
    if kind in ("drill", "decision", "acceptance", "teardown"):
        return True, ""  # where these are not met, no drill passes
    if kind in ("recovery", "validation", "criterion"):
        # They leave no check where they are met: what they were to show must have been seen.
        kinds = {one for criterion, found in KINDS.items() for one in found if kind != "criterion" or criterion == name}
        shown = any(one.state == "passed" and one.kind in kinds and one.system == system for one in checks)
        return (True, "") if shown else (False, "the drill did not look at what it is about")
    mine = [one for one in checks if about(one) == finding.about]
    if not any(one.state == "passed" for one in mine):
        return False, "the drill did not look at what it is about"
    if finding.limit is not None and not any(isinstance(one.actual, int | float) and one.actual <= finding.limit for one in mine):
        return False, f"the promise of {finding.limit:g} s that was missed was not met"
    return True, ""
