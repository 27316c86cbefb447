"""Each store of objects that has a server here, empty and opened."""

import pytest

from holdfast.connect.objects import Options, open_objects
from tests.bucket.kit import new_bucket, options_of


class Place:
    """``url`` of an empty bucket, and how it is reached."""

    def __init__(self, url: str, options: Options) -> None:
        self.url, self.options = url, options
        self.store = open_objects(url, options)


def place_of(kind: str, request, *, versions: bool = False, patience: float = 20) -> Place:
    if kind == "s3":
        minio = request.getfixturevalue("minio")
        return Place(new_bucket(minio, versions=versions), options_of(minio, patience=patience))
    if kind == "az":
        azurite = request.getfixturevalue("azurite")
        return Place(f"az://{azurite.container()}", Options(endpoint=azurite.address, credentials=azurite.credentials, patience=patience))
    server = request.getfixturevalue("google")
    return Place(f"gs://{server.bucket(versions=versions)}", Options(endpoint=server.endpoint, patience=patience))


@pytest.fixture(params=["s3", "gs", "az"])
def place(request):
    one = place_of(request.param, request)
    yield one
    one.store.close()


@pytest.fixture
def store(place):
    return place.store
