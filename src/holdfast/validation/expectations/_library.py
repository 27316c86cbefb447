"""Great Expectations itself, asked without any of its projects, stores and contexts. Imported by the worker alone."""

import datetime as dt
import decimal
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import great_expectations
import sqlalchemy as sa
from great_expectations.core.batch import Batch
from great_expectations.execution_engine import SqlAlchemyExecutionEngine
from great_expectations.execution_engine.sqlalchemy_batch_data import SqlAlchemyBatchData
from great_expectations.expectations.expectation_configuration import ExpectationConfiguration
from great_expectations.expectations.registry import list_registered_expectation_implementations
from great_expectations.validator.validator import Validator

from holdfast.validation.expectations import _dialect as dialect

VERSION = str(great_expectations.__version__)
_EXAMPLES = 3


class Opened:
    """A relation's table, to be read only."""

    def __init__(self, relation: Mapping[str, Any], memory: int) -> None:
        self.table, self.schema = relation["table"], relation["schema"]
        if relation["engine"] == "duckdb":
            spill = str(Path(relation["address"]).with_suffix(".spill"))
            self.engine = dialect.engine(relation["address"], f"{memory // 4 >> 20}MiB", spill)
        else:
            import psycopg

            def connect() -> Any:
                session = psycopg.connect(relation["address"], autocommit=True)
                session.execute("set default_transaction_read_only = on")
                if relation.get("timeout"):
                    session.execute(f"set statement_timeout = {int(relation['timeout'] * 1000)}")
                return session

            self.engine = sa.create_engine("holdfast+postgres://", creator=connect, isolation_level="AUTOCOMMIT")
        self.kept: list[Any] = []

    def close(self) -> None:
        self.engine.dispose()


def run(opened: Opened, wanted: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Outcomes in the order asked. What Great Expectations refuses as an expectation is told as ``wrong``."""
    found: list[dict[str, Any]] = [{} for _ in wanted]
    known = list_registered_expectation_implementations()
    asked = []
    for number, one in enumerate(wanted):
        if one["type"] not in known:
            found[number] = {"wrong": f"Great Expectations {VERSION} knows no {one['type']}", "near": _near(one["type"], known)}
            continue
        try:
            # The library's own reading of the arguments: a wrong one is told by its name.
            expectation = ExpectationConfiguration(type=one["type"], kwargs=dict(one["kwargs"])).to_domain_obj()
            configuration = expectation.configuration
        except Exception as error:  # noqa: BLE001 - whatever it raises is what is wrong with the arguments
            found[number] = {"wrong": _said(error), "near": []}
            continue
        configuration.id = str(number)
        asked.append(configuration)
    if asked:
        engine = SqlAlchemyExecutionEngine(engine=opened.engine, create_temp_table=False)
        # It closes the connections of what it was given when it is collected, which may be in the middle of a later question.
        opened.kept.append(engine)
        data = SqlAlchemyBatchData(execution_engine=engine, table_name=opened.table, schema_name=opened.schema, create_temp_table=False)
        validator = Validator(execution_engine=engine, batches=[Batch(data=data)])
        form = {"result_format": {"result_format": "BASIC", "partial_unexpected_count": _EXAMPLES}, "catch_exceptions": True}
        for outcome in validator.graph_validate(configurations=asked, runtime_configuration=form):
            found[int(outcome.expectation_config.id)] = {"outcome": _plain(outcome.to_json_dict())}
    return found


def facts(opened: Opened, wanted: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """``{"rows", "present": {column: values that are not null}}`` for the columns that are asked about: a pass without values is none."""
    there = {one["name"] for one in sa.inspect(opened.engine).get_columns(opened.table, schema=opened.schema)}
    names = sorted({name for one in wanted if isinstance(name := one["kwargs"].get("column"), str) and name in there})
    table = sa.table(opened.table, *(sa.column(name) for name in names), schema=opened.schema)
    with opened.engine.connect() as session:
        row = session.execute(sa.select(sa.func.count(), *(sa.func.count(table.c[name]) for name in names)).select_from(table)).one()
    return {"rows": int(row[0]), "present": {name: int(count) for name, count in zip(names, row[1:], strict=True)}}


def _near(word: str, known: Sequence[str]) -> list[str]:
    import difflib

    return difflib.get_close_matches(word, known, 1, 0.6)


def _said(error: Exception) -> str:
    """A refusal by pydantic in one line, or the first line of anything else."""
    inner = getattr(error, "errors", None)
    if callable(inner):
        return "; ".join(f"{'.'.join(str(part) for part in one['loc'])}: {one['msg']}" for one in inner())[:500]
    lines = str(error).strip().splitlines()
    return (lines[0] if lines else type(error).__name__)[:500]


def _plain(value: Any) -> Any:
    """JSON-ready; numbers that are whole are written so."""
    if isinstance(value, float):
        return int(value) if value.is_integer() and abs(value) < 2**53 else value if math.isfinite(value) else str(value)
    if isinstance(value, Mapping):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple | set):
        return [_plain(one) for one in value]
    return value if value is None or isinstance(value, str | int | bool) else str(value)


# ------------------------------------------------------------ what a healthy table is like

_KINDS: tuple[tuple[Any, str], ...] = (
    (sa.types.Boolean, "boolean"),
    (sa.types.Integer, "integer"),
    (sa.types.Numeric, "number"),
    (sa.types.Float, "number"),
    (sa.types.Date, "date"),
    (sa.types.DateTime, "time"),
    (sa.types.String, "text"),
)


def profile(opened: Opened, distinct: int) -> dict[str, Any]:
    """``{"rows", "columns": [{"name", "type", "kind", "nulls", "minimum", "maximum", "sum", "values", "unique"}]}``. ``values``: all of
    them, where there are at most ``distinct``. ``unique`` None: not asked (no such column is a key). One scan of the table for sums, and
    one for each column's values.
    """
    columns = sa.inspect(opened.engine).get_columns(opened.table, schema=opened.schema)
    table = sa.table(opened.table, *(sa.column(one["name"], one["type"]) for one in columns), schema=opened.schema)
    kinds = {one["name"]: next((kind for found, kind in _KINDS if isinstance(one["type"], found)), "other") for one in columns}
    asked: list[tuple[str, str, Any]] = []
    for name, kind in kinds.items():
        column = table.c[name]
        asked.append((name, "count", sa.func.count(column)))
        if kind in ("integer", "number", "date", "time"):
            asked += [(name, "minimum", sa.func.min(column)), (name, "maximum", sa.func.max(column))]
        if kind in ("integer", "number"):
            asked.append((name, "sum", sa.func.sum(column)))
    with opened.engine.connect() as session:
        row = session.execute(sa.select(sa.func.count(), *(one for _, _, one in asked)).select_from(table)).one()
        rows, found = (
            int(row[0]),
            {name: {"name": name, "type": _type(opened, one["type"]), "kind": kinds[name]} for one in columns if (name := one["name"])},
        )
        for (name, what, _), value in zip(asked, row[1:], strict=True):
            found[name]["nulls" if what == "count" else what] = rows - int(value) if what == "count" else _fact(value)
        for name, kind in kinds.items():
            if kind in ("integer", "text", "boolean", "date"):
                found[name] |= _values(session, table, name, distinct, rows - found[name]["nulls"], key=kind in ("integer", "text"))
    return {"rows": rows, "columns": list(found.values())}


def _values(session: Any, table: Any, name: str, distinct: int, present: int, *, key: bool) -> dict[str, Any]:
    column = table.c[name]
    some = session.execute(sa.select(column).where(column.is_not(None)).distinct().limit(distinct + 1)).scalars().all()
    if len(some) <= distinct:
        return {"values": sorted((_fact(one) for one in some), key=lambda one: (str(type(one)), one)), "unique": None}
    unique = key and session.execute(sa.select(sa.func.count(column.distinct()))).scalar() == present
    return {"values": None, "unique": unique}


def _type(opened: Opened, kind: Any) -> str | None:
    """As ``expect_column_values_to_be_of_type`` wants it; None where there is no word for it."""
    return None if isinstance(kind, dialect.Other) else str(kind.compile(dialect=opened.engine.dialect))


def _fact(value: Any) -> Any:
    if isinstance(value, decimal.Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value.isoformat() if isinstance(value, dt.date | dt.datetime) else value
