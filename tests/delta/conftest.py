import pytest

from tests.delta.kit import Lake


@pytest.fixture
def lake(tmp_path):
    one = Lake(tmp_path)
    yield one
    one.close()
