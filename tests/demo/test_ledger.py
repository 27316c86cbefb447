"""The ledger's promise: from which transactions committed, every row follows; and any damage is seen."""

import threading
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.demo import damage
from holdfast.demo.ledger import LedgerGap, Load, compare, create, expected, work
from holdfast.demo.ledger.compare import judge
from holdfast.demo.ledger.load import perform, surely, surely_not
from holdfast.model import SystemClock


def prefix(counts: list[int], era: int = 0) -> dict[int, int]:
    return {writer + k * len(counts): era for writer, count in enumerate(counts) for k in range(count)}


@settings(max_examples=60, deadline=None)
@given(counts=st.lists(st.integers(0, 30), min_size=1, max_size=5), seed=st.integers(0, 9))
def test_orders_customers_and_lines_agree_with_each_other(counts, seed):
    model = expected(prefix(counts), seed, len(counts)).tables
    assert len(model["orders"]) == sum(counts)
    assert sum(row[2] for row in model["customers"].values()) == sum(counts)
    assert sum(row[3] for row in model["customers"].values()) == sum(row[2] for row in model["orders"].values())
    for key, row in model["orders"].items():
        lines = [line for line in model["lines"].values() if line[0] == key[0]]
        assert bool(lines) == (row[3] != "void")
        if lines:
            assert sum(line[3] * line[4] for line in lines) == row[2]


@settings(max_examples=60, deadline=None)
@given(counts=st.lists(st.integers(1, 10), min_size=2, max_size=4), data=st.data())
def test_a_gap_is_seen(counts, data):
    ledger = prefix(counts)
    gone = data.draw(st.sampled_from(sorted(ledger)))
    later = gone + len(counts)
    del ledger[gone]
    if later in ledger:
        with pytest.raises(LedgerGap):
            expected(ledger, 1, len(counts))
    else:
        expected(ledger, 1, len(counts))


def test_another_era_has_other_content():
    assert work(1, 0, 9, 4) == work(1, 0, 9, 4)
    assert work(1, 0, 9, 4) != work(1, 1, 9, 4)
    with pytest.raises(LedgerGap):
        expected({0: 1, 2: 0, 1: 0}, 1, 2)


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_any_changed_missing_extra_or_doubled_row_is_seen(data):
    wanted = expected(prefix([6, 5]), 1, 2).tables["lines"]
    rows = [wanted[key] for key in sorted(wanted)]
    assert judge("lines", wanted, rows).ok
    at = data.draw(st.integers(0, len(rows) - 1))
    harm = data.draw(st.sampled_from(["change", "drop", "double", "extra"]))
    if harm == "change":
        rows[at] = (*rows[at][:3], rows[at][3] + 1, rows[at][4])
    elif harm == "drop":
        del rows[at]
    elif harm == "double":
        rows.append(rows[at])
    else:
        rows.append((10**6, 0, "x", 1, 1))
    proof = judge("lines", wanted, rows)
    assert not proof.ok
    assert proof.missing + proof.extra + proof.changed == 1


@pytest.fixture
def shop(servers):
    server = servers(18)
    with server.connect() as connection:
        create(connection)
    return server


def wait_count(load: Load, more: int) -> None:
    goal, end = load.count() + more, time.monotonic() + 120
    while load.count() < goal:
        assert time.monotonic() < end, load.errors
        time.sleep(0.02)


def test_a_real_load_equals_its_model_and_damage_is_named(shop):
    load = Load(shop.connect, SystemClock(), seed=7, writers=4, rate=300)
    load.start()
    wait_count(load, 300)
    acks = load.stop()
    with shop.connect() as connection:
        proof = compare(connection, 7, 4)
        assert proof.ok, proof.first_wrong()
        assert {ack.number for ack in acks} <= set(proof.ledger)
        assert not compare(connection, 8, 4).ok
        middle = sorted(ack.after for ack in acks)[150]
        assert 140 <= len(surely(acks, middle)) <= 160
        assert not set(surely(acks, middle)) & surely_not(acks, middle)
        connection.execute("update orders set note = note || '.' where id = 33")
        harmed = compare(connection, 7, 4)
        assert [(t.table, t.changed, t.examples) for t in harmed.tables if not t.ok] == [("orders", 1, ("changed 33",))]
        connection.execute("drop table lines")
        assert "lines" in [t.table for t in compare(connection, 7, 4).tables if t.problem]


def test_writers_survive_a_killed_server(shop):
    load = Load(shop.connect, SystemClock(), seed=7, writers=3, rate=300)
    load.start()
    for _ in range(2):
        wait_count(load, 60)
        shop.kill9()
        shop.start()
    wait_count(load, 60)
    acks = load.stop()
    assert load.reconnects > 0
    with shop.connect() as connection:
        proof = compare(connection, 7, 3)
    assert proof.ok, proof.first_wrong()
    # fsync is off in tests, but a killed process loses nothing that the system's cache holds.
    assert {ack.number for ack in acks} <= set(proof.ledger)


def test_one_transaction_is_all_or_nothing(shop):
    with shop.connect() as connection:
        perform(connection, work(1, 0, 0, 1), 0)
        with pytest.raises(Exception, match="duplicate key"):
            perform(connection, work(1, 0, 0, 1), 0)
        assert compare(connection, 1, 1).ok


def test_a_deadlock_with_the_shop_does_not_end_the_damage(shop):
    load = Load(shop.connect, SystemClock(), seed=3, writers=1, rate=300)
    load.start()
    wait_count(load, 20)
    load.stop()
    done = []
    with shop.connect() as admin, shop.connect() as other:
        # So that it is the wrong UPDATE that gives way, and not before the other one has come.
        other.execute("set deadlock_timeout = '5min'")
        admin.execute("set deadlock_timeout = '5s'")
        first, last = other.execute("select min(id), max(id) from orders").fetchone()
        with other.transaction():
            other.execute("update orders set note = note where id = %s", (last,))
            harm = threading.Thread(target=lambda: done.append(damage.do(admin, SystemClock(), 0, lambda: None)))
            harm.start()
            wait = "select count(*) from pg_locks where not granted"
            while shop.value(wait) == 0:
                time.sleep(0.01)
            other.execute("update orders set note = note where id = %s", (first,))
        harm.join(120)
        assert done
        assert done[0].rows == last - first + 1
