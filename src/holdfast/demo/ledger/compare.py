"""Row by row: what an instance holds against what its own ledger says it must hold."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from holdfast.demo.ledger.expected import Expected, LedgerGap, Row, expected
from holdfast.demo.ledger.tables import KEYS, TABLES, read_ledger


@dataclass(frozen=True, slots=True)
class TableProof:
    """``expected`` and ``actual`` count rows; ``missing``, ``extra`` and ``changed`` those that differ, the first of each in ``examples``.

    ``expected_hash`` and ``actual_hash`` are SHA-256 over all rows in key order; equal exactly when no row differs.
    """

    table: str
    expected: int
    actual: int
    missing: int
    extra: int
    changed: int
    examples: tuple[str, ...]
    expected_hash: str
    actual_hash: str
    problem: str = ""

    @property
    def ok(self) -> bool:
        return not self.problem and self.expected_hash == self.actual_hash and not (self.missing or self.extra or self.changed)


@dataclass(frozen=True, slots=True)
class Comparison:
    """All tables of one instance. ``ledger``: number → era of the transactions it holds."""

    tables: tuple[TableProof, ...]
    ledger: Mapping[int, int] = field(repr=False)

    @property
    def ok(self) -> bool:
        return all(table.ok for table in self.tables)

    def first_wrong(self) -> str:
        """One sentence on the first table that differs; '' when all are right."""
        for table in self.tables:
            if not table.ok:
                said = f"{table.missing} rows missing, {table.extra} too many, {table.changed} changed"
                return f"{table.table}: {table.problem or said} (such as {', '.join(table.examples) or 'none'})"
        return ""


def compare(connection: Any, seed: int, writers: int) -> Comparison:
    """Read every row of the instance behind ``connection`` (psycopg), in one snapshot. A table that is gone is a finding, not an error."""
    import psycopg

    with connection.transaction():
        connection.execute("set transaction isolation level repeatable read, read only")
        try:
            with connection.transaction():
                ledger = read_ledger(connection)
            model = expected(ledger, seed, writers)
        except (psycopg.errors.UndefinedTable, LedgerGap) as error:
            return Comparison((_broken("ledger", str(error).partition("\n")[0]),), {})
        return Comparison((_ledger_proof(ledger), *(_table(connection, name, model) for name in TABLES)), ledger)


def _table(connection: Any, name: str, model: Expected) -> TableProof:
    import psycopg

    wanted = model.tables[name]
    try:
        with connection.transaction():
            rows = [tuple(row) for row in connection.execute(TABLES[name]).fetchall()]
    except psycopg.errors.UndefinedTable:
        return _broken(name, f"the table {name} does not exist", len(wanted))
    return judge(name, wanted, rows)


def judge(name: str, wanted: Mapping[Row, Row], rows: list[Row]) -> TableProof:
    """Pure: the rows read against the rows wanted."""
    width = KEYS[name]
    found = {row[:width]: row for row in rows}
    missing = sorted(key for key in wanted if key not in found)
    extra = sorted(key for key in found if key not in wanted)
    changed = sorted(key for key, row in found.items() if key in wanted and wanted[key] != row)
    examples = tuple(
        f"{what} {'/'.join(map(str, keys[0]))}" for what, keys in (("missing", missing), ("extra", extra), ("changed", changed)) if keys
    )
    # Rows read twice would hide in the dictionary.
    double = len(rows) - len(found)
    return TableProof(
        name,
        len(wanted),
        len(rows),
        len(missing),
        len(extra) + double,
        len(changed),
        examples,
        _hash([wanted[key] for key in sorted(wanted)]),
        _hash(sorted(rows, key=lambda row: row[:width])),
    )


def _ledger_proof(ledger: Mapping[int, int]) -> TableProof:
    """The ledger is the measure itself; that it has no gaps was checked before."""
    digest = _hash(sorted(ledger.items()))
    return TableProof("ledger", len(ledger), len(ledger), 0, 0, 0, (), digest, digest)


def _broken(name: str, problem: str, wanted: int = 0) -> TableProof:
    return TableProof(name, wanted, 0, wanted, 0, 0, (), "", "", problem)


def _hash(rows: list[Any]) -> str:
    digest = hashlib.sha256()
    for row in rows:
        digest.update(repr(tuple(row)).encode() + b"\n")
    return digest.hexdigest()
