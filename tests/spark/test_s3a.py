"""Tables that Spark writes into a bucket by Hadoop's client (s3a://): captured, restored there, and read by Spark again."""

import pytest

from holdfast.connect.objects import Options, split
from holdfast.connect.objects.s3 import S3Objects
from holdfast.model import Silent, SystemClock
from holdfast.systems.contract import RestoreRequest
from holdfast.systems.delta.objects import ObjectStore
from holdfast.systems.delta.settings import DeltaSettings
from tests.servers import need
from tests.servers.minio import MinioServer
from tests.servers.spark import SparkSession, one_at_a_time, s3a
from tests.spark.kit import KINDS, Lake, Writer, patient_backup
from tests.spark.reading import delta_rs

pytestmark = pytest.mark.minio


@pytest.fixture(scope="module")
def minio():
    with need(), MinioServer.create() as server:
        yield server


@pytest.fixture(scope="module")
def spark(minio, tmp_path_factory):
    """A session of its own: what it reads buckets by is given at its start."""
    with need(), one_at_a_time():
        more = s3a(tmp_path_factory.mktemp("s3a"), minio.endpoint, minio.access_key, minio.secret_key)
        with SparkSession(extra=more) as session:
            yield session


class BucketLake(Lake):
    """The tables lie in a bucket: ``url`` for Holdfast, ``by_spark`` for Spark."""

    def __init__(self, folder, minio: MinioServer) -> None:
        super().__init__(folder)
        self.minio, self.bucket = minio, minio.bucket()
        self.url, self.by_spark = f"s3://{self.bucket}/lake", f"s3a://{self.bucket}/lake"
        self.settings = DeltaSettings(self.url, open=self._open)

    def _open(self, url: str):
        _, bucket, prefix = split(url)
        credentials = {"access_key_id": self.minio.access_key, "secret_access_key": self.minio.secret_key}
        options = Options(endpoint=self.minio.endpoint, region=self.minio.region, credentials=credentials, patience=20)
        return ObjectStore(S3Objects(bucket, options, SystemClock()), prefix)

    def to(self, url: str, point=None, **options):
        until = {"kind": "point", "point": point.id} if point else {"kind": "latest"}
        recovery = self.recovery()
        return recovery.restore(self.history, recovery.plan_restore(self.history, RestoreRequest(url, until, options)), Silent())

    def rows(self, url: str) -> dict:
        options = {
            "AWS_ACCESS_KEY_ID": self.minio.access_key,
            "AWS_SECRET_ACCESS_KEY": self.minio.secret_key,
            "AWS_ENDPOINT_URL": self.minio.endpoint,
            "AWS_REGION": self.minio.region,
            "AWS_ALLOW_HTTP": "true",
        }
        return delta_rs(url, options=options)


@pytest.fixture
def lake(tmp_path, minio):
    with need():
        one = BucketLake(tmp_path, minio)
    yield one
    one.vault.close()


@pytest.mark.timeout(600)
def test_a_table_in_a_bucket_comes_back_by_all_three_ways_and_spark_reads_it(spark, lake):
    table = f"{lake.by_spark}/orders"
    spark.sql(f"create table delta.`{table}` (id bigint, part string) using delta partitioned by (part) tblproperties"
              " (delta.enableDeletionVectors=true)")  # fmt: skip
    spark.sql(
        f"insert into delta.`{table}` select id, element_at(array('a/b', 'c d', 'e%20f', 'é=ü'), cast(id % 4 as int) + 1) from range(40)"
    )
    spark.sql(f"delete from delta.`{table}` where id % 7 = 3")
    spark.sql(f"create table delta.`{lake.by_spark}/clone` shallow clone delta.`{table}`")
    expected = spark.rows(table)
    point = lake.backup()
    assert not point.findings
    assert point.facts["tables"]["clone"]["absolute"]
    spark.sql(f"update delta.`{table}` set id = -1")
    spark.sql(f"vacuum delta.`{table}` retain 0 hours")
    lake.to(f"s3://{lake.bucket}/copy", point)
    for name in ("orders", "clone"):
        assert spark.rows(f"s3a://{lake.bucket}/copy/{name}") == expected, name
        assert lake.rows(f"s3://{lake.bucket}/copy/{name}") == expected, name
    lake.to(lake.url, point, rewind=True, tables=["orders"])
    assert spark.rows(table) == expected
    spark.sql(f"update delta.`{table}` set id = -2")
    lake.to(lake.url, point, in_place=True, tables=["orders"])
    spark.forget()
    assert spark.rows(table) == expected


@pytest.mark.parametrize("captures", [pytest.param(20, id="soak", marks=[pytest.mark.soak, pytest.mark.timeout(3600)])])
def test_every_capture_beside_a_writer_in_a_bucket_is_exactly_its_version(spark, lake, captures):
    writer = Writer(spark, f"{lake.by_spark}/orders")
    writer.start()
    points = []
    while len(points) < captures or set(KINDS) - writer.done:
        writer.await_version(points[-1].facts["tables"]["orders"]["version"] + 1 if points else 0)
        points.append(patient_backup(lake)[0])
    writer.finish()
    for point in points:
        version = point.facts["tables"]["orders"]["version"]
        lake.to(f"s3://{lake.bucket}/at/{point.id}", point)
        assert not point.findings
        assert lake.rows(f"s3://{lake.bucket}/at/{point.id}/orders") == writer.expected[version], version
        assert spark.rows(f"s3a://{lake.bucket}/at/{point.id}/orders") == writer.expected[version], version
