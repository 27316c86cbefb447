"""What transaction ``number`` does, as a pure function of the seed, the era and the number.

Writer w of W owns the numbers w, w + W, w + 2 W, … and does them one after the other, and a transaction touches only orders of its own
writer. So the content of every table follows from *which* numbers committed, in whatever order the writers' transactions fell. An *era*
is one life of the service (a promoted standby begins a new one): the same number done again in another era has other content, so that
data of an abandoned history cannot pass for the right one.
"""

import hashlib
from dataclasses import dataclass

CUSTOMERS = 200
PAY_AFTER = 2
"""An order is paid by its writer's second next transaction."""
VOID_EVERY, VOID_AFTER = 7, 5
"""Every seventh transaction of a writer voids the order made five transactions before: its lines are deleted."""
LONG_NOTE_EVERY = 40


@dataclass(frozen=True, slots=True)
class Order:
    """``cents``: sum of the lines. ``lines``: (sku, quantity, price of one in cents)."""

    number: int
    customer: int
    cents: int
    note: str
    lines: tuple[tuple[str, int, int], ...]


@dataclass(frozen=True, slots=True)
class Work:
    """One transaction: place ``order``; mark ``pays`` as paid; void ``voids`` (numbers of earlier orders of the same writer, or None)."""

    order: Order
    pays: int | None
    voids: int | None


def work(seed: int, era: int, number: int, writers: int) -> Work:
    """Deterministic, and cheap: one SHA-256 and a few integers."""
    digest = hashlib.sha256(f"{seed}/{era}/{number}".encode()).digest()
    lines = tuple(
        (f"sku-{int.from_bytes(digest[4 + 4 * n : 6 + 4 * n], 'big') % 5000:04d}", 1 + digest[6 + 4 * n] % 5, 100 + 37 * digest[7 + 4 * n])
        for n in range(1 + digest[2] % 3)
    )
    words = digest.hex()
    # Now and then a note that is stored out of line.
    note = words * 200 if number % LONG_NOTE_EVERY == 7 else words[: 8 + digest[3] % 40]
    order = Order(number, int.from_bytes(digest[:2], "big") % CUSTOMERS, sum(q * price for _, q, price in lines), note, lines)
    turn = number // writers
    pays = number - PAY_AFTER * writers if turn >= PAY_AFTER else None
    voids = number - VOID_AFTER * writers if turn >= VOID_AFTER and turn % VOID_EVERY == 0 else None
    return Work(order, pays, voids)
