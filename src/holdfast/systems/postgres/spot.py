"""A small table that a person gets back by hand."""

import random
from typing import Any

from holdfast.systems.contract import NothingSmall
from holdfast.systems.postgres.digest import SESSION, Table, literal, tables

LARGEST = 16 << 20


def candidates(session: Any, database: str) -> list[tuple[Table, int]]:
    """Tables of at most 16 MiB that have rows, with their sizes in bytes."""
    found = []
    for table in tables(session, database):
        size = int(session.execute("select pg_catalog.pg_relation_size(%s::oid)", (table.oid,)).fetchone()[0] or 0)
        if 0 < size <= LARGEST and session.execute(f"select exists (select from only {table.quoted})").fetchone()[0]:  # noqa: S608 - quoted
            found.append((table, size))
    return found


def choose(found: list[tuple[Table, int]], draw: random.Random) -> tuple[Table, int]:
    """Raises NothingSmall."""
    if not found:
        raise NothingSmall("No table of at most 16 MiB has rows.", hint="Restore something larger, and record it by a note.")
    return draw.choice(sorted(found, key=lambda one: one[0].name))


def question(quoted: str, nonce: str) -> str:
    """The hash over all rows in the order of their texts, behind the nonce."""
    rows = f"""string_agg(r, E'\\n' order by r) from (select (t.*)::text collate "C" as r from only {quoted} t) s"""  # noqa: S608 - quoted
    return f"select encode(sha256(convert_to({literal(nonce)} || (select {rows}), 'UTF8')), 'hex')"


def typed(quoted: str, nonce: str) -> tuple[str, ...]:
    """The same as a person types it in psql."""
    return (SESSION.strip() + ";", question(quoted, nonce) + ";")
