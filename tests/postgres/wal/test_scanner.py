"""The scanner against pg_waldump on real WAL, the compiled one against the Python one, and both against every way of cutting."""

import os
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from holdfast.systems.postgres import lsn
from holdfast.systems.postgres.wal.format import Kind
from holdfast.systems.postgres.wal.records import compiled, scanner
from holdfast.systems.postgres.wal.scan_python import Scanner as PythonScanner
from tests.postgres.wal.wal_sample import dumped

SEGMENT = lsn.SEGMENT
pytestmark = pytest.mark.postgres


def python(position: int, full: bool = True) -> PythonScanner:
    return PythonScanner(position, SEGMENT, full)


def test_the_compiled_scanner_is_built() -> None:
    if not compiled() and not os.environ.get("CI"):
        pytest.skip("no compiled scanner here")
    assert compiled()


@pytest.mark.parametrize("make", [python, lambda at: scanner(at, SEGMENT, full=True)], ids=["python", "compiled"])
def test_equals_pg_waldump(sample, make) -> None:
    server, start, data = sample
    scan = make(start)
    events = scan.feed(data)
    first = start + 40
    expected = dumped(server.data / "pg_wal", server.bin / "pg_waldump", first, start + len(data))
    found = [
        (
            Kind(e.kind).name,
            e.start,
            e.xid,
            e.name.decode() if e.kind == Kind.RESTORE_POINT else e.time if e.kind in {Kind.COMMIT, Kind.ABORT} else "",
        )
        for e in events
    ]
    assert found == expected
    kinds = {e[0] for e in found}
    assert kinds >= {"COMMIT", "ABORT", "RESTORE_POINT", "CHECKPOINT", "SWITCH"}
    assert scan.position == start + len(data)
    summary = scan.summary()
    commits = [e for e in expected if e[0] == "COMMIT"]
    assert summary.commits == len(commits) > 30
    assert (summary.first, summary.last) == (min(e[3] for e in commits), max(e[3] for e in commits))
    assert summary.last_start == commits[-1][1]
    assert summary.aborts == sum(e[0] == "ABORT" for e in expected)
    assert scan.summary().commits == 0


@given(cuts=st.lists(st.integers(0, 1 << 26), max_size=40), start=st.integers(0, 300_000), full=st.booleans())
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
def test_every_cut_and_every_start_gives_the_same(sample, cuts, start, full) -> None:
    """Python in one piece, compiled in many: equal, also from a start in the middle of a record."""
    _, begin, data = sample
    data = data[start : start + 400_000]
    whole, parts = python(begin + start, full), scanner(begin + start, SEGMENT, full=full)
    expected = whole.feed(data)
    found = []
    edges = sorted({c % (len(data) + 1) for c in cuts} | {0, len(data)})
    for a, b in pairwise(edges):
        found += parts.feed(data[a:b])
    assert found == expected
    assert (parts.position, parts.record_end, parts.summary()) == (whole.position, whole.record_end, whole.summary())


@given(cuts=st.lists(st.integers(0, 60_000), max_size=30), start=st.integers(0, 100_000))
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
def test_python_cut_anywhere(sample, cuts, start) -> None:
    _, begin, data = sample
    data = data[start : start + 60_000]
    whole, parts = python(begin + start), python(begin + start)
    expected = whole.feed(data)
    found = []
    edges = sorted({c % (len(data) + 1) for c in cuts} | {0, len(data)})
    for a, b in pairwise(edges):
        found += parts.feed(data[a:b])
    assert (found, parts.record_end) == (expected, whole.record_end)


def test_byte_by_byte(sample) -> None:
    _, begin, data = sample
    data = data[:150_000]
    whole, parts = scanner(begin, SEGMENT, full=True), scanner(begin, SEGMENT, full=True)
    found = [e for n in range(len(data)) for e in parts.feed(data[n : n + 1])]
    assert found == whole.feed(data)


def test_zero_tail_of_a_segment_is_the_end(sample) -> None:
    """A partial segment padded with zeros yields what was there, and the next segment is read again."""
    _, begin, data = sample
    assert len(data) > SEGMENT
    cut = 3_000_000
    known = scanner(begin, SEGMENT, full=True).feed(data[:cut])
    for make in (python, lambda at: scanner(at, SEGMENT, full=True)):
        scan = make(begin)
        assert scan.feed(data[:cut] + bytes(SEGMENT - cut)) == known
        assert scan.feed(data[SEGMENT:]) == make(begin + SEGMENT).feed(data[SEGMENT:])


@given(
    data=st.binary(max_size=30_000),
    flips=st.lists(st.tuples(st.integers(0, 99_999), st.integers(1, 255)), max_size=20),
    cut=st.integers(0, 99_999),
)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
def test_damage_never_breaks_the_scan_and_both_agree(sample, data, flips, cut) -> None:
    _, begin, real = sample
    damaged = bytearray(real[:100_000])
    for at, mask in flips:
        damaged[at] ^= mask
    damaged[cut : cut + len(data)] = data
    one, two = python(begin), scanner(begin, SEGMENT, full=True)
    assert two.feed(damaged) == one.feed(damaged)
    assert two.position == begin + len(damaged)
