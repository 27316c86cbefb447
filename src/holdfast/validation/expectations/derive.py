"""A suite out of what a healthy table is like: bounds for any later moment, or the exact values of this one."""

import math
from collections.abc import Iterator, Mapping
from typing import Any

DISTINCT = 20
"""A column with at most so many different values is expected to have no others."""

_SUMS = 1e-9
"""Relative. Sums of floating point differ with the order in which they are added."""


def derive(facts: Mapping[str, Any], *, name: str, where: Mapping[str, Any], slack: float | None) -> dict[str, Any]:
    """The suite as JSON, in the format of Great Expectations 1.x. ``facts``: see ``_library.profile``; ``where``: ``{"system", "table",
    "coordinate", "time"}`` of the copy, kept in its ``meta``. ``slack``: by which share counts, sums and ranges may differ; None: not at
    all, for the very moment that ``where`` names.

    Without exactness, what grows in a healthy table has no upper bound: times, keys, sums of signless columns are bounded below.
    """
    expectations = [
        {"type": kind, "kwargs": {**({"column": column} if column is not None else {}), **arguments}, "meta": {}, "severity": "critical"}
        for kind, column, arguments in _all(facts, slack)
    ]
    ours = {**where, "exact": slack is None, **({} if slack is None else {"within": slack})}
    return {"name": name, "expectations": expectations, "meta": {"holdfast": ours}, "notes": None}


def _all(facts: Mapping[str, Any], slack: float | None) -> Iterator[tuple[str, str | None, dict[str, Any]]]:
    rows = facts["rows"]
    if slack is None:
        yield "expect_table_row_count_to_equal", None, {"value": rows}
    else:
        low, high = math.floor(rows * (1 - slack)), math.ceil(rows * (1 + slack))
        yield "expect_table_row_count_to_be_between", None, {"min_value": max(1, low) if rows else 0, "max_value": high}
    columns = facts["columns"]
    yield "expect_table_columns_to_match_set", None, {"column_set": [one["name"] for one in columns], "exact_match": True}
    for one in columns:
        for kind, arguments in _column(one, rows, slack):
            yield kind, one["name"], arguments


def _column(one: Mapping[str, Any], rows: int, slack: float | None) -> Iterator[tuple[str, dict[str, Any]]]:
    if one["type"] is not None:
        yield "expect_column_values_to_be_of_type", {"type_": one["type"]}
    if not rows:
        return
    present = rows - one["nulls"]
    if not one["nulls"]:
        yield "expect_column_values_to_not_be_null", {}
    elif present:
        share = present / rows
        # Down to four places: the library compares shares as floating point.
        yield "expect_column_values_to_not_be_null", {"mostly": math.floor(share * (1 - (slack or 0)) * 1e4) / 1e4}
    if not present:
        return
    if one.get("values") is not None:
        kind = "expect_column_distinct_values_to_be_in_set" if slack is not None else "expect_column_distinct_values_to_equal_set"
        yield kind, {"value_set": one["values"]}
    if one.get("unique"):
        yield "expect_column_values_to_be_unique", {}
    yield from _range(one, slack)


def _range(one: Mapping[str, Any], slack: float | None) -> Iterator[tuple[str, dict[str, Any]]]:
    low, high, total = one.get("minimum"), one.get("maximum"), one.get("sum")
    if low is None or high is None:
        return
    if one["kind"] in ("date", "time"):
        # Time goes on in a healthy table.
        yield "expect_column_min_to_be_between", {"min_value": low, **({"max_value": low} if slack is None else {})}
        if slack is None:
            yield "expect_column_max_to_be_between", {"min_value": high, "max_value": high}
        return
    if slack is None:
        yield "expect_column_min_to_be_between", {"min_value": low, "max_value": low}
        yield "expect_column_max_to_be_between", {"min_value": high, "max_value": high}
    elif one.get("unique"):
        # A key grows with the table; its sum says nothing.
        yield "expect_column_min_to_be_between", {"min_value": low}
        return
    elif one.get("values") is None:
        room = slack * (high - low)
        # What was never negative is expected to stay so.
        yield "expect_column_min_to_be_between", {"min_value": max(0, _down(low - room, one)) if low >= 0 else _down(low - room, one)}
        yield "expect_column_max_to_be_between", {"max_value": _up(high + room, one)}
    if total is not None:
        exact = slack is None and isinstance(total, int) and one["kind"] == "integer" and abs(total) < 2**53
        # Of values on both sides of zero the sum may be next to nothing, and is no measure of how far it may move.
        measure = max(abs(total), abs(low), abs(high)) if low < 0 < high else abs(total)
        room = 0 if exact else measure * (slack or _SUMS)
        yield "expect_column_sum_to_be_between", {"min_value": _down(total - room, one), "max_value": _up(total + room, one)}


def _down(value: float, one: Mapping[str, Any]) -> float:
    return math.floor(value) if one["kind"] == "integer" else value


def _up(value: float, one: Mapping[str, Any]) -> float:
    return math.ceil(value) if one["kind"] == "integer" else value
