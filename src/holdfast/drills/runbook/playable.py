"""Which steps of a runbook a drill may play. Pure.

What a drill cannot tell from an attack on production is played only where the scenario names the step in ``allow``; commands of Holdfast
that change anything but a new place are never played.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from holdfast.runbooks.actions.registry import ACTIONS

_OPTIONS = (
    "--into --to --start --timeline --delta --path --tablespace-map --target-action --port --table --fetch-wal-above --owner"
    " --owner-names --dry-run --json"
)
RESTORE_OPTIONS = frozenset(_OPTIONS.split(" "))
"""Of ``holdfast restore``. Others go in place, commit to the table itself, or follow the primary."""
_PLACES = ("--into", "--tablespace-map")
_FILES = ("--write", "--out", "--output", "--prometheus", "-o")
_SHORT_OUTPUT = re.compile(r"-[A-Za-z]*o=?(.*)", re.DOTALL)
"""``-o FILE``, ``-oFILE`` and ``-vo FILE`` are the same to the command line."""
_CHANGING = {
    "vault check": ("--heal",),
    "incident declare": ("--alertmanager", "--drill"),
}
"""Options by which a command that is played otherwise writes into the vault, or speaks of incidents in earnest."""
_LOOKED_AT = ("list", "show")
_SAID = (
    *("ack", "note", "update", "mitigate", "resolve", "assign", "systems", "severity"),
    *("action", "postmortem", "link", "refer", "close", "reopen"),
)
"""What is said of one incident."""


def actions(step: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """All that a step may do: itself, its probe, its undo, what it waits for. Each ``{"name", "spec"}``."""
    for doing in (step, step.get("probe"), step.get("undo"), step.get("until")):
        if isinstance(doing, Mapping) and isinstance(doing.get("action"), Mapping):
            yield doing["action"]


def unknown(document: Mapping[str, Any], names: Sequence[str]) -> list[str]:
    """Those of ``names`` that are no step."""
    known = {step["id"] for step in document["steps"]}
    return [name for name in names if name not in known]


def refused(document: Mapping[str, Any], allow: Sequence[str], without: Sequence[str]) -> list[tuple[str, str]]:
    """(step, why) of those that may not be played as they are written."""
    found = []
    for step in document["steps"]:
        if step["id"] in without:
            continue
        for action in actions(step):
            name = str(action["name"])
            why = ""
            if name == "holdfast":
                why = command([str(word) for word in action["spec"]["argv"]]) or _environment(action["spec"].get("env") or ())
            elif name != "sql" and step["id"] not in allow:
                why = f"what {name} reaches cannot be told from production"
            if why:
                found.append((step["id"], why))
                break
    return found


def _environment(names: Iterable[str]) -> str:
    """What a step gives goes before what the drill gives: without the drill's own mark an incident of a drill is one in earnest."""
    own = sorted(name for name in names if name.startswith("HOLDFAST_"))
    return f"{own[0]} in env: leads the command to something else than the drill's" if own else ""


def command(argv: Sequence[str]) -> str:
    """Why a command of Holdfast is not played, "" where it is. Places in it are looked at when they are known: see ``places``."""
    first = str(argv[0])
    shown = " ".join(word for word in argv[:2] if not word.startswith("-"))
    if first.startswith("-"):
        return f"the command begins with {first}"
    wrong = [word for word in argv if word.partition("=")[0] in ("--plan", "--set")]
    if wrong:
        return f"{wrong[0]} leads to another plan"
    plain = " ".join([word for word in argv if not word.startswith("-")][:2])
    changing = [word for word in argv if word.partition("=")[0] in _CHANGING.get(plain, ())]
    if changing:
        return f"'holdfast {plain} {changing[0]}' changes more than a new place"
    if ACTIONS["holdfast"].repeatable({"argv": argv}) or shown in {f"incident {word}" for word in (*_LOOKED_AT, *_SAID, "declare")}:
        return ""
    if first != "restore":
        return f"'holdfast {shown}' changes more than a new place"
    unknown_ = [word for word in argv if word.startswith("--") and word.partition("=")[0] not in RESTORE_OPTIONS]
    return f"'holdfast restore {unknown_[0]}' does more than restore into a new place" if unknown_ else ""


def outside(argv: Sequence[str], into: Path) -> str:
    """Why a command whose values are filled in is not run: a place outside of ``into``. "" where all lie in it."""
    for place in _places(argv, _PLACES if argv[0] == "restore" else _FILES):
        path = Path(place)
        if "://" in place or not path.is_absolute() or not path.resolve().is_relative_to(into.resolve()):
            return f"{place} does not lie in the drill's own folder {into}"
    return ""


def _places(argv: Sequence[str], options: Sequence[str]) -> Iterator[str]:
    for number, word in enumerate(argv):
        option, equals, value = word.partition("=")
        if "-o" in options and (short := _SHORT_OUTPUT.fullmatch(word)):
            option, equals, value = "-o", short[1], short[1]
        if option not in options:
            continue
        text = value if equals else argv[number + 1] if number + 1 < len(argv) else ""
        yield text.rpartition("=")[2] if option == "--tablespace-map" else text


def strange_incident(argv: Sequence[str], own: Sequence[str]) -> str:
    """Why a word about an incident is not said: it is none of this drill. ``own``: ids of those that are."""
    if argv[0] != "incident" or len(argv) < 2 or argv[1] in (*_LOOKED_AT, "declare"):
        return ""
    named = argv[2] if len(argv) > 2 else ""
    if named.startswith("-"):
        return f"which incident is meant must stand right behind 'incident {argv[1]}', before {named}"
    return "" if named and named in own else f"{named or 'the open incident'} was not declared by this drill"


def restores(action: Mapping[str, Any]) -> bool:
    """Whether it brings data back."""
    argv: list[str] = list(action["spec"].get("argv") or ()) if action["name"] == "holdfast" else []
    return bool(argv) and argv[0] == "restore" and "--dry-run" not in argv
