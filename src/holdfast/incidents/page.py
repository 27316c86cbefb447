"""Text for a status page: what colleagues read, and what people outside read. The latter never names a system, a host or an address."""

import re
import socket
from collections.abc import Iterable

from holdfast.incidents.errors import IncidentUsage
from holdfast.incidents.policy import Policy
from holdfast.incidents.record.state import Incident

STATES = ("investigating", "identified", "monitoring", "resolved")
_OF_STATE = {"declared": "investigating", "acknowledged": "investigating", "mitigated": "monitoring", "resolved": "resolved"}
_WORDS = {
    "investigating": "We are looking into a problem with {what}. We will say more as soon as we know more.",
    "identified": "We know the cause of the problem with {what} and are working on it.",
    "monitoring": "{what} works again. We are watching it.",
    "resolved": "The problem with {what} is solved.",
}
_ADDRESS = re.compile(
    r"\b\d{1,3}(?:\.\d{1,3}){3}\b|\b(?:[0-9a-f]{0,4}:){3,}[0-9a-f]{0,4}\b|[\w.+-]+@[\w-]+\.\w+|\b[a-z][a-z0-9+]*://\S+|"
    r"(?i:\b(?:password|passwd|token|secret|api[_-]?key)\s*[:=])",
    re.ASCII,
)


def state_of(found: Incident) -> str:
    """In the words of status pages: as somebody said last, unless the incident has moved on since."""
    if found.state in ("resolved", "closed"):
        return "resolved"
    said = str(found.update.data.get("state", "")) if found.update else ""
    if found.state == "mitigated" and said in ("", "investigating", "identified"):
        return "monitoring"
    return said or _OF_STATE[found.state]


def public_text(found: Incident, policy: Policy, state: str | None = None) -> str:
    """What may be shown to anybody, made of nothing but the state and the public names that the plan gives to systems (the label
    ``public``).
    """
    names = [policy.public[name] for name in found.affected if name in policy.public]
    what = " and ".join(dict.fromkeys(names)) or "part of our service"
    text = _WORDS[state or state_of(found)].format(what=what)
    text = text[:1].upper() + text[1:]
    return f"[DRILL] {text}" if found.drill else text


def check_public(text: str, policy: Policy, systems: Iterable[str] = ()) -> None:
    """``systems``: of the incident, which the plan may not name. Raises IncidentUsage, which names what must not go outside."""
    # What the plan calls a system for people outside may be like its name.
    for label in policy.public.values():
        text = text.replace(label, " ")
    match = _ADDRESS.search(text)
    hidden = [*policy.secret, *systems, socket.gethostname()]
    found = match.group() if match else next((one for one in hidden if one and _word(one, text)), None)
    # Whole and as it is written: nobody whose key is 'core' or 'will' is meant by words that are like it.
    found = found or next((one.name for one in policy.people.values() if one.name in text and _word(one.name, text)), None)
    if found is not None:
        raise IncidentUsage(
            f"The public text holds '{found}', which people outside have no business with.",
            hint="Say it without names of systems, hosts, addresses and people, or leave --public out: a text is made.",
        )


def _word(name: str, text: str) -> bool:
    return re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])", text, re.IGNORECASE) is not None


def internal_text(found: Incident) -> str:
    """For colleagues."""
    said = str(found.update.data.get("internal", "")) if found.update else ""
    who = found.roles.get("commander")
    lead = f" {who} leads." if who else " Nobody leads yet."
    systems = ", ".join(f"{one.system}{' (back)' if one.recovered else ''}" for one in found.affected.values())
    about = f" Affected: {systems}." if systems else ""
    mark = "[DRILL] " if found.drill else ""
    return f"{mark}{found.severity} {found.title}: {found.state}.{lead}{about} {said}".rstrip()
