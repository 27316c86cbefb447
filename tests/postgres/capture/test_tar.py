"""The tar stream of a server, cut anywhere."""

import io
import tarfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.systems.postgres.capture.tar import TarStream, parse_header
from holdfast.systems.postgres.faults import StreamMalformed

names = (
    st.lists(
        st.text(st.characters(blacklist_categories=("Cs", "Cc"), blacklist_characters="/\0"), min_size=1, max_size=12).filter(
            lambda name: name not in (".", "..")
        ),
        min_size=1,
        max_size=3,
    )
    .map("/".join)
    .filter(lambda name: len(name.encode()) <= 99)
)
files = st.dictionaries(names, st.one_of(st.none(), st.binary(max_size=3000)), max_size=6)


def archive(content):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name, data in content.items():
            info = tarfile.TarInfo(name)
            info.mtime, info.mode, info.uid = 1_700_000_000, 0o640, 26
            if data is None:
                info.type = tarfile.DIRTYPE
                tar.addfile(info)
            else:
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))
    return out.getvalue()


def taken(data, cuts):
    found, current = {}, []

    def member(one):
        current.append(one)
        found[one.path] = None if one.kind == "dir" else bytearray()
        return found[one.path].extend if one.kind == "file" else None

    ended = []
    stream = TarStream(member, lambda: ended.append(current[-1].path))
    at = 0
    for cut in [*sorted(cuts), len(data)]:
        stream.feed(memoryview(data)[at:cut])
        at = max(at, cut)
    stream.finish()
    assert ended == [one.path for one in current if one.kind == "file"]
    return found, current


@settings(max_examples=80, deadline=None)
@given(files, st.data())
def test_every_cut_gives_the_same_files(content, data):
    raw = archive(content)
    cuts = data.draw(st.lists(st.integers(0, len(raw)), max_size=20))
    found, members = taken(raw, cuts)
    assert found == {name: None if body is None else bytearray(body) for name, body in content.items()}
    for one in members:
        assert (one.mode, one.uid, one.mtime) == (0o640, 26, 1_700_000_000)


def test_byte_by_byte():
    raw = archive({"base/5/1": b"x" * 700, "empty": b"", "pg_wal": None})
    found, _ = taken(raw, range(len(raw)))
    assert found == {"base/5/1": bytearray(b"x" * 700), "empty": bytearray(), "pg_wal": None}


def test_sizes_of_eight_gib_and_more_are_in_base_256():
    info = tarfile.TarInfo("big")
    info.size = 9 << 30
    header = info.tobuf(tarfile.GNU_FORMAT)
    assert parse_header(header[:512]).size == 9 << 30


@pytest.mark.parametrize("path", ["/etc/passwd", "../x", "base/../../x"])
def test_a_path_that_leaves_the_data_directory_is_refused(path):
    header = tarfile.TarInfo(path).tobuf(tarfile.USTAR_FORMAT)
    with pytest.raises(StreamMalformed, match="outside"):
        parse_header(header[:512])


def test_a_flipped_header_byte_is_found():
    raw = bytearray(archive({"a": b"1"}))
    raw[3] ^= 1
    with pytest.raises(StreamMalformed, match="checksum"):
        taken(bytes(raw), [])


def test_an_archive_that_ends_in_mid_file_is_found():
    raw = archive({"a": b"1" * 2000})
    with pytest.raises(StreamMalformed, match="middle"):
        taken(raw[:1500], [])
