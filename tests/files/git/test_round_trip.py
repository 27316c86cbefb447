"""What goes in comes out: every reference and object, point after point."""

import shutil

import pytest

from tests.files.git.kit import Bench, commit, git, new, refs


def test_everything_that_a_repository_refers_to(tmp_path):
    source = new(tmp_path / "shop", commits=3)
    git(source, "tag", "light")
    git(source, "tag", "-a", "v1", "-m", "annotated")
    git(source, "tag", "-a", "nested", "-m", "a tag of a tag", "v1")
    blob = git(source, "hash-object", "-w", "--stdin", given=b"no commit leads here")
    git(source, "update-ref", "refs/tags/a-blob", blob)
    git(source, "update-ref", "refs/odd/tree", git(source, "rev-parse", "HEAD^{tree}"))
    git(source, "notes", "add", "-m", "a note")
    git(source, "branch", "side", "HEAD~1")
    git(source, "update-ref", "refs/pull/17/head", "HEAD~2")
    git(source, "symbolic-ref", "refs/remotes/origin/HEAD", "refs/heads/side")
    (source / "stashed").write_text("not committed")
    git(source, "add", "-A")
    git(source, "stash")
    git(source, "symbolic-ref", "HEAD", "refs/heads/side")
    bench = Bench(tmp_path, source)
    point = bench.capture()
    target = bench.restore(point, "shop")
    assert refs(target) == refs(source)
    assert git(target, "cat-file", "-p", "refs/tags/a-blob") == "no commit leads here"
    assert git(target, "fsck", "--full", "--strict") == ""
    assert not point.findings
    assert point.facts["git"]["shop"]["refs"] == len(refs(source)) - 1
    assert git(target, "rev-parse", "--is-bare-repository") == "true"


def test_a_working_clone(tmp_path):
    source = new(tmp_path / "shop", commits=2)
    bench = Bench(tmp_path, source)
    target = bench.restore(bench.capture(), "shop", working=True)
    assert (target / "file-1").read_text() == (source / "file-1").read_text()
    assert git(target, "status", "--porcelain") == ""


def test_references_with_odd_names(tmp_path):
    source = new(tmp_path / "shop")
    names = [
        b"refs/heads/\xff\xfe",
        "refs/heads/größe".encode(),
        b'refs/heads/"quoted"',
        b"refs/heads/-dash",
        b"refs/heads/a@b",
        b"refs/tags/$(id)",
    ]
    names += [b"refs/heads/CASE", b"refs/heads/case", b"refs/heads/" + b"long/" * 40 + b"end"]
    for name in names:
        git(source, "update-ref", name, "HEAD")
    bench = Bench(tmp_path, source)
    assert refs(bench.restore(bench.capture(), "shop")) == refs(source)


def test_a_detached_head_on_a_commit_that_no_branch_has(tmp_path):
    source = new(tmp_path / "shop")
    git(source, "checkout", "-q", "--detach")
    bench = Bench(tmp_path, source)
    base = None
    for number in range(3):
        commit(source, "lonely", str(number))
        base = bench.capture(base)
        assert refs(bench.restore(base, "shop")) == refs(source)
    assert len(base.facts["git"]["shop"]["bundles"]) == 3


@pytest.mark.parametrize("head", ["refs/heads/main", "refs/heads/trunk"])
def test_an_empty_repository(tmp_path, head):
    source = tmp_path / "empty.git"
    git(tmp_path, "init", "-q", "--bare", str(source))
    git(source, "symbolic-ref", "HEAD", head)
    bench = Bench(tmp_path, source)
    base = bench.capture()
    again = bench.capture(base)
    for point in (base, again):
        target = bench.restore(point, "empty")
        assert git(target, "symbolic-ref", "HEAD") == head
        assert git(target, "for-each-ref") == ""


def test_sha256_repositories(tmp_path):
    source = tmp_path / "new-hash"
    git(tmp_path, "init", "-q", "--object-format=sha256", str(source))
    commit(source, "a", "b")
    bench = Bench(tmp_path, source)
    base = bench.capture()
    commit(source, "a", "c")
    assert refs(bench.restore(bench.capture(base), "new-hash")) == refs(source)


def test_each_point_restores_by_itself_and_stores_what_is_new(tmp_path):
    source = new(tmp_path / "shop", commits=2)
    commit(source, "big", bytes(range(256)) * 4000 + __import__("random").Random(7).randbytes(400_000))
    bench = Bench(tmp_path, source)
    points, states = [], []
    base = None
    for number in range(4):
        base = bench.capture(base)
        points.append(base)
        states.append(refs(source))
        commit(source, "small", f"version {number}")
    assert [len(point.facts["git"]["shop"]["bundles"]) for point in points] == [1, 2, 3, 4]
    assert all(point.totals.new < 20_000 for point in points[1:]), [point.totals.new for point in points]
    for point, state in zip(points, states, strict=True):
        assert refs(bench.restore(point, "shop")) == state


def test_an_unchanged_repository_is_taken_over_without_a_fetch(tmp_path):
    source = new(tmp_path / "shop")
    bench = Bench(tmp_path, source)
    first = bench.capture()
    shutil.rmtree(bench.cache)
    second = bench.capture(first)
    assert second.totals.read == 0
    assert second.facts["git"]["shop"]["captured_at"] == first.facts["git"]["shop"]["captured_at"]
    assert refs(bench.restore(second, "shop")) == refs(source)


def test_only_references_moved(tmp_path):
    source = new(tmp_path / "shop", commits=3)
    bench = Bench(tmp_path, source)
    first = bench.capture()
    git(source, "branch", "old", "HEAD~2")
    git(source, "tag", "here", "HEAD~1")
    second = bench.capture(first)
    assert second.facts["git"]["shop"]["bundles"] == first.facts["git"]["shop"]["bundles"]
    assert refs(bench.restore(second, "shop")) == refs(source)
    git(source, "tag", "-d", "here")
    third = bench.capture(second)
    assert refs(bench.restore(third, "shop")) == refs(source)
    assert refs(bench.restore(second, "shop")) != refs(source)


def test_history_that_was_pushed_over(tmp_path):
    source = new(tmp_path / "shop", commits=4)
    bench = Bench(tmp_path, source)
    before = bench.capture()
    old = refs(source)
    git(source, "reset", "-q", "--hard", "HEAD~3")
    commit(source, "other", "history")
    git(source, "reflog", "expire", "--expire=now", "--all")
    git(source, "gc", "-q", "--prune=now")
    after = bench.capture(before)
    assert refs(bench.restore(before, "shop")) == old
    assert refs(bench.restore(after, "shop")) == refs(source)
    # And the same with what the host kept lost in between.
    shutil.rmtree(bench.cache)
    commit(source, "other", "again")
    third = bench.capture(after)
    assert len(third.facts["git"]["shop"]["bundles"]) == 1
    assert refs(bench.restore(third, "shop")) == refs(source)


def test_what_the_host_keeps_may_be_damaged(tmp_path):
    source = new(tmp_path / "shop", commits=3)
    bench = Bench(tmp_path, source)
    first = bench.capture()
    packs = list(bench.cache.glob("*/0000-*/pack/*.pack"))
    assert packs
    for pack in packs:
        pack.chmod(0o600)
        pack.write_bytes(pack.read_bytes()[:-30] + bytes(30))
    commit(source, "more", "content")
    second = bench.capture(first)
    assert refs(bench.restore(second, "shop")) == refs(source)
    assert any("not sound" in note for note in bench.notes.said)


def test_a_long_chain_begins_anew(tmp_path, monkeypatch):
    monkeypatch.setattr("holdfast.systems.files.git.capture.MOST_BUNDLES", 3)
    source = new(tmp_path / "shop")
    bench = Bench(tmp_path, source)
    base = None
    lengths = []
    for number in range(5):
        commit(source, "f", str(number))
        base = bench.capture(base)
        lengths.append(len(base.facts["git"]["shop"]["bundles"]))
        assert refs(bench.restore(base, "shop")) == refs(source)
    assert lengths == [1, 2, 3, 1, 2]
    # Nothing that no chain needs stays on the host.
    kept = sorted(path.name[:4] for path in bench.cache.glob("*/[0-9]*"))
    assert kept == ["0000", "0001"]


def test_git_alone_restores_from_what_a_point_holds(tmp_path):
    """The guide's recipe, over several bundles and history that was pushed over."""
    source = new(tmp_path / "shop", commits=3)
    git(source, "tag", "-a", "v1", "-m", "x")
    bench = Bench(tmp_path, source)
    base = bench.capture()
    for number in range(2):
        git(source, "reset", "-q", "--hard", "HEAD~1")
        commit(source, "f", str(number))
        git(source, "branch", f"b{number}")
        base = bench.capture(base)
    raw = bench.raw(base, "shop", tmp_path / "raw")
    hand = tmp_path / "hand.git"
    git(tmp_path, "init", "-q", "--bare", str(hand))
    lines = (raw / "bundles").read_text().split("\n")[:-1]
    assert len(lines) == 3
    for number, line in enumerate(lines):
        git(hand, "fetch", "-q", "--no-tags", str(raw / line.split()[1]), f"+refs/*:refs/by-hand/{number}/*")
    shutil.rmtree(hand / "refs" / "by-hand")
    for name in ("packed-refs", "HEAD"):
        shutil.copy(raw / name, hand / name)
    assert git(hand, "fsck", "--full", "--strict", "--no-dangling") == ""
    assert refs(hand) == refs(source)
