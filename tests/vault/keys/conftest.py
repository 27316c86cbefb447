import pytest

from tests.vault.keys.kit import House


@pytest.fixture
def house(tmp_path):
    return House(tmp_path)
