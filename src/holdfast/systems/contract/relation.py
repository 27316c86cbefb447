"""A table of a copy, as another process can open it: what a library that speaks SQL itself is given."""

import difflib
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal, Self

from holdfast.errors import Usage


class TableUnknown(Usage):
    """A check, or ``holdfast expectations``, names a table that is not there."""

    code = "table-unknown"

    @classmethod
    def among(cls, table: str, known: Iterable[str]) -> Self:
        names = sorted(known)
        near = difflib.get_close_matches(table, names, 1, 0.6)
        some = ", ".join(names[:20]) + (", …" if len(names) > 20 else "")
        return cls(f"There is no table {table}.", hint=f"Did you mean {near[0]}?" if near else f"There are: {some or 'none'}.", table=table)


@dataclass(frozen=True, slots=True)
class Relation:
    """``engine`` duckdb: ``address`` is the path of a DuckDB database, which is only read, and lasts as long as the copy; postgres: a
    connection string of libpq, which may hold a secret. ``table`` and ``schema`` as they are, unquoted.
    """

    engine: Literal["duckdb", "postgres"]
    address: str = field(repr=False)
    table: str
    schema: str | None = None
