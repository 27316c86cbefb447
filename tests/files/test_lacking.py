"""Restores out of a damaged vault: all that is still there comes back, what is lost is named, and nothing half-written has a right name."""

import json
import os
import random
from collections.abc import Collection
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from holdfast.errors import HoldfastError, Unreachable
from holdfast.model import Silent, SystemClock
from holdfast.recovery.files import write_out
from holdfast.storage.contract import StorageUnreachable
from holdfast.storage.local import LocalStorage
from holdfast.systems.contract import INCOMPLETE, RestoredPartly
from holdfast.systems.files.errors import DiskFull, EntryUnknown
from holdfast.systems.files.git.part import GitPart
from holdfast.systems.files.restore import run as running
from holdfast.vault import Vault
from holdfast.vault.capture import tree as writing
from holdfast.vault.errors import PackDamaged
from holdfast.vault.format.content import NO_PACK
from tests.files.git.kit import Bench, new
from tests.files.kit import CHEAP, SECRET, Scene, differences, picture

Place = tuple[bytes, int]
"""pack, offset of a frame"""


def frames(scene: Scene) -> dict[str, list[Place]]:
    """By path on the machine: where the content of each file of the newest point lies, in order."""
    reader = scene.vault.reader(scene.vault.points("app")[-1])
    found: dict[str, list[Place]] = {}
    for line in reader.lines():
        if line.is_file and line.size:
            rows = [
                (part.packs[row[0]], row[1])
                for part in reader.tree.parts(line.document)
                for row in part.places.tolist()
                if row[0] != NO_PACK
            ]
            found[line.path.removeprefix("files")] = rows
    return found


def copies(scene: Scene) -> dict[str, list[set[Place]]]:
    """As ``frames``, with every place where a chunk lies: two workers may store the same one at once."""
    reader = scene.vault.reader(scene.vault.points("app")[-1])
    index = reader._index()
    found: dict[str, list[set[Place]]] = {}
    for line in reader.lines():
        if line.is_file and line.size:
            chunks = found[line.path.removeprefix("files")] = []
            for part in reader.tree.parts(line.document):
                for i, row in enumerate(part.places.tolist()):
                    known = {(hit.pack, hit.frame) for hit in index.find(bytes(part.ids[32 * i : 32 * i + 32]))}
                    chunks.append(known | {(part.packs[row[0]], row[1])})
    return found


def packs_of(scene: Scene, location: str = "vault") -> dict[bytes, Path]:
    return {bytes.fromhex(path.name[:32]): path for path in (scene.folder / location / "packs").rglob("*") if path.is_file()}


def flip(scene: Scene, places: Collection[Place], location: str = "vault") -> None:
    files = packs_of(scene, location)
    for pack, offset in places:
        files[pack].chmod(0o600)
        with files[pack].open("r+b") as file:
            file.seek(offset + 20)
            byte = file.read(1)
            file.seek(offset + 20)
            file.write(bytes([byte[0] ^ 1]))


def noise(seed: int, size: int) -> bytes:
    return random.Random(seed).randbytes(size)


def partly(scene: Scene, into: Path, **options) -> RestoredPartly:
    with pytest.raises(RestoredPartly) as caught:
        scene.restore(into, **options)
    error = caught.value
    assert (error.status, error.code) == (5, "restored-partly")
    assert error.details["lacking"] == len(error.details["lacks"])
    if error.details["list"]:
        listed = [json.loads(line) for line in Path(error.details["list"]).read_text().splitlines()]
        assert listed == error.details["lacks"]
        assert error.details["list"] in error.hint
    return error


def lacking(error: RestoredPartly) -> dict[str, str | None]:
    return {one["path"]: one["kept"] for one in error.details["lacks"]}


def same_but(scene: Scene, into: Path, lost: Collection[str], kept: Collection[str | None] = ()) -> None:
    """Everything of the source is below ``into`` as it was, but for the ``lost``; nothing else is there but what was ``kept`` of them."""
    was, now = dict(picture(scene.source)), dict(picture(scene.at(into)))
    for path in lost:
        del was[os.path.relpath(path, scene.source)]
    for path in kept:
        if path is not None:
            now.pop(os.path.relpath(path, scene.at(into)))
    was.pop("links"), now.pop("links")
    assert not differences(was, now)


LARGE = 3 << 20


@pytest.fixture
def full(scene):
    """Small files that share frames, a large one of many frames, one with two names, folders, links."""
    for number in range(40):
        folder = scene.source / f"d{number % 4}"
        folder.mkdir(exist_ok=True)
        (folder / f"small{number}").write_bytes(noise(number, 30_000 + number))
    (scene.source / "large").write_bytes(noise(77, LARGE))
    (scene.source / "d0" / "twice").write_bytes(noise(78, 2 << 20))
    os.link(scene.source / "d0" / "twice", scene.source / "d1" / "again")
    (scene.source / "link").symlink_to("large")
    (scene.source / "empty").touch()
    scene.backup()
    return scene


def test_a_damaged_frame_costs_only_its_files(full):
    into = full.folder / "out"
    where = frames(full)
    one = where[f"{full.source}/d1/small5"][0]
    flip(full, [one])
    lost = {path for path, places in where.items() if one in places}
    assert 1 < len(lost) < 40  # several share it, and it is not all
    error = partly(full, into)
    assert lacking(error) == dict.fromkeys(lost)
    same_but(full, into, lost)
    assert f"{len(lost)} entries could not be restored" in error.message
    assert sum(path in error.message for path in lost) == min(5, len(lost))
    assert error.details["files"] == 43 - len(lost)


def test_of_a_large_file_the_part_that_is_left_has_another_name(full):
    into = full.folder / "out"
    large = f"{full.source}/large"
    flip(full, [frames(full)[large][20]])
    error = partly(full, into)
    kept = f"{full.at(into)}/large{INCOMPLETE}"
    assert lacking(error) == {large: kept}
    assert INCOMPLETE in error.message
    same_but(full, into, [large], [kept])
    was, now = Path(large).read_bytes(), Path(kept).read_bytes()
    assert len(now) == LARGE
    wrong = [i for i in range(0, LARGE, 4096) if now[i : i + 4096] != was[i : i + 4096]]
    assert wrong
    assert all(not any(now[i : i + 4096]) for i in wrong)
    assert len(wrong) * 4096 < LARGE // 2


def test_a_file_with_two_names_lacks_both(full):
    into = full.folder / "out"
    names = [f"{full.source}/d0/twice", f"{full.source}/d1/again"]
    flip(full, copies(full)[names[0]][3])
    error = partly(full, into)
    found = lacking(error)
    assert set(found) == set(names)
    assert sum(kept is not None for kept in found.values()) == 1
    same_but(full, into, names, found.values())


def test_a_whole_pack_that_is_missing(full):
    into = full.folder / "out"
    where = frames(full)
    gone = where[f"{full.source}/large"][0][0]
    packs_of(full)[gone].unlink()
    lost = {path for path, places in where.items() if any(pack == gone for pack, _ in places)}
    error = partly(full, into)
    assert lost
    # The second name of a linked file lacks too, and nothing was had of any.
    assert set(lacking(error)) - {f"{full.source}/d0/twice", f"{full.source}/d1/again"} == lost - {
        f"{full.source}/d0/twice",
        f"{full.source}/d1/again",
    }
    same_but(full, into, lacking(error), lacking(error).values())


def test_a_delta_restore_keeps_what_is_right_and_moves_aside_what_it_cannot_repair(full):
    into = full.folder / "out"
    full.restore(into)
    where = frames(full)
    large, right = f"{full.source}/large", f"{full.source}/d1/small5"
    flip(full, [where[large][20], where[right][0]])
    damaged = full.at(into) / "large"
    with damaged.open("r+b") as file:
        file.write(b"other")
    # Only the beginning differs, which the vault still has: repaired, though another frame is lost.
    full.restore(into, delta=True)
    same_but(full, into, [])
    offset = 20 * 65536
    with damaged.open("r+b") as file:
        file.seek(offset)
        file.write(b"other")
        file.seek(0)
        file.write(b"other")
    (full.at(into) / "d0" / "extra").touch()
    error = partly(full, into, delta=True, remove_extra=True)
    kept = f"{damaged}{INCOMPLETE}"
    assert lacking(error) == {large: kept}
    same_but(full, into, [large], [kept])
    now = Path(kept).read_bytes()
    assert now[:offset] == Path(large).read_bytes()[:offset]
    assert now[offset : offset + 5] == b"other"
    # A second try finds the name taken, and takes another.
    second = lacking(partly(full, into, delta=True))
    assert second == {large: f"{kept}-2"}
    same_but(full, into, [large], [kept, *second.values()])


def test_a_delta_restore_after_healing_brings_what_lacked(full):
    into = full.folder / "out"
    small, large = f"{full.source}/d1/small5", f"{full.source}/large"
    places = [frames(full)[small][0], frames(full)[large][20]]
    flip(full, places)
    kept = lacking(partly(full, into)).values()
    flip(full, places)
    done = full.restore(into, delta=True)
    assert done.extracted.written > 0
    same_but(full, into, [], kept)


def test_in_place(full):
    into = Path("/")
    small = f"{full.source}/d1/small5"
    where = frames(full)
    flip(full, [where[small][0]])
    lost = {path for path, places in where.items() if where[small][0] in places}
    error = partly(full, into, in_place=True)
    if error.details["list"]:  # beside the root only root may write
        Path(error.details["list"]).unlink()
    assert set(lacking(error)) == lost
    aside = next(path for path in full.folder.iterdir() if path.name.startswith("source.before-"))
    was = dict(picture(aside))
    for path in lost:
        del was[os.path.relpath(path, full.source)]
    assert not differences(was, picture(full.source))


def test_a_damaged_list_costs_only_its_own_names(scene, monkeypatch):
    monkeypatch.setattr(writing, "SEGMENT", 20_000)
    monkeypatch.setattr(writing, "LEAST", 10_000)
    names = [scene.source / f"d{folder:02d}" / f"{name:04d}" for folder in range(20) for name in range(40)]
    for path in names:
        path.parent.mkdir(exist_ok=True)
        path.touch()
    scene.backup()
    point = scene.vault.points("app")[-1]
    segments = scene.vault.reader(point).tree.segments
    assert len(segments) > 2
    ref = segments[1].ref
    flip(scene, [(ref.pack, ref.frame)])
    into = scene.folder / "out"
    with pytest.raises(RestoredPartly) as caught:
        scene.restore(into)
    [lack] = caught.value.details["lacks"]
    assert lack["entries"] == segments[1].count == caught.value.details["lacking"]
    there = {path.name for path in scene.at(into).rglob("*") if path.is_file()}
    assert there
    first, last = lack["path"], lack["last"]
    for path in names:
        back = scene.at(into) / path.relative_to(scene.source)
        assert back.exists() or first <= str(path) <= last
    # A part of it by name: what stands elsewhere comes, what may have stood there is not called missing.
    scene.restore(scene.folder / "one", paths=[str(names[0])])
    with pytest.raises(EntryUnknown):
        scene.plan(scene.folder / "two", paths=[first])
    # Nobody knows what is extra.
    extra = scene.at(into) / "mine"
    extra.touch()
    with pytest.raises(RestoredPartly):
        scene.restore(into, delta=True, remove_extra=True)
    assert extra.exists()


def two_locations(scene: Scene) -> None:
    storages = [LocalStorage(str(scene.folder / name), create=True) for name in ("here", "there")]
    scene.vault = Vault.create(storages, SECRET, clock=SystemClock(), cache=scene.folder / "cache2", cost=CHEAP)[0]


def test_what_one_location_lost_comes_from_the_other(scene):
    two_locations(scene)
    for number in range(20):
        (scene.source / f"small{number}").write_bytes(noise(number, 30_000))
    (scene.source / "large").write_bytes(noise(77, LARGE))
    scene.backup()
    where = frames(scene)
    places = {place for places in where.values() for place in places}
    flip(scene, places, "here")
    scene.restore(scene.folder / "out")
    same_but(scene, scene.folder / "out", [])
    assert {trouble.what for trouble in scene.vault.locations.troubles} == {"damaged"}
    # And where both lost something, what lacks is what both lost.
    one = where[f"{scene.source}/large"][7]
    flip(scene, [one], "there")
    error = partly(scene, scene.folder / "again")
    assert set(lacking(error)) == {path for path, places in where.items() if one in places}


def test_an_outage_is_no_damage(full, monkeypatch):
    """Where no location answers the restore ends, and calls nothing lost."""

    def silent(self, name, start=0, length=None):
        raise StorageUnreachable("away")

    reader = full.history.open(full.vault.points("app")[-1].id)
    wanted = [line for line in reader.lines() if line.is_file and line.size <= 1 << 20 and line.size]
    monkeypatch.setattr(LocalStorage, "get", silent)
    lost: list[object] = []
    with pytest.raises(Unreachable):
        reader.extract(((line, None) for line in wanted), small=lost.append, lost=lambda *one: lost.append(one))
    assert not lost


def test_another_failure_leaves_no_right_name_to_what_is_lost(full, monkeypatch):
    large = f"{full.source}/large"
    flip(full, [frames(full)[large][20]])

    def fails(self):
        raise DiskFull("full", hint="")

    monkeypatch.setattr(running.FolderRestore, "_link", fails)
    with pytest.raises(DiskFull):
        full.restore(full.folder / "out")
    assert not (full.at(full.folder / "out") / "large").exists()
    assert (full.at(full.folder / "out") / f"large{INCOMPLETE}").exists()


def test_get_brings_all_but_what_is_lost(full):
    large, small = f"{full.source}/large", f"{full.source}/d1/small5"
    where = frames(full)
    flip(full, [where[large][20], where[small][0]])
    lost = {path for path, places in where.items() if where[small][0] in places} | {large}
    reader = full.vault.reader(full.vault.points("app")[-1])
    root = f"files{full.source}"
    target = full.folder / "got"
    with pytest.raises(RestoredPartly) as caught:
        write_out(reader, list(reader.entries(root)), root, target, Silent())
    assert {one["path"] for one in caught.value.details["lacks"]} == {f"files{path}" for path in lost}
    for path in Path(full.source).rglob("*"):
        back = target / path.relative_to(full.source)
        if str(path) in lost:
            assert not os.path.lexists(back)
        elif path.is_file() and not path.is_symlink():
            assert back.read_bytes() == path.read_bytes()
    assert (target / f"large{INCOMPLETE}").stat().st_size == LARGE


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_damage_costs_exactly_what_it_hit(tmp_path_factory, data):
    scene = Scene(tmp_path_factory.mktemp("any"))
    sizes = data.draw(st.lists(st.sampled_from([1, 900, 40_000, 70_000, 300_000, 1_400_000]), min_size=1, max_size=12))
    for number, size in enumerate(sizes):
        same = data.draw(st.booleans())  # content that several share lies in one place
        (scene.source / f"f{number:02d}").write_bytes(noise(0 if same else number + 1, size))
    scene.backup()
    where = copies(scene)
    every = sorted({place for chunks in where.values() for places in chunks for place in places})
    hit = set(data.draw(st.lists(st.sampled_from(every), max_size=5, unique=True)))
    into = scene.folder / "out"
    before = data.draw(st.sampled_from(["nothing", "right", "wrong"]))
    if before != "nothing":
        scene.restore(into)
    if before == "wrong":
        for path in scene.at(into).iterdir():
            path.write_bytes(b"\xff" * path.stat().st_size)
    flip(scene, hit)
    lost = {path for path, chunks in where.items() if any(places <= hit for places in chunks)} if before != "right" else set()
    if not lost:
        scene.restore(into, delta=before != "nothing")
        same_but(scene, into, [])
    else:
        found = lacking(partly(scene, into, delta=before != "nothing"))
        assert set(found) == lost
        same_but(scene, into, lost, found.values())
    scene.close()


def test_a_damaged_repository_keeps_no_other_from_coming_back(tmp_path):
    bench = Bench(tmp_path, new(tmp_path / "one"), new(tmp_path / "two"))
    point = bench.capture()
    reader = bench.vault.point(point.id)
    part = GitPart(lambda: (), tmp_path / "cache", SystemClock())
    [bundle] = [one for one in reader.entries("git/one/") if one.entry.path.endswith(".bundle")]
    real = reader.extract

    class Hurt:
        """The reader of a vault that has lost the content of one file."""

        def __getattr__(self, name):
            return getattr(reader, name)

        def extract(self, wanted, *, lost=None, **options):
            kept = []
            for stored, opener in wanted:
                if stored.entry.path == bundle.entry.path:
                    if lost is None:
                        raise PackDamaged("gone")
                    lost(stored, opener(), PackDamaged("gone"))
                else:
                    kept.append((stored, opener))
            return real(kept, **options)

    lacks: dict[str, HoldfastError] = {}
    part.restore(Hurt(), tmp_path / "out", (), Silent(), lambda path, error: lacks.update({path: error}))
    assert list(lacks) == ["git/one"]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["two.git"]
    with pytest.raises(PackDamaged):
        part.restore(Hurt(), tmp_path / "strict", (), Silent())
