"""The index that a running session writes: in pieces small enough to be made beside all else that it holds."""

from holdfast.model import SystemClock
from holdfast.vault.capture.session.index_log import IndexLog
from holdfast.vault.index import objects
from holdfast.vault.packs import layout
from holdfast.vault.packs.layout import FrameEntry
from holdfast.vault.packs.sink import Finished


class Stopped(SystemClock):
    def monotonic(self) -> float:
        return 0.0


class Kept:
    """Keeps what is stored, as it was handed over."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []

    def random(self, size: int) -> bytes:
        return bytes(size)

    def make(self, name, kind, now, *, plain, scope) -> bytes:
        del name, kind, now, scope
        return plain

    def put(self, name, parts) -> None:
        del name
        self.bodies.append(b"".join(parts))


def pack(number: int, chunks: int) -> Finished:
    frame = FrameEntry(100, 24 * chunks + 16, bytes(32 * chunks), [24] * chunks)
    return Finished(number, number.to_bytes(16, "big"), bytes(32), 1000, "data", [frame])


def test_ten_million_small_objects_are_told_in_pieces_of_some_mebibytes():
    kept = Kept()
    log = IndexLog(kept, kept, Stopped())
    for number in range(20):
        log.add(pack(number, layout.MAX_CHUNKS))
    log.flush()
    assert max(map(len, kept.bodies)) < 8 << 20
    told = [one for body in kept.bodies for one in objects.decode("x", body)]
    assert [int.from_bytes(one.id, "big") for one in told] == list(range(20))
    assert sum(len(one.places) for one in told) == 20 * layout.MAX_CHUNKS
