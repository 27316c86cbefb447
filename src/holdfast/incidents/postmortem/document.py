"""The post-mortem as Markdown: facts filled in, sections for people, a table of what is to be done. Only the latter two are read back."""

import datetime as dt
import itertools
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from holdfast.incidents.errors import IncidentUsage
from holdfast.incidents.postmortem.rules import SECTIONS
from holdfast.model import counted
from holdfast.plan.values.units import format_duration

_SECTION = re.compile(r"^<!-- section: ([a-z-]+) -->\n(.*?)^<!-- end -->$", re.MULTILINE | re.DOTALL)
_ID = re.compile(r"<!-- post-mortem of (INC-[0-9a-f]+) -->")
_COLUMNS = ("id", "what", "owner", "due")
LARGEST = 1 << 20


@dataclass(frozen=True, slots=True)
class Read:
    """What people wrote."""

    incident: str
    sections: Mapping[str, str]
    actions: Mapping[str, Mapping[str, str]]


def markdown(shown: Mapping[str, Any], sections: Mapping[str, str]) -> str:
    """``shown``: the incident as ``view.document`` gives it."""
    drill = "[DRILL] " if shown["drill"] else ""
    head = f"<!-- post-mortem of {shown['incident']} -->\n# Post-mortem: {drill}{_line(shown['title'])}\n\n"
    intro = (
        "This looks for conditions, not for culprits: everybody did what made sense with what they knew. The facts below come from the"
        " journal and are not read back; what stands between the marks is yours.\n\n"
    )
    facts = "## Facts\n\n" + "".join(f"- {line}\n" for line in facts_of(shown))
    parts = [head, intro, facts, "\n", *(_section(name, sections.get(name, "")) for name in ("summary", "impact"))]
    parts += ["## Timeline\n\n", _timeline(shown), "\n"]
    parts += [_section(name, sections.get(name, "")) for name in SECTIONS if name not in ("summary", "impact")]
    parts.append(_actions(shown))
    return "".join(parts)


def facts_of(shown: Mapping[str, Any]) -> list[str]:
    """For people: when, how long, what was promised and kept, what was lost, who, who was asked."""
    lines = [
        f"Incident {shown['incident']}, {shown['severity']} ({shown['meaning']}); {shown['state']}",
        (
            f"Began or was noticed {_at(shown['detected_at'])}; declared {_at(shown['declared_at'])} by {shown['declared_by']}"
            f" (source: {shown['source'].get('kind', 'person')})"
        ),
    ]
    words = {
        "detect_to_declare": "From the beginning to the declaration",
        "declare_to_acknowledge": "From the declaration to the first answer",
        "declare_to_mitigate": "From the declaration until the harm was stopped",
        "declare_to_resolve": "From the declaration to the resolution",
    }
    lines += [f"{words[name]}: {_span(seconds)}" for name, seconds in shown["durations"].items()]
    if shown["rounds"] > 1:
        lines.append(f"Opened again {counted(shown['rounds'] - 1, 'time')}")
    for each in shown["affected"]:
        lines += [f"{each['system']}: {_promise(one)}" for one in each["promises"]] or [f"{each['system']}: nothing was promised"]
    lines += [f"{role}: {_line(name)}" for role, name in shown["roles"].items()]
    others = [name for name in shown["responders"] if name not in shown["roles"].values()]
    if others:
        lines.append(f"Took part: {', '.join(map(_line, others))}")
    for page in shown["escalation"]:
        whom = "everybody" if page["everybody"] else ", ".join(page["asked"]) or "nobody"
        lines.append(f"Asked {_at(page['at'])}: {whom} ({page['reason']})")
    lines += [f"{name}: {_line(value if isinstance(value, str) else _reference(value))}" for name, value in shown["references"].items()]
    for run in shown["runs"]:
        lines.append(f"Run {run['run']}: {run['verb']} {run['system'] or ''}, {run['outcome'] or 'without an end'} ({run['why']})")
    lines += [f"Clocks: {text}" for text in shown["clocks"]]
    if shown["missing"]:
        lines.append(f"{counted(len(shown['missing']), 'entry of another host is', 'entries of other hosts are')} missing")
    return lines


def read(text: str, known: Mapping[str, str] | None = None) -> Read:
    """Sections and action items out of a file. ``known``: action items that the incident has, id → text: a row without an id is the one of
    them with its text, or a new one. Raises IncidentUsage.
    """
    if len(text) > LARGEST:
        raise IncidentUsage(f"A post-mortem of {len(text)} characters is not read.")
    text = text.replace("\r\n", "\n")
    mark = _ID.search(text)
    if mark is None:
        raise IncidentUsage("This is no post-mortem: its first line does not say of which incident.", hint="Begin with --write FILE.")
    sections = {}
    for name, written in _SECTION.findall(text):
        if name not in SECTIONS:
            raise IncidentUsage(f"The post-mortem has a section '{name}', which is not known.", hint=f"Known: {', '.join(SECTIONS)}")
        if name in sections:
            raise IncidentUsage(f"The section '{name}' stands twice in the post-mortem.")
        sections[name] = written.strip().removeprefix(f"*{SECTIONS[name]}*").strip()
    lost = set(SECTIONS) - set(sections)
    if lost:
        raise IncidentUsage(
            f"The post-mortem lacks the marks of its sections: {', '.join(sorted(lost))}.", hint="Write it anew with --write."
        )
    return Read(mark.group(1), sections, _read_actions(text, known or {}))


def _read_actions(text: str, known: Mapping[str, str]) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = {}
    body = text.partition("## Action items")[2]
    rows = [line for line in body.splitlines() if line.lstrip().startswith("|")][2:]
    every = [(row, [cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", row.strip().strip("|"))]) for row in rows]
    named = {cells[0] for _, cells in every}
    for row, cells in every:
        if not any(cells):
            continue
        if len(cells) < len(_COLUMNS):
            raise IncidentUsage(f"This row of the action items has {len(cells)} cells: {row.strip()}", hint="| id | what | owner | due |")
        name, what, owner, due = cells[:4]
        if not what:
            raise IncidentUsage(f"The action item '{name}' says nothing.")
        if not name:
            same = (id_ for id_, said in known.items() if said == what and id_ not in named)
            free = (id_ for number in itertools.count(1) if (id_ := f"A{number}") not in named and id_ not in known)
            name = next(same, None) or next(free)
            named.add(name)
        if name in found:
            raise IncidentUsage(f"Two action items have the id '{name}'.")
        found[name] = {"text": what, "owner": owner, "due": check_day(due)}
    return found


def check_day(text: str) -> str:
    """A day as ISO 8601 writes it, or ''. Raises IncidentUsage."""
    if not text:
        return ""
    try:
        return dt.date.fromisoformat(text.strip()).isoformat()
    except ValueError as error:
        raise IncidentUsage(f"'{text}' is no date.", hint="Write it as 2026-12-31.") from error


def _section(name: str, text: str) -> str:
    title = name.replace("-", " ").capitalize()
    return f"## {title}\n\n<!-- section: {name} -->\n{text.strip() or f'*{SECTIONS[name]}*'}\n<!-- end -->\n\n"


def _timeline(shown: Mapping[str, Any]) -> str:
    rows = ["| when | who | what |", "|---|---|---|"]
    for line in shown["timeline"]:
        late = " (came too late to change the state)" if line["late"] else ""
        rows.append(f"| {_at(line['at'])} | {_cell(line['by'])} | {_cell(line['text'])}{late} |")
    return "\n".join(rows) + "\n"


def _actions(shown: Mapping[str, Any]) -> str:
    rows = [
        "## Action items\n",
        "Each needs an owner and a date; it stays open until there is evidence.\n",
        f"| {' | '.join(_COLUMNS)} | state |",
    ]
    rows.append("|" + "---|" * 5)
    for one in shown["actions"]:
        state = f"done: {one['evidence']}" if one["closed_at"] else "open"
        rows.append("| " + " | ".join(_cell(str(one[name] or "")) for name in ("action", "text", "owner", "due")) + f" | {_cell(state)} |")
    if not shown["actions"]:
        rows.append("|  |  |  |  |  |")
    return "\n".join(rows) + "\n"


def _promise(one: Mapping[str, Any]) -> str:
    name, promised = one["promise"].upper(), _span(one["promised_seconds"])
    if one["state"] == "unknown":
        return f"{name} {promised}: it is not known how much was lost"
    what = "lost" if name == "RPO" else "took"
    return f"{name} {promised} {'missed' if one['state'] == 'missed' else one['state']}: {what} {_span(one['measured_seconds'])}"


def _reference(value: Mapping[str, Any]) -> str:
    return str(value.get("url") or ", ".join(value.get("ids", {}).values()))


def _cell(text: str) -> str:
    return _line(text).replace("|", "\\|")


def _line(text: str) -> str:
    """What others wrote cannot open a mark of ours."""
    return " ".join(str(text).split()).replace("<!--", "< !--")


def _at(moment: dt.datetime | None) -> str:
    return "-" if moment is None else moment.astimezone(dt.UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _span(seconds: float | None) -> str:
    return "-" if seconds is None else format_duration(dt.timedelta(seconds=round(seconds)))
