"""Spark as tests use it: answers, errors, several processes."""

import pytest

from tests.servers import need
from tests.servers.spark import SparkCluster, SparkError, SparkSession


def test_rows_of_a_version_in_comparable_form(spark, tmp_path):
    table = f"delta.`{tmp_path}/t`"
    spark.sql(f"create table {table} (id bigint, price decimal(10, 2), at timestamp) using delta")
    spark.sql(f"insert into {table} values (2, null, timestamp'2026-01-02 03:04:05'), (1, 1.5, null)")
    assert spark.rows(tmp_path / "t", 0)["rows"] == []
    assert spark.rows(tmp_path / "t") == {
        "columns": ["id", "price", "at"],
        "rows": [[1, "1.50", None], [2, None, "2026-01-02 03:04:05.000000"]],
    }
    assert spark.sql(f"select sum(price) as total from {table}") == [{"total": "1.50"}]


def test_a_failure_is_told_and_the_session_goes_on(spark):
    with pytest.raises(SparkError, match="no_such_table"):
        spark.sql("select * from no_such_table")
    assert spark.python("result = [first, 2]", first=1) == [1, 2]


@pytest.mark.soak
def test_a_standalone_master_shares_work_among_two_workers_in_processes_of_their_own():
    with need(), SparkCluster(2) as cluster, SparkSession(master=cluster.master, extra={"spark.executor.memory": "512m"}) as session:
        where = session.python(
            """
import time
def place(rows):
    import os
    time.sleep(0.2)
    yield os.getpid(), os.environ.get("SPARK_EXECUTOR_DIRS", "")
end = time.monotonic() + 60
while True:
    found = sorted({parent for _, parent in spark.sparkContext.parallelize(range(4), 4).mapPartitions(place).collect()})
    if len(found) == 2 or time.monotonic() > end:
        break
result = found
"""
        )
        assert len(where) == 2
        assert len([one for one in cluster.workers if one.poll() is None]) == 2
    assert not cluster.folder.exists()
