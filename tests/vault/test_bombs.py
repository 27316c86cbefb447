"""Some kilobytes that claim to become all memory: whoever has a writer's key can write them, and nobody expands them."""

import os
import tracemalloc
from collections.abc import Callable

import pytest
import zstandard

from holdfast.vault import crypto, envelope
from holdfast.vault.expand import expand
from holdfast.vault.packs import layout

BIG = 512 << 20


def bomb(size: int = BIG) -> bytes:
    """Compressed zeros that say how large they become (compressed a piece at a time, as its maker would)."""
    piece = bytes(1 << 20)
    made = zstandard.ZstdCompressor(level=1).compressobj(size=size)
    return b"".join(made.compress(piece) for _ in range(size >> 20)) + made.flush()


@pytest.fixture(scope="module")
def made() -> bytes:
    return bomb()


def memory(work: Callable[[], object]) -> int:
    """Bytes of Python's memory that ``work`` needed at most."""
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def refused(work: Callable[[], object], *kinds: type[Exception]) -> Callable[[], None]:
    def run() -> None:
        with pytest.raises(kinds):
            work()

    return run


def test_the_limit_is_one_whatever_the_data_says(made):
    assert memory(refused(lambda: expand(made, 1 << 20), zstandard.ZstdError)) < 8 << 20
    silent = zstandard.ZstdCompressor(write_content_size=False).compress(bytes(4 << 20))
    assert memory(refused(lambda: expand(silent, 1 << 20), zstandard.ZstdError)) < 8 << 20
    assert expand(silent, 4 << 20) == bytes(4 << 20)
    for rubbish in (b"", b"no zstd", made[:10]):
        with pytest.raises(zstandard.ZstdError):
            expand(rubbish, 1 << 20)
    # The library's own limit is none, or this module could go.
    assert len(zstandard.ZstdDecompressor().decompress(bomb(4 << 20), max_output_size=1)) == 4 << 20


def test_a_frame(made):
    key, vault, pack = os.urandom(32), os.urandom(16), os.urandom(16)
    head = layout.FRAME_HEAD.pack(layout.FRAME_MAGIC, 0, 4096, len(made) + layout.TAG, layout.ZSTD)
    body = crypto.cipher(key).encrypt(layout.frame_nonce(0), made, layout.frame_ad(vault, pack, head))
    assert memory(refused(lambda: layout.open_frame(key, vault, pack, head + body), ValueError)) < 8 << 20


def test_a_trailer(made):
    assert memory(refused(lambda: layout.decode_trailer(made), ValueError)) < 8 << 20


def test_an_envelope(monkeypatch):
    huge = bomb(1 << 30)
    monkeypatch.setattr(envelope, "_MAX_PLAIN", 1 << 20)
    key, vault = os.urandom(32), os.urandom(16)
    sealed = b"\x02" + bytes(12) + crypto.gcm_seal(envelope._shared_key(key, "x"), bytes(12), huge, envelope._ad(vault, "n"))
    one = envelope.Envelope("n", {"kind": "x"}, b"", sealed, b"", b"")
    work = refused(lambda: envelope.unseal(one, vault=vault, identity=key, privates={}), crypto.CannotOpen)
    assert memory(work) < 8 << 20
