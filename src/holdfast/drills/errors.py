"""What can be wrong with a scenario, a drill, its target, or a finding."""

from collections.abc import Sequence

from holdfast.errors import FoundWrong, Refused, Unreachable, Usage
from holdfast.plan.errors import Problem


class ScenarioInvalid(Usage):
    """A scenario has errors; all that were found are listed with file and line."""

    code = "drill-scenario-invalid"

    def __init__(self, problems: Sequence[Problem]) -> None:
        ordered = sorted((problem for problem in problems if problem.severity == "error"), key=lambda problem: problem.mark)
        lines = "\n".join(f"  {problem}" for problem in ordered)
        super().__init__(
            f"The scenario has {len(ordered)} error{'s' if len(ordered) != 1 else ''}:\n{lines}",
            hint="Correct these lines, then run: holdfast drill lint",
            problems=[problem.document() for problem in ordered],
        )


class ScenarioUnknown(Usage):
    """No scenario of that name."""

    code = "drill-scenario-unknown"


class DrillUsage(Usage):
    """What was asked for does not go together with the scenario or the plan."""

    code = "drill-usage"


class DrillUnknown(Usage):
    """No drill with that id on this host."""

    code = "drill-unknown"


class FindingUnknown(Usage):
    """No finding with that id."""

    code = "drill-finding-unknown"


class DrillProduction(Refused):
    """A drill was pointed at production, or at what cannot be told from it."""

    code = "drill-production"


class DrillNotSteady(Refused):
    """The platform is not healthy, so a drill of it would prove nothing: it did not start."""

    code = "drill-not-steady"


class DrillActive(Refused):
    """Another drill is running on this host."""

    code = "drill-active"


class DrillNeedsPeople(Refused):
    """A drill asks people, and nobody sits at a terminal."""

    code = "drill-needs-people"


class NotYourPart(Refused):
    """The person is not of the role that does this in the drill."""

    code = "drill-not-your-part"


class RetestWeaker(Refused):
    """The scenario no longer looks at what the finding is about: passing it would close nothing."""

    code = "drill-retest-weaker"


class NothingReturned(FoundWrong):
    """The runbook of a drill ended, and a system did not come back by it."""

    code = "drill-nothing-returned"


class NotTornDown(FoundWrong):
    """Something that a drill made or changed is still there."""

    code = "drill-not-torn-down"


class SentinelUnwritable(Unreachable):
    """The sentinel could not be written into a source."""

    code = "drill-sentinel-unwritable"


class AttackUndecided(Unreachable):
    """Calls of a rehearsed attack were not answered, so that nothing is known of what a lock keeps."""

    code = "drill-attack-undecided"
