# ruff: noqa: E501 statements of SQL are read best whole
"""Makes the golden tables: ``python -m tests.delta.golden.make [NAME …]``. What exists is left alone unless named."""

import json
import os
import shutil
import sys
import tarfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from tests.delta.golden import HERE, MADE_AT, names
from tests.servers.spark import SparkSession

ROOT = Path(MADE_AT)
Make = Callable[[SparkSession, str], None]
TABLES: dict[str, Make] = {}


def table(name: str) -> Callable[[Make], Make]:
    def keep(make: Make) -> Make:
        TABLES[name] = make
        return make

    return keep


def many(spark: SparkSession, *statements: str) -> None:
    for one in statements:
        spark.sql(one)


@contextmanager
def conf(spark: SparkSession, **values: object) -> Iterator[None]:
    """Settings, with ``__`` for dots."""
    for key, value in values.items():
        spark.sql(f"set {key.replace('__', '.')}={value}")
    try:
        yield
    finally:
        for key in values:
            spark.sql(f"reset {key.replace('__', '.')}")


def fill(at: str, first: int, count: int, files: int = 1) -> str:
    """An append of rows (id, name, amount), in so many files."""
    return (
        f"insert into {at} select /*+ repartition({files}) */ id, concat('name ', id), cast(id * 1.25 as decimal(12, 2)) "
        f"from range({first}, {first + count})"
    )


@table("plain")
def plain(spark: SparkSession, at: str) -> None:
    many(spark, f"create table {at} (id bigint, name string, amount decimal(12, 2)) using delta tblproperties (delta.checkpointInterval=3)")
    for number in range(5):
        spark.sql(fill(at, number * 10, 10))
    many(spark, f"delete from {at} where id % 7 = 0", f"optimize {at}", fill(at, 100, 5))


@table("vectors")
def vectors(spark: SparkSession, at: str) -> None:
    spark.sql(
        f"create table {at} (id bigint, name string, amount decimal(12, 2)) using delta tblproperties "
        "(delta.enableDeletionVectors=true, delta.checkpointInterval=5)"
    )
    many(
        spark,
        fill(at, 0, 40, 3),
        f"delete from {at} where id % 10 = 3",
        f"delete from {at} where id in (4, 14)",
        f"update {at} set name = 'changed' where id in (5, 25, 35)",
        fill(at, 40, 20),
        f"merge into {at} t using (select id, 'merged' as name from range(35, 45)) s on t.id = s.id "
        "when matched and t.id % 2 = 0 then delete when matched then update set name = s.name",
        f"delete from {at} where id between 20 and 29",
        f"optimize {at}",
        f"delete from {at} where id = 1",
        f"restore table {at} to version as of 3",
    )


@table("multipart")
def multipart(spark: SparkSession, at: str) -> None:
    many(spark, f"create table {at} (id bigint, name string, amount decimal(12, 2)) using delta tblproperties (delta.checkpointInterval=3)")
    with conf(spark, spark__databricks__delta__checkpoint__partSize=3):
        for number in range(4):
            spark.sql(fill(at, number * 10, 10, 3))
        many(spark, f"delete from {at} where id < 15", fill(at, 50, 4), fill(at, 60, 4))


def sidecars(spark: SparkSession, at: str, form: str) -> None:
    spark.sql(
        f"create table {at} (id bigint, name string, amount decimal(12, 2)) using delta tblproperties "
        "(delta.checkpointPolicy='v2', delta.checkpointInterval=3, delta.enableDeletionVectors=true)"
    )
    with conf(spark, spark__databricks__delta__checkpoint__partSize=3, spark__databricks__delta__checkpointV2__topLevelFileFormat=form):
        for number in range(4):
            spark.sql(fill(at, number * 10, 10, 3))
        many(spark, f"delete from {at} where id % 9 = 0", fill(at, 50, 4), fill(at, 60, 4))


@table("sidecars-json")
def sidecars_json(spark: SparkSession, at: str) -> None:
    sidecars(spark, at, "json")


@table("sidecars-parquet")
def sidecars_parquet(spark: SparkSession, at: str) -> None:
    sidecars(spark, at, "parquet")


@table("mapped")
def mapped(spark: SparkSession, at: str) -> None:
    spark.sql(
        f"create table {at} (id bigint, `old name` string, gone int, region string) using delta partitioned by (region) tblproperties "
        "(delta.columnMapping.mode='name', delta.minReaderVersion=2, delta.minWriterVersion=5)"
    )
    many(
        spark,
        f"insert into {at} values (1, 'one', 1, 'north'), (2, 'two', 2, 'south')",
        f"alter table {at} rename column `old name` to `new, name`",
        f"insert into {at} values (3, 'three', 3, 'north')",
        f"alter table {at} drop column gone",
        f"alter table {at} rename column region to area",
        f"insert into {at} values (4, 'four', 'ea st')",
        f"update {at} set `new, name` = 'ONE' where id = 1",
    )


@table("mapped-later")
def mapped_later(spark: SparkSession, at: str) -> None:
    many(
        spark,
        f"create table {at} (id bigint, name string) using delta",
        f"insert into {at} values (1, 'one')",
        f"alter table {at} set tblproperties (delta.columnMapping.mode='name', delta.minReaderVersion=2, delta.minWriterVersion=5)",
        f"alter table {at} rename column name to title",
        f"insert into {at} values (2, 'two')",
    )


@table("mapped-id")
def mapped_id(spark: SparkSession, at: str) -> None:
    """Columns by number: the files of two versions get other names for them afterwards, as importers from elsewhere leave them."""
    spark.sql(
        f"create table {at} (id bigint, `old name` string, gone int, deep struct<x: int, y: array<struct<z: string>>>, m map<string, struct<v: int>>, "
        "region string) using delta partitioned by (region) tblproperties (delta.columnMapping.mode='id', delta.minReaderVersion=2, "
        "delta.minWriterVersion=5)"
    )
    deep = "struct({0} as x, array(struct('z{0}' as z)) as y), map('k', struct({0} as v))"
    many(spark, f"insert into {at} select 1, 'one', 1, {deep.format(1)}, 'north' union all select 2, 'two', 2, {deep.format(2)}, 'south'")
    foreign("mapped-id", 1)
    many(
        spark,
        f"alter table {at} rename column `old name` to `new name`",
        f"alter table {at} rename column deep.x to renamed",
        f"alter table {at} drop column gone",
        f"alter table {at} add column gone string",
        f"insert into {at} select 3, 'three', struct(3 as renamed, array(struct('z3' as z)) as y), map('k', struct(3 as v)), 'north', 'back'",
    )
    foreign("mapped-id", 6)


def foreign(name: str, version: int) -> None:
    """Gives the columns in the files of a commit other names, and keeps their ids: ``f0``, ``f1``, … at every level."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    def field(one: pa.Field, number: int) -> pa.Field:
        return pa.field(f"f{number}", kind(one.type), one.nullable, one.metadata)

    def kind(one: pa.DataType) -> pa.DataType:
        if pa.types.is_struct(one):
            return pa.struct([field(one.field(i), i) for i in range(one.num_fields)])
        if pa.types.is_list(one):
            return pa.list_(pa.field("element", kind(one.value_type), metadata=one.value_field.metadata))
        return pa.map_(one.key_type, pa.field("value", kind(one.item_type))) if pa.types.is_map(one) else one

    def named(array: pa.Array, wanted: pa.DataType) -> pa.Array:
        return (
            pa.Array.from_buffers(
                wanted, len(array), array.buffers()[: 1 if pa.types.is_struct(wanted) else 2], children=_children(array, wanted, named)
            )
            if wanted.num_fields
            else array
        )

    commit = ROOT / name / "_delta_log" / f"{version:020}.json"
    lines = []
    for line in commit.read_text().splitlines():
        action = json.loads(line)
        if "add" in action:
            path = ROOT / name / unquote(action["add"]["path"])
            found = pq.read_table(path).combine_chunks()
            schema = pa.schema([field(one, number) for number, one in enumerate(found.schema)])
            arrays = [
                named(column.combine_chunks() if hasattr(column, "combine_chunks") else column, one.type)
                for column, one in zip(found.columns, schema, strict=True)
            ]
            pq.write_table(pa.Table.from_arrays(arrays, schema=schema), path, store_schema=False)
            action["add"]["size"] = path.stat().st_size
        lines.append(json.dumps(action))
    commit.write_text("\n".join(lines) + "\n")
    (commit.parent / f".{commit.name}.crc").unlink(missing_ok=True)
    for left in (ROOT / name).rglob(".*.parquet.crc"):
        left.unlink()


def _children(array: Any, wanted: Any, named: Callable[..., Any]) -> list[Any]:
    import pyarrow as pa

    if pa.types.is_struct(wanted):
        return [named(array.field(i), wanted.field(i).type) for i in range(wanted.num_fields)]
    if pa.types.is_map(wanted):
        entries = pa.StructArray.from_arrays(
            [array.keys, named(array.items, wanted.item_type)], fields=[wanted.key_field, wanted.item_field]
        )
        return [entries]
    return [named(array.values, wanted.value_type)]


ODD = ["a b", "50%", "a=b", "a/b", "ä–ö", "", "..", "x:y", "q?#&", "it\\'s", 'say "no"', "a%20b", "tab\\tnew\\nline", "+", "[{}]", "日本"]


@table("partitions")
def partitions(spark: SparkSession, at: str) -> None:
    rows = ", ".join(f"({number}, '{value}', date'2026-01-{number % 3 + 1:02}')" for number, value in enumerate(ODD))
    many(
        spark,
        f"create table {at} (id bigint, odd string, day date) using delta partitioned by (odd, day)",
        f"insert into {at} values {rows}",
        f"insert into {at} values (100, null, null), (101, 'a b', null)",
        f"delete from {at} where odd = '50%'",
        f"update {at} set id = id + 1000 where odd = 'a/b'",
    )
    spark.python(
        "frame = spark.sql(\"select 1 as id, 'x y' as `odd%name`, timestamp'2026-02-03 04:05:06.789' as at union all select 2, null, null\")\n"
        "(frame.write.format('delta').mode('overwrite').option('overwriteSchema', 'true').partitionBy('odd%name', 'at').save(path))",
        path=f"{ROOT}/partitions",
    )


@table("changes")
def changes(spark: SparkSession, at: str) -> None:
    many(
        spark,
        f"create table {at} (id bigint, name string, part int) using delta partitioned by (part) tblproperties (delta.enableChangeDataFeed=true)",
        f"insert into {at} select id, concat('n', id), id % 2 from range(20)",
        f"update {at} set name = 'x' where id in (3, 4)",
        f"delete from {at} where id = 5",
        f"merge into {at} t using (select id from range(18, 22)) s on t.id = s.id when matched then delete "
        "when not matched then insert (id, name, part) values (s.id, 'new', 0)",
    )


@table("clone")
def clone(spark: SparkSession, at: str) -> None:
    source = f"delta.`{ROOT}/clone-source`"
    many(
        spark,
        f"create table {source} (id bigint, name string, part string) using delta partitioned by (part) tblproperties (delta.enableDeletionVectors=true)",
        f"insert into {source} select id, concat('n', id), if(id % 2 = 0, 'a b', 'c%') from range(20)",
        f"delete from {source} where id in (2, 3)",
        f"create table {at} shallow clone {source}",
        f"insert into {at} values (100, 'own', 'a b')",
        f"delete from {at} where id = 4",
        f"delete from {source} where id = 6",
    )


@table("tracked")
def tracked(spark: SparkSession, at: str) -> None:
    spark.sql(f"create table {at} (id bigint, name string, amount decimal(12, 2)) using delta tblproperties (delta.enableRowTracking=true)")
    many(spark, fill(at, 0, 10), fill(at, 10, 10), f"update {at} set name = 'x' where id = 3", f"optimize {at}")


@table("widened")
def widened(spark: SparkSession, at: str) -> None:
    many(
        spark,
        f"create table {at} (id int, small smallint, day date) using delta tblproperties (delta.enableTypeWidening=true, 'delta.feature.timestampNtz'='supported')",
        f"insert into {at} values (1, 1, date'2026-01-01')",
        f"alter table {at} alter column id type bigint",
        f"alter table {at} alter column small type double",
        f"alter table {at} alter column day type timestamp_ntz",
        f"insert into {at} values (5000000000, 1.5, timestamp_ntz'2026-01-02 03:04:05.678901')",
    )


@table("variant")
def variant(spark: SparkSession, at: str) -> None:
    many(
        spark,
        f"create table {at} (id int, v variant) using delta",
        f"""insert into {at} select 1, parse_json('{{"a": [1, 2.5, null, "x"]}}')""",
    )


@table("checked")
def checked(spark: SparkSession, at: str) -> None:
    spark.python(
        """
from delta.tables import DeltaTable, IdentityGenerator
from pyspark.sql.types import DateType, DecimalType, IntegerType, LongType
(DeltaTable.create(spark).location(path).addColumn("id", LongType(), generatedByDefaultAs=IdentityGenerator())
    .addColumn("day", DateType()).addColumn("month", IntegerType(), generatedAlwaysAs="month(day)")
    .addColumn("amount", DecimalType(12, 2), nullable=False).property("delta.feature.allowColumnDefaults", "supported").execute())
""",
        path=f"{ROOT}/checked",
    )
    many(
        spark,
        f"alter table {at} alter column amount set default 1.5",
        f"alter table {at} add constraint positive check (amount > 0)",
        f"insert into {at} (day) values (date'2026-03-04')",
        f"insert into {at} (day, amount) values (date'2026-05-04', 7.25)",
    )


@table("clustered")
def clustered(spark: SparkSession, at: str) -> None:
    spark.sql(f"create table {at} (id bigint, name string, amount decimal(12, 2)) using delta cluster by (id)")
    many(spark, fill(at, 0, 20, 2), fill(at, 20, 20, 2), f"optimize {at}")


@table("timed")
def timed(spark: SparkSession, at: str) -> None:
    """In-commit timestamps, switched on later."""
    spark.sql(f"create table {at} (id bigint, name string, amount decimal(12, 2)) using delta")
    many(
        spark, fill(at, 0, 5), f"alter table {at} set tblproperties (delta.enableInCommitTimestamps=true)", fill(at, 10, 5), fill(at, 20, 5)
    )


@table("types")
def types(spark: SparkSession, at: str) -> None:
    columns = (
        "a boolean, b tinyint, c smallint, d int, e bigint, f float, g double, h decimal(38, 10), i string, j binary, k date, l timestamp, m timestamp_ntz, "
        "n array<string>, o map<string, decimal(5, 2)>, p struct<x: int, y: array<struct<z: timestamp>>>, q void"
    ).replace(", q void", "")
    many(
        spark,
        f"create table {at} ({columns}) using delta",
        f"""insert into {at} values
        (true, 127, -32768, 2147483647, -9223372036854775808, float('1.5'), 0.1d, 1234567890123456789012345678.0123456789, 'text – ä\\n\\0', x'00ff10',
         date'0001-01-01', timestamp'1970-01-01 00:00:00.000001', timestamp_ntz'9999-12-31 23:59:59.999999', array('a', null), map('k', 1.25, 'j', null),
         struct(1, array(struct(timestamp'2026-01-01 00:00:00')))),
        (false, -128, 0, 0, 0, float('nan'), double('-infinity'), 0, '', x'', date'9999-12-31', timestamp'2026-07-01 12:00:00.123456', null, array(), map(), null),
        (null, null, null, null, null, float('-0.0'), double('infinity'), null, null, null, null, null, null, null, null, null)""",
    )


@table("cleaned")
def cleaned(spark: SparkSession, at: str) -> None:
    """Spark's own clean-up of a log: its commits are made two weeks old, then a checkpoint is written."""
    spark.sql(
        f"create table {at} (id bigint, name string, amount decimal(12, 2)) using delta tblproperties "
        "(delta.checkpointInterval=4, delta.logRetentionDuration='interval 3 days', delta.deletedFileRetentionDuration='interval 1 hours')"
    )
    for number in range(6):
        spark.sql(fill(at, number * 10, 10))
    spark.sql(f"delete from {at} where id % 5 = 0")
    log = ROOT / "cleaned" / "_delta_log"
    for number, commit in enumerate(sorted(log.glob("*.json"))):
        before = time.time() - 14 * 86400 + number * 60
        os.utime(commit, (before, before))
        for other in log.glob(f"{commit.stem}.*parquet"):
            os.utime(other, (before, before))
    spark.sql(f"refresh table {at}")
    spark.python("from delta.tables import DeltaTable\nspark._jvm.org.apache.spark.sql.delta.DeltaLog.clearCache()")
    many(spark, *(fill(at, 100 + number * 10, 5) for number in range(6)))


@table("dropped")
def dropped(spark: SparkSession, at: str) -> None:
    """A table feature was dropped: the log below a checkpoint is protected."""
    spark.sql(f"create table {at} (id bigint, name string, amount decimal(12, 2)) using delta tblproperties (delta.checkpointPolicy='v2')")
    many(spark, fill(at, 0, 10), f"delete from {at} where id = 3", f"alter table {at} drop feature v2Checkpoint", fill(at, 20, 5))


@table("stream")
def stream(spark: SparkSession, at: str) -> None:
    """Two applications write the table by txn; the second goes on after a restart."""
    spark.python(
        """
import os
def feed(name, first, count):
    folder = f"{root}/{name}-input"
    os.makedirs(folder, exist_ok=True)
    spark.range(first, first + count).selectExpr("id", f"'{name}' as source").coalesce(1).write.mode("append").parquet(folder)
def flow(name, checkpoint):
    query = (spark.readStream.schema("id bigint, source string").option("maxFilesPerTrigger", 1).parquet(f"{root}/{name}-input")
        .writeStream.format("delta").option("checkpointLocation", f"{root}/{checkpoint}").trigger(availableNow=True).start(f"{root}/stream"))
    query.awaitTermination()
feed("one", 0, 5); feed("one", 5, 5)
flow("one", "stream-checkpoint")
feed("two", 100, 3)
flow("two", "stream-checkpoint-two")
feed("one", 10, 5)
flow("one", "stream-checkpoint")
""",
        root=str(ROOT),
    )


FACTS = """
from delta.tables import DeltaTable
table = DeltaTable.forPath(spark, path)
history = table.history().select("version", "operation").collect()
snapshot = spark._jvm.org.apache.spark.sql.delta.DeltaLog.forTable(spark._jsparkSession, path).update(False, spark._jvm.scala.Option.empty(), spark._jvm.scala.Option.empty())
detail = table.detail().select("minReaderVersion", "minWriterVersion", "tableFeatures").collect()[0]
txn = {}
iterator = snapshot.setTransactions().iterator()
while iterator.hasNext():
    one = iterator.next()
    txn[one.appId()] = one.version()
result = {"operations": {str(one.version): one.operation for one in history}, "txn": [[a, v] for a, v in txn.items()],
          "reader": detail.minReaderVersion, "writer": detail.minWriterVersion, "features": sorted(detail.tableFeatures)}
result = json.dumps(result)
"""


def facts(spark: SparkSession, name: str) -> dict:
    path = ROOT / name
    told = json.loads(spark.python("import json\n" + FACTS, path=str(path)))
    versions = {}
    for version in sorted(map(int, told["operations"])):
        try:
            versions[str(version)] = spark.rows(path, version)
        except RuntimeError as error:
            # Below what the log still reaches.
            print(f"  {name} at {version}: {str(error)[:150]}")
    return {
        "versions": versions,
        "operations": dict(sorted(told["operations"].items(), key=lambda one: int(one[0]))),
        "features": {"reader": told["reader"], "writer": told["writer"], "names": told["features"]},
        "txn": dict(told["txn"]),
    }


def pack(name: str) -> None:
    def filtered(info: tarfile.TarInfo) -> tarfile.TarInfo | None:
        # Hadoop keeps sums of every local file beside it; no store has them.
        base = Path(info.name).name
        if base.startswith(".") and base.endswith(".crc"):
            return None
        info.uid = info.gid = 0
        info.uname = info.gname = ""
        return info

    with tarfile.open(HERE / f"{name}.tar.xz", "w:xz", format=tarfile.PAX_FORMAT) as archive:
        for folder in sorted(ROOT.glob(f"{name}*")):
            if folder.name == name or folder.name.startswith(f"{name}-"):
                archive.add(folder, folder.name, filter=filtered)


def main(wanted: list[str]) -> None:
    with SparkSession() as spark:
        for name, make in TABLES.items():
            if name not in wanted and (wanted or name in names()):
                continue
            shutil.rmtree(ROOT, ignore_errors=True)
            ROOT.mkdir()
            begun = time.monotonic()
            try:
                make(spark, f"delta.`{ROOT}/{name}`")
                told = facts(spark, name)
            except RuntimeError as error:
                print(f"{name}: {str(error)[:1000]}", flush=True)
                continue
            (HERE / f"{name}.json").write_text(json.dumps(told, indent=1, ensure_ascii=False, sort_keys=False) + "\n", "utf-8")
            pack(name)
            size = (HERE / f"{name}.tar.xz").stat().st_size
            print(
                f"{name}: versions {list(told['versions'])}, {told['features']}, txn {told['txn']}, {size} bytes, {time.monotonic() - begun:.1f} s",
                flush=True,
            )
    shutil.rmtree(ROOT, ignore_errors=True)


if __name__ == "__main__":
    main(sys.argv[1:])
