"""Incrementals by WAL summaries on a live server: less is read, the result is the same as a full backup's, and a gap is never trusted."""

import shutil

import pytest

from holdfast.systems.postgres import layout
from tests.postgres.capture.recording import FolderWriter, MemoryLogs, restore_by_hand
from tests.postgres.capture.test_inplace import capture, content

pytestmark = pytest.mark.postgres


class Notes:
    def __init__(self):
        self.notes = []

    def phase(self, name, total=None, unit="B"):
        pass

    def advance(self, amount):
        pass

    def note(self, text):
        self.notes.append(text)


def summarizing(servers, version, **more):
    return servers(version, settings={"summarize_wal": "on", **more})


def equal_to_a_full_copy(server, point):
    """Stop the server and compare every block of users' tables: nothing changed them after the capture. (Any login touches catalogs.)"""
    server.stop()
    different = []
    for path, entry in point._entries.items():
        relation = layout.relation(path)
        if entry.kind == "file" and relation and relation.fork == "main" and relation.node >= 16384:
            now = (server.data / path).read_bytes() if (server.data / path).exists() else None
            if now is not None and now != (point.folder / path).read_bytes():
                different.append(path)
    return different


@pytest.mark.parametrize("version", [17, 18])
def test_an_incremental_reads_little_and_restores_everything(servers, tmp_path, version):
    server = summarizing(servers, version)
    server.execute("create table big as select i, repeat('x', 500) as s from generate_series(1, 60000) i")
    server.execute("create table cut as select i, repeat('y', 500) as s from generate_series(1, 20000) i")
    server.execute("create table gone as select i from generate_series(1, 20000) i")
    # Hint bits are written, and logged, by the first reader: here by this one.
    server.execute("vacuum")
    logs = MemoryLogs()
    base = capture(server, tmp_path / "base", logs=logs)
    full = sum(one.size for one in base._entries.values())

    server.execute("update big set s = 'changed' where i % 10000 = 0")
    server.execute("delete from cut where i > 5000")
    server.execute("vacuum cut")
    server.execute("insert into cut select i, repeat('z', 500) from generate_series(30001, 33000) i")
    server.execute("truncate gone")
    server.execute("insert into gone select i from generate_series(1, 3) i")
    server.execute("create table fresh as select i, repeat('f', 300) as s from generate_series(1, 5000) i; create index on fresh (i)")
    server.execute("create database copied template template0 strategy file_copy")
    server.execute("create table inside (a int); insert into inside values (7)", dbname="copied")
    notes = Notes()
    writer = FolderWriter(tmp_path / "next", base)
    point = capture(server, tmp_path / "next", logs=logs, writer=writer, progress=notes)

    assert point.point.method == "incremental"
    assert not [note for note in notes.notes if "read and compared" in note]
    assert len(writer.reused) > 100
    assert writer.read < full / 2
    copied = server.value("select oid from pg_database where datname = 'copied'")
    assert not [path for path in writer.reused if path.startswith(f"base/{copied}/")]
    assert not [path for path in writer.reused if "_fsm" in path]
    assert equal_to_a_full_copy(server, point) == []
    server.start()
    tables = [("big", "postgres"), ("cut", "postgres"), ("gone", "postgres"), ("fresh", "postgres"), ("inside", "copied")]
    expected = [content(server, table, database) for table, database in tables]

    shutil.rmtree(base.folder)
    restore_by_hand(point, logs, tmp_path / "restored")
    restored = servers.attach(version, tmp_path / "restored")
    assert [content(restored, table, database) for table, database in tables] == expected


def test_a_gap_in_the_summaries_means_that_everything_is_read(servers, tmp_path):
    server = summarizing(servers, 17)
    server.execute("create table t as select i, repeat('x', 500) as s from generate_series(1, 5000) i")
    logs = MemoryLogs()
    base = capture(server, tmp_path / "base", logs=logs)
    # Switched off and on again: what happened between is in no summary.
    server.configure({"summarize_wal": "off"})
    server.restart()
    server.execute("update t set s = 'in the gap' where i = 77")
    for _ in range(2):
        server.execute("select pg_switch_wal()")
        server.execute("checkpoint")
    for found in (server.data / "pg_wal" / "summaries").iterdir():
        found.unlink()
    server.configure({"summarize_wal": "on"})
    server.restart()
    server.execute("update t set s = 'after the gap' where i = 99")
    notes = Notes()
    writer = FolderWriter(tmp_path / "next", base)
    point = capture(server, tmp_path / "next", logs=logs, writer=writer, progress=notes)
    assert writer.reused == []
    assert [note for note in notes.notes if "WAL summaries are missing" in note]
    assert equal_to_a_full_copy(server, point) == []


@pytest.mark.parametrize("version", [15, 18])
def test_without_summaries_everything_is_read(servers, tmp_path, version):
    server = servers(version)
    logs = MemoryLogs()
    base = capture(server, tmp_path / "base", logs=logs)
    writer = FolderWriter(tmp_path / "next", base)
    point = capture(server, tmp_path / "next", logs=logs, writer=writer)
    assert writer.reused == []
    assert point.point.method == "incremental"
