"""What is lost comes back, is looked at, and everything is undone."""

import pytest

from tests.drills.kit import Shop, failed, fill, marks

pytestmark = pytest.mark.postgres


@pytest.fixture
def shop(servers, tmp_path):
    server = servers(15)
    fill(server)
    return Shop(server, tmp_path)


def test_a_lost_database_comes_back_with_this_drills_own_mark(shop):
    done = shop.drill("database-lost", controls=("stale", "truncated", "poisoned"))
    assert (done.outcome, failed(done)) == ("ok", []), [one.to_json() for one in done.checks if one.state == "failed"]
    names = {(one.kind, one.state) for one in done.checks}
    assert {("sentinel", "passed"), ("structure", "passed"), ("check", "passed"), ("compare", "passed")} <= names
    assert {one.name for one in done.checks if one.kind == "objective"} == {"rto", "rpo"}
    assert {one.name: one.state for one in done.checks if one.kind == "control"} == {
        "control stale": "passed",
        "control truncated": "passed",
        "control poisoned": "passed",
    }
    assert done.torn_down
    assert marks(shop.server) is None
    assert list((shop.boxes / "boxes").iterdir()) == []
    assert not done.findings
    assert done.clocks["detect"] > 0
    assert done.clocks["restore"] > 0
    entries = shop.journal("drill.")
    assert entries[0].kind == "drill.begin"
    assert entries[-1].kind == "drill.end"
    assert all(entry.payload["drill"] is True for entry in entries)
    series = next(entry.payload for entry in entries if entry.kind == "drill.probed" and entry.payload["name"] == "db answers")
    assert series["series"][0][1] is True
    assert series["series"][-1][1] is False
