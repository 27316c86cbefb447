"""When a post-mortem is due, what it needs, and when an incident may be closed. Pure."""

import datetime as dt

from holdfast.incidents.errors import IncidentUsage, PostmortemLacks
from holdfast.incidents.record.state import Incident

SECTIONS = {
    "summary": "What happened, in three sentences that somebody outside the team understands.",
    "impact": "Who could not do what, for how long; which data was lost.",
    "root-cause": "The cause behind the cause. Ask why until the answer is a thing that can be changed. No names of people.",
    "contributing-factors": "What made it possible, longer or worse: conditions, not persons.",
    "what-went-well": "What held, and should be kept.",
    "what-went-badly": "What did not work as the plan or the runbook said.",
    "lessons": "What others should know.",
}
NEEDED = ("summary", "impact", "root-cause", "contributing-factors", "what-went-well")
WITHOUT = ("false alarm", "duplicate", "drill")


def due_at(found: Incident, within: dt.timedelta) -> dt.datetime | None:
    """When the post-mortem must be finished; None where none is due: the incident is open, closed, or the post-mortem is finished."""
    if found.resolved is None or found.finished is not None or found.state != "resolved":
        return None
    return found.resolved.at + within


def lacks(found: Incident) -> list[str]:
    """What is missing before it is finished."""
    wanting = [f"the section '{name}' is empty" for name in NEEDED if not found.sections.get(name, "").strip()]
    for action in found.actions.values():
        if not action.owner:
            wanting.append(f"action {action.id} has no owner")
        if not action.due:
            wanting.append(f"action {action.id} has no date")
    return wanting


def check_finishing(found: Incident) -> None:
    """Raises PostmortemLacks."""
    if found.open:
        raise PostmortemLacks(f"{found.id} is {found.state}: its post-mortem ends after its resolution.", hint="holdfast incident resolve")
    wanting = lacks(found)
    if wanting:
        raise PostmortemLacks(
            f"The post-mortem of {found.id} is not finished: {'; '.join(wanting)}.",
            hint=f"holdfast incident postmortem {found.id} --write FILE, fill it in, then --read FILE --finish",
            lacks=wanting,
        )


def check_closing(found: Incident, outcome: str, why: str) -> None:
    """Raises IncidentUsage, IncidentStands, PostmortemLacks."""
    from holdfast.incidents.room import stands

    if found.state == "closed":
        raise stands(found, "closed")
    if outcome in WITHOUT:
        if not why.strip():
            raise IncidentUsage("An incident is closed without a post-mortem only with a reason.")
        if outcome == "drill" and not found.drill:
            raise IncidentUsage(f"{found.id} is no drill.", hint="It is closed when its post-mortem is finished.")
        return
    if found.state != "resolved":
        raise stands(found, "closed", f"First: holdfast incident resolve {found.id}")
    if found.finished is None:
        check_finishing(found)
        raise PostmortemLacks(
            f"The post-mortem of {found.id} is written, but nobody said that it is finished.",
            hint=f"holdfast incident postmortem {found.id} --finish",
            lacks=["finish"],
        )
    wanting = lacks(found)
    if wanting:
        raise PostmortemLacks(
            f"{found.id} is not closed: {'; '.join(wanting)}.",
            hint=f"holdfast incident action {found.id} --id ACTION --owner NAME --due DATE",
            lacks=wanting,
        )
