"""Repositories over a network: credentials, what a server may do wrong, and what a repository may try."""

import os
import random
import shutil
from pathlib import Path

import pytest

from holdfast.systems.files.git import repository
from holdfast.systems.files.git.errors import GitAddress, GitIncomplete, GitSilent, GitUnreachable
from tests.files.git.kit import Bench, commit, git, new, refs
from tests.files.git.server import GitHttp

SECRET = "s3cret-pa55word"


@pytest.fixture
def hosted(tmp_path):
    """(folder of the server, bare repository in it, working clone to push from)"""
    work = new(tmp_path / "work", commits=2)
    root = tmp_path / "root"
    root.mkdir()
    git(tmp_path, "clone", "-q", "--bare", str(work), str(root / "app.git"))
    return root, root / "app.git", work


def test_https_like_with_a_password(tmp_path, hosted, monkeypatch):
    root, bare, work = hosted
    shim = tmp_path / "bin"
    shim.mkdir()
    log = tmp_path / "argv"
    (shim / "git").write_text(f'#!/bin/sh\necho "$@" >> {log}\nexec {shutil.which("git")} "$@"\n')
    (shim / "git").chmod(0o755)
    with GitHttp(root, user="al ice", password=SECRET) as server:
        address = server.url.replace("://", f"://al%20ice:{SECRET}@") + "/app.git"
        bench = Bench(tmp_path, address)
        monkeypatch.setenv("PATH", f"{shim}:{os.environ['PATH']}")
        first = bench.capture()
        commit(work, "later", "x")
        git(work, "push", "-q", str(bare), "main")
        second = bench.capture(first)
        monkeypatch.undo()
    assert refs(bench.restore(second, "app")) == refs(bare)
    assert any(auth for _, auth in server.seen)
    assert SECRET not in log.read_text()
    assert "ls-remote" in log.read_text()
    assert SECRET not in second.model_dump_json()
    for path in bench.cache.rglob("*"):
        assert not path.is_file() or SECRET.encode() not in path.read_bytes()


def test_a_wrong_password_is_told_without_it(tmp_path, hosted):
    root, _, _ = hosted
    with GitHttp(root, user="alice", password="right") as server:
        bench = Bench(tmp_path, server.url.replace("://", f"://alice:{SECRET}@") + "/app.git")
        with pytest.raises(GitUnreachable, match="credentials") as caught:
            bench.capture()
    assert SECRET not in str(caught.value.message) + caught.value.hint + repr(caught.value.details)
    assert SECRET not in repr(bench.repositories)


def test_credentials_do_not_follow_a_redirect_to_another_host(tmp_path, hosted):
    root, _, _ = hosted
    with GitHttp(root, user="alice", password=SECRET) as other, GitHttp(root, redirect=other.url) as first:
        bench = Bench(tmp_path, first.url.replace("://", f"://alice:{SECRET}@") + "/app.git")
        with pytest.raises(GitUnreachable):
            bench.capture()
        assert other.seen
        assert not any(auth for _, auth in other.seen)


def test_a_server_that_hangs_is_left(tmp_path, hosted):
    root, _, _ = hosted
    with GitHttp(root) as server:
        server.hang = {"info/refs"}
        with pytest.raises(GitSilent, match="said nothing for 1 s"):
            Bench(tmp_path, server.url + "/app.git", stall=1.0).capture()


def test_a_server_that_hangs_in_mid_fetch_leaves_the_base(tmp_path, hosted):
    root, bare, work = hosted
    with GitHttp(root) as server:
        bench = Bench(tmp_path, server.url + "/app.git")
        first = bench.capture()
        was = refs(bare)
        commit(work, "later", "x")
        git(work, "push", "-q", str(bare), "main")
        server.hang = {"never"}
        second = bench.capture(first)
        commit(work, "latest", "x")
        git(work, "push", "-q", str(bare), "main")
        server.hang = {"git-upload-pack"}
        bench.stall = 1.0
        third = bench.capture(second)
    assert [finding.code for finding in third.findings] == ["git-not-captured"]
    assert third.findings[0].where["cause"] in ("git-silent", "git-unreachable")
    assert refs(bench.restore(first, "app")) == was
    assert refs(bench.restore(third, "app")) == refs(bench.restore(second, "app")) != refs(bare)


def test_a_connection_that_breaks_once(tmp_path, hosted):
    root, bare, work = hosted
    commit(work, "big", random.Random(1).randbytes(200_000))
    git(work, "push", "-q", str(bare), "main")
    with GitHttp(root) as server:
        server.broken = 1
        bench = Bench(tmp_path, server.url + "/app.git")
        point = bench.capture()
        assert server.broken == 0
    assert not point.findings
    assert refs(bench.restore(point, "app")) == refs(bare)


def test_a_repository_that_is_gone(tmp_path, hosted):
    root, bare, _ = hosted
    with GitHttp(root) as server:
        bench = Bench(tmp_path, server.url + "/app.git")
        first = bench.capture()
        was = refs(bare)
        bare.rename(root / "away.git")
        with pytest.raises(GitUnreachable):
            bench.capture()
        second = bench.capture(first)
    assert [finding.code for finding in second.findings] == ["git-not-captured"]
    assert "as it was at" in second.findings[0].message
    assert refs(bench.restore(second, "app")) == was


def test_an_empty_repository_whose_branch_is_told(tmp_path):
    root = tmp_path / "root"
    root.mkdir()
    git(root, "init", "-q", "--bare", "new.git")
    git(root / "new.git", "symbolic-ref", "HEAD", "refs/heads/trunk")
    with GitHttp(root) as server:
        bench = Bench(tmp_path, server.url + "/new.git")
        target = bench.restore(bench.capture(), "new")
    assert git(target, "symbolic-ref", "HEAD") == "refs/heads/trunk"


def test_shallow_and_partial_clones_are_refused(tmp_path):
    source = new(tmp_path / "shop", commits=3)
    git(source, "config", "uploadpack.allowFilter", "true")
    git(tmp_path, "clone", "-q", "--depth=1", source.as_uri(), "shallow")
    git(tmp_path, "clone", "-q", "--filter=blob:none", "--no-checkout", source.as_uri(), "partial")
    for name, said in (("shallow", "shallow clone"), ("partial", "partial clone")):
        with pytest.raises(GitIncomplete, match=said):
            Bench(tmp_path / name / "bench", tmp_path / name).capture()
    root = tmp_path / "root"
    root.mkdir()
    git(tmp_path, "clone", "-q", "--bare", "--depth=1", source.as_uri(), str(root / "shallow.git"))
    with GitHttp(root) as server, pytest.raises(GitIncomplete, match="shallow clone"):
        Bench(tmp_path / "over-http", server.url + "/shallow.git").capture()


def test_nothing_that_a_repository_or_an_account_configures_is_run(tmp_path, monkeypatch):
    source = new(tmp_path / "shop")
    ran = tmp_path / "ran"
    script = tmp_path / "evil"
    script.write_text(f'#!/bin/sh\necho "$0 $@" >> {ran}\ncat\n')
    script.chmod(0o755)
    for key in (
        "core.fsmonitor",
        "core.sshCommand",
        "uploadpack.packObjectsHook",
        "core.pager",
        "core.gitProxy",
        "core.alternateRefsCommand",
    ):
        git(source, "config", key, str(script))
    for hook in ("post-checkout", "post-index-change", "reference-transaction", "pre-auto-gc", "post-update"):
        (source / ".git" / "hooks").mkdir(exist_ok=True)
        (source / ".git" / "hooks" / hook).symlink_to(script)
    home = tmp_path / "home"
    home.mkdir()
    (home / ".gitconfig").write_text(
        f"[core]\n\thooksPath = {source}/.git/hooks\n\tfsmonitor = {script}\n[uploadpack]\n\tpackObjectsHook = {script}\n"
        f"[credential]\n\thelper = {script}\n[alias]\n\tfetch = !{script}\n"
    )
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("GIT_CONFIG_PARAMETERS", f"'uploadpack.packobjectshook={script}'")
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "nowhere"))
    monkeypatch.setenv("GIT_EXTERNAL_DIFF", str(script))
    bench = Bench(tmp_path, source)
    point = bench.capture()
    target = bench.restore(point, "shop", working=True)
    monkeypatch.undo()
    assert (target / "file-0").exists()
    assert not ran.exists(), ran.read_text()
    # The same is run when Git is used plainly, so this would be seen.
    git(tmp_path, "-c", f"core.hooksPath={source}/.git/hooks", "clone", "-q", str(source), "plain")
    assert ran.exists()


@pytest.mark.parametrize(
    "address",
    [
        "ext::sh -c id",
        "fd::17",
        "-oProxyCommand=id",
        "--upload-pack=id",
        "relative/path",
        "https://",
        "https:///path",
        "ftp://host/x",
        "file://otherhost/x",
        "ssh://-oProxyCommand=id/x",
        "host:-x",
        "-x:path",
        "",
        "a\nb",
        "https://h/\0",
        "https://h:port/x",
        "ssh://u:p@h/x",
        "http://[::1/x",
    ],
)
def test_addresses_that_are_refused(address):
    with pytest.raises(GitAddress) as caught:
        repository(address)
    assert not address or len(address) < 6 or address not in caught.value.message


@pytest.mark.parametrize(
    ("address", "name", "url"),
    [
        ("https://git.example/acme/pipe.lines.git", "pipe.lines", "https://git.example/acme/pipe.lines.git"),
        ("https://u:p%40@git.example:8443/a/b/", "b", "https://git.example:8443/a/b/"),
        ("https://t0ken@git.example/a/b.git", "b", "https://git.example/a/b.git"),
        ("git@host:acme/x.git", "x", "git@host:acme/x.git"),
        ("ssh://git@host:2222/~/y", "y", "ssh://git@host:2222/~/y"),
        ("/srv/git/z.git/", "z", "/srv/git/z.git/"),
        ("/home/me/proj/.git", "proj", "/home/me/proj/.git"),
        ("file:///srv/a%20b.git", "a_b", "file:///srv/a%20b.git"),
        ("/srv/..", "repository", "/srv/.."),
    ],
)
def test_addresses(address, name, url):
    found = repository(address)
    assert (found.name, found.url) == (name, url)
    assert "p@" not in repr(found)
    assert "t0ken" not in repr(found)


def test_two_repositories_of_one_name(tmp_path):
    one, two = new(tmp_path / "a" / "app"), new(tmp_path / "b" / "App", commits=2)
    bench = Bench(tmp_path, one, two, one)
    point = bench.capture()
    names = sorted(point.facts["git"])
    assert len(names) == 2
    assert all(len(name) == len("app-") + 8 for name in names)
    restored = {tuple(refs(bench.restore(point, name))) for name in names}
    assert restored == {tuple(refs(one)), tuple(refs(two))}


def test_submodules_are_told_and_captured_when_asked(tmp_path):
    root = tmp_path / "root"
    new(root / "lib", commits=2)
    new(root / "deep" / "other")
    app = new(root / "app")
    git(app, "submodule", "-q", "add", "../lib", "vendor/lib")
    (app / ".gitmodules").write_text(
        (app / ".gitmodules").read_text()
        + '[submodule "evil"]\n\tpath = evil\n\turl = ext::sh -c id\n[submodule "gone"]\n\tpath = g\n\turl = ./deep/../../deep/other\n'
    )
    git(app, "commit", "-q", "-am", "modules")
    bench = Bench(tmp_path, app)
    told = bench.capture()
    assert {module["url"] for module in told.facts["git"]["app"]["submodules"]} == {"../lib", "ext::sh -c id", "./deep/../../deep/other"}
    assert any("submodules are not captured" in note for note in bench.notes.said)
    point = bench.capture(repositories=[repository(str(app), submodules=True)])
    assert sorted(point.facts["git"]) == ["app", "lib", "other"]
    assert refs(bench.restore(point, "lib")) == refs(root / "lib")
    left_out = [module for module in point.facts["git"]["app"]["submodules"] if "left_out" in module]
    assert [module["path"] for module in left_out] == ["evil"]


def test_a_submodule_never_leads_to_a_folder_of_this_machine(tmp_path):
    secret = new(tmp_path / "secret")
    app = new(tmp_path / "app")
    (app / ".gitmodules").write_text(f'[submodule "s"]\n\tpath = s\n\turl = {secret}\n')
    git(app, "add", "-A")
    git(app, "commit", "-qm", "m")
    root = tmp_path / "root"
    root.mkdir()
    git(tmp_path, "clone", "-q", "--bare", str(app), str(root / "app.git"))
    with GitHttp(root) as server:
        bench = Bench(tmp_path, repository(server.url + "/app.git", submodules=True))
        point = bench.capture()
    assert list(point.facts["git"]) == ["app"]
    assert "folder of this machine" in point.facts["git"]["app"]["submodules"][0]["left_out"]


def damaged(source: Path, oid: str) -> Path:
    path = source / ".git" / "objects" / oid[:2] / oid[2:]
    path.chmod(0o600)
    return path


def test_corrupt_objects_are_named_and_the_rest_is_captured(tmp_path):
    source = new(tmp_path / "shop", commits=2)
    git(source, "checkout", "-q", "-b", "bad")
    commit(source, "broken", random.Random(3).randbytes(5000))
    blob = git(source, "rev-parse", "HEAD:broken")
    git(source, "checkout", "-q", "main")
    commit(source, "fine", "content")
    damaged(source, blob).write_bytes(b"garbage")
    bench = Bench(tmp_path, source)
    point = bench.capture()
    assert [finding.code for finding in point.findings] == ["git-objects-damaged"]
    assert point.findings[0].where["ref"] == "refs/heads/bad"
    assert blob in point.findings[0].message.replace("/", "")
    assert [line for line in refs(source) if "refs/heads/bad" not in line] == refs(bench.restore(point, "shop"))


def test_references_that_lead_nowhere_are_named(tmp_path):
    source = new(tmp_path / "shop", commits=2)
    git(source, "checkout", "-q", "-b", "bad")
    lost = commit(source, "x", "y")
    git(source, "checkout", "-q", "main")
    good = refs(source)
    damaged(source, lost).unlink()
    (source / ".git" / "refs" / "heads" / "garbage").write_text("no object id")
    bench = Bench(tmp_path, source)
    point = bench.capture()
    found = {finding.where["ref"]: finding.code for finding in point.findings}
    assert found == {"refs/heads/garbage": "git-reference-broken", "refs/heads/bad": "git-objects-damaged"}
    assert [line for line in good if "refs/heads/bad" not in line] == refs(bench.restore(point, "shop"))


def test_old_objects_against_todays_rules_are_told_and_kept(tmp_path):
    source = new(tmp_path / "shop")
    blob = git(source, "rev-parse", "HEAD:file-0")
    tree = git(source, "hash-object", "-t", "tree", "-w", "--literally", "--stdin", given=b"0100644 odd\0" + bytes.fromhex(blob))
    made = git(source, "commit-tree", tree, "-m", "odd mode", "-p", "HEAD")
    git(source, "update-ref", "refs/heads/odd", made)
    bench = Bench(tmp_path, source)
    point = bench.capture()
    assert not point.findings
    assert any("zeroPadded" in line for line in point.facts["git"]["shop"]["complaints"])
    assert refs(bench.restore(point, "shop")) == refs(source)


def test_what_a_repository_says_is_not_obeyed_by_the_terminal(tmp_path):
    source = new(tmp_path / "shop", commits=2)
    git(source, "checkout", "-q", "-b", "bad")
    lost = commit(source, "x", "y")
    git(source, "update-ref", "refs/heads/\x9b31mred\u202e", lost)
    (source / ".gitmodules").write_text('[submodule "s"]\n\tpath = s\n\turl = https://h.example/\x1b[31mtitle\x07x\n')
    git(source, "checkout", "-q", "main")
    (source / ".gitmodules").write_text('[submodule "s"]\n\tpath = s\n\turl = https://h.example/\x1b[31mtitle\x07x\n')
    git(source, "add", "-A")
    git(source, "commit", "-qm", "m")
    damaged(source, lost).unlink()
    bench = Bench(tmp_path, source)
    point = bench.capture()
    told = [*bench.notes.said, *(finding.message + str(finding.where) for finding in point.findings)]
    assert any("title" in text for text in told)
    assert any("31mred" in text for text in told)
    assert all(text.isprintable() for text in told), told
