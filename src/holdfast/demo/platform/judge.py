"""Is what came back right? Judged by what was kept outside the platform: acknowledged orders, sentinels, a tree's hash."""

import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from holdfast.demo.ledger import Acknowledged, Comparison, compare, work
from holdfast.demo.platform.app.export import EVERY_FIFTH, Table, receipt
from holdfast.demo.platform.production import SEED, SENTINELS, WRITERS
from holdfast.evidence.drilled import Check, Flow

SETTINGS = "select current_setting('archive_mode'), current_setting('primary_conninfo'), current_setting('listen_addresses')"
STRUCTURE, SENTINEL, CONTENT = "structure", "sentinel", "content"


@dataclass(frozen=True, slots=True)
class Known:
    """What is known outside the platform. ``tree``: hash of the files' tree at the backup."""

    nonce: str
    acknowledged: Sequence[Acknowledged]
    tree: str


@dataclass(frozen=True, slots=True)
class Places:
    """Where the four systems came back to; ``connection`` leads to the database."""

    connection: str
    lake: Path
    bucket: Path
    app: Path


@dataclass(frozen=True, slots=True)
class Judged:
    """``lost``: acknowledged orders that did not come back; times ISO 8601, of acknowledgements."""

    checks: Sequence[Check]
    flows: Sequence[Flow]
    lost: int
    lost_seconds: float
    newest_committed: str
    newest_recovered: str
    isolation: Sequence[Mapping[str, Any]]

    @property
    def ok(self) -> bool:
        """Every check passed, no flow is broken, the copy is kept to itself."""
        checked = all(one.state == "passed" for one in self.checks) and all(one.state == "closed" for one in self.flows)
        return checked and all(one["expected"] == one["actual"] for one in self.isolation)


def judge(places: Places, known: Known, carried: int) -> Judged:
    """``carried``: orders that were carried into the lake again after the restore."""
    import psycopg

    with psycopg.connect(places.connection, autocommit=True) as connection:
        comparison = compare(connection, SEED, WRITERS)
        sentinel = _row(connection, "select count(*) from sentinels where nonce = %s", (known.nonce,))[0]
        broken = _row(connection, "select count(*) from pg_index where not indisvalid")[0]
        settings = _row(connection, SETTINGS)
    checks = [
        _equal("orders-db", STRUCTURE, "no index is invalid", 0, broken),
        _equal("orders-db", SENTINEL, "the sentinel of this drill came back", 1, sentinel),
        *_tables(comparison),
        *_lake(places.lake, comparison.ledger, known.nonce),
        *_bucket(places.bucket, comparison.ledger, known.nonce),
        *_files(places.app, known),
    ]
    came_back = [one for one in known.acknowledged if one.number in comparison.ledger]
    newest = max((one.acked for one in known.acknowledged), default=None)
    recovered = max((one.acked for one in came_back), default=None)
    return Judged(
        checks,
        _flows(places, comparison.ledger, carried),
        len(known.acknowledged) - len(came_back),
        (newest - recovered).total_seconds() if newest and recovered else float("inf"),
        newest.isoformat() if newest else "",
        recovered.isoformat() if recovered else "",
        [
            {"name": "the restored database archives nowhere", "expected": "off", "actual": settings[0]},
            {"name": "it follows no other server", "expected": "", "actual": settings[1]},
            {"name": "it listens on this machine only", "expected": "127.0.0.1", "actual": settings[2] or "127.0.0.1"},
        ],
    )


def _equal(system: str, kind: str, name: str, expected: Any, actual: Any, detail: str = "") -> Check:
    same = bool(expected == actual)
    return Check(name, kind, "passed" if same else "failed", expected, actual, detail or ("equal" if same else "differs"), system=system)


def _tables(comparison: Comparison) -> list[Check]:
    """Every row of every table against what the ledger in it says; the ledger itself was compared with the acknowledgements."""
    return [
        Check(
            f"every row of {one.table}",
            CONTENT,
            "passed" if one.ok else "failed",
            {"rows": one.expected, "sha256": one.expected_hash},
            {"rows": one.actual, "sha256": one.actual_hash},
            one.problem or f"{one.missing} missing, {one.extra} too many, {one.changed} changed",
            system="orders-db",
        )
        for one in comparison.tables
    ]


def _orders(ledger: Mapping[int, int]) -> list[tuple[int, int, int]]:
    made = (work(SEED, era, number, WRITERS).order for number, era in ledger.items())
    return sorted((order.number, order.customer, order.cents) for order in made)


def _lake(folder: Path, ledger: Mapping[int, int], nonce: str) -> list[Check]:
    """After what the database has and the lake had not was carried again: each order once, none that the database does not know."""
    expected, actual = _orders(ledger), Table(folder / "orders").rows()
    twice = len(actual) - len(set(actual))
    nonces = [row[0] for row in Table(folder / "sentinels", SENTINELS).rows()]
    return [
        _equal("lake", SENTINEL, "the sentinel of this drill came back", 1, nonces.count(nonce)),
        _equal(
            "lake",
            CONTENT,
            "every order once, as the database has it",
            {"rows": len(expected), "sha256": _hash(expected)},
            {"rows": len(actual), "sha256": _hash(actual)},
            f"{len(set(expected) - set(actual))} missing, {len(set(actual) - set(expected))} unknown, {twice} twice",
        ),
    ]


def _bucket(folder: Path, ledger: Mapping[int, int], nonce: str) -> list[Check]:
    expected = {f"{row[0]:08d}.json": receipt(*row) for row in _orders(ledger) if row[0] % EVERY_FIFTH == 0}
    actual = {path.name: path.read_bytes() for path in (folder / "receipts").iterdir()}
    wrong = sorted(name for name in expected.keys() | actual.keys() if expected.get(name) != actual.get(name))
    return [
        _equal("raw", SENTINEL, "the sentinel of this drill came back", True, (folder / "sentinels" / nonce).is_file()),
        _equal(
            "raw",
            CONTENT,
            "a receipt for every fifth order, as it was written",
            {"objects": len(expected), "sha256": _hash(sorted(expected.items()))},
            {"objects": len(actual), "sha256": _hash(sorted(actual.items()))},
            f"{len(wrong)} differ{': ' + wrong[0] if wrong else ''}",
        ),
    ]


def _files(folder: Path, known: Known) -> list[Check]:
    return [
        _equal("app", SENTINEL, "the sentinel of this drill came back", True, (folder / "sentinels" / known.nonce).is_file()),
        _equal("app", CONTENT, "names, modes, links and content of every file", known.tree, tree(folder)),
    ]


def _flows(places: Places, ledger: Mapping[int, int], carried: int) -> list[Flow]:
    """Where the lake's own record of how far it was fed lies in the restored source."""
    newest = {writer: max((number for number in ledger if number % WRITERS == writer), default=-1) for writer in range(WRITERS)}
    ahead = [f"export-{writer}" for writer, mark in Table(places.lake / "orders").marks().items() if mark > newest[writer]]
    state: Literal["broken", "closed"] = "broken" if ahead else "closed"
    said = f"ahead of the source: {', '.join(ahead)}"
    again = f"{carried} orders that the source had and the table had not were carried again"
    receipts = "receipts follow the table's positions; missing ones were written again"
    return [
        Flow("orders-db", "lake/orders", state, carried, said if ahead else again),
        Flow("orders-db", "raw/receipts", state, 0, said if ahead else receipts),
    ]


def tree(folder: Path) -> str:
    """SHA-256 over every entry's path, type, mode and content below ``folder``."""
    digest = hashlib.sha256()
    for root, names, files in os.walk(folder):
        names.sort()
        for name in sorted((*names, *files)):
            path = Path(root, name)
            status = path.lstat()
            content = str(path.readlink()).encode() if path.is_symlink() else path.read_bytes() if path.is_file() else b""
            digest.update(f"{path.relative_to(folder)}\0{status.st_mode:o}\0{hashlib.sha256(content).hexdigest()}\n".encode())
    return digest.hexdigest()


def _hash(rows: Any) -> str:
    return hashlib.sha256(repr(rows).encode()).hexdigest()


def _row(connection: Any, query: str, values: tuple[Any, ...] = ()) -> Any:
    return connection.execute(query, values).fetchone()
