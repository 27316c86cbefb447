"""The index: spills and merges change nothing but memory; the local cache follows what is stored."""

import random
from pathlib import Path

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.storage.memory import MemoryStorage
from holdfast.vault.format.content import PLACE
from holdfast.vault.index.seen import SeenChunks
from holdfast.vault.index.segment import find_all, merge_segments, write_segment
from holdfast.vault.index.store import IndexStore
from tests.vault.kit import capture, create, packs_of, reopen


def test_seen_chunks_are_all_found_after_many_spills(tmp_path: Path) -> None:
    seen = SeenChunks(tmp_path / "seen", capacity=100)
    made = random.Random(1)
    known: dict[bytes, tuple[int, int, int, int, int]] = {}
    for frame in range(1000):
        ids = [made.randbytes(32) for _ in range(made.randint(1, 16))]
        sizes = [made.randint(1, 9000) for _ in ids]
        offsets = [sum(sizes[:i]) for i in range(len(ids))]
        seen.add(ids, frame // 7, frame * 11, 5000, offsets, sizes)
        known.update({identity: (frame // 7, frame * 11, 5000, offsets[i], sizes[i]) for i, identity in enumerate(ids)})
    assert seen.spills > 60
    assert len(list((tmp_path / "seen").glob("*.keys"))) < 25  # merged in levels
    for identity, row in known.items():
        assert (seen.recent(identity) or seen.spilled(identity).get(0)) == row
    assert seen.recent(bytes(32)) is None
    assert seen.spilled(b"\xff" * 32 + bytes(32)) == {}
    seen.close()
    assert not (tmp_path / "seen").exists()


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.lists(
            st.binary(min_size=32, max_size=32) | st.integers(0, 50).map(lambda n: b"same key" + bytes(20) + n.to_bytes(4, "big")),
            max_size=30,
        ),
        max_size=5,
    )
)
def test_merged_segments_find_what_the_parts_found(tmp_path_factory, groups) -> None:
    folder = tmp_path_factory.mktemp("segments")
    segments = []
    for number, ids in enumerate(groups):
        places = np.zeros(len(ids), PLACE)
        places["frame"] = np.arange(len(ids))
        places["pack"] = number
        segments.append(write_segment(folder / f"{number}", b"".join(ids), places))
    merged = merge_segments(folder / "merged", segments)
    asked = b"".join(identity for ids in groups for identity in ids) + bytes(32)

    def rows(of):
        return sorted((position, *segment.places[row].item()[:2]) for position, segment, row in find_all(of, asked))

    assert rows([merged]) == rows(segments)
    assert len(rows(segments)) >= sum(map(len, groups))


def test_the_cache_follows_the_vault_and_may_be_lost_or_spoilt(tmp_path: Path) -> None:
    store = MemoryStorage()
    vault = create(tmp_path, store)
    files = [{"f": random.Random(i).randbytes(100_000)} for i in range(12)]
    for one in files:
        capture(vault, one)

    def find_everything() -> int:
        index = IndexStore(tmp_path / "index", vault.locations, vault.notary)
        index.refresh()
        return sum(part.segment.count for part in index._parts)

    everything = find_everything()
    assert everything >= 12 * 3
    assert find_everything() == everything
    for path in (tmp_path / "index").glob("segment-*.keys"):
        path.write_bytes(path.read_bytes()[:-8])
        break
    assert find_everything() == everything
    gone = next(name for name in store.objects if name.startswith("index/"))
    del store.objects[gone]
    assert find_everything() < everything


def test_chunks_in_packs_that_are_gone_are_not_reused(tmp_path: Path) -> None:
    store = MemoryStorage()
    vault = create(tmp_path, store)
    files = {"f": random.Random(1).randbytes(300_000)}
    capture(vault, files)
    for name in packs_of(store):
        del store.objects[name]
    point = capture(reopen(vault, tmp_path), files)
    assert point.totals.new == 300_000
