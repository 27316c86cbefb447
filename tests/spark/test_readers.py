"""The two readers that other tests compare with agree on tables that hold no fault."""

import pytest

from tests.delta.golden import expected, names, unpack
from tests.spark.reading import delta_rs

# delta-rs refuses the type changes, and does not look for columns by their ids; a variant it shows as two binary fields, Spark as text.
ELSEWHERE = {"widened", "variant", "mapped-id"}


@pytest.mark.parametrize("name", sorted(set(names()) - ELSEWHERE))
def test_both_read_the_same_rows_at_every_version(name, tmp_path):
    table, told = unpack(name, tmp_path), expected(name)
    assert told["versions"]
    for version, rows in told["versions"].items():
        assert delta_rs(table, int(version)) == rows, version
