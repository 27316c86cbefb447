import pytest

from tests.bucket.kit import Scene, new_bucket, options_of


@pytest.fixture
def scene(tmp_path, minio):
    one = Scene(tmp_path, new_bucket(minio), options_of(minio, patience=20))
    yield one
    one.close()
