"""Tables in a bucket of a real MinIO."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from holdfast.connect.objects import Options, split
from holdfast.connect.objects.s3 import S3Objects
from holdfast.model import SystemClock
from holdfast.systems.delta.data.view import source_view
from holdfast.systems.delta.errors import RestoreUsage, TableMoved, TargetTaken
from holdfast.systems.delta.objects import ObjectStore
from holdfast.systems.delta.store import LocalStore, Missing
from holdfast.systems.delta.tables import find
from tests.cli.running import answer, holdfast
from tests.delta.kit import Lake, delta_rows
from tests.servers.minio import MinioServer
from tests.servers.need import need

pytestmark = pytest.mark.minio


@pytest.fixture(scope="module")
def minio():
    with need(), MinioServer.create() as server:
        yield server


class BucketLake(Lake):
    """The same lake in a bucket; ``asked`` lists the keys of every object that was read."""

    def __init__(self, folder, minio, **settings) -> None:
        super().__init__(folder, **settings)
        self.minio = minio
        self.bucket = minio.bucket()
        self.url = f"s3://{self.bucket}/lake"
        self.asked: list[str] = []
        self.before_read: Callable[[str, int], None] = lambda key, start: None
        object.__setattr__(self.settings, "url", self.url)

    def _open(self, url: str):
        if not url.startswith("s3://"):
            return LocalStore(Path(url))
        _, bucket, prefix = split(url)
        credentials = {"access_key_id": self.minio.access_key, "secret_access_key": self.minio.secret_key}
        options = Options(endpoint=self.minio.endpoint, region=self.minio.region, credentials=credentials, path_style=True, patience=10)
        lake = self

        class Counted(S3Objects):
            def read_into(self, key, buffer, **given):
                lake.asked.append(key)
                lake.before_read(key, given.get("start", 0))
                return super().read_into(key, buffer, **given)

        return ObjectStore(Counted(bucket, options, SystemClock()), prefix)

    @property
    def storage_options(self) -> dict[str, str]:
        return {
            "AWS_ACCESS_KEY_ID": self.minio.access_key,
            "AWS_SECRET_ACCESS_KEY": self.minio.secret_key,
            "AWS_ENDPOINT_URL": self.minio.endpoint,
            "AWS_REGION": self.minio.region,
            "AWS_ALLOW_HTTP": "true",
            "aws_conditional_put": "etag",
        }

    def write(self, name: str, mode: str = "append", **columns) -> None:
        import pyarrow as pa
        from deltalake import write_deltalake

        write_deltalake(f"{self.url}/{name}", pa.table(columns), mode=mode, storage_options=self.storage_options)

    def rows(self, name: str) -> list:
        import pyarrow as pa
        from deltalake import DeltaTable, QueryBuilder

        table = DeltaTable(f"{self.url}/{name}", storage_options=self.storage_options)
        found = pa.table(QueryBuilder().register("t", table).execute("select * from t").read_all())
        return sorted((list(row.values()) for row in found.to_pylist()), key=lambda row: json.dumps(row, default=str))


@pytest.fixture
def lake(tmp_path, minio):
    one = BucketLake(tmp_path, minio)
    yield one
    one.close()


def test_a_capture_of_the_next_version_asks_for_the_new_files_only(lake):
    for number in range(5):
        lake.write("orders", a=[number], p=[f"part {number}/ä%"])
    lake.backup()
    lake.asked.clear()
    lake.write("orders", a=[9], p=["x"])
    point = lake.backup()
    parquet = [key for key in lake.asked if key.endswith(".parquet")]
    assert len(parquet) == 1
    assert point.facts["fetched"] == 2
    lake.restore(lake.folder / "out")
    assert delta_rows(lake.folder / "out" / "orders") == lake.rows("orders")


def test_back_into_a_bucket_by_all_three_ways(lake):
    lake.write("orders", a=[1])
    lake.write("orders", a=[2])
    lake.backup()
    lake.write("orders", a=[3], mode="overwrite")
    lake.restore(f"{lake.url}-copy")
    assert json.dumps(sorted(lake._open(f"{lake.url}-copy").folders(""))) == '["orders"]'
    with pytest.raises(TargetTaken):
        lake.restore(f"{lake.url}-copy")
    plan = lake.plan(lake.url, rewind=True)
    lake.restore(lake.url, rewind=True)
    assert lake.rows("orders") == [[1], [2]]
    with pytest.raises(TableMoved):
        lake.recovery().restore(lake.history, plan, lake.said)
    lake.write("orders", a=[4])
    lake.restore(lake.url, in_place=True)
    assert lake.rows("orders") == [[1], [2]]
    assert len(lake._open(lake.url).folders("")) == 2


def test_a_table_that_is_a_whole_bucket_is_never_written_over(lake):
    lake.url = f"s3://{lake.bucket}"
    object.__setattr__(lake.settings, "url", lake.url)
    lake.write("", a=[1])
    lake.backup()
    lake.write("", a=[2])
    before = {thing.key: thing.etag for thing in lake._open(lake.url).things("")}
    with pytest.raises(RestoreUsage, match="nothing is beside it"):
        lake.plan(lake.url, in_place=True)
    assert {thing.key: thing.etag for thing in lake._open(lake.url).things("")} == before
    lake.restore(lake.url, rewind=True)
    assert lake.rows("") == [[1]]


SIZES = (100 << 10, 3 << 20, 10 << 20)
"""Read in bulk, by one request, and in parts."""


def sized(lake) -> list[str]:
    """A table of a file of each size, of bytes that do not shrink; their keys by size."""
    for number, size in enumerate(SIZES):
        lake.write("orders", a=[number], b=[os.urandom(size)])
    found = [thing for thing in lake._open(lake.url).things("orders/") if thing.key.endswith(".parquet")]
    return [thing.key for thing in sorted(found, key=lambda one: one.size)]


def contents(store, prefix: str) -> dict[str, bytes]:
    return {thing.key: store.get(thing.key) for thing in store.things(prefix)}


def test_files_of_every_size_go_there_and_back(lake):
    sized(lake)
    point = lake.backup()
    assert not point.findings
    lake.restore(f"{lake.url}-copy")
    assert contents(lake._open(f"{lake.url}-copy"), "orders/") == contents(lake._open(lake.url), "orders/")
    assert not lake._open(lake.url)._objects._asker.ask("GET", None, {"uploads": ""}).body.count(b"<Upload>")
    again = lake.backup()
    assert again.facts["fetched"] == 0


def test_a_large_file_that_is_gone_or_cut_off_is_named(lake):
    _, middle, large = sized(lake)
    store = lake._open(lake.url)
    whole = store.get(large)
    store._objects.delete([f"lake/{middle}"])
    for cut in (len(whole) - 20, 5 << 20):
        store._objects.put(f"lake/{large}", whole[:cut])
        found = {one.where["path"]: one for one in lake.backup().findings}
        assert {path: one.code for path, one in found.items()} == {
            f"tables/{middle}": "delta-file-lost",
            f"tables/{large}": "delta-file-broken",
        }
        assert f"is {cut} bytes long where the log says {len(whole)}" in found[f"tables/{large}"].message
    store._objects.delete([f"lake/{large}"])
    assert {one.code for one in lake.backup().findings} == {"delta-file-lost"}


def test_the_content_is_hashed_out_of_the_bytes_that_are_fetched(lake, tmp_path):
    object.__setattr__(lake.settings, "content", True)
    keys = sized(lake)
    point = lake.backup()
    with source_view(lake.settings, None, tmp_path / "box") as view:
        assert point.expected["orders"]["hash"] == view.digest()["orders"]["hash"]
    assert point.expected["orders"]["rows"] == 3
    lake.asked.clear()
    lake.write("orders", a=[9], b=[b"small"])
    point = lake.backup()
    assert point.expected["orders"]["rows"] == 4
    # The new one is read once, and none of the others.
    assert len([key for key in lake.asked if key.endswith(".parquet")]) == 1
    assert not [key for key in lake.asked if key.removeprefix("lake/") in keys]


def test_a_scan_of_the_source_keeps_nothing_that_only_it_needs(lake, tmp_path):
    lake.write("orders", a=[1])
    lake.write("orders", a=[2])

    def fetched() -> int:
        return len(list((tmp_path / "box").rglob("*.parquet")))

    with source_view(lake.settings, None, tmp_path / "box") as view:
        digest = view.digest()
        assert fetched() == 0
        assert view.query("select sum(a) from orders") == [(3,)]
    with source_view(lake.settings, None, tmp_path / "other") as view:
        assert view.query("select sum(a) from orders") == [(3,)]
        assert view.digest() == digest
        assert view.query("select max(a) from orders") == [(2,)]


def test_a_vacuum_takes_files_of_every_size_while_they_are_fetched(lake):
    keys = sized(lake)
    done: list[str] = []

    def vacuum(key: str, start: int) -> None:
        # In the middle of the large one, whose begin is in the vault by then.
        if not done and key.endswith(keys[2]) and start:
            done.append(key)
            lake.write("orders", mode="overwrite", a=[7], b=[b"left"])
            lake._open(lake.url)._objects.delete([f"lake/{one}" for one in keys])

    lake.before_read = vacuum
    point = lake.backup()
    assert done
    assert (point.facts["tries"], point.stop["versions"]) == (2, {"orders": 3})
    assert not point.findings
    lake.restore(lake.folder / "out")
    assert delta_rows(lake.folder / "out" / "orders") == [[7, b"left"]]


def test_a_table_is_found_without_a_look_at_each_of_its_files(lake):
    store = lake._open(lake.url)
    for number in range(30):
        store.put_new(f"orders/part-{number}.parquet", b"x")
        store.put_new(f"raw/{number}", b"x")
    store.put_new("orders/_delta_log/00000000000000000000.json", b"{}")
    store.put_new("raw/z/t/_delta_log/00000000000000000000.json", b"{}")
    asked: list[str] = []
    listing = store._objects.list

    def counted(prefix: str = "", after: str = ""):
        asked.append(prefix)
        return listing(prefix, after)

    store._objects.list = counted
    assert find(store, ()) == ["orders", "raw/z/t"]
    assert len(asked) <= 12, asked


def test_the_port_keeps_its_promises(lake):
    store = lake._open(f"{lake.url}/odd place")
    for key in ("a/b/one", "a/c/two", "a0", "b/ä %2F/three"):
        assert store.put_new(key, key.encode())
    assert not store.put_new("a0", b"other")
    assert store.put_new("a0", b"a0")  # what a lost answer left is ours
    assert store.folders("") == ["a", "b"]
    assert store.folders("a/") == ["b", "c"]
    assert store.get("b/ä %2F/three") == "b/ä %2F/three".encode()
    buffer = bytearray(100)
    assert store.read_into("a/b/one", 2, memoryview(buffer)) == len("a/b/one") - 2
    for missing in (lambda: store.get("nothing"), lambda: store.read_into("nothing", 0, memoryview(buffer))):
        with pytest.raises(Missing):
            missing()
    store.move("a/", "moved/")
    assert sorted(thing.key for thing in store.things("")) == ["a0", "b/ä %2F/three", "moved/b/one", "moved/c/two"]
    large = store.writing("large", 40 << 20, 0)
    large.write(20 << 20, memoryview(bytes(20 << 20)))
    large.write(0, memoryview(b"x" * (20 << 20)))
    large.close()
    assert store.head("large").size == 40 << 20


def test_by_the_command_line(lake):
    lake.write("orders", a=[1, 2])
    folder = lake.folder
    (folder / "holdfast.yaml").write_text(f"""
platform: acme
vault:
  key: {{env: HOLDFAST_KEY}}
  locations:
    - {{name: onsite, url: "file://{folder}/vault2", failure_domain: here}}
systems:
  lake:
    kind: delta
    url: "{lake.url}"
    endpoint: "{lake.minio.endpoint}"
    path_style: true
    credentials: {{access_key_id: {{env: LAKE_ID}}, secret_access_key: {{env: LAKE_SECRET}}}}
    backup: daily
    rpo: 1d
    keep: {{last: 3}}
    checks: [{{name: both, sql: "select count(*) from orders", compare: source}}]
""")
    known = {
        "HOLDFAST_KEY": "k",
        "LAKE_ID": lake.minio.access_key,
        "LAKE_SECRET": lake.minio.secret_key,
        "HOLDFAST_SANDBOX": str(folder / "boxes"),
    }

    def run(*words: str):
        done = holdfast(folder, *words, **known)
        assert done.returncode == 0, done.stderr
        return done

    run("init", "--yes")
    run("backup", "lake")
    verified = answer(run("verify", "lake", "--json"))["systems"][0]
    assert verified["counts"] == {"passed": 4, "failed": 0, "skipped": 0}  # one of them: the newest point is there
    run("restore", "lake", "--into", f"{lake.url}-cli", "--json")
    assert lake._open(f"{lake.url}-cli").folders("") == ["orders"]
    lake.write("orders", a=[3])
    run("restore", "lake", "--rewind", "--into", lake.url, "--yes")
    assert lake.rows("orders") == [[1], [2]]
