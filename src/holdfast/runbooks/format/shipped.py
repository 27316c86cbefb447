"""Templates that are shipped: runbooks for one kind of disaster, with every section and step, filled in from the plan where it knows."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources

from holdfast.plan.errors import did_you_mean
from holdfast.runbooks.errors import TemplateUnknown

_PLACE = re.compile(r"@\{([a-z_]+)\}")
_WORDS = re.compile(r"[-_.]+")


@dataclass(frozen=True)
class Known:
    """What the plan says of the system, as far as a template asks. Empty is not known.

    ``checks``: statements, each of which gives true where all is well; ``check``: the name of one that an isolated copy is asked.
    """

    system: str = ""
    owner: str = ""
    rto: str = ""
    rpo: str = ""
    table: str = ""
    address: str = ""
    check: str = ""
    checks: tuple[str, ...] = ()
    database: str = ""
    programs: str = ""


def shipped() -> dict[str, str]:
    """Name → the title of each template."""
    folder = resources.files("holdfast.runbooks") / "templates"
    return {one.name.removesuffix(".md"): _title(one.name) for one in sorted(folder.iterdir(), key=lambda one: one.name)}


def from_template(template: str, name: str, *, title: str | None = None, known: Known = Known()) -> str:
    """A runbook that compiles as it is. Raises TemplateUnknown."""
    there = shipped()
    if template not in there:
        hint = did_you_mean(template, there)
        raise TemplateUnknown(f"There is no template '{template}'.", hint=hint[:1].upper() + hint[1:])
    text = (resources.files("holdfast.runbooks") / "templates" / f"{template}.md").read_text(encoding="utf-8")
    said = title or f"{there[template]}{f' of {known.system}' if known.system else ''}"
    values = _values(name, said, known)
    return _PLACE.sub(lambda found: values[found[1]], text)


def _title(file: str) -> str:
    return _WORDS.sub(" ", file.removesuffix(".md")).capitalize()


def _values(name: str, title: str, known: Known) -> Mapping[str, str]:
    # What is not known is asked for: a default of null.
    checks = known.checks or ("select false;  -- write the checks of this database here",)
    return {
        "name": name,
        "title": json.dumps(title, ensure_ascii=False),
        "heading": title,
        "system": known.system or "null",
        "systems": known.system,
        "owner": json.dumps(known.owner or "who keeps this page right", ensure_ascii=False),
        "rto": known.rto or "2h",
        "rpo": known.rpo or "24h",
        "table": json.dumps(known.table) if known.table else "null",
        "lake": json.dumps(known.address) if known.address else "null",
        "check": json.dumps(known.check, ensure_ascii=False) if known.check else "null",
        "checks": "\n".join(f"  {line}" for line in checks),
        "database": json.dumps(known.database or "postgres"),
        "pg_bin": json.dumps(known.programs) if known.programs else "null",
    }
