"""Is what came back right? Judged by what was kept outside the platform: acknowledged orders, sentinels, a tree's hash."""

import hashlib
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from holdfast.demo.ledger import Acknowledged, Comparison, compare, work
from holdfast.demo.platform.app.export import EVERY_FIFTH, Table, receipt
from holdfast.demo.platform.losses import Entry, Loss, listing, of_files, of_orders
from holdfast.demo.platform.production import SEED, SENTINELS, WRITERS
from holdfast.evidence.drilled import Check, Flow
from holdfast.model import Clock

SETTINGS = "select current_setting('archive_mode'), current_setting('primary_conninfo'), current_setting('listen_addresses')"
STRUCTURE, SENTINEL, CONTENT = "structure", "sentinel", "content"
SENTINEL_BACK = "the sentinel of this drill came back"


@dataclass(frozen=True, slots=True)
class Known:
    """What is known outside the platform. ``tree``: hash of the files' tree at the backup; ``files``: what stood there just before the
    disaster.
    """

    nonce: str
    acknowledged: Sequence[Acknowledged]
    tree: str
    files: Mapping[str, Entry] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Places:
    """Where the four systems came back to; ``connection`` leads to the database."""

    connection: str
    lake: Path
    bucket: Path
    app: Path


@dataclass(frozen=True, slots=True)
class Judged:
    """``lost``: acknowledged orders that did not come back; times ISO 8601, of acknowledgements. By system ``losses``: what each lacks, and
    ``validated``: the monotonic moment at which its last check was done.
    """

    checks: Sequence[Check]
    flows: Sequence[Flow]
    lost: int
    lost_seconds: float
    newest_committed: str
    newest_recovered: str
    isolation: Sequence[Mapping[str, Any]]
    losses: Mapping[str, Loss]
    validated: Mapping[str, float]

    @property
    def ok(self) -> bool:
        """Every check passed, no flow is broken, the copy is kept to itself."""
        checked = all(one.state == "passed" for one in self.checks) and all(one.state == "closed" for one in self.flows)
        return checked and all(one["expected"] == one["actual"] for one in self.isolation)


def judge(places: Places, known: Known, carried: int, receipts: int, clock: Clock) -> Judged:
    """``carried``: orders that were carried into the lake again after the restore; ``receipts``: those that were written again."""
    import psycopg

    lap = _laps(clock)
    checks: list[Check] = []
    validated: dict[str, float] = {}

    def done(system: str, *found: Check) -> None:
        checks.extend(found)
        validated[system] = clock.monotonic()

    with psycopg.connect(places.connection, autocommit=True) as connection:
        settings = _row(connection, SETTINGS)
        lap()
        broken = _row(connection, "select count(*) from pg_index where not indisvalid")[0]
        whole = _equal("orders-db", STRUCTURE, "no index is invalid", 0, broken, seconds=lap())
        sentinel = _row(connection, "select count(*) from sentinels where nonce = %s", (known.nonce,))[0]
        marked = _equal("orders-db", SENTINEL, SENTINEL_BACK, 1, sentinel, seconds=lap())
        comparison = compare(connection, SEED, WRITERS)
        done("orders-db", whole, marked, *_tables(comparison, lap()))
    done("lake", *_lake(places.lake, comparison.ledger, known.nonce, lap))
    done("raw", *_bucket(places.bucket, comparison.ledger, known.nonce, lap))
    done("app", *_files(places.app, known, lap))
    came_back = [one for one in known.acknowledged if one.number in comparison.ledger]
    newest = max((one.acked for one in known.acknowledged), default=None)
    recovered = max((one.acked for one in came_back), default=None)
    return Judged(
        checks,
        _flows(places, comparison.ledger, carried, receipts),
        len(known.acknowledged) - len(came_back),
        (newest - recovered).total_seconds() if newest and recovered else float("inf"),
        newest.isoformat() if newest else "",
        recovered.isoformat() if recovered else "",
        [
            {"name": "the restored database archives nowhere", "expected": "off", "actual": settings[0]},
            {"name": "it follows no other server", "expected": "", "actual": settings[1]},
            _listens(settings[2]),
        ],
        _losses(places, known, set(comparison.ledger)),
        validated,
    )


def _listens(said: str) -> dict[str, Any]:
    """As the server says it. A server that is reached by its Unix socket alone says nothing."""
    name = "it listens on this machine only (listen_addresses; empty: its Unix socket alone)"
    return {"name": name, "expected": said if said in ("", "127.0.0.1") else "", "actual": said}


def _losses(places: Places, known: Known, ledger: set[int]) -> dict[str, Loss]:
    """What each system lacks of what was acknowledged, looked for in that system itself."""
    fifth = [one for one in known.acknowledged if one.number % EVERY_FIFTH == 0]
    lake = {int(row[0]) for row in Table(places.lake / "orders").rows()}
    receipts = {int(path.stem) for path in (places.bucket / "receipts").iterdir() if path.stem.isdigit()}
    fed = "after the database's were carried there again"
    return {
        "orders-db": of_orders(known.acknowledged, ledger, "in the restored ledger"),
        "lake": of_orders(known.acknowledged, lake, f"in the restored table, {fed}"),
        "raw": of_orders(fifth, receipts, f"in the restored bucket (every fifth has a receipt), {fed}"),
        "app": of_files(known.files, listing(places.app)),
    }


def _laps(clock: Clock) -> Callable[[], float]:
    """Seconds since the call before."""
    at = clock.monotonic()

    def lap() -> float:
        nonlocal at
        before, at = at, clock.monotonic()
        return round(at - before, 6)

    return lap


def _equal(system: str, kind: str, name: str, expected: Any, actual: Any, detail: str = "", *, seconds: float) -> Check:
    same = bool(expected == actual)
    said = detail or ("equal" if same else "differs")
    return Check(name, kind, "passed" if same else "failed", expected, actual, said, seconds, system)


def _tables(comparison: Comparison, seconds: float) -> list[Check]:
    """Every row of every table against what the ledger in it says; the ledger itself was compared with the acknowledgements.

    ``seconds``: of the one pass that compares all tables, which is what each of them took.
    """
    return [
        Check(
            f"every row of {one.table}",
            CONTENT,
            "passed" if one.ok else "failed",
            {"rows": one.expected, "sha256": one.expected_hash},
            {"rows": one.actual, "sha256": one.actual_hash},
            one.problem
            or f"{one.missing} missing, {one.extra} too many, {one.changed} changed; {len(comparison.tables)} tables in one pass",
            seconds,
            "orders-db",
        )
        for one in comparison.tables
    ]


def _orders(ledger: Mapping[int, int]) -> list[tuple[int, int, int]]:
    made = (work(SEED, era, number, WRITERS).order for number, era in ledger.items())
    return sorted((order.number, order.customer, order.cents) for order in made)


def _lake(folder: Path, ledger: Mapping[int, int], nonce: str, lap: Callable[[], float]) -> list[Check]:
    """After what the database has and the lake had not was carried again: each order once, none that the database does not know."""
    nonces = [row[0] for row in Table(folder / "sentinels", SENTINELS).rows()]
    marked = _equal("lake", SENTINEL, SENTINEL_BACK, 1, nonces.count(nonce), seconds=lap())
    expected, actual = _orders(ledger), Table(folder / "orders").rows()
    twice = len(actual) - len(set(actual))
    return [
        marked,
        _equal(
            "lake",
            CONTENT,
            "every order once, as the database has it",
            {"rows": len(expected), "sha256": _hash(expected)},
            {"rows": len(actual), "sha256": _hash(actual)},
            f"{len(set(expected) - set(actual))} missing, {len(set(actual) - set(expected))} unknown, {twice} twice",
            seconds=lap(),
        ),
    ]


def _bucket(folder: Path, ledger: Mapping[int, int], nonce: str, lap: Callable[[], float]) -> list[Check]:
    marked = _equal("raw", SENTINEL, SENTINEL_BACK, True, (folder / "sentinels" / nonce).is_file(), seconds=lap())
    expected = {f"{row[0]:08d}.json": receipt(*row) for row in _orders(ledger) if row[0] % EVERY_FIFTH == 0}
    actual = {path.name: path.read_bytes() for path in (folder / "receipts").iterdir()}
    wrong = sorted(name for name in expected.keys() | actual.keys() if expected.get(name) != actual.get(name))
    return [
        marked,
        _equal(
            "raw",
            CONTENT,
            "a receipt for every fifth order, as it was written",
            {"objects": len(expected), "sha256": _hash(sorted(expected.items()))},
            {"objects": len(actual), "sha256": _hash(sorted(actual.items()))},
            f"{len(wrong)} differ{': ' + wrong[0] if wrong else ''}",
            seconds=lap(),
        ),
    ]


def _files(folder: Path, known: Known, lap: Callable[[], float]) -> list[Check]:
    return [
        _equal("app", SENTINEL, SENTINEL_BACK, True, (folder / "sentinels" / known.nonce).is_file(), seconds=lap()),
        _equal("app", CONTENT, "names, modes, links and content of every file", known.tree, tree(folder), seconds=lap()),
    ]


def _flows(places: Places, ledger: Mapping[int, int], carried: int, receipts: int) -> list[Flow]:
    """Where the lake's own record of how far it was fed lies in the restored source."""
    newest = {writer: max((number for number in ledger if number % WRITERS == writer), default=-1) for writer in range(WRITERS)}
    ahead = [f"export-{writer}" for writer, mark in Table(places.lake / "orders").marks().items() if mark > newest[writer]]
    state: Literal["broken", "closed"] = "broken" if ahead else "closed"
    said = f"ahead of the source: {', '.join(ahead)}"
    again = f"{carried} orders that the source had and the table had not were carried again"
    anew = f"receipts follow the table's positions; {receipts} that were missing were written again"
    return [
        Flow("orders-db", "lake/orders", state, carried, said if ahead else again),
        Flow("orders-db", "raw/receipts", state, receipts, said if ahead else anew),
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
