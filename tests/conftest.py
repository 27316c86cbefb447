"""Fixtures of real servers. Session-wide ones are shared by the tests of one worker: leave them as you found them."""

import signal
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from tests.servers import VERSIONS, AzuriteServer, GoogleServer, MinioServer, PostgresServer, need
from tests.servers.account import folders_removed

# A shell starts what it puts into the background with Ctrl-C ignored, and children inherit that: programs under test could then
# not be stopped as a person stops them.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
# The same with a terminal that goes away, under nohup.
if signal.getsignal(signal.SIGHUP) == signal.SIG_IGN:
    signal.signal(signal.SIGHUP, signal.SIG_DFL)

# How long an example takes, or takes to make, tells of the machine and not of what is tested.
settings.register_profile("holdfast", settings.default, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("holdfast")


def _session_server(version: int) -> Iterator[PostgresServer]:
    with need():
        server = PostgresServer.create(version)
    yield server
    server.remove()


@pytest.fixture(scope="session")
def pg15() -> Iterator[PostgresServer]:
    """PostgreSQL 15, shared by the session."""
    yield from _session_server(15)


@pytest.fixture(scope="session")
def pg18() -> Iterator[PostgresServer]:
    """PostgreSQL 18, shared by the session."""
    yield from _session_server(18)


@pytest.fixture(scope="session", params=[one.major for one in VERSIONS], ids=lambda major: f"pg{major}")
def pg_any(request: pytest.FixtureRequest) -> Iterator[PostgresServer]:
    """Every version of the matrix in turn, shared by the session."""
    yield from _session_server(request.param)


@pytest.fixture(autouse=True)
def no_folder_stays() -> Iterator[None]:
    """Folders for servers that one test made go with it; those of wider fixtures, which were made before, go at the end."""
    with folders_removed():
        yield


class Servers:
    """Makes servers of one test's own; all are removed when the test ends."""

    def __init__(self) -> None:
        self.made: list[PostgresServer] = []

    def __call__(self, version: int | str = 15, **options) -> PostgresServer:
        """As PostgresServer.create."""
        with need():
            return self.keep(PostgresServer.create(version, **options))

    def attach(self, version: int | str, data, **options) -> PostgresServer:
        """As PostgresServer.attach."""
        with need():
            return self.keep(PostgresServer.attach(version, data, **options))

    def keep(self, server: PostgresServer) -> PostgresServer:
        """Takes on a server made elsewhere (a standby)."""
        self.made.append(server)
        return server


@pytest.fixture
def servers() -> Iterator[Servers]:
    """Makes PostgreSQL servers for one test: ``servers(17, settings={...})``."""
    made = Servers()
    yield made
    for server in reversed(made.made):
        server.remove()


@pytest.fixture(scope="session")
def minio() -> Iterator[MinioServer]:
    """MinIO, shared by the session: use a bucket of your own."""
    with need():
        server = MinioServer.create()
    yield server
    server.remove()


@pytest.fixture(scope="session")
def google() -> Iterator[GoogleServer]:
    """A server that speaks Google Cloud Storage's interface, shared by the session: use a bucket of your own."""
    with need():
        server = GoogleServer.create()
    yield server
    server.remove()


@pytest.fixture(scope="session")
def azurite() -> Iterator[AzuriteServer]:
    """A server that speaks Azure Blob Storage's interface, shared by the session: use a container of your own."""
    with need():
        server = AzuriteServer.create()
    yield server
    server.remove()
