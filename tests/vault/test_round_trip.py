"""What goes in comes out: any set of files, full, incremental, streamed, by changed ranges, whole and delta."""

import os
import random
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from holdfast.model import Entry
from holdfast.vault.errors import TooLarge
from holdfast.vault.format.content import PART_CHUNKS
from tests.vault.kit import Bytes, add_all, capture, create, finish, reopen, restore

CHUNK = 4096
RUN = 1 << 20
BORDERS = [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, RUN - 1, RUN, RUN + 1, RUN + CHUNK, 2 * RUN, 2 * RUN + 5]


def noise(seed: int, size: int) -> bytes:
    return random.Random(seed).randbytes(size)


@st.composite
def contents(draw: st.DrawFn) -> bytes:
    size = draw(st.one_of(st.sampled_from(BORDERS), st.integers(0, 3 * CHUNK)))
    data = bytearray(draw(st.sampled_from([bytes(size), noise(1, size), b"abc" * (size // 3) + b"x" * (size % 3)])))
    for _ in range(draw(st.integers(0, 3))):
        if size:
            start = draw(st.integers(0, size - 1))
            length = draw(st.integers(1, 3 * CHUNK))
            piece = data[start : start + length]
            data[start : start + length] = bytes(len(piece)) if draw(st.booleans()) else noise(draw(st.integers(0, 5)), len(piece))
    return bytes(data)


names = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=20) | st.sampled_from(
    ["a b", 'it\'s "quoted"', "naïve/ünïcode", os.fsdecode(b"\xff\xfe not utf-8"), "new\nline", "base/16384/2619", "\u2028", "a\\b"]
)
file_sets = st.dictionaries(names, contents(), max_size=5)


@settings(
    max_examples=30,
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(first=file_sets, second=file_sets, edits=st.data())
def test_any_files_full_then_incremental_then_delta(first, second, edits, tmp_path_factory) -> None:
    tmp_path = tmp_path_factory.mktemp("v")
    vault = create(tmp_path)
    one = capture(vault, first, chunk_size=CHUNK)
    assert one.method == "full"
    reader = vault.reader(one)
    assert restore(reader) == first
    assert one.totals.bytes == sum(map(len, first.values()))
    assert one.totals.files == len(first)
    merged = {**first, **second}
    two = capture(vault, merged, reader, chunk_size=CHUNK)
    again = reopen(vault, tmp_path, cache="other")
    newest = again.point(two.id)
    assert restore(newest) == merged
    assert restore(again.point(one.id)) == first
    before = {
        path: edits.draw(st.sampled_from([data, first.get(path, b""), b"", noise(3, len(data) + 9)])) for path, data in merged.items()
    }
    assert restore(newest, delta=True, before=before) == merged


def test_nothing_new_stores_only_the_tree(tmp_path: Path) -> None:
    vault = create(tmp_path)
    files = {f"f{i}": noise(i, 10_000 + i) for i in range(200)} | {"big": noise(7, 9 * RUN + 11)}
    one = vault.reader(capture(vault, files))
    two = capture(vault, files, one)
    assert (two.totals.new_chunks, two.totals.new, two.method) == (0, 0, "incremental")
    assert two.totals.read == one.point.totals.read == sum(map(len, files.values()))
    assert two.totals.stored < 100_000
    assert restore(vault.reader(two)) == files


def test_equal_chunks_are_stored_once_within_a_point_and_across_points_without_a_base(tmp_path: Path) -> None:
    vault = create(tmp_path)
    block = noise(1, 3 * RUN)
    one = capture(vault, {"a": block, "b": block, "c": block[RUN:] + block[:RUN]}, workers=1)
    assert one.totals.new == len(block)
    two = capture(reopen(vault, tmp_path, cache="fresh"), {"moved/elsewhere": block})
    assert (two.totals.new, two.method) == (0, "full")
    assert restore(vault.reader(two)) == {"moved/elsewhere": block}


def test_sizes_around_every_border(tmp_path: Path) -> None:
    vault = create(tmp_path)
    for chunk in (4096, 65536, 1 << 20, 4 << 20):
        sizes = sorted({max(0, k * unit + d) for unit in (chunk, RUN) for k in (0, 1, 2) for d in (-1, 0, 1)})
        files = {f"{chunk}/{size}": noise(size, size) for size in sizes}
        assert restore(vault.reader(capture(vault, files, chunk_size=chunk))) == files


def test_zero_chunks_are_not_stored_and_not_written(tmp_path: Path) -> None:
    vault = create(tmp_path)
    files = {"zeros": bytes(5 * RUN + 77), "hole": noise(1, 65536) + bytes(RUN) + noise(2, 5)}
    point = capture(vault, files)
    assert point.totals.new == 65536 + 5
    reader = vault.reader(point)
    assert restore(reader) == files
    assert restore(reader, delta=True, before={"zeros": b"\1" * 6 * RUN, "hole": b""}) == files


def test_a_source_that_answers_in_small_pieces(tmp_path: Path) -> None:
    vault = create(tmp_path)
    data = noise(1, 2 * RUN + 5)
    source = Bytes(data, cap=70_001)
    with vault.begin(system="s", kind="files") as writer:
        writer.add(Entry("f", size=len(data)), source)
        point = finish(writer)
    assert source.closed == 1
    assert restore(vault.reader(point)) == {"f": data}


@pytest.mark.parametrize("length", [0, 1, 65536, RUN, RUN + 1, 2 * RUN - 7, 3 * RUN - 1])
def test_a_file_that_shrank_is_stored_as_long_as_it_was(tmp_path: Path, length: int) -> None:
    vault = create(tmp_path)
    data = noise(1, length)
    base = vault.reader(capture(vault, {"f": noise(1, 3 * RUN), "g": b"x"}))
    for chosen in (None, base):
        with vault.begin(system="s", kind="files", base=chosen) as writer:
            writer.add(Entry("f", size=3 * RUN), Bytes(data))
            writer.add(Entry("g", size=1), b"x")
            point = finish(writer)
        stored = vault.reader(point).find("f")
        assert stored is not None
        assert stored.entry.size == length
        assert restore(vault.reader(point)) == {"f": data, "g": b"x"}


def test_inspect_sees_every_byte_once_in_aligned_runs_and_may_change_them(tmp_path: Path) -> None:
    vault = create(tmp_path)
    data = noise(1, 3 * RUN + 100)
    seen: list[tuple[int, int]] = []

    def inspect(source, offset: int, run: memoryview) -> None:
        assert bytes(run) == data[offset : offset + len(run)]
        seen.append((offset, len(run)))
        if offset == RUN:
            run[:4] = b"torn"

    with vault.begin(system="s", kind="files", chunk_size=2 << 20) as writer:
        writer.add(Entry("f", size=len(data)), Bytes(data), inspect=inspect)
        point = finish(writer)
    assert sorted(seen) == [(0, RUN), (RUN, RUN), (2 * RUN, RUN), (3 * RUN, 100)]
    assert restore(vault.reader(point))["f"] == data[:RUN] + b"torn" + data[RUN + 4 :]


def test_changed_ranges_are_read_and_nothing_else(tmp_path: Path) -> None:
    vault = create(tmp_path)
    old = noise(1, 3 * RUN + 100)
    new = bytearray(old)
    new[70_000:70_010] = b"0123456789"
    new[RUN - 3 : RUN + 3] = b"border"
    new[-2:] = b"!!"
    base = vault.reader(capture(vault, {"f": old}))
    source = Bytes(bytes(new))
    with vault.begin(system="s", kind="files", base=base) as writer:
        writer.add(Entry("f", size=len(new)), source, changed=[(70_000, 70_010), (RUN - 3, RUN + 3), (len(new) - 2, len(new))])
        point = finish(writer)
    assert point.totals.read == 65536 * 3 + 100
    assert restore(vault.reader(point)) == {"f": bytes(new)}


@pytest.mark.parametrize("size", [RUN, 2 * RUN + 7, 2 * RUN + 100, 5 * RUN])
def test_changed_ranges_with_another_length_than_the_base(tmp_path: Path, size: int) -> None:
    vault = create(tmp_path)
    old = noise(1, 2 * RUN + 100)
    new = (old + noise(2, 5 * RUN))[:size]
    base = vault.reader(capture(vault, {"f": old}))
    with vault.begin(system="s", kind="files", base=base) as writer:
        writer.add(Entry("f", size=size), Bytes(new), changed=[])
        point = finish(writer)
    assert restore(vault.reader(point)) == {"f": new}
    assert point.totals.read <= max(0, size - len(old)) + 65536


def test_changed_without_the_path_in_the_base_reads_everything(tmp_path: Path) -> None:
    vault = create(tmp_path)
    base = vault.reader(capture(vault, {"other": b"x"}))
    with vault.begin(system="s", kind="files", base=base) as writer:
        writer.add(Entry("f", size=5), Bytes(b"hello"), changed=[])
        point = finish(writer)
    assert restore(vault.reader(point)) == {"f": b"hello"}


def test_reuse_takes_content_without_reading(tmp_path: Path) -> None:
    vault = create(tmp_path)
    files = {"small": b"abc", "big": noise(1, 20 * RUN), "empty": b""}
    base = vault.reader(capture(vault, files))
    with vault.begin(system="s", kind="files", base=base) as writer:
        assert writer.reuse(Entry("small", size=3, mode=0o640, mtime_ns=5))
        assert writer.reuse(Entry("big", size=20 * RUN))
        assert writer.reuse(Entry("empty", size=0))
        assert not writer.reuse(Entry("small", size=4))
        assert not writer.reuse(Entry("absent", size=3))
        point = finish(writer)
    reader = reopen(vault, tmp_path).reader(point)
    assert restore(reader) == files
    found = reader.find("small")
    assert found is not None
    assert (found.entry.mode, found.entry.mtime_ns) == (0o640, 5)
    assert (point.totals.read, point.totals.files, point.totals.bytes) == (0, 3, 20 * RUN + 3)


@pytest.mark.parametrize("size", [0, 1, 65536, RUN, RUN + 1, 3 * RUN + 17])
def test_streams_with_and_without_a_base(tmp_path: Path, size: int) -> None:
    vault = create(tmp_path)
    data = noise(1, size)
    base = None
    for edit in (data, data[: size // 2] + b"?" + data[size // 2 + 1 :] if size else b""):
        with vault.begin(system="s", kind="files", base=base) as writer:
            sink = writer.stream(Entry("wal/0001"))
            writer.add(Entry("between", size=3), b"abc")
            for start in range(0, len(edit), 100_003):
                sink.write(edit[start : start + 100_003])
            sink.close()
            sink.close()
            point = finish(writer)
        base = vault.reader(point)
        assert restore(base) == {"wal/0001": edit, "between": b"abc"}
        assert point.totals.new <= 65536 * 2 + 3 or point.base is None


def test_folders_links_and_extras(tmp_path: Path) -> None:
    vault = create(tmp_path)
    entries = [
        Entry("d", kind="dir", mode=0o700, uid=1, gid=2, mtime_ns=-3),
        Entry("d/link", kind="symlink", target=os.fsdecode(b"../\xff")),
        Entry("d/f", size=2, extra={"crc": 7, "deep": {"x": [1]}}),
    ]
    with vault.begin(system="s", kind="files") as writer:
        writer.add(entries[0])
        writer.add(entries[1])
        writer.add(entries[2], b"hi")
        point = finish(writer)
    reader = vault.reader(point)
    assert [stored.entry for stored in reader.entries()] == entries
    assert [stored.entry.path for stored in reader.entries("d/")] == ["d/link", "d/f"]
    found = reader.find("d/f")
    assert found is not None
    assert reader.read(found) == b"hi"


def test_read_refuses_large_files(tmp_path: Path) -> None:
    vault = create(tmp_path)
    with vault.begin(system="s", kind="files") as writer:
        writer.add(Entry("f", size=(64 << 20) + 1), Bytes(bytes((64 << 20) + 1)))
        point = finish(writer)
    reader = vault.reader(point)
    stored = reader.find("f")
    assert stored is not None
    with pytest.raises(TooLarge):
        reader.read(stored)


def test_files_of_several_parts(tmp_path: Path) -> None:
    vault = create(tmp_path)
    part = PART_CHUNKS * CHUNK
    data = bytearray(2 * part + 5000)
    for at in (0, part - 5, part, 2 * part - 4096, 2 * part, 2 * part + 4999):
        data[at] = 1 + at % 200
    base = vault.reader(capture(vault, {"f": bytes(data)}, chunk_size=CHUNK))
    assert restore(base) == {"f": bytes(data)}
    data[part + 7 * CHUNK] = 9
    again = capture(vault, {"f": bytes(data)}, base, chunk_size=CHUNK)
    assert again.totals.new == CHUNK
    assert restore(vault.reader(again)) == {"f": bytes(data)}
    with vault.begin(system="s", kind="files", base=base, chunk_size=CHUNK) as writer:
        sink = writer.stream(Entry("f"))
        sink.write(data)
        sink.close()
        streamed = finish(writer)
    assert streamed.totals.new_chunks == 0
    assert restore(vault.reader(streamed)) == {"f": bytes(data)}


def test_many_entries_are_found_whatever_their_order(tmp_path: Path) -> None:
    vault = create(tmp_path)
    paths = [f"dir{i % 7}/{'n' * 150}{i}" for i in range(12_000)]
    random.Random(1).shuffle(paths)
    with vault.begin(system="s", kind="files") as writer:
        for path in paths:
            writer.add(Entry(path, size=len(path)), path.encode())
        point = finish(writer)
    reader = vault.reader(point)
    assert [stored.entry.path for stored in reader.entries()] == paths
    for path in paths[::1999]:
        stored = reader.find(path)
        assert stored is not None
        assert reader.read(stored) == path.encode()
    assert reader.find("dir1/absent") is None


def test_two_writers_at_once_share_one_vault(tmp_path: Path) -> None:
    vault = create(tmp_path)
    files = {"a": noise(1, 2 * RUN), "b": noise(2, 100)}
    with vault.begin(system="one", kind="files") as one, reopen(vault, tmp_path).begin(system="two", kind="files") as two:
        add_all(one, files)
        add_all(two, files)
        points = [finish(one), finish(two)]
    for point in points:
        assert restore(vault.reader(point)) == files
    assert [point.system for point in vault.points()] == ["one", "two"]
    assert [point.id for point in vault.points("two")] == [points[1].id]
