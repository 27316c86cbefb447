"""What only an S3 store can do wrong, on a real MinIO."""

import os
import socket
import threading

import pytest

from holdfast.storage import ObjectExists, StorageDenied, StorageUnreachable
from holdfast.storage.objects import open_objects
from holdfast.storage.open import open_storage
from tests.storage.conftest import s3_options

pytestmark = pytest.mark.minio


def test_credentials_of_the_environment_and_of_a_profile(minio, bucket, monkeypatch, tmp_path):
    for name, value in minio.environment.items():
        monkeypatch.setenv(name, value)
    storage = open_storage(f"s3://{bucket}/by-environment")
    storage.put_if_absent("a", [b"x"])
    assert storage.get("a") == b"x"
    for name in minio.environment:
        monkeypatch.delenv(name)
    (tmp_path / "credentials").write_text(
        f"[dr-writer]\naws_access_key_id = {minio.access_key}\naws_secret_access_key = {minio.secret_key}\n"
    )
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    options = {"endpoint": minio.endpoint, "region": minio.region}
    assert open_storage(f"s3://{bucket}/by-environment", options | {"credentials": {"profile": "dr-writer"}}).get("a") == b"x"
    with pytest.raises(StorageDenied):
        open_storage(f"s3://{bucket}/by-environment", options | {"credentials": {"profile": "nobody"}})


@pytest.mark.parametrize("wrong", [{"secret_access_key": "wrong-secret"}, {"access_key_id": "nobody"}])
def test_wrong_credentials_are_denied_at_once_and_not_shown(minio, bucket, wrong):
    options = s3_options(minio)
    options["credentials"] = options["credentials"] | wrong
    storage = open_storage(f"s3://{bucket}/x", options)
    for call in (lambda: storage.put_if_absent("a", [b"x"]), lambda: storage.get("a"), lambda: list(storage.list())):
        with pytest.raises(StorageDenied) as denied:
            call()
        assert minio.secret_key not in str(denied.value.details) + denied.value.message
        assert "wrong-secret" not in str(denied.value.details) + denied.value.message


def test_a_bucket_that_is_not_there(minio):
    with pytest.raises(StorageDenied):
        list(open_storage("s3://never-made/x", s3_options(minio)).list())


def test_nobody_answers():
    options = {"endpoint": "http://127.0.0.1:9", "credentials": {"access_key_id": "x", "secret_access_key": "y"}}
    storage = open_objects("s3", "bucket", "", options)
    for call in (lambda: storage.put_if_absent("a", [b"x"]), lambda: storage.head("a"), storage.now):
        with pytest.raises(StorageUnreachable):
            call()


@pytest.mark.parametrize("name", ["packs/401-403", "AccessDenied", "RequestTimeTooSkewed"])
def test_digits_and_words_of_a_name_are_no_answer_of_the_store(name):
    options = {"endpoint": "http://127.0.0.1:9", "credentials": {"access_key_id": "x", "secret_access_key": "y"}, "brief": True}
    storage = open_objects("s3", "bucket", "", options)
    for call in (lambda: storage.put_if_absent(name, [b"x"]), lambda: storage.head(name), lambda: storage.get(name)):
        with pytest.raises(StorageUnreachable):
            call()


class LosesAnswers:
    """A loopback proxy: the answer to the first PUT never comes back, though the store carried it out."""

    def __init__(self, port):
        self.target = port
        self.lost = 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def serve(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.relay, args=(client,), daemon=True).start()

    def relay(self, client):
        with client, socket.create_connection(("127.0.0.1", self.target)) as store:
            losing = []

            def forward():
                while data := receive(client):
                    if data.startswith(b"PUT") and not self.lost:
                        losing.append(True)
                        self.lost += 1
                    store.sendall(data)

            thread = threading.Thread(target=forward, daemon=True)
            thread.start()
            while data := receive(store):
                if losing:
                    client.shutdown(socket.SHUT_RDWR)
                    break
                client.sendall(data)

    def close(self):
        self.listener.close()


def receive(connection):
    try:
        return connection.recv(65536)
    except OSError:
        return b""


def test_a_put_whose_answer_is_lost_is_read_back(minio, bucket):
    proxy = LosesAnswers(minio.port)
    try:
        options = s3_options(minio) | {"endpoint": f"http://127.0.0.1:{proxy.port}"}
        storage = open_objects("s3", bucket, "lost", options)
        body = os.urandom(100_000)
        storage.put_if_absent("packs/a", [body])
        assert proxy.lost == 1
        assert storage.get("packs/a") == body
        with pytest.raises(ObjectExists):
            storage.put_if_absent("packs/a", [body])
    finally:
        proxy.close()
