"""A folder served append-only by another account: two real accounts, where the tests may switch; the protocol, everywhere."""

import contextlib
import datetime as dt
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import threading
import time

import pytest

from holdfast.model import SystemClock
from holdfast.storage import ObjectExists, ObjectMissing, StorageDenied, StorageUnreachable
from holdfast.storage.local import LocalStorage
from holdfast.storage.open import open_storage
from holdfast.storage.protection import look
from holdfast.storage.served.client import ServedStorage, unix
from holdfast.storage.served.server import ServeInTheWay, refusal, serve_socket
from tests.servers import service_account
from tests.servers.account import server_folder
from tests.servers.need import need
from tests.servers.python import holdfast_for_account, python_for_account
from tests.vault_care.conftest import Depot, files

YEAR = dt.timedelta(days=366)
needs_two_accounts = pytest.mark.skipif(os.geteuid() != 0, reason="only root can be two accounts")


@pytest.fixture
def served(tmp_path):
    """A folder and the address of its socket, served by a thread of this process."""
    folder = server_folder("serve")
    path, stop, ready = folder / "socket", threading.Event(), threading.Event()
    storage = LocalStorage(str(folder / "vault"), create=True)
    thread = threading.Thread(target=serve_socket, args=(storage, path, 0o600), kwargs={"ready": ready.set, "stop": stop})
    thread.start()
    assert ready.wait(30)
    yield folder / "vault", f"unix://{path}"
    stop.set()
    thread.join()


def test_it_adds_and_reads_and_takes_nothing_away(served):
    folder, url = served
    storage = open_storage(url)
    storage.put_if_absent("packs/ab/one", [b"first"])
    with pytest.raises(ObjectExists):
        storage.put_if_absent("packs/ab/one", [b"second"])
    assert storage.get("packs/ab/one", 1, 3) == b"irs"
    with pytest.raises(ObjectMissing):
        storage.get("packs/ab/two")
    with pytest.raises(StorageDenied):
        storage.delete("packs/ab/one")
    storage.put_if_absent("sessions/1", [b"x"])
    storage.delete("sessions/1")
    assert [info.name for info in storage.list()] == ["packs/ab/one"]
    assert list(storage.folders("packs/")) == ["ab"]
    assert (folder / "packs/ab/one").read_bytes() == b"first"
    assert abs((storage.now() - SystemClock().now()).total_seconds()) < 30
    storage.close()


def test_a_long_listing_comes_in_pages(served):
    folder, url = served
    local = LocalStorage(str(folder))
    for number in range(1005):
        local.put_if_absent(f"logs/{number:05}", [b""])
    storage = open_storage(url)
    assert [info.name for info in storage.list("logs/")] == [f"logs/{number:05}" for number in range(1005)]
    assert next(info.name for info in storage.list("logs/", "logs/00998")) == "logs/00999"
    storage.close()


@pytest.mark.parametrize(
    ("op", "name", "made", "allowed"),
    [
        ("put", "packs/ab/x", True, True),
        ("put", "points/" + "a" * 32, True, True),
        ("put", "points/" + "a" * 32 + ".dropped", True, False),
        ("put", "condemned/x", True, False),
        ("put", "holds/x", True, True),
        ("put", "holds/x.released", True, False),
        ("put", "keys/slots/x", False, True),
        ("put", "keys/slots/x", True, False),
        ("delete", "points/" + "a" * 32, True, False),
        ("delete", "points/" + "a" * 32 + ".coming", True, True),
        ("delete", "config", True, False),
        ("delete", "sessions/x", True, True),
    ],
)
def test_what_is_refused_by_name(op, name, made, allowed):
    assert (refusal(op, name, made=made) is None) == allowed


def test_a_whole_vault_lives_in_it(served, tmp_path):
    _, url = served
    depot = Depot(tmp_path / "cache", lambda _clock: [open_storage(url)])
    first = depot.take(files(1))
    depot.take(files(1) | files(2), base=first.id)
    depot.log(100, b"log" * 1000)
    assert len(depot.require_whole()) == 2
    for storage in depot.storages:
        storage.close()


def test_names_cannot_leave_the_folder(served):
    folder, url = served
    (folder.parent / "secret").write_text("x")
    path = url.removeprefix("unix://")
    for name in ("../secret", "/etc/passwd", "a/../../secret"):
        with socket.socket(socket.AF_UNIX) as raw:
            raw.connect(path)
            text = json.dumps({"op": "get", "name": name}).encode()
            raw.sendall(struct.pack("<I", len(text)) + text)
            answer = raw.makefile("rb")
            (length,) = struct.unpack("<I", answer.read(4))
            assert json.loads(answer.read(length))["error"] == "location-bad-name"
            answer.close()


@pytest.mark.parametrize("garbage", [b"GET / HTTP/1.0\r\n\r\n", struct.pack("<I", 1 << 31), struct.pack("<I", 2) + b"[]", b"\0"])
def test_garbage_ends_the_connection_and_nothing_else(served, garbage):
    _, url = served
    with socket.socket(socket.AF_UNIX) as raw:
        raw.settimeout(30)
        raw.connect(url.removeprefix("unix://"))
        raw.sendall(garbage)
        raw.shutdown(socket.SHUT_WR)
        with contextlib.suppress(ConnectionResetError):  # it ended with some of the garbage unread
            assert raw.recv(100) == b""
    storage = open_storage(url)
    assert list(storage.list()) == []
    storage.close()


def test_a_second_server_is_refused_and_a_dead_ones_socket_is_taken_over(served, tmp_path):
    folder, url = served
    storage = LocalStorage(str(folder))
    with pytest.raises(ServeInTheWay):
        serve_socket(storage, type(folder)(url.removeprefix("unix://")), 0o600, stop=threading.Event())
    dead = folder.parent / "dead"
    with socket.socket(socket.AF_UNIX) as raw:
        raw.bind(str(dead))
    stop = threading.Event()
    serve_socket(storage, dead, 0o600, ready=stop.set, stop=stop)
    assert not dead.exists()


def test_nobody_serves(tmp_path):
    storage = ServedStorage(f"unix://{tmp_path}/none", unix(f"{tmp_path}/none"))
    with pytest.raises(StorageUnreachable):
        storage.head("config")


def test_served_by_oneself_is_told(served):
    _, url = served
    storage = open_storage(url)
    found = {one.code: one.state for one in look(url, {}, storage, SystemClock(), keep=YEAR)}
    assert found["served-by-oneself"] == "warn"
    storage.close()


def await_socket(path, process):
    end = time.monotonic() + 60
    while not path.exists():
        assert process.poll() is None, "the server ended"
        assert time.monotonic() < end
        time.sleep(0.05)


@needs_two_accounts
def test_two_real_accounts_and_the_one_that_backs_up_can_destroy_nothing(tmp_path):
    """The folder belongs to one account, this test's client runs as another, with the rights of an ordinary user."""
    keeper = service_account()
    with need():
        words, more = holdfast_for_account()
        python, python_more = python_for_account()
    folder = server_folder("keeper")
    folder.chmod(0o711)
    environment = {**keeper.environment(folder), **more}
    server = subprocess.Popen(
        [*words, "vault", "serve", str(folder / "vault"), "--socket", str(folder / "socket"), "--mode", "666"],
        env=environment,
        cwd=folder,
        stderr=subprocess.DEVNULL,
        **keeper.popen,
    )
    try:
        await_socket(folder / "socket", server)
        url = f"unix://{folder}/socket"
        depot = Depot(tmp_path / "cache", lambda _clock: [open_storage(url)])
        first = depot.take(files(1))
        depot.log(100, b"log" * 1000)
        (folder / "vault").chmod(0o755)  # even where the attacker may look
        attacker = f"""
import os, pathlib, sys
from holdfast.storage.open import open_storage
from holdfast.storage import StorageDenied, ObjectExists
from holdfast.storage.protection import look
from holdfast.model import SystemClock
import datetime as dt
assert os.geteuid() not in (0, {keeper.uid})
storage = open_storage({url!r})
found = {{one.code: one.state for one in look({url!r}, {{}}, storage, SystemClock(), keep=dt.timedelta(days=30))}}
assert found["append-only"] == "ok", found
tried = 0
for info in list(storage.list()):
    before = storage.get(info.name)
    if not info.name.startswith("sessions/"):
        try:
            storage.delete(info.name)
            sys.exit(f"deleted {{info.name}}")
        except StorageDenied:
            tried += 1
    try:
        storage.put_if_absent(info.name, [b"garbage"])
        sys.exit(f"overwrote {{info.name}}")
    except (ObjectExists, StorageDenied):
        tried += 1
    path = pathlib.Path({str(folder / "vault")!r}) / info.name
    for change in (lambda: path.unlink(), lambda: path.write_bytes(b"x"), lambda: path.rename(path.with_name("x")),
                   lambda: path.parent.rename(path.parent.with_name("y")), lambda: os.truncate(path, 0), lambda: os.chmod(path, 0o777)):
        try:
            change()
            sys.exit(f"changed {{path}}")
        except PermissionError:
            tried += 1
for name in ("points/{first.id}.dropped", "condemned/" + "a" * 32, "keys/slots/" + "a" * 16):
    try:
        storage.put_if_absent(name, [b"x"])
        sys.exit(f"put {{name}}")
    except StorageDenied:
        tried += 1
storage.close()
print(tried)
"""
        nobody = 65534 if keeper.uid != 65534 else 65533
        done = subprocess.run(
            [str(python), "-c", attacker],
            env={"PATH": "/usr/bin:/bin", "HOME": "/", **python_more},
            cwd="/",
            capture_output=True,
            text=True,
            user=nobody,
            group=nobody,
            extra_groups=[],
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert int(done.stdout) > 50
        assert depot.require_whole() == [first.id]
        # The keeper's account prunes and checks on the folder itself.
        assert LocalStorage(str(folder / "vault")).head("config") is not None
        for storage in depot.storages:
            storage.close()
    finally:
        server.send_signal(signal.SIGINT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            server.wait(30)
        server.kill()
        server.wait()


def test_over_ssh_the_forced_command_serves(tmp_path, monkeypatch):
    """``ssh`` is replaced by a program that starts what is asked for, as sshd would; everything else is real."""
    target = tmp_path / "vault"
    fake = tmp_path / "ssh"
    fake.write_text(
        "#!/bin/sh\nfor last; do :; done\n"
        f'[ "$last" = "holdfast vault serve {target}" ] || exit 9\n'
        f'exec "{sys.executable}" -m holdfast.interfaces.cli.main vault serve "{target}"\n'
    )
    fake.chmod(0o755)
    monkeypatch.setenv("HOLDFAST_SSH", str(fake))
    storage = open_storage(f"ssh://keeper@backup.example:2222{target}")
    storage.put_if_absent("packs/ab/one", [b"first" * 100_000])
    assert storage.get("packs/ab/one") == b"first" * 100_000
    with pytest.raises(StorageDenied):
        storage.delete("packs/ab/one")
    storage.close()
