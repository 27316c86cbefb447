"""Capture into a real vault: full, incremental by summaries and by reading; what comes out starts and is complete."""

import pytest

from holdfast.model import Silent, SystemClock
from holdfast.storage.open import open_storage
from holdfast.vault import Vault
from tests.postgres.capture.recording import MemoryLogs, RecordedPoint, restore_by_hand
from tests.postgres.capture.test_inplace import content, system

pytestmark = pytest.mark.postgres


@pytest.fixture
def vault(tmp_path):
    storage = open_storage(f"file://{tmp_path}/vault", create=True)
    made, _ = Vault.create([storage], "a key for tests only", clock=SystemClock(), cache=tmp_path / "cache")
    with made:
        yield made


def take(server, vault, *, base=None, **options):
    reader = None if base is None else vault.reader(base)
    with vault.begin(system="s", kind="postgres", base=reader) as writer:
        return system(server, **options).capture(writer, Silent(), logs=vault.logs("s"))


def lay_down(vault, point, folder):
    """Every entry out of the vault as files, and the log branch as the stand-in that restore_by_hand knows."""
    reader = vault.reader(point)
    entries = {}
    for stored in reader.entries():
        place = folder / stored.entry.path
        if stored.entry.kind == "dir":
            place.mkdir(parents=True, exist_ok=True)
        else:
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(reader.read(stored))
        entries[stored.entry.path] = stored.entry
    logs = MemoryLogs()
    log = vault.logs("s").reader(point.logs)
    logs.pieces[point.logs] = [(one.start, log.read(one), log.meta(one)) for one in log.increments()]
    return RecordedPoint(folder, entries, point), logs


@pytest.mark.parametrize(("version", "in_place"), [(15, False), (18, True)])
def test_full_and_incremental_come_back_from_the_vault(servers, vault, tmp_path, version, in_place):
    server = servers(version, settings={"summarize_wal": "on"} if version >= 17 else {})
    server.execute("create table t as select i, md5(i::text) as s from generate_series(1, 50000) i; create table gone as select 1 as a")
    server.execute("vacuum")
    base = take(server, vault, in_place=in_place)
    assert base.method == "full"
    server.execute("update t set s = 'new' where i % 5000 = 0")
    server.execute("truncate gone")
    server.execute("create table fresh as select i from generate_series(1, 1000) i")
    expected = {table: content(server, table) for table in ("t", "gone", "fresh")}
    point = take(server, vault, base=base, in_place=in_place)
    assert point.method == "incremental"
    assert point.base == base.id
    assert point.totals.new < base.totals.bytes / 3
    if version >= 17 and in_place:
        assert point.totals.read < base.totals.bytes / 2
    server.stop()
    for number, (one, tables) in enumerate([(point, expected), (base, {})]):
        laid, logs = lay_down(vault, one, tmp_path / f"laid{number}")
        assert laid.point.findings == []
        restore_by_hand(laid, logs, tmp_path / f"restored{number}")
        restored = servers.attach(version, tmp_path / f"restored{number}")
        assert {table: content(restored, table) for table in tables} == tables
        # What the log holds behind a base's own stop is replayed too: it is the newer point's content then.
        assert restored.value("select count(*) from t") == 50000


def test_a_killed_backup_leaves_no_point_and_the_next_one_goes_on(servers, vault, tmp_path):
    server = servers(15)
    server.execute("create table t as select i, md5(i::text) as s from generate_series(1, 50000) i")

    class Stop(Exception):
        pass

    class Dies:
        def phase(self, name, total=None, unit="B"):
            if name == "wal":
                raise Stop

        def advance(self, amount):
            pass

        def note(self, text):
            pass

    with pytest.raises(Stop), vault.begin(system="s", kind="postgres") as writer:
        system(server).capture(writer, Dies(), logs=vault.logs("s"))
    assert vault.points("s") == []
    # The session is gone, and with it the server's backup mode and the temporary slot.
    server.wait_for("select count(*) = 0 from pg_replication_slots")
    point = take(server, vault)
    assert [one.id for one in vault.points("s")] == [point.id]
