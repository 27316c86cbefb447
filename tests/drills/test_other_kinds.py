"""Buckets and Delta tables take part without marks: the record says so, and what was lost is told by time."""

import json

import pytest

from tests.drills.kit import Shop, failed

pytestmark = pytest.mark.timeout(1800)
LOST = "drill: lost\ntitle: lost\nsystems: [{name}]\ndisaster: {{kind: system-lost}}\ncriteria: [sentinel, structure, content]\n"


@pytest.mark.parametrize("kind", ["bucket", "delta"])
def test_it_comes_back(tmp_path, kind):
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
        more = f'  other: {{kind: delta, tier: t, url: "file://{tmp_path}/lake", tables: [orders]}}\n'
    shop = Shop(None, tmp_path, more)
    done = shop.drill(LOST.format(name="other"), ("other",), controls=("stale", "truncated", "poisoned"))
    assert (done.outcome, failed(done)) == ("ok", []), [one.to_json() for one in done.checks if one.state == "failed"]
    begun = shop.journal("drill.begin")[0].payload
    assert "no mark can be written" in json.dumps(begun["exclusions"])
    assert "other: sentinel" not in begun["criteria"]
    assert [one.name for one in done.checks if one.kind == "control"] == ["control truncated"]
    assert "control poisoned of other" in json.dumps(begun["exclusions"])
    rpo = next(one for one in done.checks if one.name == "rpo")
    assert 0 <= rpo.actual < 3600
    assert "an idle source lost less" in rpo.detail


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
