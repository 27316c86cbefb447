"""Hashes of segments that passed: made once somebody asks, and only of whole ones."""

import os

import blake3

from holdfast.systems.postgres.follow.storing import Piece, SegmentSums

SEGMENT = 1 << 16


def piece(start: int, data: bytes, branch: str = "1-1") -> Piece:
    return Piece(branch, 1, SEGMENT, start, data, arrived=0.0)


def test_nothing_is_hashed_before_the_first_question() -> None:
    sums, data = SegmentSums(), os.urandom(4 * SEGMENT)
    sums.update(piece(0, data[:SEGMENT]))
    assert sums.get("1-1", 0) is None
    sums.update(piece(SEGMENT, data[SEGMENT : SEGMENT + 100]))
    sums.update(piece(SEGMENT + 100, data[SEGMENT + 100 : 3 * SEGMENT + 50]))
    for start in (SEGMENT, 2 * SEGMENT):
        assert sums.get("1-1", start) == blake3.blake3(data[start : start + SEGMENT]).digest()
    assert sums.get("1-1", 3 * SEGMENT) is None
    # Asked for in mid-segment: what passed before is not known.
    sums.update(piece(3 * SEGMENT + 60, data[3 * SEGMENT + 60 :]))
    assert sums.get("1-1", 3 * SEGMENT) is None


def test_the_oldest_are_forgotten_and_branches_are_apart() -> None:
    sums = SegmentSums(keep=2)
    sums.get("1-1", 0)
    for number in range(3):
        sums.update(piece(number * SEGMENT, bytes([number]) * SEGMENT))
    sums.update(piece(3 * SEGMENT, b"x" * 10))
    sums.update(piece(3 * SEGMENT + 10, b"x" * (SEGMENT - 10), "1-2"))
    assert [sums.get("1-1", number * SEGMENT) is not None for number in range(4)] == [False, True, True, False]
    assert sums.get("1-2", 3 * SEGMENT) is None
