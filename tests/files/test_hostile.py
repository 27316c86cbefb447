"""Points of files systems that somebody with a writer's key made to hurt the machine that restores them, as root perhaps."""

import base64
import contextlib
import os
import subprocess
from pathlib import Path

import pytest

from holdfast.errors import HoldfastError
from holdfast.model import Entry, Silent
from holdfast.systems.contract import RestoreRequest
from holdfast.systems.files.git.part import GitPart
from holdfast.systems.files.images.part import ImagesPart
from holdfast.systems.files.recovery import FilesRecovery
from tests.files.git.kit import CLOCK, Bench, git, new
from tests.files.kit import NAME, History
from tests.recovery.test_hostile_points import EVIL, cases, state
from tests.vault.kit import create

BOX = base64.b64encode(b"x").decode()


@pytest.fixture
def outside(tmp_path) -> Path:
    folder = tmp_path / "outside"
    (folder / "sub").mkdir(parents=True)
    (folder / "kept").write_text("kept")
    (folder / "kept").chmod(0o640)
    return folder


def made(tmp_path: Path, entries: list[tuple[Entry, bytes | None]], **facts: object) -> History:
    vault = create(tmp_path / "vault")
    with vault.begin(system=NAME, kind="files", base=None) as writer:
        for entry, content in entries:
            writer.add(entry, content)
        writer.commit(kind="files", start={}, stop={}, facts=facts)
    return History(vault)


def restore(tmp_path: Path, history: History, into: Path, **options: object) -> None:
    parts = [GitPart(list, tmp_path / "cache", CLOCK), ImagesPart((), dict, CLOCK)]
    recovery = FilesRecovery(NAME, parts=parts, clock=CLOCK, sandbox=tmp_path / "boxes")
    recovery.restore(history, recovery.plan_restore(history, RestoreRequest(into, {"kind": "latest"}, options)), Silent())


def below(entries: list[Entry]) -> list[tuple[Entry, bytes | None]]:
    return [
        (Entry(f"files/{one.path}", one.kind, size=one.size, mode=one.mode, target=one.target), EVIL if one.kind == "file" else None)
        for one in entries
    ]


@pytest.mark.parametrize("delta", [False, True])
@pytest.mark.parametrize("case", list(cases(Path("/x"))))
def test_a_restore_of_folders_stays_in_its_folder(tmp_path, outside, case, delta):
    before = state(outside)
    history = made(tmp_path, below(cases(outside)[case]), roots={"/d": 1})
    with contextlib.suppress(HoldfastError):
        restore(tmp_path, history, tmp_path / "target", **({"delta": True} if delta else {}))
    assert state(outside) == before


@pytest.mark.parametrize(
    "extra",
    [
        {"i": 1, "n": 2, "v": []},
        {"i": "x", "n": 2},
        {"n": 5},
        {"a": {"user.x": 7}},
        {"a": {"security.selinux": BOX}},
        {"a": {"user.x\0y": BOX}},
        {"a": ["user.x"]},
        {"h": [[0, 1 << 62]]},
        {"h": [[3, 1]]},
        {"h": 5},
        {"d": [1]},
        {"d": ["a", "b"]},
    ],
)
@pytest.mark.parametrize("kind", ["file", "fifo", "dir"])
def test_what_no_capture_writes_beside_a_name_is_refused_or_harmless(tmp_path, outside, extra, kind):
    before = state(outside)
    entry = Entry("files/d/x", kind, size=4 if kind == "file" else 0, mode=0o644, extra=extra)
    history = made(tmp_path, [(Entry("files/d", "dir", mode=0o755), None), (entry, EVIL if kind == "file" else None)], roots={"/d": 1})
    with contextlib.suppress(HoldfastError):
        restore(tmp_path, history, tmp_path / "target")
    assert state(outside) == before


@pytest.mark.parametrize(
    "entry",
    [
        Entry("git/../../outside/x", size=4),
        Entry("git/.hidden/HEAD", size=4),
        Entry("git/app/hooks/post-checkout", size=4),
        Entry("git/app/config", size=4),
        Entry("git/app/HEAD", "symlink", target="/etc/passwd"),
        Entry("git/app", "symlink", target="/etc"),
        Entry("git/app/HEAD", "dir"),
        Entry("git/app/lfs/objects/../../x", size=4),
        Entry("git/app\n/HEAD", size=4),
        Entry("images/../x", size=4),
        Entry("images/blobs/sha256/../../../x", size=4),
        Entry("images/blobs/sha256/" + "a" * 64, "symlink", target="/etc/passwd"),
        Entry("images/blobs", "symlink", target="/etc"),
        Entry("images/index.json", "fifo"),
        Entry("images/extra", size=4),
    ],
    ids=lambda entry: f"{entry.path[:40]}-{entry.kind}",
)
def test_names_that_no_capture_of_repositories_or_images_writes(tmp_path, outside, entry):
    before = state(outside)
    history = made(tmp_path, [(entry, EVIL if entry.kind == "file" else None)], git={"app": {}}, images={"x": {}})
    with pytest.raises(HoldfastError) as caught:
        restore(tmp_path, history, tmp_path / "target")
    assert caught.value.code == "files-entry-unexpected"
    assert state(outside) == before


def repository(**files: bytes) -> list[tuple[Entry, bytes | None]]:
    given = {"bundles": b"", "packed-refs": b"", "HEAD": b"ref: refs/heads/main\n", "symrefs": b"", **files}
    return [(Entry(f"git/app/{name}", size=len(data)), data) for name, data in given.items()]


@pytest.mark.parametrize(
    "files",
    [
        {"packed-refs": b"a" * 40 + b" refs/../../../outside/x\n"},
        {"packed-refs": b"a" * 40 + b" hooks/post-checkout\n"},
        {"packed-refs": b"a" * 40 + b" refs/heads/main\n"},
        {"packed-refs": b"\xff" * 100},
        {"HEAD": b"ref: ../../outside/kept\n"},
        {"HEAD": b"ref: /etc/passwd\n"},
        {"HEAD": b""},
        {"symrefs": b"refs/heads/../../../outside/kept refs/heads/x\n"},
        {"symrefs": b"refs/heads/a ../../../etc/passwd\n"},
        {"symrefs": b"HEAD refs/heads/x\n"},
        {"bundles": b"../../x\n"},
        {"bundles": b"0" * 64 + b"  0000-0000000000000000.bundle\n"},
        {"bundles": b"0" * 64 + b"  0000-0000000000000000.bundle\n", "0000-0000000000000000.bundle": b"no bundle"},
    ],
    ids=str,
)
def test_repositories_that_lead_astray(tmp_path, outside, files):
    before = state(outside)
    history = made(tmp_path, repository(**files), git={"app": {}})
    with pytest.raises(HoldfastError) as caught:
        restore(tmp_path, history, tmp_path / "target")
    assert caught.value.code in ("restored-partly", "git-failed")
    if caught.value.code == "restored-partly":
        assert [one["path"] for one in caught.value.details["lacks"]] == ["git/app"]
    assert state(outside) == before
    assert list((tmp_path / "target" / "git").iterdir()) == []


def test_a_tree_that_would_write_into_the_repository_itself(tmp_path):
    """A commit with a file below .git, or a link and a file below it: fsck names it, Git's own checkout refuses it."""
    source = new(tmp_path / "app")
    blob = git(source, "hash-object", "-w", "--stdin", given=b"#!/bin/sh\ntouch /tmp/should-not-be\n")
    inner = subprocess.run(
        ["git", "-C", str(source), "hash-object", "-t", "tree", "-w", "--literally", "--stdin"],
        input=b"100755 post-checkout\0" + bytes.fromhex(blob), capture_output=True, check=True,
    ).stdout.decode().strip()  # fmt: skip
    hooks = git(source, "hash-object", "-t", "tree", "-w", "--literally", "--stdin", given=b"40000 hooks\0" + bytes.fromhex(inner))
    top = git(source, "hash-object", "-t", "tree", "-w", "--literally", "--stdin", given=b"40000 .git\0" + bytes.fromhex(hooks))
    git(source, "update-ref", "refs/heads/main", git(source, "commit-tree", top, "-m", "evil"))
    bench = Bench(tmp_path, source)
    point = bench.capture()
    assert any("hasDotgit" in line for line in point.facts["git"]["app"]["complaints"])
    bench.restore(point, "app")
    with pytest.raises(HoldfastError):
        bench.restore(point, "app", working=True)


MANIFEST = '{"schemaVersion":2,"manifests":[{"digest":"%s","size":1,"mediaType":"application/vnd.oci.image.manifest.v1+json"}]}'
INDEXES = [
    "",
    "[" * 100_000,
    "{}",
    "[]",
    '{"schemaVersion":2,"manifests":7}',
    MANIFEST % "sha256:../../x",
    MANIFEST % ("sha256:" + "a" * 64),
]


@pytest.mark.parametrize("index", [index.encode() for index in INDEXES], ids=lambda index: f"{len(index)}")
def test_layouts_that_are_none(tmp_path, outside, index):
    before = state(outside)
    layout = b'{"imageLayoutVersion":"1.0.0"}'
    entries = [(Entry("images/oci-layout", size=len(layout)), layout), (Entry("images/index.json", size=len(index)), index)]
    history = made(tmp_path, entries, images={"x": {}})
    with pytest.raises(HoldfastError) as caught:
        restore(tmp_path, history, tmp_path / "target")
    assert caught.value.code == "restored-partly"
    assert all(one["path"].startswith("image") for one in caught.value.details["lacks"])
    assert state(outside) == before


@pytest.mark.parametrize("where", ["images", "images/blobs", "git", "git/.app.git.partial", "git/.bundles.partial", "git/app.git"])
def test_links_that_wait_in_the_target_are_not_followed(tmp_path, outside, where):
    before = state(outside)
    source = new(tmp_path / "app")
    bench = Bench(tmp_path / "bench", source)
    point = bench.capture()
    layout, index = b'{"imageLayoutVersion":"1.0.0"}', b'{"schemaVersion":2,"manifests":[]}'
    raw = bench.raw(point, "app", tmp_path / "raw")
    entries = [(Entry(f"git/app/{path.name}", size=path.stat().st_size), path.read_bytes()) for path in sorted(raw.iterdir())]
    blob = "images/blobs/sha256/" + "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881"
    entries += [(Entry(blob, size=1), b"x"), (Entry("images/oci-layout", size=len(layout)), layout)]
    history = made(tmp_path, [*entries, (Entry("images/index.json", size=len(index)), index)], git={"app": {}}, images={"x": {}})
    place = tmp_path / "target" / where
    place.parent.mkdir(parents=True)
    os.symlink(outside, place)
    with pytest.raises((HoldfastError, OSError)) as caught:
        restore(tmp_path, history, tmp_path / "target", delta=True)
    assert state(outside) == before
    assert isinstance(caught.value, HoldfastError), caught.value
