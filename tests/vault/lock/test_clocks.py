"""Clocks that are wrong: locks count by the store's, and nothing is committed while the two differ much."""

import datetime as dt
import email.utils
import re
import socket
import threading

import pytest

from holdfast.storage import versions_of
from holdfast.vault.errors import ClockSkew
from tests.vault.lock.conftest import Locked
from tests.vault_care.conftest import files

pytestmark = pytest.mark.minio
HOUR = dt.timedelta(hours=1)


class WrongClock:
    """A loopback proxy before the store: its answers bear a Date that is ``off``."""

    def __init__(self, port, off):
        self.target, self.off = port, off
        self.told = 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.endpoint = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
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
            threading.Thread(target=self.pump, args=(client, store, lambda data: data), daemon=True).start()
            self.pump(store, client, self.wrong)

    @staticmethod
    def pump(source, target, change):
        try:
            while data := source.recv(1 << 20):
                target.sendall(change(data))
            target.shutdown(socket.SHUT_WR)
        except OSError:
            return

    def wrong(self, data):
        def shifted(match):
            self.told += 1
            return (
                b"Date: "
                + email.utils.format_datetime(email.utils.parsedate_to_datetime(match[1].decode()) + self.off, usegmt=True).encode()
            )

        return re.sub(rb"(?<=\r\n)Date: ([^\r]+)", shifted, data)

    def close(self):
        self.listener.close()


class Behind:
    """The store as the vault reaches it: through the proxy."""

    def __init__(self, minio, endpoint):
        self.endpoint, self.region = endpoint, minio.region
        self.access_key, self.secret_key = minio.access_key, minio.secret_key
        self.client, self.bucket = minio.client, minio.bucket


@pytest.mark.parametrize("off", [HOUR, -HOUR])
def test_a_store_whose_clock_is_an_hour_off(minio, tmp_path, off):
    """Which of the two clocks is wrong nobody knows: locks count by the store's, and no point is committed until they agree."""
    proxy = WrongClock(minio.port, off)
    place = Locked(Behind(minio, proxy.endpoint), tmp_path, "compliance", days=2)
    try:
        storage = place.depot.storages[0]
        now = dt.datetime.now(dt.UTC)
        storage.put_if_absent("holds/" + "a" * 32, [b"x"])
        until = place.retention("holds/" + "a" * 32)["RetainUntilDate"]
        assert abs(until - (now + off + dt.timedelta(days=2))) < dt.timedelta(minutes=2)
        assert proxy.told
        with pytest.raises(ClockSkew):
            place.depot.take(files(1))
    finally:
        place.close()
        proxy.close()


def test_the_hosts_clock_does_not_move_a_lock(minio, tmp_path):
    """Set back or forth while a process runs: the store was asked, and the time since is counted by a clock that nobody sets."""
    place = Locked(minio, tmp_path, "compliance", days=2)
    try:
        layer = versions_of(place.depot.storages[0])
        before = layer.time()
        place.depot.clock.added = 10 * HOUR
        assert abs(layer.time() - before) < dt.timedelta(minutes=2)
        storage = place.depot.storages[0]
        storage.put_if_absent("holds/" + "b" * 32, [b"x"])
        until = place.retention("holds/" + "b" * 32)["RetainUntilDate"]
        assert abs(until - (before + dt.timedelta(days=2))) < dt.timedelta(minutes=2)
    finally:
        place.close()
