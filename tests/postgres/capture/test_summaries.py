"""Which blocks an incremental may skip: every rule of WAL summaries, as a function; the live server is in test_incremental."""

import itertools
import struct

from hypothesis import given
from hypothesis import strategies as st

from holdfast.systems.postgres.capture.summaries import Changes, Stretch, Summary, cover, route
from holdfast.systems.postgres.layout import Relation

PAGE, SEGMENT = 8192, 8
MAIN = Relation(1663, 5, 100, "main", 0)


def ranges(changes, relation=MAIN, size=8, base=8):
    return changes.ranges(relation, size * PAGE, base * PAGE, PAGE, SEGMENT)


def note(*rows):
    changes = Changes()
    for *fork, block, limit in rows:
        put(changes, tuple(fork), block, limit)
    return changes


def put(changes, fork, block, limit):
    if limit:
        changes.note_limit(fork, block)
    else:
        changes.note_blocks(fork, struct.pack(">q", block))


def test_the_same_timeline_is_one_stretch():
    assert route([], 1, Stretch(1, 100, 200), 500) == [Stretch(1, 100, 500)]


def test_promotions_between_are_followed():
    history = [(1, 300), (2, 400)]
    assert route(history, 3, Stretch(1, 100, 200), 500) == [Stretch(1, 100, 300), Stretch(2, 300, 400), Stretch(3, 400, 500)]
    assert route(history, 3, Stretch(2, 310, 350), 500) == [Stretch(2, 310, 400), Stretch(3, 400, 500)]


def test_a_base_off_this_history_proves_nothing():
    assert route([(1, 300)], 2, Stretch(3, 100, 200), 500) is None
    # Its reading went on past where its timeline was left.
    assert route([(1, 300)], 2, Stretch(1, 250, 301), 500) is None
    # The server stands before the base: it was rolled back.
    assert route([], 1, Stretch(1, 400, 450), 420) is None


def test_cover_without_a_gap():
    listed = [Summary(1, 100, 200), Summary(1, 200, 300), Summary(1, 300, 400), Summary(2, 0, 1000)]
    assert cover(Stretch(1, 150, 300), listed) == [Summary(1, 100, 200), Summary(1, 200, 300)]
    assert cover(Stretch(1, 100, 100), listed) == []


def test_a_gap_is_found_at_each_place():
    assert cover(Stretch(1, 50, 300), [Summary(1, 100, 300)]) == 50
    assert cover(Stretch(1, 100, 400), [Summary(1, 100, 200), Summary(1, 250, 400)]) == 200
    assert cover(Stretch(1, 100, 400), [Summary(1, 100, 300)]) == 300
    assert cover(Stretch(1, 100, 400), [Summary(2, 100, 400)]) == 100


@given(st.lists(st.tuples(st.integers(0, 40), st.integers(1, 15)), max_size=12), st.integers(0, 30), st.integers(1, 20))
def test_cover_is_right_byte_by_byte(pieces, start, length):
    listed = [Summary(1, at, at + size) for at, size in pieces]
    stretch = Stretch(1, start, start + length)
    found = cover(stretch, listed)
    have = {at for one in listed for at in range(one.start, one.end)}
    missing = [at for at in range(stretch.start, stretch.end) if at not in have]
    if missing:
        assert found == missing[0]
    else:
        assert isinstance(found, list)
        assert {at for one in found for at in range(one.start, one.end)} >= set(range(stretch.start, stretch.end))


def test_only_named_blocks_are_read_and_neighbours_joined():
    changes = note(
        (1663, 5, 100, 0, 1, False),
        (1663, 5, 100, 0, 2, False),
        (1663, 5, 100, 0, 5, False),
        (1663, 5, 100, 2, 3, False),
        (1663, 6, 100, 0, 4, False),
    )
    assert ranges(changes) == [(PAGE, 3 * PAGE), (5 * PAGE, 6 * PAGE)]
    assert ranges(Changes()) == []


def test_blocks_count_over_segments():
    changes = note((1663, 5, 100, 0, SEGMENT + 1, False))
    assert ranges(changes) == []
    assert ranges(changes, Relation(1663, 5, 100, "main", 1)) == [(PAGE, 2 * PAGE)]


def test_everything_from_the_limit_block_on_is_read():
    changes = note((1663, 5, 100, 0, 1, False), (1663, 5, 100, 0, 6, False), (1663, 5, 100, 0, 3, True))
    assert ranges(changes) == [(PAGE, 2 * PAGE), (3 * PAGE, 8 * PAGE)]
    # The lowest of several counts, and later segments are read whole.
    put(changes, (1663, 5, 100, 0), 5, True)
    assert ranges(changes) == [(PAGE, 2 * PAGE), (3 * PAGE, 8 * PAGE)]
    assert ranges(changes, Relation(1663, 5, 100, "main", 1)) is None
    assert ranges(note((1663, 5, 100, 0, 0, True))) is None


def test_what_the_base_does_not_hold_is_read_even_if_no_wal_names_it():
    assert ranges(Changes(), size=8, base=6) == [(6 * PAGE, 8 * PAGE)]
    assert ranges(note((1663, 5, 100, 0, 5, False)), size=8, base=6) == [(5 * PAGE, 8 * PAGE)]


def test_free_space_maps_are_never_trusted():
    assert ranges(Changes(), Relation(1663, 5, 100, "fsm", 0)) is None


def test_relfilenode_zero_means_the_whole_database_in_that_tablespace():
    changes = note((1663, 5, 0, 0, 0, True))
    assert ranges(changes) is None
    assert ranges(changes, Relation(1663, 6, 100, "main", 0)) == []
    assert ranges(changes, Relation(20000, 5, 100, "main", 0)) == []


def test_a_file_that_is_no_whole_number_of_pages_or_shrank_is_read_whole():
    assert Changes().ranges(MAIN, 8 * PAGE + 1, 8 * PAGE, PAGE, SEGMENT) is None
    assert Changes().ranges(MAIN, 8 * PAGE, 8 * PAGE + 1, PAGE, SEGMENT) is None
    assert ranges(Changes(), size=4, base=8) is None


@given(
    st.lists(st.lists(st.integers(0, 40), max_size=8), max_size=4),
    st.one_of(st.none(), st.integers(0, 40)),
    st.integers(0, 3),
    st.integers(0, SEGMENT),
    st.integers(0, SEGMENT),
)
def test_ranges_are_right_block_by_block(summaries, limit, segment, size, base):
    changes, fork = Changes(), (1663, 5, 100, 0)
    for blocks in summaries:
        if blocks:
            changes.note_blocks(fork, b"".join(struct.pack(">q", block) for block in blocks))
    if limit is not None:
        changes.note_limit(fork, limit)
    found = ranges(changes, Relation(1663, 5, 100, "main", segment), size, base)
    named = {block for blocks in summaries for block in blocks}
    must = {i for i in range(size) if i >= base or i + segment * SEGMENT in named or (limit is not None and i + segment * SEGMENT >= limit)}
    if found is None:
        return
    assert {at // PAGE for start, end in found for at in range(start, end, PAGE)} == must
    assert all(earlier[1] < later[0] for earlier, later in itertools.pairwise(found))
