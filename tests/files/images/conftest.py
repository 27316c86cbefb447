from collections.abc import Iterator

import pytest

from tests.files.images.kit import Pusher
from tests.servers.need import need
from tests.servers.registry import RegistryServer


@pytest.fixture(scope="module")
def registry() -> Iterator[RegistryServer]:
    """An open registry, shared by a module's tests: each takes repositories of its own."""
    with need():
        server = RegistryServer()
    with server:
        yield server


@pytest.fixture
def pusher(registry) -> Pusher:
    return Pusher(registry.host)
