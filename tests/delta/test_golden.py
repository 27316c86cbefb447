"""Tables that a real Spark wrote: every version's rows as Spark read them, before and after a capture and a restore."""

import json

import pytest

from holdfast.systems.delta.data import sql
from holdfast.systems.delta.data.view import source_view
from holdfast.systems.delta.errors import FeatureUnknown
from tests.delta import golden
from tests.delta.kit import plain

UNKNOWN = {"variant": "variantType"}


def rows(view, name: str) -> dict:
    table = view.tables[name].pinned.snapshot
    fields = sql.fields(table.metadata)
    found = view.query(f'select {", ".join(sql.name(one["name"]) for one in fields)} from "{name}"')
    seen = [[plain(value, one["type"]) for value, one in zip(row, fields, strict=True)] for row in found]
    return {"columns": [one["name"] for one in fields], "rows": sorted(seen, key=json.dumps)}


def told(expected: dict) -> dict:
    return {"columns": expected["columns"], "rows": sorted(expected["rows"], key=json.dumps)}


@pytest.mark.parametrize("name", [one for one in golden.names() if one not in UNKNOWN])
def test_every_version_reads_as_spark_read_it_and_the_newest_comes_back(lake, tmp_path, name):
    golden.unpack(name, lake.root)
    known = golden.expected(name)["versions"]
    for version, wanted in known.items():
        with source_view(lake.settings, {name: int(version)}, tmp_path / f"box{version}") as view:
            assert rows(view, name) == told(wanted), f"version {version}"
    with source_view(lake.settings, {name: max(map(int, known))}, tmp_path / "box") as view:
        before = view.digest()
    object.__setattr__(lake.settings, "tables", (name,))
    point = lake.backup()
    assert not [one for one in point.findings if "stream" not in one.code]
    done = lake.restore(tmp_path / "out")
    newest = max(map(int, known))
    assert done.reached["versions"] == {name: newest}
    from holdfast.systems.delta import settings

    with source_view(settings.DeltaSettings(str(tmp_path / "out")), {name: newest}, tmp_path / "box2") as view:
        assert rows(view, name) == told(known[str(newest)])
        assert view.digest() == before


@pytest.mark.parametrize(("name", "feature"), UNKNOWN.items())
def test_a_feature_that_is_not_known_is_refused_by_name(lake, name, feature):
    golden.unpack(name, lake.root)
    with pytest.raises(FeatureUnknown, match=feature):
        lake.backup()
    assert not lake.history.points()
    assert any(one.state == "fail" and feature in one.detail for one in lake.system().probe())
