"""Files that Git LFS keeps beside a repository: captured where git-lfs is installed, told where not."""

import shutil
from pathlib import Path

import pytest

from holdfast.systems.files.git import repository
from tests.files.git.kit import Bench, commit, git, new, refs
from tests.files.git.server import GitHttp
from tests.servers.need import ServerMissing, need


@pytest.fixture
def source(tmp_path) -> Path:
    with need():
        if shutil.which("git-lfs") is None:
            raise ServerMissing("git-lfs is not on this machine; `make services` gets it")
    folder = new(tmp_path / "media")
    git(folder, "lfs", "install", "--local")
    git(folder, "lfs", "track", "*.bin")
    commit(folder, "one.bin", b"first large file" * 100)
    commit(folder, "one.bin", b"second content of it" * 100)
    return folder


def oids(folder: Path) -> set[str]:
    return {path.name for path in folder.glob("*/*/*")}


def test_large_files_come_along_once(tmp_path, source):
    bench = Bench(tmp_path, source)
    first = bench.capture()
    assert first.facts["git"]["media"]["lfs"] == {"files": 2, "bytes": 3600, "included": 2, "tool": True}
    commit(source, "two.bin", b"third" * 100)
    (lost,) = [path for path in (source / ".git/lfs/objects").glob("*/*/*") if path.stat().st_size == 1600]
    lost.unlink()
    second = bench.capture(first)
    # What the base has is taken from it, though the source has lost it.
    assert second.facts["git"]["media"]["lfs"]["included"] == 3
    target = bench.restore(second, "media")
    assert refs(target) == refs(source)
    assert oids(target / "lfs/objects") == oids(source / ".git/lfs/objects") | {lost.name}
    working = bench.restore(second, "media", working=True)
    git(working, "lfs", "install", "--local")
    git(working, "lfs", "checkout")
    assert (working / "two.bin").read_bytes() == b"third" * 100


def test_what_is_lost_at_the_source_is_told(tmp_path, source):
    for path in (source / ".git/lfs/objects").glob("*/*/*"):
        if path.stat().st_size == 1600:
            path.write_bytes(b"damaged")
    bench = Bench(tmp_path, source)
    point = bench.capture()
    lfs = point.facts["git"]["media"]["lfs"]
    assert (lfs["files"], lfs["included"]) == (2, 1)
    assert any("1 of 2 LFS files are NOT in the point" in note for note in bench.notes.said)


def test_over_a_network_with_a_password(tmp_path, source):
    root = tmp_path / "root"
    git(tmp_path, "clone", "-q", "--bare", str(source), str(root / "media.git"))
    with GitHttp(root, user="alice", password="s3cret") as server:
        server.large = source / ".git/lfs/objects"
        bench = Bench(tmp_path, server.url.replace("://", "://alice:s3cret@") + "/media.git")
        first = bench.capture()
        assert first.facts["git"]["media"]["lfs"] == {"files": 2, "bytes": 3600, "included": 2, "tool": True}
        commit(source, "two.bin", b"third" * 100)
        git(source, "push", "-q", "--no-verify", str(root / "media.git"), "main")
        server.seen.clear()
        second = bench.capture(first)
        assert len({path for path, _ in server.seen if path.startswith("/lfs/")}) == 1
    target = bench.restore(second, "media")
    assert refs(target) == refs(root / "media.git")
    assert oids(target / "lfs/objects") == oids(source / ".git/lfs/objects")


def test_without_git_lfs_it_is_told_and_made_good_later(tmp_path, source, monkeypatch):
    root = tmp_path / "root"
    git(tmp_path, "clone", "-q", "--bare", str(source), str(root / "media.git"))
    programs = tmp_path / "programs"
    programs.mkdir()
    for program in Path("/usr/bin").iterdir():
        if program.name != "git-lfs":
            (programs / program.name).symlink_to(program)
    with GitHttp(root) as server:
        server.large = source / ".git/lfs/objects"
        bench = Bench(tmp_path, server.url + "/media.git")
        monkeypatch.setenv("PATH", str(programs))
        first = bench.capture()
        assert first.facts["git"]["media"]["lfs"]["why"] == "git-lfs is not installed here"
        assert any("LFS files are NOT in the point: git-lfs is not installed here" in note for note in bench.notes.said)
        monkeypatch.undo()
        second = bench.capture(first)
    assert second.facts["git"]["media"]["lfs"]["included"] == 2
    assert second.facts["git"]["media"]["bundles"] == first.facts["git"]["media"]["bundles"]


def test_they_may_be_left_out(tmp_path, source):
    bench = Bench(tmp_path, repository(str(source), lfs=False))
    assert bench.capture().facts["git"]["media"]["lfs"] == {}
