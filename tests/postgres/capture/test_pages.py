"""Page sums: C and numpy agree with one another and with real servers; what is torn, younger or new is told from what is bad."""

import os
import struct
import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.systems.postgres import layout
from holdfast.systems.postgres.pages import sums
from holdfast.systems.postgres.pages.check import PageLedger, finding

PAGE = 8192
START = 0x5000000


def compiled():
    return pytest.importorskip("holdfast.systems.postgres._pages").wrong_pages


def page(block, *, page_lsn=1, fill=b"\x07", size=PAGE):
    """A page with the right sum."""
    body = bytearray((fill * size)[:size])
    struct.pack_into("<IIHHHH", body, 0, page_lsn >> 32, page_lsn & 0xFFFFFFFF, 0, 0, 100, 200)
    struct.pack_into("<H", body, 8, sums.page_sum(bytes(body), block))
    return bytes(body)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.sampled_from(["right", "zero", "flipped", "random", "upper"]), min_size=0, max_size=12),
    st.integers(0, 2**32 - 20),
    st.sampled_from([1024, 4096, 8192, 32768]),
    st.integers(0, 1023),
    st.randoms(use_true_random=False),
)
def test_the_compiled_way_and_numpy_find_the_same_pages(kinds, first, size, rest, random):
    pages = []
    for i, kind in enumerate(kinds):
        body = bytearray(page(first + i, fill=random.randbytes(64), size=size))
        if kind == "zero":
            body = bytearray(size)
        elif kind == "flipped":
            body[random.randrange(size)] ^= 1 << random.randrange(8)
        elif kind == "random":
            body = bytearray(random.randbytes(size))
        elif kind == "upper":
            body[14:16] = b"\0\0"
        pages.append(body)
    run = b"".join(pages) + random.randbytes(rest)
    found = sums.wrong_pages_numpy(run, first, size)
    assert compiled()(run, first, size) == found
    assert compiled()(memoryview(bytearray(run)), first, size) == found
    expected = {i for i, kind in enumerate(kinds) if kind in ("flipped", "upper")}
    # A flipped bit always changes the sum or is the stored sum itself; random bytes are right once in 65535.
    assert expected <= set(found) <= expected | {i for i, kind in enumerate(kinds) if kind == "random"}


@pytest.mark.parametrize("way", ["compiled", "numpy"])
def test_an_impossible_page_size_is_refused(way):
    function = compiled() if way == "compiled" else sums.wrong_pages_numpy
    for size in (0, 8191, 100, 1 << 20):
        with pytest.raises(ValueError, match="page size"):
            function(b"x" * 16384, 0, size)


def test_the_block_number_is_part_of_the_sum():
    assert sums.wrong_pages(page(7), 7, PAGE) == ()
    assert sums.wrong_pages(page(7), 8, PAGE) == (0,)


@pytest.mark.postgres
def test_every_page_of_a_real_server_is_right(servers, pg_version):
    server = servers(pg_version)
    server.execute("create table t as select i, repeat('x', i % 300) as s from generate_series(1, 20000) i; create index on t (s, i)")
    server.execute("vacuum t")
    server.stop()
    seen = 0
    for place in [*server.data.glob("base/*/*"), *server.data.glob("global/*")]:
        relation = layout.relation(str(place.relative_to(server.data)))
        if relation is None:
            continue
        data = place.read_bytes()
        assert compiled()(data, 0, PAGE) == sums.wrong_pages_numpy(data, 0, PAGE) == (), place
        seen += len(data) // PAGE
    assert seen > 1500


@pytest.mark.postgres
def test_the_interpreter_goes_on_while_sums_are_computed():
    run = os.urandom(64 << 20)
    turns = []
    stop = threading.Event()

    def count():
        while not stop.is_set():
            turns.append(1)

    thread = threading.Thread(target=count)
    thread.start()
    before = len(turns)
    compiled()(run, 0, PAGE)
    during = len(turns) - before
    stop.set()
    thread.join()
    # With the lock held, nothing but one switch before and after could happen.
    assert during > 100


class Rereading:
    """A file whose content is another one at the second look."""

    def __init__(self, data):
        self.data = data
        self.reads = 0

    def read_into(self, offset, buffer):
        self.reads += 1
        piece = self.data[offset : offset + len(buffer)]
        buffer[: len(piece)] = piece
        return len(piece)


def inspect(first, second, *, path="base/5/1234.1", reread=True):
    ledger = PageLedger(START, PAGE, 4)
    view = memoryview(bytearray(first))
    source = Rereading(second)
    ledger.inspector(path, layout.relation(path), reread=reread)(source, 0, view)
    return ledger, bytes(view), source


def flipped(body):
    return body[:5000] + bytes([body[5000] ^ 1]) + body[5001:]


def test_a_torn_page_is_read_again_and_what_was_judged_is_stored():
    good = page(4) + page(5)
    ledger, stored, source = inspect(page(4) + flipped(page(5)), good)
    assert (ledger.settled(START * 2), ledger.torn, stored, source.reads) == ([], 1, good, 1)


def test_a_bad_page_is_named_with_its_block_in_the_fork():
    ledger, _, source = inspect(page(4) + flipped(page(5)), page(4) + flipped(page(5)))
    assert source.reads == 1
    [bad] = ledger.settled(START * 2)
    told = finding(bad, "shop.orders")
    assert told.code == "pg-bad-page"
    assert told.where == {"path": "base/5/1234.1", "block": 5, "fork": "main", "relation": "shop.orders", "lsn": "0/1"}
    assert "Block 5 of shop.orders (base/5/1234.1)" in told.message


def test_a_page_written_after_the_start_is_replayed_over_so_it_is_not_bad():
    young = flipped(page(4, page_lsn=START + 8))
    ledger, _, _ = inspect(young, young)
    assert ledger.settled(START + 100) == []


def test_a_page_that_claims_to_be_from_the_future_is_bad():
    future = flipped(page(4, page_lsn=START + 0x1000))
    ledger, _, _ = inspect(future, future)
    assert [one.block for one in ledger.settled(START + 0xFFF)] == [4]


def test_a_page_that_was_truncated_away_meanwhile_is_not_bad():
    ledger, _, _ = inspect(page(4) + flipped(page(5)), page(4))
    assert ledger.settled(START * 2) == []


def test_a_stream_cannot_be_read_again():
    ledger, _, source = inspect(flipped(page(4)), b"", reread=False)
    assert source.reads == 0
    assert len(ledger.settled(START * 2)) == 1
