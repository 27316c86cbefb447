"""Timeline histories, and where a follower goes on: pure functions."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.systems.postgres import lsn
from holdfast.systems.postgres.follow import OtherSystem, ServerBehind, slot_name
from holdfast.systems.postgres.follow.route import legs, stretches_of
from holdfast.systems.postgres.link.replication import Identity
from holdfast.systems.postgres.wal.timeline import ancestry, branch_parts, holder, parent_history, parse_history

SYSTEM = "7710000000000000001"
MIB = 1 << 20
SEGMENT = 16 * MIB


def history(*switches: tuple[int, int]) -> bytes:
    """As PostgreSQL writes one: the parent's file, a newline, its own line."""
    content = b""
    for timeline, position in switches:
        content += (b"\n" if content else b"") + f"{timeline}\t{lsn.show(position)}\tno recovery target specified\n".encode()
    return content


ONE = lsn.branch(SYSTEM, 1)
TO_TWO = history((1, 100 * MIB))
TO_THREE = history((1, 100 * MIB), (2, 205 * MIB))
TWO = lsn.branch(SYSTEM, 2, TO_TWO)
THREE = lsn.branch(SYSTEM, 3, TO_THREE)


def legs_of(timeline: int, position: int, content: bytes, held, fresh: int = 55 * MIB, since: int | None = None):
    stretches = stretches_of("db", Identity(SYSTEM, timeline, position), content, held)
    return legs(stretches, held, segment_size=SEGMENT, fresh=fresh, since=since)


def route(timeline: int, position: int, content: bytes, ends: dict[str, int], fresh: int = 55 * MIB):
    """With branches that are held without a gap from long before."""
    begins = {TWO: 96 * MIB, THREE: 192 * MIB}
    held = {branch: ((begins.get(branch, 0), end),) for branch, end in ends.items()}
    return [(one.branch, one.start, one.until, one.stored) for one in legs_of(timeline, position, content, held, fresh)]


@given(st.lists(st.tuples(st.integers(1, 3), st.integers(1, 1 << 40)), max_size=6))
def test_history_is_read_and_its_parents_are_recovered(steps) -> None:
    switches, timeline, position = [], 0, 0
    for up, further in steps:
        timeline, position = timeline + up, position + further
        switches.append((timeline, position))
    content = history(*switches)
    assert [(s.timeline, s.position) for s in parse_history(content)] == switches
    assert parent_history(content) == history(*switches[:-1])
    stretches = ancestry(SYSTEM, timeline + 1, content)
    assert [(s.timeline, s.end) for s in stretches] == [*switches, (timeline + 1, None)]
    for number, one in enumerate(stretches):
        assert one.history == history(*switches[:number])
        assert branch_parts(one.branch) == (SYSTEM, one.timeline)
        assert holder(stretches, one.start) is one or one.start == one.end


@pytest.mark.parametrize("content", [b"x", b"1\n", b"1\tnowhere\n", b"2\t0/1\n1\t0/2\n", b"1\t0/5\n2\t0/2\n"])
def test_a_history_that_makes_no_sense_is_refused(content) -> None:
    with pytest.raises(ValueError):
        parse_history(content)


def test_comments_and_a_history_that_is_missing() -> None:
    assert parse_history(b"# nothing\n\n1\t0/2000000\tx # y\n")[0].position == 0x2000000
    with pytest.raises(ValueError):
        ancestry(SYSTEM, 2, b"")
    with pytest.raises(ValueError):
        ancestry(SYSTEM, 2, history((2, 5)))


def test_begins_at_a_segment_where_nothing_is_stored() -> None:
    assert route(1, 60 * MIB, b"", {}) == [(ONE, 48 * MIB, None, None)]
    assert route(2, 130 * MIB, TO_TWO, {}, fresh=120 * MIB) == [(TWO, 112 * MIB, None, None)]


def test_goes_on_where_the_vault_ends() -> None:
    assert route(1, 60 * MIB, b"", {ONE: 58 * MIB + 8}) == [(ONE, 58 * MIB + 8, None, 58 * MIB + 8)]


def test_goes_over_to_every_timeline_in_turn() -> None:
    """The rest of the old one up to where it was left, then each new one from the start of the segment that holds the switch."""
    assert route(3, 300 * MIB, TO_THREE, {ONE: 90 * MIB}) == [
        (ONE, 90 * MIB, 100 * MIB, 90 * MIB),
        (TWO, 96 * MIB, 205 * MIB, None),
        (THREE, 192 * MIB, None, None),
    ]
    assert route(3, 300 * MIB, TO_THREE, {ONE: 100 * MIB, TWO: 205 * MIB}) == [(THREE, 192 * MIB, None, None)]


def test_what_an_old_primary_had_beyond_the_switch_stays_on_its_branch() -> None:
    assert route(2, 130 * MIB, TO_TWO, {ONE: 104 * MIB}) == [(TWO, 96 * MIB, None, None)]


def test_two_promoted_apart_have_branches_of_their_own() -> None:
    other = history((1, 99 * MIB))
    assert route(2, 130 * MIB, other, {ONE: 100 * MIB, TWO: 120 * MIB}) == [(lsn.branch(SYSTEM, 2, other), 96 * MIB, None, None)]


def test_gaps_are_filled_on_the_way_from_where_the_server_has_wal() -> None:
    held = {ONE: ((16 * MIB, 32 * MIB), (48 * MIB, 64 * MIB), (80 * MIB, 90 * MIB)), TWO: ((112 * MIB, 120 * MIB),)}
    found = [(one.branch, one.start, one.until, one.stored, one.fill) for one in legs_of(2, 130 * MIB, TO_TWO, held, since=64 * MIB)]
    assert found == [
        (ONE, 64 * MIB, 80 * MIB, 64 * MIB, True),
        (ONE, 90 * MIB, 100 * MIB, 90 * MIB, False),
        (TWO, 96 * MIB, 112 * MIB, None, True),
        (TWO, 120 * MIB, None, 120 * MIB, False),
    ]
    assert [(one.branch, one.start, one.fill) for one in legs_of(2, 130 * MIB, TO_TWO, held)] == [(TWO, 120 * MIB, False)]


def test_refusals() -> None:
    with pytest.raises(OtherSystem):
        route(1, 60 * MIB, b"", {lsn.branch("7710000000000000002", 1): 5})
    with pytest.raises(ServerBehind):
        route(1, 110 * MIB, b"", {ONE: 100 * MIB, TWO: 120 * MIB})
    with pytest.raises(ServerBehind):
        route(1, 60 * MIB, b"", {ONE: 61 * MIB})


@given(st.text(min_size=1, max_size=80), st.text(min_size=1, max_size=80))
def test_slot_names_are_legal_and_of_one_system(one, two) -> None:
    name = slot_name(one)
    assert len(name) <= 63
    assert set(name) <= set("abcdefghijklmnopqrstuvwxyz0123456789_")
    assert (name == slot_name(two)) == (one == two)
