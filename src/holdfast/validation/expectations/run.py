"""A suite, judged on a table: one result for each expectation, with expected and actual."""

from collections.abc import Mapping
from typing import Any

from holdfast.model import Clock
from holdfast.systems.contract import Isolated, Relation
from holdfast.validation.expectations.process import ask
from holdfast.validation.expectations.suite import Expectation, Suite
from holdfast.validation.results import Result, State

_NOTHING = "no value was there to be looked at"
_OF_SHAPE = frozenset({"expect_column_to_exist", "expect_column_values_to_be_of_type", "expect_column_values_to_be_in_type_list"})
"""About the table's columns, whether or not it has rows."""


def outcomes(
    suite: Suite, view: Isolated, table: str, clock: Clock, *, name: str, database: str | None = None, timeout: float | None = None
) -> list[Result]:
    """Results named ``name: expectation``. What could not be judged failed; what looked at nothing did not pass.

    An expectation about values that found none to look at passed nothing: on an empty table it fails, unless the suite's own row count
    allows none; elsewhere (each value is null, or no row meets its condition) it is skipped. A suite of exact values is skipped on a copy
    that stands elsewhere than where they belong.
    """
    if suite.coordinate and not belongs(suite.coordinate, view.reached, table):
        told = ", ".join(f"{key} {value}" for key, value in suite.coordinate.items())
        return [Result(name, "expectation", "skipped", dict(suite.coordinate), dict(view.reached), f"its exact values belong to {told}")]
    began = clock.monotonic()
    relation = view.relation(table, database)
    asked = [{"type": one.kind, "kwargs": dict(one.arguments)} for one in suite.expectations]
    answer = ask({"ask": "run", "relation": told_of(relation, timeout), "expectations": asked}, timeout=timeout)
    said = answer["results"]
    found = [_result(name, one, each) for one, each in zip(suite.expectations, said, strict=True)]
    seconds = (clock.monotonic() - began) / len(found)
    counts = [result for one, result in zip(suite.expectations, found, strict=True) if one.kind.startswith("expect_table_row_count")]
    facts = {**answer["facts"], "none_allowed": any(result.state == "passed" and result.actual == 0 for result in counts)}
    inner = [(each.get("outcome") or {}).get("result") or {} for each in said]
    return [_judged(*each, facts, seconds) for each in zip(found, suite.expectations, inner, strict=True)]


def profile(view: Isolated, table: str, *, distinct: int, database: str | None = None) -> dict[str, Any]:
    """What ``_library.profile`` finds of a table."""
    return ask({"ask": "profile", "relation": told_of(view.relation(table, database)), "distinct": distinct})


def told_of(relation: Relation, timeout: float | None = None) -> dict[str, Any]:
    return {"engine": relation.engine, "address": relation.address, "table": relation.table, "schema": relation.schema, "timeout": timeout}


def coordinate(reached: Mapping[str, Any], table: str) -> dict[str, Any]:
    """Where a copy stands, as far as its content is decided by it: a table's version, a log's position, else the point."""
    versions = reached.get("versions")
    if isinstance(versions, Mapping):
        # A lone table of a lake may be called by the last part of its name.
        names = [name for name in versions if name == table or name.rpartition("/")[2] == table] or list(versions)
        return {"version": versions[table if table in versions else names[0]]}
    return {key: reached[key] for key in ("lsn", "timeline") if key in reached} or {"point": reached.get("point")}


def belongs(wanted: Mapping[str, Any], reached: Mapping[str, Any], table: str) -> bool:
    """Whether a copy stands where exact values were taken."""
    return dict(wanted) == coordinate(reached, table)


def _result(name: str, one: Expectation, said: Mapping[str, Any]) -> Result:
    label = f"{name}: {one.label}"
    expected = dict(one.arguments)
    if "wrong" in said:
        near = f" (did you mean {said['near'][0]}?)" if said.get("near") else ""
        return Result(label, "expectation", "failed", expected, None, f"{said['wrong']}{near}")
    outcome = said.get("outcome")
    if not isinstance(outcome, Mapping):
        return Result(label, "expectation", "failed", expected, None, "Great Expectations gave no result for it")
    result = outcome.get("result") or {}
    trouble = _trouble(outcome.get("exception_info") or {})
    if trouble:
        return Result(label, "expectation", "failed", expected, None, trouble)
    state: State = "passed" if outcome.get("success") is True else "failed"
    return Result(label, "expectation", state, expected, _actual(result), "" if state == "passed" else _detail(result))


def _trouble(info: Mapping[str, Any]) -> str:
    """What was raised: one for the expectation, or one for each figure that it needs."""
    several = [info] if "raised_exception" in info else list(info.values())
    texts = [
        str(one.get("exception_message") or "it failed") for one in several if isinstance(one, Mapping) and one.get("raised_exception")
    ]
    lines = [line.strip() for line in texts[0].splitlines() if line.strip()] if texts else []
    return lines[0][:300] if lines else ""


def _actual(result: Mapping[str, Any]) -> Any:
    """What was observed; of an expectation about each value, how many were otherwise, of how many."""
    if result.get("observed_value") is not None:
        return result["observed_value"]
    if "unexpected_count" in result and "element_count" in result:
        return {"unexpected": result["unexpected_count"], "of": _looked_at(result)}
    if "unexpected_count" in result:
        return {"unexpected": result["unexpected_count"]}
    return None


def _detail(result: Mapping[str, Any]) -> str:
    examples = result.get("partial_unexpected_list") or []
    if examples and any(one is not None for one in examples):
        return "for example " + ", ".join(str(one)[:40] for one in examples[:3])
    mismatched = (result.get("details") or {}).get("mismatched")
    return str(mismatched)[:300] if mismatched else ""


def _looked_at(result: Mapping[str, Any]) -> int:
    return int(result.get("element_count") or 0) - int(result.get("missing_count") or 0)


def _judged(result: Result, one: Expectation, inner: Mapping[str, Any], facts: Mapping[str, Any], seconds: float) -> Result:
    """The same with the time it took; and no pass for what looked at nothing. ``facts``: rows of the table, and values by column."""
    state, detail = result.state, result.detail
    if state == "passed" and _nothing(one, inner, facts):
        state, detail = "failed" if facts["rows"] == 0 and not facts["none_allowed"] else "skipped", _NOTHING
    return Result(result.name, result.kind, state, result.expected, result.actual, detail, seconds)


def _nothing(one: Expectation, inner: Mapping[str, Any], facts: Mapping[str, Any]) -> bool:
    if one.kind in _OF_SHAPE or one.kind.startswith("expect_table_"):
        return False
    if "element_count" in inner:
        return _looked_at(inner) == 0
    column = one.arguments.get("column")
    return facts["rows"] == 0 or (isinstance(column, str) and facts["present"].get(column) == 0)
