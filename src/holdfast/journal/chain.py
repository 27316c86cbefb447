"""Is a chain whole? Checks that only read."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from holdfast.journal.record import Record, origin, parse


@dataclass(frozen=True, slots=True)
class Problem:
    """``kind``: edited, reordered (or out of place), cut, torn, foreign, differs. ``n``: the first entry that is not believed."""

    kind: str
    chain: str
    n: int
    text: str


def check(tag: str, lines: Iterable[bytes], *, head: tuple[int, str] | None = None) -> tuple[list[Record], list[Problem]]:
    """The entries of a chain up to the first problem, and that problem.

    ``head`` is the newest known (number, hash), from a place other than the lines: without it a chain cut at its end looks whole.
    """
    records: list[Record] = []
    for line in lines:
        n = len(records)
        if not line.endswith(b"\n"):
            return records, [Problem("torn", tag, n, f"entry {n} is torn: {len(line)} bytes without an end")]
        try:
            record = parse(line)
        except ValueError as error:
            return records, [Problem("edited", tag, n, f"entry {n} was changed: {error}")]
        if record.n != n:
            return records, [Problem("reordered", tag, n, f"entry {record.n} stands where entry {n} belongs")]
        if record.prev != (records[-1].hash if records else origin(tag)):
            where = f"entry {n - 1}" if n else f"the chain {tag}"
            return records, [Problem("foreign", tag, n, f"entry {n} does not continue {where}")]
        records.append(record)
    if head is not None:
        n, digest = head
        if n >= len(records):
            missing = n + 1 - len(records)
            return records, [Problem("cut", tag, len(records), f"{missing} entries are missing at the end: {n} was written")]
        if records[n].hash != digest:
            return records[:n], [Problem("edited", tag, n, f"entry {n} is not the one that was written: the chain was forged anew")]
    return records, []


def compare(tag: str, records: Iterable[Record], copies: Mapping[int, bytes]) -> list[Problem]:
    """Local entries against the copies in a location (number → stored line): both were written once and must be equal."""
    mine = {record.n: record.line for record in records}
    problems = [
        Problem("differs", tag, n, f"entry {n} differs from its copy")
        for n, line in sorted(copies.items())
        if n in mine and mine[n] != line
    ]
    problems += [Problem("cut", tag, n, f"entry {n} has a copy but is gone here") for n in sorted(copies) if n not in mine][:1]
    return problems
