"""What the plan knows of a system, for the templates of runbooks."""

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from holdfast.plan import Plan
from holdfast.plan.shape.systems.common import CheckSpec, SystemSpec
from holdfast.plan.shape.systems.delta import DeltaSystem
from holdfast.plan.shape.systems.postgres import PostgresSystem
from holdfast.plan.values.units import format_duration
from holdfast.runbooks.format.shipped import Known

_PROGRAMS = "usr/lib/postgresql/*/bin"


def known(plan: Plan, system: str) -> Known:
    """Raises UnknownSystem."""
    found = plan.effective(system)
    spec = found.spec
    checks = [one for one in spec.checks if one.sql is not None and "expect" in one.model_fields_set]
    said = Known(
        system=system,
        owner=spec.owner or "",
        rto=format_duration(found.rto) if found.rto else "",
        rpo=format_duration(max(found.rpo.values())) if found.rpo else "",
        check=checks[0].name if checks else _suite(spec),
    )
    if isinstance(spec, PostgresSystem):
        return _postgres(said, spec, checks)
    if isinstance(spec, DeltaSystem):
        return replace(said, table=_table(spec), address=spec.url or "")
    return said


def _suite(spec: SystemSpec) -> str:
    table = _table(spec) if isinstance(spec, DeltaSystem) and getattr(spec, "expectations", None) else ""
    return f"suite {table}" if table else ""


def _table(spec: DeltaSystem) -> str:
    tables = [one for one in spec.tables or () if not re.search(r"[*?\[]", one)]
    return tables[0] if len(tables) == 1 else ""


def _postgres(said: Known, spec: PostgresSystem, checks: list[CheckSpec]) -> Known:
    databases = list(dict.fromkeys(one.database for one in checks if one.database))
    addresses = [str(one.literal) for one in spec.dsn or () if one.literal]
    named = re.search(r"(?:^|\s)dbname\s*=\s*'?([\w.-]+)", addresses[0]) if addresses else None
    database = databases[0] if databases else named[1] if named else "postgres"
    asked = [one for one in checks if one.database in (None, database)]
    programs = spec.binaries or next((str(one) for one in sorted(Path("/").glob(_PROGRAMS), reverse=True)), "")
    return replace(said, database=database, checks=tuple(_statements(asked)), programs=programs)


def _statements(checks: list[CheckSpec]) -> Iterator[str]:
    """A statement that gives true for each check of one value. What would end its place is left out: the person sees it in the plan."""
    for check in checks:
        query = " ".join((check.sql or "").rstrip().rstrip(";").split())
        value = check.expect
        if "--" in query or ";" in query or not isinstance(value, bool | int | float | str):
            continue
        text = "'" + value.replace("'", "''") + "'" if isinstance(value, str) else str(value).lower()
        yield f"select ({query}) is not distinct from {text};  -- {' '.join(check.name.split())}"  # noqa: S608 - the plan's own query
