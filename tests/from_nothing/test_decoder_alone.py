"""decoder.py of the vault, an empty directory, four packages, a key: no Holdfast anywhere."""

import subprocess

from holdfast.storage.local import LocalStorage
from tests.from_nothing.bare import clean, with_packages
from tests.vault_care.conftest import Depot, files

PACKAGES = ("argon2-cffi", "argon2-cffi-bindings", "cffi", "pycparser", "blake3", "cryptography", "zstandard")


def test_a_file_and_a_log_come_out(tmp_path):
    depot = Depot(tmp_path / "cache", lambda _clock: [LocalStorage(str(tmp_path / "vault"), create=True)])
    point = depot.take(files(1))
    depot.log(100, b"log" * 1000)
    with_packages(tmp_path / "venv", *PACKAGES)
    empty = tmp_path / "empty"
    empty.mkdir()
    (empty / "decoder.py").write_bytes((tmp_path / "vault" / "decoder.py").read_bytes())

    def run(*words):
        return subprocess.run(
            [tmp_path / "venv/bin/python", *words],
            cwd=empty,
            env={**clean(tmp_path / "home"), "HOLDFAST_KEY": depot.recovery},
            capture_output=True,
            text=True,
            encoding="utf-8",
            check=False,
        )

    assert run("-c", "import holdfast").returncode == 1
    assert run("-c", "import numpy").returncode == 1
    listed = run("decoder.py", tmp_path / "vault", "--list")
    assert point.id in listed.stdout, listed.stderr
    for path, data in files(1).items():
        done = run("decoder.py", tmp_path / "vault", "--point", point.id, "--get", path, "--to", "out")
        assert done.returncode == 0, done.stderr
        assert (empty / "out").read_bytes() == data
        (empty / "out").unlink()
    done = run("decoder.py", tmp_path / "vault", "--log", "main", "--start", "100", "--to", "wal")
    assert (empty / "wal").read_bytes() == b"log" * 1000, done.stderr
