"""A point that somebody with a writer's key made to hurt whoever restores it: nothing is written outside, and it is damage, no crash."""

import json
from pathlib import Path

import pytest

from holdfast.errors import Damaged
from holdfast.model import Entry, Silent
from holdfast.recovery.files import PathEscapes, write_out
from holdfast.vault.restore.reader import Reader
from tests.vault.kit import create, finish

EVIL = b"evil"


def point(folder: Path, *entries: Entry) -> Reader:
    vault = create(folder)
    with vault.begin(system="s", kind="files", base=None) as writer:
        for entry in entries:
            writer.add(entry, EVIL if entry.kind == "file" else None)
        done = finish(writer)
    return vault.point(done.id)


def written(reader: Reader, target: Path, root: str = "") -> None:
    write_out(reader, list(reader.entries(root)), root, target, Silent())


@pytest.fixture
def outside(tmp_path) -> Path:
    """What must stay as it is."""
    folder = tmp_path / "outside"
    (folder / "sub").mkdir(parents=True)
    (folder / "kept").write_text("kept")
    (folder / "kept").chmod(0o640)
    (folder / "sub").chmod(0o750)
    return folder


def state(folder: Path) -> list[tuple[str, int, int, bytes]]:
    return sorted(
        (str(path), path.lstat().st_mode, path.lstat().st_mtime_ns, path.read_bytes() if path.is_file() else b"")
        for path in folder.rglob("*")
    )


def cases(outside: Path) -> dict[str, list[Entry]]:
    link = Entry("d/link", "symlink", target=str(outside))
    return {
        "a file through a link": [Entry("d", "dir", mode=0o755), link, Entry("d/link/new", size=4)],
        "a file through a link that comes later": [Entry("d/link/new", size=4), link],
        "a folder through a link": [link, Entry("d/link/sub", "dir", mode=0o777)],
        "a link through a link": [link, Entry("d/link/other", "symlink", target="/etc/passwd")],
        "a folder of the link's name": [link, Entry("d/link", "dir", mode=0o777)],
        "a file of the link's name": [Entry("d/link", "symlink", target=str(outside / "kept")), Entry("d/link", size=4)],
        "the link of a file's name": [Entry("d/link", size=4), Entry("d/link", "symlink", target=str(outside / "kept"))],
        "the top itself": [Entry("d", "symlink", target=str(outside)), Entry("d/new", size=4)],
        "up": [Entry("d/../../outside/new", size=4)],
        "up at the end": [Entry("d/..", "dir", mode=0o777)],
        "absolute": [Entry(str(outside / "new"), size=4)],
        "a NUL": [Entry("d/a\0b", size=4)],
        "a name of nothing": [Entry("d//a", size=4)],
        "here": [Entry("d/./a", size=4)],
        "twice": [Entry("d/a", size=4), Entry("d/a", size=4)],
        "below a file": [Entry("d/a", size=4), Entry("d/a/b", size=4)],
    }


@pytest.mark.parametrize("case", list(cases(Path("/x"))))
@pytest.mark.parametrize("root", ["", "d"])
def test_files_that_are_got_out_lie_below_their_folder(tmp_path, outside, case, root):
    before = state(outside)
    reader = point(tmp_path / "vault", *cases(outside)[case])
    if (case, root) == ("absolute", "d"):
        return
    with pytest.raises(PathEscapes):
        written(reader, tmp_path / "target" / "inner", root)
    assert state(outside) == before
    assert not list((tmp_path / "target").rglob("*")) if (tmp_path / "target").exists() else True


def test_links_that_lead_anywhere_are_kept_as_links(tmp_path, outside):
    before = state(outside)
    entries = [
        Entry("d", "dir", mode=0o755),
        Entry("d/a", size=4, mode=0o6755),
        Entry("d/link", "symlink", target=str(outside)),
        Entry("d/linkage", size=4),
    ]
    written(point(tmp_path / "vault", *entries), tmp_path / "target")
    assert (tmp_path / "target/d/link").readlink() == outside
    assert (tmp_path / "target/d/a").stat().st_mode & 0o7777 == 0o755
    assert (tmp_path / "target/d/linkage").read_bytes() == EVIL
    assert state(outside) == before


LINE = {"p": "d/a", "k": "f", "s": 4, "m": 0o600, "u": 0, "g": 0, "t": 0}
REF = ["00" * 32, "00" * 16, 0, 100, 0, 4]


def forged(folder: Path, plain: bytes, count: int) -> Reader:
    """A point whose only tree segment is ``plain``."""
    vault = create(folder)
    with vault.begin(system="s", kind="files", base=None) as writer:
        ref = writer._tree.store(plain)
        writer._tree.segments.append({"first": "", "last": "\uffff", "n": count, "ref": ref.to_json()})
        done = finish(writer)
    return vault.point(done.id)


@pytest.mark.parametrize(
    "line",
    [
        b"[" * 200_000,
        b'{"a":' * 100_000,
        b"{}",
        b"[]",
        b'"text"',
        b"1e400",
        json.dumps({**LINE, "k": "x"}).encode(),
        json.dumps({**LINE, "k": []}).encode(),
        json.dumps({**LINE, "s": -1}).encode(),
        json.dumps({**LINE, "s": 1 << 70}).encode(),
        json.dumps({**LINE, "p": 7}).encode(),
        json.dumps({**LINE, "c": "no base64!"}).encode(),
        json.dumps({**LINE, "c": 7}).encode(),
        json.dumps({**LINE, "c": "AAAA"}).encode(),
        json.dumps({**LINE, "r": 7}).encode(),
        json.dumps({**LINE, "r": [7]}).encode(),
        json.dumps({**LINE, "r": [[]]}).encode(),
        json.dumps({**LINE, "r": [["zz", *REF[1:]]]}).encode(),
        json.dumps({**LINE, "r": [[REF[0], REF[1], -5, 100, 0, 4]]}).encode(),
        json.dumps({**LINE, "r": [[REF[0], REF[1], 0, -1, 0, 4]]}).encode(),
        json.dumps({**LINE, "r": [[REF[0], REF[1], 0, 1 << 60, 0, 4]]}).encode(),
        json.dumps({**LINE, "r": [REF]}).encode(),
        json.dumps({**LINE, "x": {"h": "x"}, "s": 4}).encode(),
    ],
    ids=lambda line: line[:60].decode(errors="replace"),
)
def test_lines_that_no_capture_wrote_are_damage(tmp_path, line):
    reader = forged(tmp_path / "vault", line, 1)
    with pytest.raises(Damaged):
        written(reader, tmp_path / "target")
    with pytest.raises(Damaged):
        read_all(reader)


def read_all(reader: Reader) -> None:
    for stored in reader.lines():
        assert stored.entry is not None
        reader.read(stored)


def test_a_list_that_names_a_frame_of_gigabytes_is_refused_before_it_is_read(tmp_path, monkeypatch):
    reader = point(tmp_path / "vault", Entry("d/a", size=4))
    [stored] = reader.entries("d/a")
    [part] = reader.tree.parts(stored.document)
    places = part.places.copy()
    places["whole"] = 1 << 31
    asked = []
    storage = reader._locations.first
    real = storage.get
    monkeypatch.setattr(storage, "get", lambda name, begin=0, length=None: asked.append(length) or real(name, begin, length))
    with pytest.raises(Damaged, match="no writer makes one"):
        list(reader.packs.frames(part.packs[0], [(int(places["frame"][0]), int(places["whole"][0]))]))
    assert max((length or 0 for length in asked), default=0) < 1 << 20
