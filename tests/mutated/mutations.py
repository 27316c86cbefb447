"""What can be wrong with a backup. Each takes a case and draws what it does; ``by``: the instruments that may rightly find it first."""

import contextlib
import os
import random
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import blake3

from tests.mutated.judge import Finding, judge
from tests.mutated.stage import ROWS, Case

VAULT = ("opening the vault", "vault check")


@dataclass(frozen=True)
class Mutation:
    """``run`` spoils a case and lets everything look at it."""

    name: str
    kinds: tuple[str, ...]
    by: tuple[str, ...]
    run: Callable[[Case, random.Random], Finding]


def _stored(name: str, by: tuple[str, ...] = VAULT, kinds: tuple[str, ...] = ("postgres", "files", "bucket", "delta")) -> Any:
    """Of the objects in the vault, by whoever can write there."""

    def made(spoil: Callable[[Case, random.Random], None]) -> Mutation:
        def run(case: Case, draw: random.Random) -> Finding:
            spoil(case, draw)
            return judge(case)

        ALL.append(Mutation(name, kinds, by, run))
        return ALL[-1]

    return made


ALL: list[Mutation] = []


def some(
    case: Case, draw: random.Random, prefixes: tuple[str, ...] = ("packs/", "index/", "points/", "logs/"), least: int = 1
) -> list[Path]:
    """Objects of one kind, of which there are at least ``least``."""
    kinds = [found for prefix in prefixes if len(found := case.objects(prefix)) >= least]
    return draw.choice(kinds)


def write(path: Path, data: bytes) -> None:
    path.chmod(0o600)
    path.write_bytes(data)


# ---------------------------------------------------------------- bytes


@_stored("a byte flipped")
def flipped(case: Case, draw: random.Random) -> None:
    path = draw.choice(some(case, draw))
    data = bytearray(path.read_bytes())
    data[draw.randrange(len(data))] ^= 1 << draw.randrange(8)
    write(path, bytes(data))


@_stored("an object truncated")
def truncated(case: Case, draw: random.Random) -> None:
    path = draw.choice(some(case, draw))
    data = path.read_bytes()
    write(path, data[: draw.randrange(len(data))])


@_stored("a stretch of zeros in an object")
def zeroed(case: Case, draw: random.Random) -> None:
    path = draw.choice(some(case, draw))
    data = bytearray(path.read_bytes())
    start = draw.randrange(max(1, len(data) - 16))
    length = draw.randrange(16, 4097)
    before = bytes(data[start : start + length])
    data[start : start + length] = bytes(len(before)) if any(before) else b"\1" * len(before)
    write(path, bytes(data))


@_stored("bytes added behind an object")
def longer(case: Case, draw: random.Random) -> None:
    path = draw.choice(some(case, draw))
    write(path, path.read_bytes() + draw.randbytes(draw.randrange(1, 100)))


# ---------------------------------------------------------------- whole objects


@_stored("two packs exchanged")
def packs_exchanged(case: Case, draw: random.Random) -> None:
    exchange(*draw.sample(case.objects("packs/"), 2))


@_stored("two points exchanged")
def points_exchanged(case: Case, draw: random.Random) -> None:
    exchange(*draw.sample(case.objects("points/"), 2))


@_stored("two indexes exchanged")
def indexes_exchanged(case: Case, draw: random.Random) -> None:
    exchange(*draw.sample(case.objects("index/"), 2))


@_stored("an older point under the newest's name")
def replayed_point(case: Case, draw: random.Random) -> None:
    older, newest = sorted(case.objects("points/"), key=lambda path: path.stat().st_mtime_ns)[:: 2 if draw.random() < 0.5 else 1][-2:]
    write(newest, older.read_bytes())


@_stored("an older pack under a newer one's name")
def replayed_pack(case: Case, draw: random.Random) -> None:
    packs = sorted(case.objects("packs/"), key=lambda path: path.stat().st_mtime_ns)
    newer = draw.randrange(1, len(packs))
    write(packs[newer], packs[draw.randrange(newer)].read_bytes())


@_stored("a pack removed")
def pack_removed(case: Case, draw: random.Random) -> None:
    draw.choice(case.objects("packs/")).unlink()


@_stored("an index removed", by=(*VAULT, "restore"))
def index_removed(case: Case, draw: random.Random) -> None:
    draw.choice(case.objects("index/")).unlink()


@_stored("the newest point removed", by=(*VAULT, "fresh"))
def newest_removed(case: Case, draw: random.Random) -> None:
    del draw
    max(case.objects("points/"), key=lambda path: path.name).unlink()


@_stored("a vault of an earlier day presented as the present one", by=("fresh",))
def stale(case: Case, draw: random.Random) -> None:
    day = draw.randrange(1, 3)
    shutil.rmtree(case.vault)
    shutil.copytree(case.stage.folder / f"day{day}", case.vault)


def exchange(one: Path, other: Path) -> None:
    left, right = one.read_bytes(), other.read_bytes()
    assert left != right
    write(one, right)
    write(other, left)


# ---------------------------------------------------------------- the log


@_stored("two increments of the log exchanged", kinds=("postgres",), by=(*VAULT, "restore"))
def reordered(case: Case, draw: random.Random) -> None:
    exchange(*draw.sample(_increments(case), 2))


@_stored("an increment in the middle of the log removed", kinds=("postgres",), by=(*VAULT, "restore", "fresh"))
def gap(case: Case, draw: random.Random) -> None:
    draw.choice(_increments(case)[1:-1]).unlink()


@_stored("the newest increments of the log removed", kinds=("postgres",), by=(*VAULT, "fresh"))
def log_cut(case: Case, draw: random.Random) -> None:
    for path in _increments(case)[-draw.randrange(1, 4) :]:
        path.unlink()


def _increments(case: Case) -> list[Path]:
    return [path for path in case.objects("logs/") if path.stat().st_size > 400]


# ---------------------------------------------------------------- sealed: the vault is valid, what it holds is not


class Poison:
    """Changes content between reading and hashing, as a faulty or a hostile program on the source's machine would: whatever the vault seals
    is the poisoned one. ``pages``: of PostgreSQL, whose checksum is set right again.
    """

    def __init__(self, mark: bytes, poison: Callable[[bytearray, int], None], *, pages: bool = False) -> None:
        self._mark, self._poison, self._pages, self.done = mark, poison, pages, 0

    def blake3(self, data: Any = b"", **given: Any) -> Any:
        if self._mark and not self.done and isinstance(data, memoryview) and not data.readonly:
            held = bytearray(data)
            at = held.find(self._mark)
            if at >= 0:
                self._apply(held, at)
                data[:] = held
                self.done += 1
        return blake3.blake3(data, **given)

    def _apply(self, held: bytearray, at: int) -> None:
        if not self._pages:
            self._poison(held, at)
            return
        from holdfast.systems.postgres.pages.sums import page_sum

        start = at // 8192 * 8192
        page = held[start : start + 8192]
        stored = int.from_bytes(page[8:10], "little")
        block = next(number for number in range(4096) if page_sum(page, number) == stored)
        self._poison(page, at - start)
        page[8:10] = page_sum(page, block).to_bytes(2, "little")
        held[start : start + 8192] = page


@contextlib.contextmanager
def poisoned(poison: Poison) -> Iterator[None]:
    with (
        mock.patch("holdfast.vault.capture.workers.worker.blake3", poison),
        mock.patch("holdfast.vault.capture.intake.batch.blake3", poison),
    ):
        yield
    assert poison.done == 1, "the fault did not fire"


def _sealed(name: str, kinds: tuple[str, ...], by: tuple[str, ...]) -> Any:
    """A new point whose content was changed before it was sealed: the vault itself must be found whole."""

    def made(poison_of: Callable[[Case, random.Random], Poison]) -> Mutation:
        def run(case: Case, draw: random.Random) -> Finding:
            with poisoned(poison_of(case, draw)):
                case.backup(full=True)
            case.stage.bring(case)
            return judge(case)

        ALL.append(Mutation(name, kinds, by, run))
        return ALL[-1]

    return made


@_sealed("a file's or object's content changed before it was sealed", ("files", "bucket"), ("compare",))
def sealed_content(case: Case, draw: random.Random) -> Poison:
    day, number = draw.randrange(1, 4), draw.randrange(12)

    def change(held: bytearray, at: int) -> None:
        held[at + draw.randrange(7, 40)] ^= 1 << draw.randrange(8)

    return Poison(f"marker-{f'{day}-{number}':>12}".encode(), change)


# A page that is packed may not unpack any more: then it is the restore, which reads what it brings, that refuses.
@_sealed("a table's value changed before it was sealed", ("delta",), ("restore", "structure", "compare"))
def sealed_value(case: Case, draw: random.Random) -> Poison:
    def change(held: bytearray, at: int) -> None:
        held[at + 14 - draw.randrange(3)] ^= 1

    return Poison(f"marker-{draw.randrange(1, 4) * ROWS + draw.randrange(ROWS):08d}".encode(), change)


@_sealed("a row's value changed before it was sealed", ("postgres",), ("compare",))
def sealed_row(case: Case, draw: random.Random) -> Poison:
    def change(page: bytearray, at: int) -> None:
        page[at + 14 - draw.randrange(4)] = ord("x")

    return Poison(f"marker-{draw.randrange(1, ROWS):08d}".encode(), change, pages=True)


@_sealed("a row removed before it was sealed", ("postgres",), ("compare",))
def sealed_removal(case: Case, draw: random.Random) -> Poison:
    def change(page: bytearray, at: int) -> None:
        # Its line pointer becomes an unused one (itemid.h): the row is nowhere, and the page is a sound page.
        for item in range(24, int.from_bytes(page[12:14], "little"), 4):
            pointer = int.from_bytes(page[item : item + 4], "little")
            offset, length = pointer & 0x7FFF, pointer >> 17
            if length and offset <= at < offset + length:
                page[item : item + 4] = bytes(4)
                return
        raise AssertionError("no line pointer leads to the row")

    return Poison(f"marker-{draw.randrange(1, ROWS):08d}".encode(), change, pages=True)


# ---------------------------------------------------------------- the restored copy


def _copy(name: str, kinds: tuple[str, ...], by: tuple[str, ...]) -> Any:
    """A copy that is not what was restored: a fault of the restore, or of the machine that it is on."""

    def made(spoil: Callable[[Any, random.Random], None]) -> Mutation:
        def run(case: Case, draw: random.Random) -> Finding:
            return judge(case, spoil=lambda view: spoil(view, draw))

        ALL.append(Mutation(name, kinds, by, run))
        return ALL[-1]

    return made


def _sql(view: Any, *statements: str) -> None:
    with view.connect() as session:
        session.execute("set default_transaction_read_only = off")
        for statement in statements:
            assert session.execute(statement).rowcount != 0, f"changed nothing: {statement}"


@_copy("one value of a restored table changed", ("postgres",), ("compare", "check"))
def value_changed(view: Any, draw: random.Random) -> None:
    _sql(view, f"update orders set note = note || '.' where id = {draw.randrange(2 * ROWS, 7 * ROWS)}")


@_copy("rows of a restored table lost", ("postgres",), ("compare", "check"))
def rows_lost(view: Any, draw: random.Random) -> None:
    where = f"id between {(first := draw.randrange(2 * ROWS, 7 * ROWS))} and {first + draw.randrange(5)}"
    _sql(view, f"delete from orders where {where}")


@_copy("a row of a table without a key doubled", ("postgres",), ("compare",))
def row_doubled(view: Any, draw: random.Random) -> None:
    _sql(view, f"insert into lines values ('line {draw.randrange(50)}')")


@_copy("an index dropped", ("postgres",), ("compare",))
def index_dropped(view: Any, draw: random.Random) -> None:
    del draw
    _sql(view, "drop index by_amount")


@_copy("a sequence's position lost", ("postgres",), ("compare",))
def sequence_lost(view: Any, draw: random.Random) -> None:
    _sql(view, f"select setval('tickets', {draw.randrange(1, 4)})")


@_copy("a constraint lost", ("postgres",), ("compare",))
def constraint_lost(view: Any, draw: random.Random) -> None:
    del draw
    _sql(view, "alter table still drop constraint still_pkey")


def _entries(view: Any, pattern: str) -> list[Path]:
    return [path for path in sorted(Path(view.connection).rglob(pattern)) if path.is_file() and not path.is_symlink()]


@_copy("a restored file changed, with its size and time", ("files",), ("structure",))
def file_changed(view: Any, draw: random.Random) -> None:
    path = draw.choice(_entries(view, "day*"))
    status = path.stat()
    data = bytearray(path.read_bytes())
    data[draw.randrange(len(data))] ^= 4
    path.write_bytes(bytes(data))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


@_copy("a restored file removed", ("files",), ("structure",))
def file_removed(view: Any, draw: random.Random) -> None:
    draw.choice(_entries(view, "day*")).unlink()


@_copy("a restored file's mode changed", ("files",), ("structure",))
def mode_changed(view: Any, draw: random.Random) -> None:
    path = draw.choice(_entries(view, "day*"))
    path.chmod(path.stat().st_mode ^ 0o111)


@_copy("a data file of a restored table changed", ("delta",), ("structure", "compare"))
def data_changed(view: Any, draw: random.Random) -> None:
    path = draw.choice(_entries(view, "day=*/*.parquet"))
    data = bytearray(path.read_bytes())
    at = data.find(b"marker-") + 14
    data[at] ^= 1
    path.write_bytes(bytes(data))


@_copy("a data file of a restored table removed", ("delta",), ("restore", "structure"))
def data_removed(view: Any, draw: random.Random) -> None:
    draw.choice(_entries(view, "day=*/*.parquet")).unlink()


def restored_objects(case: Case, draw: random.Random, spoil: Callable[[list[Path]], None]) -> Finding:
    """A restored bucket is held against its point by ``verify --against``."""
    from holdfast.model import Silent
    from holdfast.recovery import verify
    from holdfast.systems.contract import RestoreRequest

    target = case.folder / "restored"
    with case.opened() as platform:
        recovery: Any = platform.recovery("bucket")
        history = platform.history("bucket")
        plan = recovery.plan_restore(history, RestoreRequest(target, {"kind": "latest"}, {}))
        recovery.restore(history, plan, Silent())
        spoil([path for path in sorted(target.rglob("day*")) if path.is_file()])
        seen = verify(
            recovery, lambda: history, [], progress=Silent(), clock=platform.clock, until={"kind": "latest"}, content=False,
            options={"against": f"file://{target}", "quick": False},
        )  # fmt: skip
    wrong = [one for one in seen.report.results if one.state == "failed"]
    return Finding("structure", wrong[0].detail) if wrong else Finding(None)


def _object_changed(case: Case, draw: random.Random) -> Finding:
    def spoil(found: list[Path]) -> None:
        path = draw.choice(found)
        data = bytearray(path.read_bytes())
        data[draw.randrange(len(data))] ^= 4
        path.write_bytes(bytes(data))

    return restored_objects(case, draw, spoil)


def _object_removed(case: Case, draw: random.Random) -> Finding:
    return restored_objects(case, draw, lambda found: draw.choice(found).unlink())


def _object_added(case: Case, draw: random.Random) -> Finding:
    return restored_objects(case, draw, lambda found: (found[0].parent / f"day9-{draw.randrange(99)}").write_bytes(b"x") and None)


ALL.append(Mutation("a restored object changed", ("bucket",), ("structure",), _object_changed))
ALL.append(Mutation("a restored object removed", ("bucket",), ("structure",), _object_removed))
ALL.append(Mutation("an object among the restored ones that is none of them", ("bucket",), ("structure",), _object_added))
