"""The shop's tables, and the ledger beside them."""

from typing import Any

from holdfast.demo.ledger.content import CUSTOMERS

SCHEMA = """
create table customers (id integer primary key, name text not null, orders bigint not null default 0, cents bigint not null default 0);
create table orders (
    id bigint primary key, customer integer not null references customers, cents bigint not null, status text not null,
    settled_by bigint, note text not null
);
create index on orders (status);
create table lines (
    order_id bigint not null references orders, line_no integer not null, sku text not null, quantity integer not null,
    price bigint not null, primary key (order_id, line_no)
);
create table ledger (
    number bigint primary key, era integer not null, xid xid8 not null default pg_current_xact_id(),
    at timestamptz not null default clock_timestamp()
);
insert into customers select i, 'customer-' || i from generate_series(0, $last) as i;
""".replace("$last", str(CUSTOMERS - 1))

TABLES = {
    "customers": "select id, name, orders, cents from customers order by id",
    "orders": "select id, customer, cents, status, settled_by, note from orders order by id",
    "lines": "select order_id, line_no, sku, quantity, price from lines order by order_id, line_no",
}
"""Full content of each table, keyed by its first columns, in order."""

KEYS = {"customers": 1, "orders": 1, "lines": 2}
"""How many leading columns identify a row."""


def create(connection: Any) -> None:
    """Make the tables in an empty database (a psycopg connection)."""
    connection.execute(SCHEMA)
    if not connection.autocommit:
        connection.commit()


def read_ledger(connection: Any) -> dict[int, int]:
    """Every transaction that the instance holds: number → era."""
    return dict(connection.execute("select number, era from ledger order by number").fetchall())


def damage_rows(connection: Any) -> tuple[int, int]:
    """(paid orders, all orders): what the wrong UPDATE of the demonstration is about."""
    paid, every = connection.execute("select count(*) filter (where status = 'paid'), count(*) from orders").fetchone()
    return int(paid), int(every)
