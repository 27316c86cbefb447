"""What can be wrong with a runbook, its run, or the people in it."""

from collections.abc import Sequence

from holdfast.errors import Damaged, Refused, Usage
from holdfast.plan.errors import Problem


class RunbookInvalid(Usage):
    """A runbook has errors; all that were found are listed with file and line."""

    code = "runbook-invalid"

    def __init__(self, problems: Sequence[Problem]) -> None:
        ordered = sorted((problem for problem in problems if problem.severity == "error"), key=lambda problem: problem.mark)
        lines = "\n".join(f"  {problem}" for problem in ordered)
        super().__init__(
            f"The runbook has {len(ordered)} error{'s' if len(ordered) != 1 else ''}:\n{lines}",
            hint="Correct these lines, then run: holdfast runbook lint",
            problems=[problem.document() for problem in ordered],
        )


class RunbookUnknown(Usage):
    """No runbook of that name."""

    code = "runbook-unknown"


class TemplateUnknown(Usage):
    """No template of that name is shipped."""

    code = "runbook-template-unknown"


class RunbookExists(Refused):
    """A new runbook would overwrite a file."""

    code = "runbook-exists"


class ParameterWrong(Usage):
    """A parameter of a runbook is missing, unknown, or not of its type."""

    code = "runbook-parameter"


class PrerequisitesLack(Refused):
    """What a runbook says is needed before its start is not there."""

    code = "runbook-prerequisites"


class RunUnknown(Usage):
    """No run of a runbook with that id."""

    code = "runbook-run-unknown"


class RunHeld(Refused):
    """Another process drives the run."""

    code = "runbook-run-held"


class RunLost(Refused):
    """Another host has taken the run over, or this one's lease could not be prolonged in time: nothing more is done here."""

    code = "runbook-run-lost"


class RunActive(Refused):
    """Another run of the same runbook has not ended: two at once could do harm."""

    code = "runbook-run-active"


class RunOver(Refused):
    """The run has ended, or is not at the step that was named."""

    code = "runbook-not-there"


class NotYours(Refused):
    """The person may not do this: not of the role, or the one who asked."""

    code = "runbook-not-allowed"


class ApprovalLate(Refused):
    """The time to approve has run out."""

    code = "runbook-approval-late"


class StepStillRuns(Refused):
    """Processes that a killed run started are still at work."""

    code = "runbook-step-still-runs"


class RunRecordBroken(Damaged):
    """The journal does not hold a run's events without gaps, or what was noted of it does not fit its snapshot."""

    code = "runbook-record-broken"
