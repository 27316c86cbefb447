"""kill -9 at every storage call of a backup: what is listed restores, and the next process completes the work."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from holdfast.storage.local import LocalStorage
from tests.vault.killed_writer import files
from tests.vault.kit import capture, create, reopen, restore

ROOT = Path(__file__).parents[2]


def run(folder: Path, call: int, when: str, *base: str) -> int:
    command = [sys.executable, "-m", "tests.vault.killed_writer", str(folder / "vault"), str(folder / "cache"), str(call), when, *base]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode in (0, -signal.SIGKILL), done.stderr
    return done.returncode


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("base", [False, True])
def test_killed_at_each_storage_call(tmp_path: Path, when: str, base: bool) -> None:
    vault = create(tmp_path, LocalStorage(str(tmp_path / "vault"), create=True))
    expected = {}
    extra: list[str] = []
    if base:
        point = capture(vault, files(1))
        expected[point.id] = files(1)
        extra = [point.id]
    new = files(2 if base else 1)
    call, killed = 1, 0
    while run(tmp_path, call, when, *extra) != 0:
        killed += 1
        fresh = reopen(vault, tmp_path, cache=f"fresh{call}")
        for listed in fresh.points():
            if listed.id not in expected:
                assert when == "after", "a point was listed before it was stored"
                expected[listed.id] = new
            if listed.id not in extra or call % 3 == 0:
                assert restore(fresh.reader(listed)) == expected[listed.id]
        call += 1
    assert killed >= 4
    newest = vault.points()[-1]
    assert restore(vault.reader(newest)) == new
    # What the killed ones had stored and indexed was not stored again without end.
    stored = sum(path.stat().st_size for path in (tmp_path / "vault" / "packs").rglob("*") if path.is_file())
    size = sum(map(len, new.values()))
    assert stored < (killed + 2) * size
