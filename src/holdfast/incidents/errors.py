"""What can go wrong with incidents."""

from holdfast.errors import Damaged, Refused, Usage


class IncidentUnknown(Usage):
    """No single incident has that id."""

    code = "incident-unknown"


class IncidentUsage(Usage):
    """What was asked of an incident makes no sense."""

    code = "incident-usage"


class IncidentStands(Refused):
    """The incident is not in a state in which that can be done."""

    code = "incident-state"


class PostmortemLacks(Refused):
    """An incident is not closed before its post-mortem is finished, and its action items have owners and dates."""

    code = "postmortem-lacks"


class AlertNotUnderstood(Usage):
    """What was given is not a message of Alertmanager's webhook."""

    code = "alert-not-understood"


class IncidentRecordBroken(Damaged):
    """The entries of an incident do not say what they should."""

    code = "incident-record-broken"
