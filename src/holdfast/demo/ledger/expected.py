"""The content that every table must have, recomputed from the ledger alone."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from holdfast.demo.ledger.content import CUSTOMERS, work
from holdfast.errors import FoundWrong

Row = tuple[Any, ...]


class LedgerGap(FoundWrong):
    """The ledger itself is not a state that ever was: a later transaction of a writer is there, an earlier one is not."""

    code = "ledger-gap"


@dataclass(frozen=True, slots=True)
class Expected:
    """Rows by table, each by its key (the leading columns)."""

    tables: Mapping[str, Mapping[Row, Row]]


def expected(ledger: Mapping[int, int], seed: int, writers: int) -> Expected:
    """Every table's rows after the committed transactions of ``ledger`` (number → era).

    Raises LedgerGap when they are not, for each writer, its first ones without a gap.
    """
    check_gaps(ledger, writers)
    customers: dict[Row, list[Any]] = {(n,): [n, f"customer-{n}", 0, 0] for n in range(CUSTOMERS)}
    orders: dict[Row, list[Any]] = {}
    lines: dict[Row, Row] = {}
    # A transaction touches older numbers of its own writer only, so ascending order is an order in which it could have happened.
    for number in sorted(ledger):
        done = work(seed, ledger[number], number, writers)
        order = done.order
        orders[number,] = [number, order.customer, order.cents, "open", None, order.note]
        for at, (sku, quantity, price) in enumerate(order.lines):
            lines[number, at] = (number, at, sku, quantity, price)
        customers[order.customer,][2] += 1
        customers[order.customer,][3] += order.cents
        if done.pays is not None:
            orders[done.pays,][3:5] = ["paid", number]
        if done.voids is not None:
            orders[done.voids,][3:5] = ["void", number]
            for at in range(len(work(seed, ledger[done.voids], done.voids, writers).order.lines)):
                del lines[done.voids, at]
    return Expected(
        {
            "customers": {key: tuple(row) for key, row in customers.items()},
            "orders": {key: tuple(row) for key, row in orders.items()},
            "lines": lines,
        }
    )


def check_gaps(ledger: Mapping[int, int], writers: int) -> None:
    """Every writer's numbers are its first ones, and eras never go back along them."""
    newest: dict[int, tuple[int, int]] = {}
    for number in sorted(ledger):
        writer = number % writers
        before, era = newest.get(writer, (writer - writers, 0))
        if number != before + writers:
            raise LedgerGap(f"Transaction {before + writers} is missing although its writer's later {number} is there.", writer=writer)
        if ledger[number] < era:
            raise LedgerGap(f"Transaction {number} is of era {ledger[number]} although its writer was in era {era} before.", writer=writer)
        newest[writer] = (number, ledger[number])
