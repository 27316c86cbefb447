"""One Spark session for these tests, since its start takes seconds: each test works on paths of its own."""

from collections.abc import Iterator

import pytest

from tests.servers import need
from tests.servers.spark import SparkSession, one_at_a_time


@pytest.fixture(scope="package")
def spark() -> Iterator[SparkSession]:
    """A local session, shared by the tests of this folder in one worker."""
    with need(), one_at_a_time(), SparkSession() as session:
        yield session
