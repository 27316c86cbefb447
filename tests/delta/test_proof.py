"""Proof by content, history searched by a check, what check says of vacuums."""

import datetime as dt
import json

import pytest

from holdfast.model import Silent, SystemClock
from holdfast.recovery import by_check, by_presence, search, verify
from holdfast.systems.delta.capture.pin import pin
from holdfast.systems.delta.data.view import source_view
from holdfast.systems.delta.errors import FileBroken, QueryFailed, VectorBroken
from holdfast.systems.delta.log import vectors
from holdfast.systems.delta.settings import DeltaSettings
from holdfast.systems.delta.store import LocalStore
from holdfast.systems.delta.vacuum import retention, safety
from holdfast.validation import Check
from tests.cli.running import answer, holdfast
from tests.delta import golden
from tests.delta.kit import write


def orders(lake):
    return lake.root / "orders"


def proved(lake, *checks: Check):
    return verify(lake.recovery(), lambda: lake.history, checks, progress=Silent(), clock=SystemClock(), patience=0)


def test_a_copy_is_compared_with_the_source_at_its_version_though_the_source_went_on(lake):
    write(orders(lake), a=[1, 2], b=["x", None])
    lake.backup()
    write(orders(lake), a=[3], b=["later"])
    found = proved(
        lake, Check("sum", sql="select sum(a) from orders", compare=True), Check("two", sql="select count(*) from orders", expect=2)
    )
    assert found.report.verdict == "passed"
    assert found.exact
    assert found.report.counts == {"passed": 4, "failed": 0, "skipped": 0}


def test_statistics_prove_nothing_a_damaged_page_is_found_by_the_scan(lake):
    """count(*) by the log is right though a row group cannot be read."""
    write(orders(lake), a=list(range(1000)))
    [file] = orders(lake).glob("*.parquet")
    data = bytearray(file.read_bytes())
    data[40:200] = bytes(160)
    file.write_bytes(data)
    point = lake.backup()
    assert not point.findings  # both ends are whole
    found = proved(lake)
    assert found.report.verdict == "failed"
    [broken] = [one for one in found.report.results if one.kind == "structure" and one.state == "failed"]
    assert file.name in broken.detail
    assert "1000 rows" in broken.detail


def test_the_hash_knows_every_row_and_no_order(lake, tmp_path):
    write(lake.root / "one", a=[1, 2, 2], b=["x", "y", "y"])
    write(lake.root / "same", a=[2, 2], b=["y", "y"])
    write(lake.root / "same", a=[1], b=["x"])
    write(lake.root / "twice", a=[1, 1, 2], b=["x", "x", "y"])
    write(lake.root / "moved", a=[1, 2, 2], b=["x", "y", "yy"[:1]])
    write(lake.root / "null", a=[1, 2, 2], b=["x", "y", None])
    write(lake.root / "split", a=[1, 2, 2], b=["x", "y", "N"])
    write(lake.root / "typed", a=[1.0, 2.0, 2.0], b=["x", "y", "y"])
    with source_view(lake.settings, None, tmp_path / "box") as view:
        hashes = {name: one["hash"] for name, one in view.digest().items()}
    assert hashes["one"] == hashes["same"] == hashes["moved"]
    assert len(set(hashes.values())) == len(hashes) - 2


def test_where_two_copies_differ_is_shown(lake, tmp_path):
    write(orders(lake), a=[1, 2, 3])
    write(orders(lake), a=[4])
    with (
        source_view(lake.settings, {"orders": 0}, tmp_path / "one") as old,
        source_view(lake.settings, {"orders": 1}, tmp_path / "two") as new,
    ):
        found = new.differences(old, "orders")
        assert (found["missing"], found["extra"], found["changed"], found["files"]) == (0, 1, 0, 1)
        [example] = found["examples"]
        assert example["difference"] == "extra"
        # The row, and the file that it is in.
        assert example["key"].startswith("1:4 in part-")
        assert old.differences(new, "orders")["missing"] == 1


def test_a_damaged_vector_is_told_and_not_read_as_no_vector(lake, tmp_path):
    golden.unpack("vectors", lake.root)
    for file in (lake.root / "vectors").rglob("deletion_vector_*.bin"):
        data = bytearray(file.read_bytes())
        data[len(data) // 2] ^= 0xFF
        file.write_bytes(data)
    object.__setattr__(lake.settings, "tables", ("vectors",))
    with source_view(lake.settings, None, tmp_path / "box") as view, pytest.raises(VectorBroken, match="checksum"):
        view.digest()


def test_a_query_that_fails_names_the_tables(lake, tmp_path):
    write(lake.root / "sub" / "orders", a=[1])
    with source_view(lake.settings, None, tmp_path / "box") as view:
        assert view.query("select * from orders") == [(1,)]
        assert view.query('select * from "sub/orders"') == [(1,)]
        with pytest.raises(QueryFailed) as caught:
            view.query("select * from nothing")
        assert "sub/orders" in caught.value.hint
        with pytest.raises(QueryFailed, match="longer than"):
            view.query("select count(*) from range(100000) a, range(100000) b where a.range + b.range = -1", timeout=0.05)


def test_a_file_that_is_gone_fails_the_question_by_name(lake, tmp_path):
    write(orders(lake), a=[1])
    [file] = orders(lake).glob("*.parquet")
    file.unlink()
    with source_view(lake.settings, None, tmp_path / "box") as view, pytest.raises(FileBroken, match=file.name):
        view.query("select * from orders")


# ---------------------------------------------------------------- when


def found(lake, judge):
    return search(lake.recovery(), lake.history, judge, options={}, progress=Silent(), clock=SystemClock())


def test_the_version_at_which_a_check_began_to_fail(lake):
    write(orders(lake), a=[0])
    for number in range(1, 12):
        write(orders(lake), a=[-number if number == 7 else number])
    lake.backup()
    seen = found(lake, by_check(Check("no debts", sql="select count(*) from orders where a < 0", expect=0)))
    assert seen.state == "found"
    assert (seen.good.shown["version"], seen.bad.shown["version"]) == (6, 7)
    assert seen.opened <= 6


def test_history_goes_on_in_the_vault_where_the_table_lost_it(lake):
    from deltalake import DeltaTable

    write(orders(lake), a=[1])
    lake.backup()
    write(orders(lake), a=[-1], mode="overwrite")
    lake.backup()
    write(orders(lake), a=[-2], mode="overwrite")
    table = DeltaTable(str(orders(lake)))
    table.vacuum(retention_hours=0, dry_run=False, enforce_retention_duration=False)
    seen = found(lake, by_check(Check("no debts", sql="select count(*) from orders where a < 0", expect=0)))
    assert (seen.state, seen.good.shown["version"], seen.bad.shown["version"]) == ("found", 0, 1)


def test_versions_that_nobody_can_read_any_more_are_told_beside_the_found_one(lake):
    from deltalake import DeltaTable

    write(orders(lake), a=[1])
    lake.backup()
    write(orders(lake), a=[2], mode="overwrite")
    write(orders(lake), a=[3], mode="overwrite")
    write(orders(lake), a=[-1], mode="overwrite")
    DeltaTable(str(orders(lake))).vacuum(retention_hours=0, dry_run=False, enforce_retention_duration=False)
    lake.backup()
    seen = found(lake, by_check(Check("no debts", sql="select count(*) from orders where a < 0", expect=0)))
    assert (seen.good.shown["version"], seen.bad.shown["version"]) == (0, 3)
    assert seen.bad.shown["unreadable_before"] == "1 to 2"
    assert "unreadable_before" not in seen.good.shown


def test_several_tables_are_one_history(lake):
    write(lake.root / "debits", a=[1])
    write(lake.root / "credits", a=[1])
    write(lake.root / "debits", a=[2])
    write(lake.root / "credits", a=[2])
    write(lake.root / "debits", a=[3])
    lake.backup()
    text = "select (select count(*) from debits) - (select count(*) from credits) < 1 or (select max(a) from debits) < 3"
    seen = found(lake, by_check(Check("balance", sql=text, expect=True)))
    assert seen.state == "found"
    assert seen.bad.until["versions"] == {"credits": 1, "debits": 4 - 2}
    assert seen.bad.shown["version"] == "debits@2"


def test_when_was_it_there(lake):
    write(orders(lake), a=[1])
    lake.backup()
    asked, question = lake.recovery().presence("orders")
    assert asked == "table orders is there"
    assert found(lake, by_presence(question)).state == "never-bad"


def test_when_was_it_dropped(lake):
    import shutil

    write(orders(lake), a=[1])
    write(lake.root / "other", a=[1])
    lake.backup()
    write(orders(lake), a=[2])
    lake.backup()
    shutil.rmtree(orders(lake))
    write(lake.root / "other", a=[2])
    lake.backup()
    _, question = lake.recovery().presence("orders")
    seen = found(lake, by_presence(question))
    assert seen.state == "found"
    assert seen.good.until["versions"]["orders"] == 1
    assert seen.bad.shown["version"] == "orders@gone"


def test_when_by_the_command_line(tmp_path):
    for number in range(5):
        write(tmp_path / "lake" / "orders", a=[number])
    (tmp_path / "holdfast.yaml").write_text(f"""
platform: acme
vault:
  key: {{env: HOLDFAST_KEY}}
  locations:
    - {{name: onsite, url: "file://{tmp_path}/vault", failure_domain: here}}
systems:
  lake:
    kind: delta
    url: "file://{tmp_path}/lake"
    backup: daily
    rpo: 1d
    keep: {{last: 3}}
    checks: [{{name: small, sql: "select max(a) < 3 from orders", expect: true}}]
""")

    def run(*words: str):
        return holdfast(tmp_path, *words, HOLDFAST_KEY="k", HOLDFAST_SANDBOX=str(tmp_path / "boxes"))

    assert run("init", "--yes").returncode == 0
    assert run("check", "lake").returncode == 0
    assert run("backup", "lake").returncode == 0
    seen = answer(run("when", "lake", "--check", "small", "--json"))
    assert (seen["state"], seen["last_good"]["version"], seen["first_bad"]["version"]) == ("found", 2, 3)
    assert seen["command"] == "holdfast restore lake --into NEW_PLACE --to version:2"
    done = run("restore", "lake", "--into", str(tmp_path / "out"), "--to", "version:2", "--json")
    assert answer(done)["result"]["reached"]["versions"] == {"orders": 2}
    assert answer(run("verify", "lake", "--to", "version:2", "--json"))["verdict"] == "passed"
    assert run("status").returncode in (0, 1)


# ---------------------------------------------------------------- vacuum safety, vectors


def state_with(lake, **configuration: str):
    write(orders(lake), a=[1])
    state = pin(LocalStore(lake.root), "orders").snapshot
    state.metadata["configuration"] = configuration
    return state


@pytest.mark.parametrize(
    ("text", "hours"),
    [("interval 1 week", 168), ("interval 36 hours", 36), ("interval 2 days 12 hours", 60), ("INTERVAL 90 minutes", 1.5), ("7 days", 168)],
)
def test_retention_as_tables_write_it(lake, text, hours):
    assert retention(
        state_with(lake, **{"delta.deletedFileRetentionDuration": text}), "delta.deletedFileRetentionDuration"
    ) == dt.timedelta(hours=hours)


def test_check_says_when_vacuums_do_not_leave_a_backup_its_time(lake):
    def settings(rhythm: dt.timedelta, taken: dt.timedelta) -> DeltaSettings:
        return DeltaSettings(str(lake.root), rhythm=rhythm, copy_time=lambda: taken)

    state = state_with(lake)
    hour = dt.timedelta(hours=1)
    assert [one.state for one in safety("orders", state, settings(24 * hour, hour))] == ["ok"]
    state.metadata["configuration"] = {
        "delta.deletedFileRetentionDuration": "interval 1 hours",
        "delta.logRetentionDuration": "interval 2 hours",
    }
    said = safety("orders", state, settings(24 * hour, 2 * hour))
    assert [one.state for one in said] == ["fail", "warn", "warn"]
    assert "lose that race" in said[0].detail
    assert all(one.hint for one in said)
    state.metadata["configuration"] = {"delta.logRetentionDuration": "soon"}
    assert "not understood" in safety("orders", state, settings(hour, hour))[0].detail


def test_an_inline_vector_and_what_is_no_vector():
    """A bitmap of 3, 4, 7, 11, 18, 29 inline; the path is an example of the protocol."""
    inline = {
        "storageType": "i",
        "pathOrInlineDv": "^Bg9^0rr910000000000iXQKl0rr91000f55c8Xg0@@D72lkbi5=-{L",
        "sizeInBytes": 44,
        "cardinality": 6,
    }
    assert vectors.rows(inline, None).tolist() == [3, 4, 7, 11, 18, 29]
    native = {**inline, "pathOrInlineDv": "wi5b=000010000siXQKl0rr91000f55c8Xg0@@D72lkbi5=-{L", "sizeInBytes": 40}
    assert vectors.rows(native, None).tolist() == [3, 4, 7, 11, 18, 29]
    with pytest.raises(VectorBroken, match="6 rows where the log says 7"):
        vectors.rows({**inline, "cardinality": 7}, None)
    with pytest.raises(VectorBroken):
        vectors.rows({**inline, "pathOrInlineDv": "wi5b"}, None)
    on_disk = {"storageType": "u", "pathOrInlineDv": "ab^-aqEH.-t@S}K{vb[*k^", "offset": 4, "sizeInBytes": 40, "cardinality": 6}
    assert vectors.relative_key(on_disk) == "ab/deletion_vector_d2c639aa-8816-431a-aaf6-d3fe2512ff61.bin"
    assert json.dumps(vectors.unique_id(on_disk)) == json.dumps("uab^-aqEH.-t@S}K{vb[*k^@4")
