"""Captures while Spark appends, merges, deletes by deletion vectors, optimizes and vacuums: each restored is exactly its version."""

import shutil

import pytest

from tests.spark.kit import KINDS, Lake, Writer, patient_backup
from tests.spark.reading import delta_rs


@pytest.mark.parametrize(
    "captures",
    [
        pytest.param(5, id="sample", marks=pytest.mark.timeout(900)),
        pytest.param(50, id="soak", marks=[pytest.mark.soak, pytest.mark.timeout(3600)]),
    ],
)
def test_every_capture_beside_a_writer_is_exactly_its_version(spark, tmp_path, captures):
    lake = Lake(tmp_path)
    writer = Writer(spark, lake.root / "orders")
    writer.start()
    points, lost, tries, newest = [], 0, 0, -1
    # A vacuum and an optimize have happened by the end, however fast the captures were.
    while len(points) < captures or set(KINDS) - writer.done:
        writer.await_version(newest + 1)
        point, times = patient_backup(lake)
        points.append(point)
        lost += times
        newest = point.facts["tables"]["orders"]["version"]
        tries += point.facts["tries"] - 1
    writer.finish()
    for point in points:
        version = point.facts["tables"]["orders"]["version"]
        restored = tmp_path / "restored" / point.id
        lake.restore(restored, point)
        assert not point.findings
        assert delta_rs(restored / "orders") == writer.expected[version], version
        assert spark.rows(restored / "orders") == writer.expected[version], version
        shutil.rmtree(restored)
    versions = [point.facts["tables"]["orders"]["version"] for point in points]
    assert versions == sorted(set(versions))
    print(f"{len(points)} captures of versions {versions[0]} to {versions[-1]}: each equal; {tries} began again, {lost} lost to a vacuum")
