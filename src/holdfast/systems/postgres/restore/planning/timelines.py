"""Timelines of one cluster: which stretch of WAL each history is made of, and which histories pass through a position."""

from dataclasses import dataclass

from holdfast.systems.postgres.wal.timeline import ancestry


@dataclass(frozen=True, slots=True)
class Piece:
    """WAL from ``start`` up to ``end`` (None: as far as it goes) lies in the log ``branch`` of ``timeline``."""

    branch: str
    timeline: int
    start: int
    end: int | None


@dataclass(frozen=True, slots=True)
class Line:
    """One history from the first timeline to ``timeline``: the pieces of WAL one replays to follow it."""

    branch: str
    timeline: int
    pieces: tuple[Piece, ...]
    history: bytes = b""

    def at(self, position: int) -> Piece:
        """The piece that holds the byte at ``position``."""
        for piece in self.pieces:
            if piece.end is None or position < piece.end:
                return piece
        raise AssertionError("the last piece has no end")

    def passes(self, branch: str, position: int) -> bool:
        """Whether a server that stands on ``branch`` at ``position`` lies on this history."""
        return any(
            piece.branch == branch and position >= piece.start and (piece.end is None or position <= piece.end) for piece in self.pieces
        )

    def fork_from(self, other: "Line") -> int | None:
        """Where this history leaves ``other``; None when neither leaves the other (one is the beginning of the other is still a fork)."""
        for piece, theirs in zip(self.pieces, other.pieces, strict=False):
            if piece.branch != theirs.branch:
                return piece.start
            if piece.end != theirs.end:
                return min(end for end in (piece.end, theirs.end) if end is not None)
        return None

    def extends(self, other: "Line") -> bool:
        """Whether this history grew out of ``other``'s newest timeline."""
        return self.branch != other.branch and any(piece.branch == other.branch for piece in self.pieces)


def line(system_identifier: str, timeline: int, history: bytes) -> Line:
    """The history that a timeline's history file tells. Raises ValueError for a file that tells nothing of a timeline over 1."""
    stretches = ancestry(system_identifier, timeline, history if timeline > 1 else b"")
    pieces = tuple(Piece(one.branch, one.timeline, one.start, one.end) for one in stretches)
    return Line(pieces[-1].branch, timeline, pieces, stretches[-1].history)
