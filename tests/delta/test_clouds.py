"""Tables in a bucket of Google and a container of Azure. They are written in a folder and put there: what is tested is our own reading."""

import json
from pathlib import Path

import pytest

from holdfast.connect.objects import open_objects, split
from holdfast.systems.delta.errors import TargetTaken
from holdfast.systems.delta.objects import ObjectStore
from holdfast.systems.delta.store import LocalStore
from tests.bucket.test_clouds import cloud_of
from tests.delta.kit import Lake, delta_rows, write


class CloudLake(Lake):
    """The same lake below an address of the provider."""

    def __init__(self, folder, cloud) -> None:
        super().__init__(folder)
        self.cloud = cloud
        self.url = f"{cloud.new()}/lake"
        object.__setattr__(self.settings, "url", self.url)

    def _open(self, url: str):
        if "://" not in url:
            return LocalStore(Path(url))
        return ObjectStore(open_objects(url, self.cloud.options), split(url)[2])

    def bring(self) -> None:
        """What is in the folder and not there yet."""
        store = open_objects(self.url, self.cloud.options)
        for path in sorted(self.root.rglob("*")):
            key = f"lake/{path.relative_to(self.root)}"
            if path.is_file() and store.describe(key) is None:
                store.put(key, path.read_bytes())
        store.close()

    def rows(self, url: str, name: str, into: Path) -> list:
        store = self._open(url)
        for thing in store.things(name):
            (into / thing.key).parent.mkdir(parents=True, exist_ok=True)
            (into / thing.key).write_bytes(store.get(thing.key))
        return delta_rows(into / name)


@pytest.fixture(params=["gs", "az"])
def lake(request, tmp_path):
    one = CloudLake(tmp_path, cloud_of(request.param, request))
    yield one
    one.close()


def test_tables_go_there_and_back(lake, tmp_path):
    for number in range(3):
        write(lake.root / "orders", a=[number], b=["x"])
        write(lake.root / "deep" / "people", a=[number])
    lake.bring()
    assert sorted(lake._open(lake.url).folders("")) == ["deep", "orders"]
    first = lake.backup()
    write(lake.root / "orders", a=[9], b=["y"])
    lake.bring()
    point = lake.backup()
    # One file and one commit more; nothing else is read again.
    assert point.facts["fetched"] <= 2 < first.facts["fetched"]
    lake.restore(tmp_path / "out")
    assert delta_rows(tmp_path / "out" / "orders") == delta_rows(lake.root / "orders")
    copy = f"{lake.url}-copy"
    lake.restore(copy)
    assert lake.rows(copy, "orders", tmp_path / "copied") == delta_rows(lake.root / "orders")
    assert lake.rows(copy, "deep/people", tmp_path / "copied") == delta_rows(lake.root / "deep" / "people")
    with pytest.raises(TargetTaken):
        lake.restore(copy)


def test_a_table_is_rewound_and_moved_aside(lake, tmp_path):
    write(lake.root / "orders", a=[1])
    write(lake.root / "orders", a=[2])
    lake.bring()
    lake.backup()
    write(lake.root / "orders", mode="overwrite", a=[3])
    lake.bring()
    lake.restore(lake.url, rewind=True)
    assert lake.rows(lake.url, "orders", tmp_path / "rewound") == [[1], [2]]
    lake.restore(lake.url, in_place=True)
    assert lake.rows(lake.url, "orders", tmp_path / "in-place") == [[1], [2]]
    aside = json.dumps(sorted(lake._open(lake.url).folders("")))
    assert aside.count("orders") == 2
