"""Answers of a query as plain, comparable values."""

import datetime as dt
import decimal
import uuid
from collections.abc import Sequence
from typing import Any


def plain(value: Any) -> Any:
    """JSON-ready: numbers stay numbers, exact decimals become texts, times ISO 8601, bytes hex."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, decimal.Decimal):
        return int(value) if value == value.to_integral_value() and abs(value) < 2**53 else str(value)
    if isinstance(value, dt.datetime | dt.date | dt.time):
        return value.isoformat()
    if isinstance(value, bytes | memoryview):
        return bytes(value).hex()
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    if isinstance(value, dict):
        return {str(key): plain(one) for key, one in value.items()}
    if isinstance(value, dt.timedelta):
        return value.total_seconds()
    return str(value) if isinstance(value, uuid.UUID) or value is not None else None


def answer(rows: Sequence[Sequence[Any]]) -> Any:
    """One value for a single cell, a list for a single row, a list of lists for more or none."""
    if len(rows) == 1:
        row = [plain(value) for value in rows[0]]
        return row[0] if len(row) == 1 else row
    return [[plain(value) for value in row] for row in rows]


def same(expected: Any, actual: Any) -> bool:
    """Whether two answers are equal: numbers by value, however they are written ('12.50' and 12.5 are); everything else exactly."""
    if isinstance(expected, list | tuple) and isinstance(actual, list | tuple):
        return len(expected) == len(actual) and all(same(one, other) for one, other in zip(expected, actual, strict=True))
    if isinstance(expected, bool) or isinstance(actual, bool):
        return expected is actual
    if expected is None or actual is None:
        return expected is actual
    left, right = _number(expected), _number(actual)
    if left is not None and right is not None:
        return left == right
    return bool(plain(expected) == plain(actual))


def _number(value: Any) -> decimal.Decimal | None:
    if isinstance(value, str) and not value.strip():
        return None
    try:
        found = decimal.Decimal(str(value))
    except decimal.InvalidOperation:
        return None
    return found if found.is_finite() else None
