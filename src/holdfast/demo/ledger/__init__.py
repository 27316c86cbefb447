"""Orders whose every row can be recomputed: a workload that knows what a restored database must hold."""

from holdfast.demo.ledger.compare import Comparison, TableProof, compare
from holdfast.demo.ledger.content import Order, Work, work
from holdfast.demo.ledger.expected import Expected, LedgerGap, expected
from holdfast.demo.ledger.load import Acknowledged, Load
from holdfast.demo.ledger.tables import SCHEMA, TABLES, create, damage_rows, read_ledger

__all__ = [
    "SCHEMA",
    "TABLES",
    "Acknowledged",
    "Comparison",
    "Expected",
    "LedgerGap",
    "Load",
    "Order",
    "TableProof",
    "Work",
    "compare",
    "create",
    "damage_rows",
    "expected",
    "read_ledger",
    "work",
]
