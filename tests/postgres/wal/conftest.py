from collections.abc import Iterator

import pytest

from tests.postgres.wal.wal_sample import make_wal, pg_wal
from tests.servers import PostgresServer, need


@pytest.fixture(scope="session", params=[15, 18], ids=["pg15", "pg18"])
def sample(request: pytest.FixtureRequest) -> Iterator[tuple[PostgresServer, int, bytes]]:
    """A server with varied WAL, where that begins, and its bytes."""
    with need():
        server = PostgresServer.create(
            request.param, settings={"max_prepared_transactions": "5", "autovacuum": "off", "wal_keep_size": "1GB"}
        )
    make_wal(server)
    start, data = pg_wal(server)
    yield server, start, data
    server.remove()
