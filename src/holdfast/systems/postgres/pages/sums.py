"""Which pages of a run hold a checksum that is not theirs: the compiled way, and the same in numpy.

The sum is that of PostgreSQL's src/include/storage/checksum_impl.h: 32 lanes of 32 bits, FNV-1a with an added shift, two closing
rounds of zeros, lanes folded by XOR, mixed with the block number, reduced to 1..65535. The page's checksum field counts as zero.
"""

from collections.abc import Callable
from typing import Any, Final

Buffer = bytes | bytearray | memoryview

_LANES: Final = 32
_PRIME: Final = 16777619
_OFFSETS: Final = (
    0x5B1F36E9, 0xB8525960, 0x02AB50AA, 0x1DE66D2A, 0x79FF467A, 0x9BB9F8A3, 0x217E7CD2, 0x83E13D2C,
    0xF8D4474F, 0xE39EB970, 0x42C6AE16, 0x993216FA, 0x7B093B5D, 0x98DAFF3C, 0xF718902A, 0x0B1C9CDB,
    0xE58F764B, 0x187636BC, 0x5D7B3BB1, 0xE73DE7DE, 0x92BEC979, 0xCCA6C0B2, 0x304A0979, 0x85AA43D4,
    0x783125BB, 0x6CA8EAA2, 0xE407EAC6, 0x4B5CFC3E, 0x9FBF8C76, 0x15CA20BE, 0xF2CA9FD3, 0x959BD756,
)  # fmt: skip


def _sums(run: Buffer, first_block: int, page_size: int) -> tuple[Any, Any]:
    """(calculated, stored) sums of the whole pages in ``run`` as uint32 arrays."""
    import numpy as np

    count = len(run) // page_size
    prime, shift = np.uint32(_PRIME), np.uint32(17)
    words = np.frombuffer(run, "<u4", count * page_size // 4).reshape(count, page_size // (4 * _LANES), _LANES)
    rows = np.array(words.transpose(1, 0, 2), order="C", copy=True)
    stored = rows[0, :, 2] & np.uint32(0xFFFF)
    rows[0, :, 2] &= np.uint32(0xFFFF0000)
    sums = np.broadcast_to(np.array(_OFFSETS, np.uint32), (count, _LANES)).copy()
    for row in rows:
        sums ^= row
        sums = sums * prime ^ (sums >> shift)
    for _ in range(2):
        sums = sums * prime ^ (sums >> shift)
    folded = np.bitwise_xor.reduce(sums, axis=1)
    blocks = (np.arange(count, dtype=np.uint64) + np.uint64(first_block)).astype(np.uint32)
    return (folded ^ blocks) % np.uint32(65535) + np.uint32(1), stored


def page_sum(page: Buffer, block: int) -> int:
    """The checksum that ``page`` should hold as block ``block`` of its relation fork."""
    return int(_sums(page, block, len(page))[0][0])


def wrong_pages_numpy(run: Buffer, first_block: int, page_size: int) -> tuple[int, ...]:
    """Indexes of the whole pages of ``run`` whose stored checksum is not their own.

    ``first_block`` is the block number of the first page in its relation fork (all segments counted). A page of only zeros is right;
    a page whose pd_upper is zero and that holds anything else is wrong, as in the server's PageIsVerified. A part of a page at the end
    is not looked at. Raises ValueError for an impossible ``page_size`` (bytes).
    """
    import numpy as np

    if not 1024 <= page_size <= 65536 or page_size % (4 * _LANES):
        raise ValueError(f"not a page size: {page_size}")
    count = len(run) // page_size
    if not count:
        return ()
    calculated, stored = _sums(run, first_block, page_size)
    uppers = np.frombuffer(run, "<u2", count * page_size // 2).reshape(count, page_size // 2)[:, 7]
    view = memoryview(run)
    wrong = []
    for i in np.flatnonzero((calculated != stored) | (uppers == 0)):
        page = view[i * page_size : (i + 1) * page_size]
        if uppers[i] or page.tobytes().strip(b"\0"):
            wrong.append(int(i))
    return tuple(wrong)


def _fastest() -> tuple[Callable[[Buffer, int, int], tuple[int, ...]], bool]:
    try:
        from holdfast.systems.postgres import _pages
    except ImportError:
        return wrong_pages_numpy, False
    return _pages.wrong_pages, True


wrong_pages, COMPILED = _fastest()
"""The fastest way there is on this machine; same arguments and results as ``wrong_pages_numpy``. COMPILED: it releases the GIL."""
