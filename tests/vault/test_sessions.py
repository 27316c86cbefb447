"""Sessions: abort and commit, resuming after a kill, roles, clocks, failing stores, look-up of points."""

import datetime as dt
import random
import time
from pathlib import Path

import pytest

from holdfast.errors import HoldfastError
from holdfast.model import Entry, SystemClock
from holdfast.storage.contract import StorageFull
from holdfast.storage.memory import MemoryStorage
from holdfast.vault import Vault
from holdfast.vault.capture.commit import check_not_condemned
from holdfast.vault.capture.session import session
from holdfast.vault.capture.session.session import decide
from holdfast.vault.errors import ClockSkew, Condemned, PointAmbiguous, PointUnknown, RoleLacking, SessionAborted
from holdfast.vault.keys.keyring import Keyring
from tests.vault.kit import CHEAP, CLOCK, Bytes, add_all, capture, create, finish, packs_of, reopen, restore

RUN = 1 << 20


def noise(seed: int, size: int) -> bytes:
    return random.Random(seed).randbytes(size)


def test_an_aborted_session_cannot_commit(tmp_path: Path) -> None:
    vault = create(tmp_path)
    with vault.begin(system="s", kind="files") as writer:
        writer.add(Entry("f", size=1), b"x")
        name = f"points/{writer.session}"
        assert decide(vault.locations, name, vault.notary.make(name, "abort", CLOCK.now(), {"session": writer.session}))
        with pytest.raises(SessionAborted) as caught:
            finish(writer)
    assert caught.value.status == 4
    assert vault.points() == []
    assert reopen(vault, tmp_path, cache="other").points() == []


@pytest.mark.parametrize("locations", [1, 2])
def test_leaving_without_commit_aborts_and_the_next_try_reuses_what_was_stored(tmp_path: Path, locations: int) -> None:
    stores = [MemoryStorage(name=str(number)) for number in range(locations)]
    vault = create(tmp_path, *stores)
    files = {"big": noise(1, 40 * RUN)}
    with pytest.raises(ZeroDivisionError), vault.begin(system="s", kind="files") as writer:  # noqa: PT012 - the block is the session
        add_all(writer, files)
        writer.flush()
        until = time.monotonic() + 60
        while not all(map(packs_of, stores)):
            # A full pack goes out on a thread of its own.
            assert time.monotonic() < until
            time.sleep(0.01)
        raise ZeroDivisionError
    assert vault.points() == []
    point = capture(reopen(vault, tmp_path), files)
    assert 0 < point.totals.new < 12 * RUN  # the pack that was complete is not stored again
    assert restore(vault.reader(point)) == files


def test_the_first_error_stops_everything_and_nothing_is_committed(tmp_path: Path) -> None:
    class Broken(Bytes):
        def read_into(self, offset: int, buffer: memoryview) -> int:
            if offset >= 3 * RUN:
                raise OSError("disk on fire")
            return super().read_into(offset, buffer)

    vault = create(tmp_path)
    with vault.begin(system="s", kind="files") as writer:
        with pytest.raises(OSError, match="disk on fire"):  # noqa: PT012 - whichever call meets it first
            for i in range(1000):
                writer.add(Entry(f"f{i}", size=9 * RUN), Broken(noise(1, 9 * RUN)))
        with pytest.raises(OSError, match="disk on fire"):
            writer.flush()
        with pytest.raises(OSError, match="disk on fire"):
            finish(writer)
    assert vault.points() == []


class Filling(MemoryStorage):
    """Takes no more objects of some kind."""

    full = ""
    refused = 0

    def put_if_absent(self, name, parts) -> None:
        if self.full and name.startswith(self.full):
            self.refused += 1
            raise StorageFull("no room", hint="")
        super().put_if_absent(name, parts)


@pytest.mark.parametrize("prefix", ["packs/", "index/", "points/"])
@pytest.mark.parametrize("count", [1, 2])
def test_when_every_store_fills_up_nothing_is_committed(tmp_path: Path, prefix: str, count: int) -> None:
    stores = [Filling(name=f"store{number}") for number in range(count)]
    vault = create(tmp_path, *stores)
    for store in stores:
        store.full = prefix
    with pytest.raises(StorageFull), vault.begin(system="s", kind="files") as writer:  # noqa: PT012 - the block is the session
        add_all(writer, {"f": noise(1, 70 * RUN)})
        finish(writer)
    assert all(store.refused for store in stores)
    for store in stores:
        store.full = ""
    assert reopen(vault, tmp_path, cache="other").points() == []


def test_a_writer_cannot_read_but_makes_incrementals(tmp_path: Path) -> None:
    store = MemoryStorage()
    owner = create(tmp_path, store)
    Keyring(owner.locations, owner.notary, CHEAP).add("write only", role="writer", label="db1", now=CLOCK.now())
    files = {"a": noise(1, 2 * RUN), "b": b"secret words"}
    mine = reopen(owner, tmp_path, "write only", cache="w1")
    first = capture(mine, files)
    files["b"] = b"other words"
    again = reopen(owner, tmp_path, "write only", cache="w2")
    base = again.point(first.id)
    second = capture(again, files, base)
    assert (second.totals.new, second.method) == (len(b"other words"), "incremental")
    stored = base.find("b")
    assert stored is not None
    with pytest.raises(RoleLacking):
        base.read(stored)
    capture(owner, {"owner": b"x"})
    assert [point.id for point in again.points()] == [first.id, second.id]
    assert restore(owner.point(second.id)) == files
    raw = b"".join(data for data, _ in store.objects.values())
    assert b"secret words" not in raw
    assert files["a"][:64] not in raw


def test_another_writers_point_is_not_taken_as_base(tmp_path: Path) -> None:
    owner = create(tmp_path)
    Keyring(owner.locations, owner.notary, CHEAP).add("write only", role="writer", now=CLOCK.now())
    foreign = capture(reopen(owner, tmp_path, "write only"), {"a": noise(1, RUN)})
    with owner.begin(system="s", kind="files", base=owner.point(foreign.id)) as writer:
        assert writer.base is None
        add_all(writer, {"a": noise(1, RUN)})
        assert finish(writer).totals.new == RUN


def test_a_reader_cannot_begin(tmp_path: Path) -> None:
    owner = create(tmp_path)
    Keyring(owner.locations, owner.notary, CHEAP).add("read only", role="reader", now=CLOCK.now())
    point = capture(owner, {"a": b"1"})
    reader = reopen(owner, tmp_path, "read only")
    with pytest.raises(RoleLacking):
        reader.begin(system="s", kind="files")
    assert restore(reader.point(point.id)) == {"a": b"1"}


@pytest.mark.parametrize("minutes", [-6, 6])
def test_a_clock_that_is_off_is_refused(tmp_path: Path, minutes: int) -> None:
    class Off(SystemClock):
        def now(self) -> dt.datetime:
            return super().now() + dt.timedelta(minutes=minutes)

    store = MemoryStorage()
    create(tmp_path, store)
    off = Vault.open([store], "open sesame", clock=Off(), cache=tmp_path)
    with pytest.raises(ClockSkew):
        off.begin(system="s", kind="files")


def test_only_packs_that_were_found_dead_stop_a_commit(tmp_path: Path) -> None:
    """What is condemned beside the session is pardoned for it; a verdict that it never had a say in is a location set back."""
    store = MemoryStorage()
    vault = create(tmp_path, store)
    base = vault.reader(capture(vault, {"a": noise(1, RUN)}))
    with vault.begin(system="s", kind="files", base=base) as writer:
        add_all(writer, {"a": noise(1, RUN)})
        listed = b"".join(bytes.fromhex(name.rpartition("/")[2].replace("-", "")) for name in packs_of(store))
        name = f"condemned/{'0' * 32}"
        store.put_if_absent(name, [vault.notary.make(name, "condemned", CLOCK.now(), packs=listed)])
        check_not_condemned(vault.locations, vault.notary, [listed[at : at + 48] for at in range(0, len(listed), 48)])
        store.put_if_absent(f"{name}.dead", [vault.notary.make(f"{name}.dead", "condemned", CLOCK.now(), packs=listed)])
        with pytest.raises(Condemned):
            finish(writer)
    assert len(vault.points()) == 1


def test_points_are_found_by_id_prefix_and_label(tmp_path: Path) -> None:
    vault = create(tmp_path)
    with pytest.raises(PointUnknown):
        vault.point("latest")
    points = [capture(vault, {"a": bytes([i])}, label=label) for i, label in enumerate(["before-upgrade", None, "before-upgrade"])]
    assert vault.point(points[0].id).point == points[0]
    assert vault.point(points[1].id[:28]).point == points[1]
    assert vault.point("before-upgrade").point == points[2]
    with pytest.raises(PointAmbiguous):
        vault.point(points[0].id[:6])
    with pytest.raises(PointUnknown) as caught:
        vault.point("before-upgrad")
    assert "before-upgrade" in caught.value.hint


def test_listing_reads_each_point_once(tmp_path: Path) -> None:
    class Counting(MemoryStorage):
        reads = 0

        def get(self, name, start=0, length=None) -> bytes:
            self.reads += name.startswith("points/")
            return super().get(name, start, length)

    store = Counting()
    vault = create(tmp_path, store)
    points = [capture(vault, {"a": bytes([i])}) for i in range(5)]
    assert vault.points() == points
    store.reads = 0
    assert reopen(vault, tmp_path).points() == points
    assert store.reads == 0
    (
        tmp_path / "cache" / vault.id / next(p.name for p in (tmp_path / "cache" / vault.id).iterdir() if p.name.startswith("points-"))
    ).write_bytes(b"rubbish")
    assert reopen(vault, tmp_path).points() == points
    assert store.reads == 5


def test_no_secret_shows_in_an_error_or_repr(tmp_path: Path) -> None:
    vault = create(tmp_path)
    bundle = vault.notary.bundle
    assert bundle.root_private is not None
    text = repr(bundle)
    for secret in (bundle.root_private, bundle.identity["vault"], bundle.epoch()[1].private):
        assert secret is not None
        assert repr(secret) not in text
    with pytest.raises(HoldfastError) as caught:
        reopen(vault, tmp_path, "wrong horse")
    assert "wrong horse" not in f"{caught.value.message} {caught.value.hint} {caught.value.details}"


def test_the_lease_is_renewed_while_nothing_is_stored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Fast(SystemClock):
        passed = 0.0

        def monotonic(self) -> float:
            return super().monotonic() + self.passed

    store, clock = MemoryStorage(), Fast()
    create(tmp_path, store)
    monkeypatch.setattr(session, "_LOOK", 0.01)
    vault = Vault.open([store], "open sesame", clock=clock, cache=tmp_path)
    with vault.begin(system="s", kind="files") as writer:
        for n in (1, 2):
            clock.passed += 700
            deadline = CLOCK.monotonic() + 60
            while f"sessions/{writer.session}.{n}" not in store.objects and CLOCK.monotonic() < deadline:
                CLOCK.sleep(0.01)
            assert f"sessions/{writer.session}.{n}" in store.objects
        finish(writer)
    clock.passed += 700
    CLOCK.sleep(0.05)
    assert f"sessions/{writer.session}.3" not in store.objects
