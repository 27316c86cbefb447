"""Fixtures of the capture tests."""

import pytest

from tests.servers import VERSIONS


@pytest.fixture(params=[one.major for one in VERSIONS], ids=lambda major: f"pg{major}")
def pg_version(request) -> int:
    """Each major version in turn."""
    return request.param
