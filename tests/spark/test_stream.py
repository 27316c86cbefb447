"""A structured stream's table and checkpoint, restored together by each way back: resumed, every source row is there exactly once."""

import json
import shutil
from pathlib import Path

import pytest

from tests.spark.kit import Lake
from tests.spark.reading import delta_rs

FLOW = """
def begin(lake, once):
    options = {"availableNow": True} if once else {"processingTime": "0 seconds"}
    source = spark.readStream.schema("id bigint, name string").option("maxFilesPerTrigger", 1).json(inputs)
    return (source.writeStream.format("delta").option("checkpointLocation", f"{lake}/checkpoints/orders").trigger(**options)
            .start(f"{lake}/orders"))
"""


class Source:
    """JSON files of five rows each; ``rows``: all that were ever written."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        self.rows: list[list[object]] = []
        self.files = 0

    def write(self, files: int) -> None:
        for _ in range(files):
            rows = [[self.files * 5 + one, f"name {self.files}"] for one in range(5)]
            text = "".join(json.dumps({"id": number, "name": name}) + "\n" for number, name in rows)
            # Seen whole or not at all.
            waiting = self.folder / f".{self.files:04}"
            waiting.write_text(text)
            waiting.rename(self.folder / f"{self.files:04}.json")
            self.rows += rows
            self.files += 1

    def expected(self) -> dict[str, list[object]]:
        return {"columns": ["id", "name"], "rows": sorted(self.rows, key=json.dumps)}


pytestmark = pytest.mark.timeout(900)


@pytest.fixture
def scene(tmp_path, spark):
    """A lake, its source, and a point that was taken while the stream ran; the stream went on and is stopped."""
    lake = Lake(tmp_path, tables=("orders",), streams=("checkpoints/orders",))
    source = Source(tmp_path / "input")
    source.write(11)
    spark.python(FLOW + "query = begin(lake, False)", inputs=str(source.folder), lake=str(lake.root))
    # More than ten batches: the source's own log is compacted by then.
    batches = """
import time
end = time.monotonic() + 280
def done():
    progress = query.lastProgress
    return progress["batchId"] if progress else -1
while done() < wanted and query.isActive and time.monotonic() < end:
    time.sleep(0.05)
result = done()
"""
    assert spark.python(batches, wanted=10) >= 10
    # Some of these are batches in flight while the point is taken.
    source.write(3)
    point = lake.backup()
    source.write(2)
    assert spark.python("query.processAllAvailable()\nquery.stop()\nresult = query.exception() is None")
    return lake, source, point


def resumed(spark, lake: Path) -> None:
    spark.forget()
    spark.python("query = begin(lake, True)\nquery.awaitTermination()\nassert query.exception() is None", lake=str(lake))


def test_restored_elsewhere_by_a_commit_and_in_place_the_stream_goes_on_exactly_once(spark, scene, tmp_path):
    lake, source, point = scene
    told = point.facts["streams"]["checkpoints/orders"]
    assert told["batch"] >= 10
    assert not point.findings
    assert delta_rs(lake.root / "orders") == source.expected()

    # C: a new place, with the checkpoint.
    elsewhere = tmp_path / "elsewhere"
    lake.restore(elsewhere, point)
    assert len(delta_rs(elsewhere / "orders")["rows"]) == 5 * (told["batch"] + 1)
    resumed(spark, elsewhere)
    assert spark.rows(elsewhere / "orders") == delta_rs(elsewhere / "orders") == source.expected()

    # A: a commit on the table itself. It was corrupted, and further batches were written on top.
    spark.sql(f"update delta.`{lake.root}/orders` set name = 'wrong' where id % 3 = 0")
    lake.restore(lake.root, point, rewind=True)
    assert len(delta_rs(lake.root / "orders")["rows"]) == 5 * (told["batch"] + 1)
    resumed(spark, lake.root)
    assert spark.rows(lake.root / "orders") == delta_rs(lake.root / "orders") == source.expected()

    # B: moved aside, since its files are gone.
    for file in (lake.root / "orders").glob("*.parquet"):
        file.unlink()
    source.write(1)
    lake.restore(lake.root, point, in_place=True)
    resumed(spark, lake.root)
    assert spark.rows(lake.root / "orders") == delta_rs(lake.root / "orders") == source.expected()
    assert sorted(one.name.partition("-")[0] for one in lake.root.iterdir()) == ["checkpoints", "orders", "orders.damaged"]


@pytest.mark.soak
def test_by_sparks_own_restore_the_stream_loses_rows(spark, scene):
    """The trap that a rewind avoids: the table still says that it holds the batches which the restored version lacks."""
    lake, source, point = scene
    version = point.facts["tables"]["orders"]["version"]
    checkpoint = lake.root / "checkpoints" / "orders"
    shutil.rmtree(checkpoint)
    spark.sql(f"restore table delta.`{lake.root}/orders` to version as of {version}")
    lake.restore(lake.folder / "only-the-checkpoint", point)
    shutil.copytree(lake.folder / "only-the-checkpoint" / "checkpoints" / "orders", checkpoint)
    resumed(spark, lake.root)
    assert delta_rs(lake.root / "orders") != source.expected()
