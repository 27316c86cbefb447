"""The journal's promises: numbers without gaps, every tampering seen, kill -9 and full disks survived, copies equal."""

import datetime as dt
import itertools
import json
import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.journal import Journal, JournalBroken, JournalUnwritable, check, compare, parse
from holdfast.model import SystemClock


class Steps:
    """A clock that moves one second at each look."""

    def __init__(self) -> None:
        self.moment = dt.datetime(2026, 5, 1, tzinfo=dt.UTC)

    def now(self) -> dt.datetime:
        self.moment += dt.timedelta(seconds=1)
        return self.moment

    def monotonic(self) -> float:
        return 0.0

    def sleep(self, seconds: float) -> None: ...


def journal(folder: Path) -> Journal:
    return Journal(folder, Steps())


def chain_file(folder: Path) -> Path:
    (path,) = folder.glob("*.jsonl")
    return path


def test_entries_come_back_in_order_without_gaps(tmp_path):
    mine = journal(tmp_path)
    for n in range(5):
        mine.record("backup.end", system="orders", n=n, at_=dt.datetime(2026, 1, 1, tzinfo=dt.UTC), path=Path("/x"))
    records = list(journal(tmp_path).entries())
    assert [r.n for r in records] == list(range(6))
    assert [r.kind for r in records] == ["journal.begin"] + ["backup.end"] * 5
    assert [r.payload["n"] for r in records[1:]] == list(range(5))
    assert all(b.prev == a.hash for a, b in itertools.pairwise(records))
    assert mine.verify() == []


def test_the_bytes_of_an_entry_are_the_documented_ones(tmp_path):
    journal(tmp_path).record("backup.end", system="ördérs")
    line = chain_file(tmp_path).read_bytes().splitlines(keepends=True)[1]
    document = json.loads(line)
    assert line == json.dumps(document, sort_keys=True, separators=(",", ":")).encode() + b"\n"
    clock = document["payload"].pop("clock")
    assert set(clock) == {"boot", "mono"}
    assert document["payload"] == {"system": "ördérs"}
    assert document["at"] == "2026-05-01T00:00:02.000000+00:00"


CHAIN = None


def built(tmp_path_factory) -> tuple[str, bytes, tuple[int, str]]:
    global CHAIN  # noqa: PLW0603
    if CHAIN is None:
        folder = tmp_path_factory.mktemp("chain")
        mine = journal(folder)
        last = [mine.record("k", n=n, text="x" * n) for n in range(8)][-1]
        CHAIN = (chain_file(folder).stem, chain_file(folder).read_bytes(), (last.n, last.hash))
    return CHAIN


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_any_changed_byte_is_seen(tmp_path_factory, data):
    tag, content, head = built(tmp_path_factory)
    at = data.draw(st.integers(0, len(content) - 1))
    flip = data.draw(st.integers(1, 255))
    changed = content[:at] + bytes([content[at] ^ flip]) + content[at + 1 :]
    assert check(tag, changed.splitlines(keepends=True), head=head)[1]


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_any_cut_and_any_other_order_is_seen(tmp_path_factory, data):
    tag, content, head = built(tmp_path_factory)
    lines = content.splitlines(keepends=True)
    assert check(tag, lines, head=head)[1] == []
    kept = data.draw(st.lists(st.sampled_from(range(len(lines))), max_size=len(lines) + 2).filter(lambda k: k != list(range(len(lines)))))
    assert check(tag, [lines[k] for k in kept], head=head)[1]


@settings(max_examples=50, deadline=None)
@given(at=st.integers(0, 8), payload=st.dictionaries(st.text(max_size=5), st.integers(), max_size=3))
def test_a_chain_forged_anew_from_any_entry_is_seen_by_the_head(tmp_path_factory, at, payload):
    from holdfast.journal.record import make, origin

    tag, content, head = built(tmp_path_factory)
    records = [parse(line) for line in content.splitlines(keepends=True)]
    forged = records[:at]
    for old in records[at:]:
        body = {**payload, "forged": True} if old.n == at else old.payload
        forged.append(make(old.n, forged[-1].hash if forged else origin(tag), old.kind, old.at, body))
    problems = check(tag, [r.line for r in forged], head=head)[1]
    assert [p.kind for p in problems] == ["edited"]


def test_another_hosts_chain_is_foreign(tmp_path_factory):
    _, content, head = built(tmp_path_factory)
    assert [p.kind for p in check("0" * 16, content.splitlines(keepends=True), head=head)[1]] == ["foreign"]


@pytest.mark.parametrize("tear", [1, 5, 60])
def test_a_torn_end_is_set_aside_and_said(tmp_path, tear):
    mine = journal(tmp_path)
    mine.record("a")
    before = chain_file(tmp_path).read_bytes()
    whole = mine.record("b")
    # The crash came before the entry was acknowledged: its head was not written either.
    first = parse(before.splitlines(keepends=True)[-1])
    (tmp_path / f"{chain_file(tmp_path).stem}.head").write_text(f"{first.n} {first.hash}\n")
    chain_file(tmp_path).write_bytes(before + whole.line[:-tear])
    assert [p.kind for p in mine.verify()] == ["torn"]
    assert [r.kind for r in mine.entries()] == ["journal.begin", "a"]
    mine.record("c")
    assert mine.verify() == []
    assert [r.kind for r in mine.entries()] == ["journal.begin", "a", "journal.torn", "c"]
    (aside,) = tmp_path.glob("*.torn-*")
    assert aside.read_bytes() == whole.line[:-tear]


@pytest.mark.parametrize("harm", ["cut", "edit", "empty", "gone"])
def test_a_damaged_chain_is_left_behind_and_named_in_a_new_one(tmp_path, harm):
    mine = journal(tmp_path)
    for _ in range(3):
        mine.record("a")
    path = chain_file(tmp_path)
    lines = path.read_bytes().splitlines(keepends=True)
    if harm == "cut":
        path.write_bytes(b"".join(lines[:-1]))
    elif harm == "edit":
        path.write_bytes(b"".join(lines[:-1]) + lines[-1].replace(b'"a"', b'"b"'))
    elif harm == "empty":
        path.write_bytes(b"")
    else:
        path.unlink()
    if harm != "gone":
        with pytest.raises(JournalBroken):
            list(mine.entries())
    mine.record("next")
    new = json.loads((tmp_path / "host").read_text())["tag"]
    assert [r.kind for r in mine.entries(new)] == ["journal.broken", "next"]
    assert next(mine.entries(new)).payload["chain"] == path.stem
    assert bool(mine.verify()) == (harm != "gone")


def test_a_lost_head_note_is_said(tmp_path):
    mine = journal(tmp_path)
    for _ in range(3):
        mine.record("a")
    next(tmp_path.glob("*.head")).unlink()
    assert [p.kind for p in mine.verify()] == ["cut"]


class Place:
    def __init__(self, fail_after: int = 10**9) -> None:
        self.objects: dict[str, bytes] = {}
        self.left = fail_after

    def put(self, name: str, data: bytes) -> None:
        if not self.left:
            raise OSError("away")
        self.left -= 1
        assert self.objects.setdefault(name, data) == data


def test_export_goes_on_where_it_stopped_and_copies_are_equal(tmp_path):
    mine = journal(tmp_path)
    for _ in range(5):
        mine.record("a")
    place = Place(fail_after=3)
    with pytest.raises(OSError, match="away"):
        mine.export("onsite", place)
    place.left = 10**9
    assert mine.export("onsite", place) == 6
    mine.record("b")
    assert mine.export("onsite", place) == 1
    assert mine.export("offsite", other := Place()) == 7
    tag = mine.chains()[0]
    assert sorted(place.objects) == [f"journal/{tag}/{n:016x}" for n in range(7)]
    assert place.objects == other.objects
    copies = {int(name.rpartition("/")[2], 16): data for name, data in place.objects.items()}
    assert check(tag, [copies[n] for n in sorted(copies)])[1] == []
    assert compare(tag, mine.entries(), copies) == []
    copies[3] = copies[3].replace(b'"a"', b'"z"')
    copies[99] = copies[0]
    assert [(p.kind, p.n) for p in compare(tag, mine.entries(), copies)] == [("differs", 3), ("cut", 99)]


def test_a_payload_without_a_json_form_is_refused(tmp_path):
    mine = journal(tmp_path)
    with pytest.raises(TypeError):
        mine.record("a", data=b"bytes")
    mine.record("b")
    assert [r.kind for r in mine.entries()] == ["journal.begin", "b"]


def test_a_full_disk_leaves_no_part_of_an_entry(tmp_path):
    mine = journal(tmp_path)
    mine.record("a")
    size = chain_file(tmp_path).stat().st_size
    old = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size + 50, old[1]))
        with pytest.raises(JournalUnwritable):
            mine.record("b", text="y" * 500)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, old)
        signal.signal(signal.SIGXFSZ, before)
    assert chain_file(tmp_path).stat().st_size == size
    mine.record("c")
    assert mine.verify() == []


APPENDER = """
import sys, pathlib
from holdfast.journal import Journal
from holdfast.model import SystemClock
journal = Journal(pathlib.Path(sys.argv[1]), SystemClock())
for n in range(int(sys.argv[2])):
    print(journal.record("k", who=sys.argv[3], n=n).n, flush=True)
"""


def appender(folder: Path, count: int, who: str) -> "subprocess.Popen[str]":
    return subprocess.Popen([sys.executable, "-c", APPENDER, str(folder), str(count), who], stdout=subprocess.PIPE, text=True)


def test_many_processes_write_one_chain(tmp_path):
    children = [appender(tmp_path, 25, str(n)) for n in range(4)]
    numbers = [int(line) for child in children for line in child.communicate(timeout=60)[0].split()]
    assert sorted(numbers) == list(range(1, 101))
    mine = Journal(tmp_path, SystemClock())
    assert mine.verify() == []
    assert len(list(mine.entries())) == 101


def test_kill_9_loses_nothing_acknowledged(tmp_path):
    acknowledged: list[int] = []
    for round_ in range(5):
        with appender(tmp_path, 10**6, str(round_)) as child:
            acknowledged += [int(child.stdout.readline()) for _ in range(5 + round_ * 3)]
            os.kill(child.pid, signal.SIGKILL)
            child.wait()
            acknowledged += [int(line) for line in child.stdout.read().split("\n")[:-1]]
    mine = Journal(tmp_path, SystemClock())
    mine.record("after")
    assert mine.verify() == []
    assert len(mine.chains()) == 1
    records = {r.n: r for r in mine.entries()}
    assert all(records[n].kind == "k" for n in acknowledged)
    assert sorted(records) == list(range(len(records)))
