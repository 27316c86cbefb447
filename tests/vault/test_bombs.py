"""Some kilobytes that claim to become all memory: whoever has a writer's key can write them, and nobody expands them."""

import os
import tracemalloc
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
import zstandard

from holdfast.storage.contract import ObjectInfo
from holdfast.storage.memory import MemoryStorage
from holdfast.vault.check import Check
from holdfast.vault.errors import ObjectTooLarge
from holdfast.vault.format import crypto, envelope
from holdfast.vault.format.expand import expand
from holdfast.vault.packs import layout
from tests.vault.kit import CLOCK, capture, create

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
    monkeypatch.setattr(envelope, "_MAX_OTHER", 1 << 20)
    key, vault = os.urandom(32), os.urandom(16)
    sealed = b"\x02" + bytes(12) + crypto.gcm_seal(envelope._shared_key(key, "x"), bytes(12), huge, envelope._ad(vault, "n"))
    one = envelope.Envelope("n", {"kind": "x"}, b"", sealed, b"", b"")
    work = refused(lambda: envelope.unseal(one, vault=vault, identity=key, privates={}), crypto.CannotOpen)
    assert memory(work) < 8 << 20


@pytest.mark.parametrize("kind", ["session", "hold", "journal", "damaged", "ring", "plan", "log", "point", "index"])
def test_an_envelope_of_any_kind_is_expanded_as_far_as_its_kind_may_go(kind):
    most = envelope.largest(kind)
    assert most <= 256 << 20
    key, vault = os.urandom(32), os.urandom(16)

    def unseal(size: int) -> bytes:
        body = crypto.gcm_seal(envelope._shared_key(key, kind), bytes(12), bomb(size), envelope._ad(vault, "n"))
        one = envelope.Envelope("n", {"kind": kind}, b"", b"\x02" + bytes(12) + body, b"", b"")
        return envelope.unseal(one, vault=vault, identity=key, privates={})

    assert memory(refused(lambda: unseal(most + (1 << 20)), crypto.CannotOpen)) < 8 << 20
    if most <= 16 << 20:
        assert len(unseal(most)) == most


def test_what_would_be_too_large_to_read_is_not_written(tmp_path):
    vault = create(tmp_path)
    most = envelope.largest("journal")
    for size, fits in ((most, True), (most + 1, False)):
        work = lambda size=size: vault.notary.make("journal/a/1", "journal", CLOCK.now(), plain=bytes(size))  # noqa: E731
        if fits:
            assert work()
        else:
            with pytest.raises(ObjectTooLarge, match=str(size)):
                work()


class Swollen(MemoryStorage):
    """Lists some objects as larger than memory; reading one of those ends the test."""

    def __init__(self) -> None:
        super().__init__()
        self.swollen: set[str] = set()

    def list(self, prefix: str = "", after: str = "") -> Iterator[ObjectInfo]:
        for info in super().list(prefix, after):
            yield replace(info, size=1 << 40) if info.name in self.swollen else info

    def head(self, name: str) -> ObjectInfo | None:
        info = super().head(name)
        return replace(info, size=1 << 40) if info is not None and name in self.swollen else info

    def get(self, name: str, start: int = 0, length: int | None = None) -> bytes:
        assert name not in self.swollen or length is not None, f"{name} was read into memory"
        return super().get(name, start, length)


@pytest.mark.parametrize("prefix", ["packs/", "index/", "holds/", "logs/", "unknown/", "aside/"])
def test_a_check_does_not_read_what_is_larger_than_any_of_its_kind(tmp_path, prefix):
    storage = Swollen()
    vault = create(tmp_path, storage)
    capture(vault, {"a": os.urandom(5000)})
    for name in (f"{prefix}{'0' * 32}", f"logs/{'0' * 16}/{'0' * 16}/{0:016x}-{9:016x}", f"packs/00/{'0' * 32}-{'0' * 64}"):
        if name.startswith(prefix):
            storage.put_if_absent(name, [b"x"])
    storage.swollen = {info.name for info in storage.list(prefix)}
    assert storage.swollen
    report = Check(vault, share=1.0).run()
    told = [one for one in report.found if one.object in storage.swollen]
    assert told
    if prefix not in ("unknown/", "aside/"):
        assert any(one.severity == "damage" and "bytes" in one.detail for one in told)
