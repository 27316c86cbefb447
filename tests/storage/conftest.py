"""Every storage under test, made fresh for each test."""

import secrets

import pytest

from holdfast.model import SystemClock
from holdfast.storage.local import LocalStorage
from holdfast.storage.memory import MemoryStorage
from holdfast.storage.open import open_storage
from holdfast.storage.wrappers.faults import Fault, Faulty
from holdfast.storage.wrappers.retry import Retrying
from holdfast.storage.wrappers.throttle import Rate, Throttled


class Brisk(SystemClock):
    """Does not sleep for real, so that waits cost nothing; time passes by what was slept, and by nothing else."""

    def __init__(self):
        self.slept = 0.0

    def monotonic(self):
        return self.slept

    def sleep(self, seconds):
        self.slept += seconds


@pytest.fixture
def brisk():
    return Brisk()


@pytest.fixture(scope="module")
def bucket(minio):
    return minio.bucket()


def s3_options(minio):
    return {
        "endpoint": minio.endpoint,
        "region": minio.region,
        "credentials": {"access_key_id": minio.access_key, "secret_access_key": minio.secret_key},
    }


@pytest.fixture(scope="module")
def versioned_bucket(minio):
    return minio.bucket(lock=True)


@pytest.fixture(
    params=[
        "local",
        pytest.param("s3", marks=pytest.mark.minio),
        pytest.param("s3-versions", marks=pytest.mark.minio),
        "gs",
        "az",
        "memory",
        "retrying",
        "lost-answers",
        "throttled",
    ]
)
def storage(request, tmp_path):
    """One empty location of each kind, and of each wrapper round a local one."""
    if request.param == "s3":
        made = open_storage(
            f"s3://{request.getfixturevalue('bucket')}/{secrets.token_hex(6)}", s3_options(request.getfixturevalue("minio"))
        )
    elif request.param == "s3-versions":
        place = f"s3://{request.getfixturevalue('versioned_bucket')}/{secrets.token_hex(6)}"
        made = open_storage(place, s3_options(request.getfixturevalue("minio")) | {"versions": True})
    elif request.param == "gs":
        server = request.getfixturevalue("google")
        made = open_storage(f"gs://{server.bucket()}/{secrets.token_hex(6)}", {"endpoint": server.endpoint})
    elif request.param == "az":
        server = request.getfixturevalue("azurite")
        options = {"endpoint": server.address, "credentials": server.credentials}
        made = open_storage(f"az://{server.container()}/{secrets.token_hex(6)}", options)
    elif request.param == "memory":
        made = MemoryStorage()
    else:
        made = LocalStorage(str(tmp_path / "location"), create=True)
        clock = request.getfixturevalue("brisk")
        if request.param == "retrying":
            made = Retrying(made, clock)
        elif request.param == "lost-answers":
            # Every call's first answer is lost, and every fifth later one is refused beforehand.
            made = Retrying(Faulty(made, Fault("*", times=10**6, late=True), Fault("*", after=5, times=1)), clock, patience=3600)
            made.inner.faults[0].times = 1
        elif request.param == "throttled":
            made = Throttled(made, Rate(1 << 30, clock))
    yield made
    made.close()
