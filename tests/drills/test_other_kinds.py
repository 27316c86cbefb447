"""Buckets and Delta tables: with marks where the plan gives a place for them; else the record says so, and loss is told by time."""

import json

import pytest

from holdfast.assembly.drills import PlatformStage
from holdfast.drills.errors import NotTornDown
from tests.drills.kit import Shop, failed

pytestmark = pytest.mark.timeout(1800)
LOST = "drill: lost\ntitle: lost\nsystems: [{name}]\ndisaster: {{kind: system-lost}}\ncriteria: [sentinel, structure, content]\n"


def shop_with(tmp_path, kind: str, drills: str = "", tables: str = "[orders]") -> Shop:
    if kind == "bucket":
        more = f'  other: {{kind: bucket, tier: t, url: "file://{tmp_path}/raw"}}\n'
        (tmp_path / "raw").mkdir()
        for number in range(5):
            (tmp_path / "raw" / f"object{number}").write_bytes(b"x" * 1000 * number)
    else:
        import deltalake
        import pyarrow as pa

        (tmp_path / "lake").mkdir()
        deltalake.write_deltalake(str(tmp_path / "lake" / "orders"), pa.table({"id": list(range(50)), "what": ["a"] * 50}))
        more = f'  other: {{kind: delta, tier: t, url: "file://{tmp_path}/lake", tables: {tables}}}\n'
    return Shop(None, tmp_path, more, drills)


@pytest.mark.parametrize("kind", ["bucket", "delta"])
def test_without_a_place_for_marks_it_comes_back_and_says_so(tmp_path, kind):
    shop = shop_with(tmp_path, kind)
    done = shop.drill(LOST.format(name="other"), ("other",), controls=("stale", "truncated", "poisoned"))
    assert (done.outcome, failed(done)) == ("ok", []), [one.to_json() for one in done.checks if one.state == "failed"]
    begun = shop.journal("drill.begin")[0].payload
    assert "no mark can be written into it: the plan gives no place for one" in json.dumps(begun["exclusions"])
    assert "other: sentinel" not in begun["criteria"]
    assert [one.name for one in done.checks if one.kind == "control"] == ["control truncated"]
    assert "control poisoned of other" in json.dumps(begun["exclusions"])
    rpo = next(one for one in done.checks if one.name == "rpo")
    assert 0 <= rpo.actual < 3600
    assert "an idle source lost less" in rpo.detail


@pytest.mark.parametrize("kind", ["bucket", "delta"])
def test_its_mark_comes_back_and_is_missing_in_what_is_older(tmp_path, kind):
    shop = shop_with(
        tmp_path, kind, "drills: {marks: {other: own/marks}}\n".replace("own/", "" if kind == "delta" else "own/"), "[orders, 'marks_*']"
    )
    source = tmp_path / ("raw" if kind == "bucket" else "lake")
    before = sorted(str(path) for path in source.rglob("*") if path.is_file())
    done = shop.drill(LOST.format(name="other"), ("other",), controls=("stale", "truncated", "poisoned"))
    assert (done.outcome, failed(done)) == ("ok", []), [one.to_json() for one in done.checks if one.state == "failed"]
    checks = {one.name: one for one in done.checks}
    assert checks["sentinel"].actual == [0], "the mark behind the backup is lost, and counted as lost"
    assert checks["control stale"].actual.startswith("red by sentinel")
    assert ("control poisoned" in checks) == (kind == "delta")
    assert "marks did not come back" in checks["rpo"].detail
    assert sorted(str(path) for path in source.rglob("*") if path.is_file()) == before
    assert not [path for path in source.rglob("*") if "marks" in path.name and kind == "delta"]


def test_a_place_that_no_backup_holds_is_said_before_anything_happens(tmp_path):
    shop = shop_with(tmp_path, "delta", "drills: {marks: {other: marks}}\n")
    done = shop.drill(LOST.format(name="other"), ("other",))
    assert done.outcome == "refused"
    assert "a mark would not be in its backup" in str(done.error)
    assert [path.name for path in (tmp_path / "lake").iterdir()] == ["orders"]


class Told:
    """Hears what a drill is about to change."""

    def doing(self, change, undo):
        self.undo = json.loads(json.dumps(undo))
        return "1"


@pytest.mark.parametrize("kind", ["bucket", "delta"])
def test_marks_are_looked_for_where_they_were_written(tmp_path, kind):
    """Of a drill that was killed, by a plan that names another place by then, none, or another address."""
    shop = shop_with(tmp_path, kind, "drills: {marks: {other: marks}}\n", "[orders, 'marks_*']")
    source, told, plan = tmp_path / ("raw" if kind == "bucket" else "lake"), Told(), shop.plan.read_text()
    with shop.platform() as platform:
        [restorer] = PlatformStage(platform).restorers(["other"])
        restorer.plant("0" * 24, 0, told)
    assert list(source.glob("marks*"))
    shop.plan.write_text(plan.replace(f"file://{source}", f"file://{tmp_path}/docs"))
    with shop.platform() as platform, pytest.raises(NotTornDown, match="another address"):
        PlatformStage(platform).undo(told.undo)
    for place in ("drills: {marks: {other: elsewhere}}\n", ""):
        shop.plan.write_text(plan.replace("drills: {marks: {other: marks}}\n", place))
        with shop.platform() as platform:
            PlatformStage(platform).undo(told.undo)
        assert not [path for path in source.rglob("*") if path.is_file() and "marks" in str(path.relative_to(source))]
    with shop.platform() as platform, pytest.raises(NotTornDown, match="no place for marks"):
        PlatformStage(platform).undo({"kind": "marks", "system": "other", "nonce": "0" * 24})


def test_expectations_that_are_not_there_are_no_pass(tmp_path):
    """A folder without suites judged nothing; a drill by checks alone was green."""
    import deltalake
    import pyarrow as pa

    (tmp_path / "suites").mkdir()
    (tmp_path / "lake").mkdir()
    deltalake.write_deltalake(str(tmp_path / "lake" / "orders"), pa.table({"id": [1, 2]}))
    shop = Shop(
        None, tmp_path, f'  other: {{kind: delta, tier: t, url: "file://{tmp_path}/lake", tables: [orders], expectations: suites}}\n'
    )
    done = shop.drill(LOST.format(name="other").replace("sentinel, structure, content", "structure, checks"), ("other",))
    assert done.outcome != "ok"
    assert any("suites" in one.name for one in done.checks if one.state == "failed"), [one.to_json() for one in done.checks]
