"""Which of overlapping increments are read."""

import datetime as dt

from hypothesis import given
from hypothesis import strategies as st

from holdfast.model import Increment
from holdfast.vault.logs.names import furthest

NOW = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
increments = st.lists(st.tuples(st.integers(0, 40), st.integers(1, 12)), max_size=25).map(
    lambda drawn: sorted((Increment(start, start + size, "", NOW) for start, size in set(drawn)), key=lambda one: (one.start, one.end))
)


@given(increments, st.integers(0, 50))
def test_they_cover_what_all_cover_with_as_few_as_can_be(found, start):
    chosen = list(furthest(found, start))
    covered = {position for one in found for position in range(max(one.start, start), one.end)}
    assert {position for one in chosen for position in range(max(one.start, start), one.end)} == covered
    assert [one.start for one in chosen] == sorted(one.start for one in chosen)
    position = start
    for one in chosen:
        begin = max(position, one.start)
        assert one.start <= begin < one.end
        assert one.end == max(other.end for other in found if other.start <= begin < other.end)
        assert not any(other.start < begin and other.end > position for other in found) or begin == position
        position = one.end
