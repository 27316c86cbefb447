"""The drill's judge sees what it is there to see: without servers, on tables, objects and files made by the platform's own program."""

import json

import pytest

from holdfast.demo.ledger import work
from holdfast.demo.platform.app.export import EVERY_FIFTH, Table, receipt
from holdfast.demo.platform.judge import Known, Places, _bucket, _files, _flows, _lake, tree
from holdfast.demo.platform.production import SEED, SENTINELS, WRITERS

LEDGER = dict.fromkeys(range(40), 0)
NONCE = "a" * 32


@pytest.fixture
def rows():
    made = [work(SEED, 0, number, WRITERS).order for number in LEDGER]
    return [(one.number, one.customer, one.cents) for one in made]


@pytest.fixture
def lake(tmp_path, rows):
    table = Table(tmp_path / "lake" / "orders")
    table.create()
    table.append(rows[:20], dict.fromkeys(range(WRITERS), 0) | {0: 16, 1: 17, 2: 18, 3: 19})
    table.append(rows[20:], {0: 36, 1: 37, 2: 38, 3: 39})
    Table(tmp_path / "lake" / "sentinels", SENTINELS).create()
    Table(tmp_path / "lake" / "sentinels", SENTINELS).append([(NONCE, "now")], {})
    return tmp_path / "lake"


def failed(checks):
    return [one.kind for one in checks if one.state == "failed"]


def test_a_lake_that_is_right(lake):
    assert failed(_lake(lake, LEDGER, NONCE)) == []
    assert Table(lake / "orders").marks() == {0: 36, 1: 37, 2: 38, 3: 39}


def test_rows_that_lack_are_twice_or_unknown_are_seen(lake, rows):
    assert failed(_lake(lake, {**LEDGER, 40: 0}, NONCE)) == ["content"]
    assert failed(_lake(lake, {number: 0 for number in LEDGER if number != 39}, NONCE)) == ["content"]
    assert failed(_lake(lake, {**LEDGER, 7: 1}, NONCE)) == ["content"]
    Table(lake / "orders").append(rows[:1], {})
    assert failed(_lake(lake, LEDGER, NONCE)) == ["content"]


def test_an_old_lake_cannot_pass_for_a_new_one(lake):
    assert failed(_lake(lake, LEDGER, "b" * 32)) == ["sentinel"]


def test_a_consumer_ahead_of_its_source_is_broken(lake, tmp_path):
    places = Places("", lake, tmp_path, tmp_path)
    assert [flow.state for flow in _flows(places, LEDGER, 3)] == ["closed", "closed"]
    behind = {number: era for number, era in LEDGER.items() if number < 38}
    assert [flow.state for flow in _flows(places, behind, 0)] == ["broken", "broken"]


def test_two_commits_of_one_version_are_not_possible(lake):
    with pytest.raises(FileExistsError):
        Table(lake / "orders")._commit(2, [])
    assert Table(lake / "orders").version() == 2


def test_objects_that_lack_or_differ_are_seen(tmp_path, rows):
    (tmp_path / "receipts").mkdir()
    (tmp_path / "sentinels").mkdir()
    (tmp_path / "sentinels" / NONCE).touch()
    for row in rows:
        if row[0] % EVERY_FIFTH == 0:
            (tmp_path / "receipts" / f"{row[0]:08d}.json").write_bytes(receipt(*row))
    assert failed(_bucket(tmp_path, LEDGER, NONCE)) == []
    assert failed(_bucket(tmp_path, LEDGER, "b" * 32)) == ["sentinel"]
    first = tmp_path / "receipts" / "00000000.json"
    good = first.read_bytes()
    first.write_bytes(json.dumps({"order": 0}).encode())
    assert failed(_bucket(tmp_path, LEDGER, NONCE)) == ["content"]
    first.unlink()
    assert failed(_bucket(tmp_path, LEDGER, NONCE)) == ["content"]
    first.write_bytes(good)
    assert failed(_bucket(tmp_path, LEDGER, NONCE)) == []


@pytest.mark.parametrize(
    "change",
    [
        lambda folder: (folder / "a").write_text("other"),
        lambda folder: (folder / "a").chmod(0o600),
        lambda folder: (folder / "more").touch(),
        lambda folder: (folder / "link").unlink(),
    ],
)
def test_a_file_that_differs_in_anything_is_seen(tmp_path, change):
    (tmp_path / "sentinels").mkdir()
    (tmp_path / "sentinels" / NONCE).touch()
    (tmp_path / "a").write_text("content")
    (tmp_path / "a").chmod(0o640)
    (tmp_path / "link").symlink_to("a")
    known = Known(NONCE, (), tree(tmp_path))
    assert failed(_files(tmp_path, known)) == []
    change(tmp_path)
    assert failed(_files(tmp_path, known)) == ["content"]
