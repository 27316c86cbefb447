"""The stand-alone reader, run as a person in ten years would: out of the vault itself, without Holdfast."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from holdfast.storage.local import LocalStorage
from holdfast.vault.format import selfdescription
from tests.vault_care.conftest import SECRET, Depot, files

ALLOWED = {"argon2", "blake3", "cryptography", "zstandard"}


@pytest.fixture
def depot(tmp_path):
    made = Depot(tmp_path / "cache", lambda clock: [LocalStorage(str(tmp_path / "vault"), create=True)])
    made.folder = tmp_path / "vault"
    return made


def decode(depot, *arguments, key=SECRET, script=None):
    return subprocess.run(
        [sys.executable, "-I", script or depot.folder / "decoder.py", depot.folder, *arguments],
        env={"HOLDFAST_KEY": key, "PYTHONIOENCODING": "utf-8"},
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )


def test_it_lies_in_every_vault_with_the_specification(depot):
    page = Path(__file__).parents[2] / "docs" / "vault-format.md"
    assert (depot.folder / "FORMAT.md").read_bytes() == page.read_bytes()
    assert (depot.folder / "decoder.py").read_bytes() == selfdescription.parts()["decoder.py"]


def test_it_needs_four_packages_and_no_holdfast():
    source = selfdescription.parts()["decoder.py"].decode()
    assert len(source.splitlines()) < 500
    roots = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            roots |= {name.name.split(".")[0] for name in node.names}
        if isinstance(node, ast.ImportFrom):
            roots.add(node.module.split(".")[0])
    assert roots - set(sys.stdlib_module_names) == ALLOWED


@pytest.mark.parametrize("by", ["passphrase", "recovery key"])
def test_every_file_comes_out(depot, tmp_path, by):
    key = SECRET if by == "passphrase" else depot.recovery
    large = {"large": b"".join(i.to_bytes(4, "big") for i in range(700_000)), "with space/\udcff": b"not UTF-8"}
    first = depot.take(files(1))
    second = depot.take(files(1) | large, base=first.id, label="monthly")
    listed = decode(depot, "--list", key=key)
    assert listed.returncode == 0, listed.stderr
    assert [line.split()[0] for line in listed.stdout.splitlines()] == [first.id, second.id]
    assert "monthly" in listed.stdout
    inside = decode(depot, "--point", second.id[:18], "--list", key=key)
    assert "base/1-0 é" in inside.stdout
    assert len(inside.stdout.splitlines()) == len(files(1) | large)
    for number, (path, data) in enumerate((files(1) | large).items()):
        target = tmp_path / f"out{number}"
        done = decode(depot, "--point", second.id, "--get", path, "--to", target, key=key)
        assert done.returncode == 0, done.stderr
        assert target.read_bytes() == data


def test_logs_come_out(depot, tmp_path):
    depot.log(0x3000028, b"a" * 1000)
    depot.log(0x3000028 + 1000, b"b" * 1000)
    depot.log(0x3000028 + 3000, b"c" * 1000)
    assert len(decode(depot, "--logs").stdout.splitlines()) == 3
    done = decode(depot, "--log", "main", "--start", "0x300002a", "--to", tmp_path / "wal")
    assert "Missing" in done.stdout
    assert (tmp_path / "wal").read_bytes() == b"a" * 998 + b"b" * 1000


def test_what_is_wrong_is_said(depot, tmp_path):
    point = depot.take(files(1, 1, 5000))
    assert "opens none" in decode(depot, "--list", key="wrong").stderr
    assert "copied wrongly" in decode(depot, "--list", key=depot.recovery[:-1] + ("0" if depot.recovery[-1] != "0" else "1")).stderr
    assert "no file" in decode(depot, "--point", point.id, "--get", "nothing", "--to", tmp_path / "x").stderr
    assert (
        "no vault"
        in subprocess.run(
            [sys.executable, depot.folder / "decoder.py", tmp_path, "--list"],
            env={"HOLDFAST_KEY": "x"},
            capture_output=True,
            text=True,
            check=False,
        ).stderr
    )
    for name in depot.names("packs/"):
        depot.damage(name)
    done = decode(depot, "--point", point.id, "--get", "base/1-0 é", "--to", tmp_path / "y")
    assert done.returncode == 1
    assert done.stderr.startswith("decoder: ")
    assert "Traceback" not in done.stderr


def test_a_moved_chunk_is_found_by_the_trailers(depot, tmp_path):
    """The pack that a list names is gone; another holds its chunks."""
    point = depot.take(files(1, 1, 5000))
    vault = depot.open()
    envelope = vault.notary.check(f"points/{point.id}", depot.storages[0].get(f"points/{point.id}"))
    for name in depot.names("index/"):
        depot.storages[0].delete(name)  # so that the twin stores its chunks again
    twin = depot.take(files(1, 1, 5000))
    assert twin.packs == len(envelope.packs) // 48
    from holdfast.vault.packs.layout import parse_header

    own = {envelope.packs[at : at + 16].hex() for at in range(0, len(envelope.packs), 48)}
    for name in depot.names("packs/"):
        pack = parse_header(depot.storages[0].get(name))
        if pack.pack.hex() in own and pack.kind == "data":
            depot.storages[0].delete(name)
    done = decode(depot, "--point", point.id, "--get", "base/1-0 é", "--to", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out").read_bytes() == files(1, 1, 5000)["base/1-0 é"]


def test_a_damaged_header_of_a_pack_is_one_clear_sentence(depot, tmp_path):
    point = depot.take(files(1))
    for pack in (depot.folder / "packs").rglob("*-*"):
        data = bytearray(pack.read_bytes())
        data[14] ^= 255
        pack.write_bytes(data)
    done = decode(depot, "--point", point.id, "--list")
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith("decoder: The header of the pack ")
    assert line.endswith(" is damaged; another location may hold a sound copy.")
