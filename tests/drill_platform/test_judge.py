"""The drill's judge sees what it is there to see: without servers, on tables, objects and files made by the platform's own program."""

import datetime as dt
import hashlib
import json
import os

import pytest

from holdfast.demo.ledger import Acknowledged, work
from holdfast.demo.platform.app.export import EVERY_FIFTH, Table, receipt
from holdfast.demo.platform.judge import Known, Places, _bucket, _files, _flows, _lake, _laps, _listens, tree
from holdfast.demo.platform.losses import listing, of_files, of_orders
from holdfast.demo.platform.measure import approved, criteria, removed
from holdfast.demo.platform.production import SEED, SENTINELS, WRITERS
from holdfast.demo.platform.scenario import agreed
from holdfast.journal.record import make

LEDGER = dict.fromkeys(range(40), 0)
NONCE = "a" * 32
HAPPENED = "2026-11-21T15:31:32.000000+00:00"


class Ticking:
    """Each look at it takes a quarter of a second."""

    at = 0.0

    def monotonic(self):
        self.at += 0.25
        return self.at


lap = _laps(Ticking())


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
    assert failed(_lake(lake, LEDGER, NONCE, lap)) == []
    assert Table(lake / "orders").marks() == {0: 36, 1: 37, 2: 38, 3: 39}


def test_rows_that_lack_are_twice_or_unknown_are_seen(lake, rows):
    assert failed(_lake(lake, {**LEDGER, 40: 0}, NONCE, lap)) == ["content"]
    assert failed(_lake(lake, {number: 0 for number in LEDGER if number != 39}, NONCE, lap)) == ["content"]
    assert failed(_lake(lake, {**LEDGER, 7: 1}, NONCE, lap)) == ["content"]
    Table(lake / "orders").append(rows[:1], {})
    assert failed(_lake(lake, LEDGER, NONCE, lap)) == ["content"]


def test_an_old_lake_cannot_pass_for_a_new_one(lake):
    assert failed(_lake(lake, LEDGER, "b" * 32, lap)) == ["sentinel"]


def test_a_consumer_ahead_of_its_source_is_broken(lake, tmp_path):
    places = Places("", lake, tmp_path, tmp_path)
    assert [flow.state for flow in _flows(places, LEDGER, 3, 2)] == ["closed", "closed"]
    behind = {number: era for number, era in LEDGER.items() if number < 38}
    assert [flow.state for flow in _flows(places, behind, 0, 0)] == ["broken", "broken"]


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
    assert failed(_bucket(tmp_path, LEDGER, NONCE, lap)) == []
    assert failed(_bucket(tmp_path, LEDGER, "b" * 32, lap)) == ["sentinel"]
    first = tmp_path / "receipts" / "00000000.json"
    good = first.read_bytes()
    first.write_bytes(json.dumps({"order": 0}).encode())
    assert failed(_bucket(tmp_path, LEDGER, NONCE, lap)) == ["content"]
    first.unlink()
    assert failed(_bucket(tmp_path, LEDGER, NONCE, lap)) == ["content"]
    first.write_bytes(good)
    assert failed(_bucket(tmp_path, LEDGER, NONCE, lap)) == []


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
    assert failed(_files(tmp_path, known, lap)) == []
    change(tmp_path)
    assert failed(_files(tmp_path, known, lap)) == ["content"]


def test_what_the_files_lack_is_counted_and_the_newest_that_came_back_is_theirs(tmp_path):
    app, back = tmp_path / "app", tmp_path / "back"
    for folder, names in ((app, "abc"), (back, "ab")):
        folder.mkdir()
        for number, name in enumerate(names):
            (folder / name).write_text(name)
            os.utime(folder / name, (1000 + 10 * number,) * 2)
    written = listing(app)
    whole = of_files(written, listing(app))
    assert (whole.lost, whole.seconds, whole.newest) == (0, 0.0, "1970-01-01T00:17:00+00:00")
    lacking = of_files(written, listing(back))
    assert (lacking.lost, lacking.seconds, lacking.newest) == (1, 10.0, "1970-01-01T00:16:50+00:00")
    assert "2 of 3" in lacking.counted
    # Nothing can be counted in seconds where the newest is there and older ones are not.
    (app / "b").unlink()
    holed = of_files(written, listing(app))
    assert (holed.lost, holed.seconds) == (1, None)
    assert "the newest came back while others lack" in holed.counted
    assert (of_files(written, {}).lost, of_files(written, {}).newest) == (3, "")


def test_what_the_lake_lacks_is_the_lakes_own():
    at = dt.datetime(2026, 11, 21, tzinfo=dt.UTC)
    acked = [Acknowledged(number, 0, 1, 1, None, at, at + dt.timedelta(seconds=number)) for number in range(4)]
    assert of_orders(acked, {0, 1, 2, 3}, "there").seconds == 0
    assert (of_orders(acked, {0, 1}, "there").lost, of_orders(acked, {0, 1}, "there").seconds) == (2, 2.0)
    assert of_orders(acked, set(), "there").seconds is None


def test_receipts_that_were_written_again_are_counted(lake, tmp_path):
    assert [flow.records for flow in _flows(Places("", lake, tmp_path, tmp_path), LEDGER, 3, 2)] == [3, 2]


def test_the_server_is_shown_as_it_speaks():
    assert (_listens("")["expected"], _listens("")["actual"]) == ("", "")
    assert _listens("*")["actual"] != _listens("*")["expected"]


def test_a_check_tells_how_long_it_took(lake):
    assert [one.seconds for one in _lake(lake, LEDGER, NONCE, _laps(Ticking()))] == [0.25, 0.25]


def entry(at, **payload):
    digest = hashlib.sha256(b"").hexdigest()
    return make(1, digest, payload.pop("kind"), dt.datetime.fromisoformat(at), payload)


@pytest.mark.parametrize(
    ("at", "digest", "state"),
    [
        ("2026-11-21T15:31:20+00:00", agreed(), "passed"),
        ("2026-11-21T15:31:35+00:00", agreed(), "failed"),
        ("2026-11-21T15:31:20+00:00", "0" * 64, "failed"),
    ],
)
def test_criteria_count_only_when_they_were_written_before_the_disaster(tmp_path, at, digest, state):
    (tmp_path / "host.jsonl").write_bytes(entry(at, kind="drill.criteria", nonce=NONCE, sha256=digest).line)
    assert criteria(tmp_path, NONCE, Ticking()).check(HAPPENED).state == state
    assert criteria(tmp_path, "b" * 32, Ticking()).check(HAPPENED).state == "failed"


def test_who_asked_cannot_be_who_approved():
    def said(step, name):
        return entry(HAPPENED, kind="runbook.approved", run="r", data={"step": step, "by": {"name": name}})

    def state(*entries):
        return approved(entries, "r", "carla", Ticking()).state

    assert state(said("agree", "dora"), said("accept", "dora")) == "passed"
    assert state(said("agree", "carla"), said("accept", "dora")) == "failed"
    assert state(said("agree", "dora")) == "failed"


def test_what_is_still_there_fails_the_teardown():
    assert removed([{"name": "a", "expected": False, "actual": False}], 1.5).state == "passed"
    assert removed([{"name": "a", "expected": False, "actual": True}], 1.5).actual == ["a"]
