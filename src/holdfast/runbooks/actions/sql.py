"""``sql``: one statement on a PostgreSQL server; parameters travel apart from it."""

import datetime as dt
import decimal
import json
import math
import re
import shlex
from collections.abc import Callable, Mapping
from typing import Any

from pydantic import Field

from holdfast.connect.sql import run_sql
from holdfast.errors import HoldfastError
from holdfast.plan.shape.base import Part
from holdfast.plan.shape.types import Text
from holdfast.plan.values.secret import Address
from holdfast.runbooks.actions.commands import quoted
from holdfast.runbooks.actions.contract import Call, Fault, Result
from holdfast.runbooks.actions.output import Redactor, kept
from holdfast.runbooks.format.insert import insert, references, whole

_PLACE = re.compile(r"%%|%\((?P<name>[^)]*)\)[sbt]|%(?P<wrong>.?)")
_OVERRIDES = ("host", "port", "dbname", "user", "password")


class SqlPart(Part):
    """``dsn`` by reference or without a password; ``host`` … ``password`` replace parts of it. ``query`` names its parameters as
    ``%(name)s``.
    """

    dsn: Address = Field(default_factory=lambda: Address.model_validate(""))
    query: Text
    parameters: dict[str, str | int | float | bool | None] = Field(default_factory=dict)
    host: Text | None = None
    port: int | Text | None = None
    dbname: Text | None = None
    user: Text | None = None
    password: Text | None = None


class Sql:
    name = "sql"
    shape: type[Part] = SqlPart
    short: str | None = None
    verbatim = frozenset({"query"})
    for_secrets = frozenset({"parameters", "password", "dsn"})

    def examine(self, spec: Mapping[str, Any]) -> list[Fault]:
        faults = []
        query, given = str(spec["query"]), spec.get("parameters", {})
        if any(references(query)):
            faults.append(Fault(("query",), "nothing is inserted into a statement", "write %(name)s, and parameters: {name: ${…}}"))
        literal = spec.get("dsn", {}).get("literal")
        if isinstance(literal, str) and any(references(literal)) and whole(literal) is None:
            faults.append(Fault(("dsn",), "nothing is inserted into an address", "write host:, port:, dbname: beside dsn:"))
        if given:
            named = set()
            for found in _PLACE.finditer(query):
                if found["name"] is not None:
                    named.add(found["name"])
                elif found["wrong"] is not None:
                    faults.append(
                        Fault(("query",), f"%{found['wrong']} stands for nothing here", "write %(name)s, or %% for a percent sign")
                    )
            faults += [
                Fault(("query",), f"%({name})s has no value", f"add parameters: {{{name}: …}}") for name in sorted(named - set(given))
            ]
            faults += [Fault(("parameters", name), f"the statement does not use {name}") for name in sorted(set(given) - named)]
        return faults

    def repeatable(self, _spec: Mapping[str, Any]) -> bool:
        return False

    def told(self, spec: Mapping[str, Any], variable: Callable[[str], str]) -> str:
        place = {key: value for key, value in spec.get("dsn", {}).items() if value is not None}
        address = f'"${place["env"]}"' if "env" in place else quoted(str(place.get("literal", "")), variable)
        if "file" in place:
            address = f'"$(cat {shlex.quote(str(place["file"]))})"'
        elif "command" in place:
            command = place["command"]
            address = f'"$({command if isinstance(command, str) else shlex.join(command)})"'
        names = {"host": "-h", "port": "-p", "user": "-U"}
        words = [f"{names[key]} {quoted(str(spec[key]), variable)}" for key in names if spec.get(key) is not None]
        words += [f"-v {name}={quoted(str(value), variable)}" for name, value in spec.get("parameters", {}).items()]
        query = re.sub(r"%\(([^)]*)\)[sbt]", r":'\1'", str(spec["query"]).rstrip())
        query = query.replace("%%", "%") if spec.get("parameters") else query
        before = f"PGPASSWORD={quoted(spec['password'], variable)} " if spec.get("password") else ""
        before += f"PGDATABASE={quoted(spec['dbname'], variable)} " if spec.get("dbname") else ""
        return f"{before}psql {' '.join(['-v ON_ERROR_STOP=1', *words, address])} <<'SQL'\n{query.removesuffix(';')};\nSQL"

    def run(self, spec: Mapping[str, Any], call: Call) -> Result:
        place = spec.get("dsn", {})
        try:
            address = str(insert(place["literal"], call.values)) if place.get("literal") is not None else call.secret(place)
            overrides = {name: insert(spec.get(name), call.values) for name in _OVERRIDES}
            parameters = insert(spec.get("parameters", {}), call.values)
            found = run_sql(address, str(spec["query"]), parameters, timeout=call.timeout, overrides=overrides)
        except HoldfastError as error:
            late = error.details.get("sqlstate") == "57014"
            return Result("timeout" if late else "failed", None, Redactor(call.secrets).text(error.message))
        document = {
            "columns": list(found.columns) if found.columns is not None else None,
            "rows": [[_ready(value) for value in row] for row in found.rows],
            "count": found.count,
        }
        text = json.dumps(document, ensure_ascii=False)
        answer = None if found.columns is None else bool(found.rows and found.rows[0] and found.rows[0][0])
        clean = Redactor(call.secrets)
        return Result("ok", answer, "", {"out": kept(text, call.secrets)}, clean.value(document), clean.text(text))


def _ready(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, decimal.Decimal):
        return str(value)
    if isinstance(value, dt.datetime | dt.date | dt.time):
        return value.isoformat()
    if isinstance(value, bytes | memoryview):
        return bytes(value).hex()
    return [_ready(each) for each in value] if isinstance(value, list) else value if isinstance(value, dict) else str(value)
