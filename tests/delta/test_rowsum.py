"""Hashes of rows: the compiled way and the plain one agree on everything, and both know every value and no order."""

import datetime as dt
import decimal

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.systems.delta.data import rowsum

I64 = st.integers(-(2**63), 2**63 - 1)
LEAVES = {
    pa.int8(): st.integers(-128, 127),
    pa.int16(): st.integers(-(2**15), 2**15 - 1),
    pa.int32(): st.integers(-(2**31), 2**31 - 1),
    pa.int64(): I64,
    pa.bool_(): st.booleans(),
    pa.float32(): st.floats(width=32),
    pa.float64(): st.floats(),
    pa.string(): st.text(max_size=20),
    pa.binary(): st.binary(max_size=20),
    pa.large_binary(): st.binary(max_size=20),
    pa.binary(3): st.binary(min_size=3, max_size=3),
    pa.date32(): st.dates(),
    pa.timestamp("us", "UTC"): I64,
    pa.timestamp("us"): st.datetimes(),
    pa.decimal128(38, 10): st.decimals(min_value=-(10**27), max_value=10**27, places=10),
}


@st.composite
def columns(draw, depth: int = 0):
    """(type, values) of some rows."""
    leaf = st.sampled_from(list(LEAVES)).map(lambda one: (one, LEAVES[one]))
    if depth == 2:
        return draw(leaf)
    shape = draw(st.sampled_from(["leaf", "leaf", "list", "struct", "map"]))
    if shape == "leaf":
        return draw(leaf)
    if shape == "list":
        kind, inner = draw(columns(depth + 1))
        return pa.list_(kind), st.lists(inner | st.none(), max_size=3)
    if shape == "map":
        kind, inner = draw(columns(depth + 1))
        return pa.map_(pa.string(), kind), st.dictionaries(st.text(max_size=3), inner | st.none(), max_size=3).map(
            lambda one: list(one.items())
        )
    parts = {
        name: draw(columns(depth + 1))
        for name in draw(st.lists(st.sampled_from(["ä", "b", "a", "z", "Z"]), min_size=1, max_size=3, unique=True))
    }
    return pa.struct([(name, one[0]) for name, one in parts.items()]), st.fixed_dictionaries(
        {name: one[1] | st.none() for name, one in parts.items()}
    )


@st.composite
def batches(draw):
    rows = draw(st.integers(0, 6))
    names = draw(st.lists(st.text(min_size=1, max_size=3), min_size=1, max_size=3, unique=True))
    arrays = []
    for _ in names:
        kind, values = draw(columns())
        arrays.append(pa.array(draw(st.lists(values | st.none(), min_size=rows, max_size=rows)), kind))
    return pa.RecordBatch.from_arrays(arrays, names=names)


pytest.importorskip("holdfast.systems.delta.data._rowsum")


@settings(max_examples=150, deadline=None)
@given(batches(), st.data())
def test_both_ways_agree(batch, data):
    assert rowsum.sums(batch) == rowsum.plain(batch)
    if batch.num_rows:
        start = data.draw(st.integers(0, batch.num_rows - 1))
        count = data.draw(st.integers(0, batch.num_rows - start))
        part = batch.slice(start, count)
        marks = bytes(data.draw(st.lists(st.booleans(), min_size=count, max_size=count)))
        assert rowsum.sums(part, marks) == rowsum.plain(part, marks)


@settings(max_examples=50, deadline=None)
@given(batches(), st.data())
def test_sums_of_parts_add_up_in_any_order(batch, data):
    order = data.draw(st.permutations(range(batch.num_rows)))
    parts = [rowsum.sums(batch.slice(i, 1)) for i in order]
    assert rowsum.added(parts) == rowsum.sums(batch)


def one(kind, value) -> tuple[int, int, int]:
    return rowsum.sums(pa.RecordBatch.from_arrays([pa.array([value], kind)], names=["a"]))


def test_no_two_values_are_taken_for_each_other():
    text, many = pa.string(), pa.list_(pa.string())
    seen = [
        one(text, None),
        one(text, ""),
        one(text, "\0"),
        one(text, "\0\0"),
        one(text, "a"),
        one(many, []),
        one(many, [None]),
        one(many, [""]),
        one(many, ["a", ""]),
        one(many, ["", "a"]),
        one(many, ["a"]),
        one(pa.int64(), 0),
        one(pa.int64(), 1),
        one(pa.int64(), -1),
        one(pa.float64(), -0.0),
        one(pa.float64(), 1.0),
        one(pa.struct([("x", text), ("y", text)]), {"x": "a", "y": None}),
        one(pa.struct([("x", text), ("y", text)]), {"x": None, "y": "a"}),
        one(pa.struct([("x", text), ("y", text)]), {"x": None, "y": None}),
        one(pa.map_(text, text), [("a", "b")]),
        one(pa.map_(text, text), [("b", "a")]),
        one(pa.map_(text, text), []),
        one(pa.decimal128(20, 2), decimal.Decimal("0.01")),
        one(pa.timestamp("us"), dt.datetime(2026, 1, 1)),
    ]
    assert len(set(seen)) == len(seen)


def test_what_is_equal_in_delta_is_equal_here():
    same = [
        (one(pa.int8(), -3), one(pa.int64(), -3)),
        (one(pa.string(), "ä"), one(pa.large_binary(), "ä".encode())),
        (one(pa.map_(pa.string(), pa.int64()), [("a", 1), ("b", 2)]), one(pa.map_(pa.string(), pa.int64()), [("b", 2), ("a", 1)])),
        (
            one(pa.struct([("a", pa.int64()), ("b", pa.int64())]), {"a": 1, "b": 2}),
            one(pa.struct([("b", pa.int64()), ("a", pa.int64())]), {"a": 1, "b": 2}),
        ),
        (one(pa.float64(), float("nan")), one(pa.float64(), -float("nan"))),
    ]
    assert all(left == right for left, right in same)


def test_the_hash_stays_what_it_was():
    """Points keep such sums for years."""
    batch = pa.record_batch(
        {
            "n": pa.array([1, None], pa.int32()),
            "t": ["ä", "a text of more than a word"],
            "l": [[1.5], None],
            "m": pa.array([[("k", 1)], []], pa.map_(pa.string(), pa.int64())),
        }
    )
    assert rowsum.sums(batch) == rowsum.plain(batch) == (2, 11534235909536325460, 10200127758329299067)


def test_a_type_that_is_not_known_is_refused():
    with pytest.raises(ValueError, match="cannot be hashed"):
        rowsum.sums(pa.record_batch({"a": pa.array(["x"]).dictionary_encode()}))
    with pytest.raises(ValueError, match="marks"):
        rowsum.sums(pa.record_batch({"a": [1, 2]}), b"\0")
