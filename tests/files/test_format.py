"""The lines of a tree stay as they are (docs/files-format.md), and nothing that is no such line does harm."""

import base64
import contextlib
import json
import os
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from holdfast.errors import Damaged, HoldfastError
from holdfast.model import Entry
from holdfast.systems.files.capture.entries import Stamps, plain_entry
from holdfast.vault.capture.intake.batch import packs_of, single
from holdfast.vault.format import content
from holdfast.vault.format.text import to_json
from holdfast.vault.restore.tree import Stored, Tree, to_document
from tests.files.kit import Scene

GOLDEN = Path(__file__).parent / "golden" / "lines.jsonl"
BEGAN = 1_800_000_000_000_000_000


def status(kind: int, *, inode: int = 7, links: int = 1, size: int = 0, device: int = 0, mtime: int = 1_700_000_000_123_456_789):
    fields = [kind | 0o644, inode, 64769, links, 1000, 100, size, 0, 0, 0]
    return os.stat_result(fields, {"st_mtime_ns": mtime, "st_rdev": device})


def lines() -> list[bytes]:
    stamps = Stamps(BEGAN)
    old, fresh, coarse = 1_700_000_001_000_000_001, BEGAN - 1_000_001, BEGAN - 1_000_000_000
    pack, identity = bytes(range(16)), bytes(range(32))
    one = single(1 << 20, identity, pack, 100, 200, 300, 400)

    def line(entry: Entry, size: int = 0, inline: bytes | None = None) -> bytes:
        return to_json(to_document(entry, size, None if inline is None else base64.b64encode(inline).decode(), ()))

    return [
        line(Entry("files/srv", "dir", 0, 0o2755, 0, 0, -1)),
        line(Entry("files/srv/a", "file", 400, 0o4644, 1000, 100, 1, None, stamps.extra(7, old, 1, 64769)), 400, one),
        line(Entry("files/srv/just-written", "file", 0, 0o600, 1000, 100, 1, None, stamps.extra(8, fresh, 1, 64769))),
        line(Entry("files/srv/whole-seconds", "file", 0, 0o600, 1000, 100, 1, None, stamps.extra(9, coarse, 1, 64769))),
        line(Entry("files/srv/linked", "file", 0, 0o600, 1000, 100, 1, None, stamps.extra(10, old, 3, 64769))),
        line(
            Entry(
                os.fsdecode(b"files/srv/\xff\nname"),
                "file",
                0,
                0o600,
                0,
                0,
                2**62,
                None,
                {"a": {"user.x": "AAE="}, "h": [[0, 4096]], "w": 1},
            )
        ),
        line(plain_entry("files/srv/link", status(0o120000), None, os.fsdecode(b"../\xfe"))),
        line(plain_entry("files/srv/null", status(0o020000, device=os.makedev(1, 3)))),
        line(plain_entry("files/srv/disk", status(0o060000, device=os.makedev(8, 0)))),
        line(plain_entry("files/srv/pipe", status(0o010000))),
        line(plain_entry("files/srv/socket", status(0o140000))),
    ]


def test_lines_are_golden():
    assert b"\n".join(lines()) == GOLDEN.read_bytes().rstrip(b"\n")


def test_a_single_chunk_s_list_is_the_one_that_everybody_reads():
    made = single(1 << 20, bytes(range(32)), bytes(range(16)), 1, 2, 3, 4)
    part = content.decode(made)
    assert content.encode(part) == made
    assert packs_of(made) == [bytes(range(16))]
    zeros = single(1 << 20, bytes(32), b"", 0, 0, 0, 77)
    assert content.encode(content.decode(zeros)) == zeros
    assert packs_of(zeros) == []


@settings(deadline=None, max_examples=200)
@given(
    st.binary(max_size=200)
    | st.sampled_from(lines()).flatmap(lambda line: st.integers(0, len(line) - 1).map(lambda at: line[:at] + line[at + 1 :]))
)
def test_any_bytes_are_lines_or_damage(data):
    try:
        for document in Tree._parsed(data, 1):
            entry = Stored(document).entry
            assert isinstance(entry, Entry)
    except Damaged:
        pass


values = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.dictionaries(st.text(max_size=7), st.text(max_size=3), max_size=2)
    | st.text(max_size=5)
    | st.lists(st.integers(), max_size=3)
)


@settings(deadline=None, max_examples=60, suppress_health_check=list(HealthCheck))
@given(st.sampled_from(["p", "k", "m", "u", "g", "t", "s", "x", "l", *["xi", "xn", "xa", "xh", "xd", "xv", "xc"]]), values)
def test_a_forged_line_is_refused_and_writes_nothing_elsewhere(tmp_path_factory, key, value):
    """Whoever has a writer's key can sign any tree; the worst is a restore that fails."""
    folder = tmp_path_factory.mktemp("forged")
    scene = Scene(folder)
    good = {"p": "files/srv/x", "k": "f", "s": 0, "m": 0o600, "u": 0, "g": 0, "t": 1}
    forged = {**good, "x": {"i": 1, key[1]: value}} if len(key) == 2 else {**good, key: value}
    with scene.vault.begin(system="app", kind="files") as writer:
        bulk = writer.bulk(lambda *_: [])
        bulk._batch.rows.append(("files/srv/x", json.dumps(forged).encode(), 0))
        bulk.flush()
        writer.commit(kind="files", start={}, stop={}, facts={"roots": {"/srv": 1}})
    with contextlib.suppress(HoldfastError):
        scene.restore(folder / "out")
    tops = {path.relative_to(folder).parts[0] for path in folder.rglob("*")}
    assert {top for top in tops if not top.startswith("out.lacking-")} <= {"source", "vault", "cache", "out"}
    scene.close()


def test_more_entries_than_wait_do_not_stop_a_capture(tmp_path):
    """A small file's last piece waited for others to fill a run, and what was listed behind it waited for the file: for ever."""
    scene = Scene(tmp_path)
    with scene.vault.begin(system="app", kind="files") as writer:
        writer.add(Entry("files/a", "file", 5), b"piece")
        for number in range(30_000):
            writer.add(Entry(f"files/b{number:06}", "dir"))
        point = writer.commit(kind="files", start={}, stop={})
    assert sum(1 for _ in scene.vault.reader(point).lines()) == 30_001
    scene.close()
