"""Images go into a point with every layer, once, and come out as an OCI layout; and from there into another registry."""

import hashlib
import json

import pytest

from holdfast.systems.files.images import ImageSpec, Layout, Registry, examine, push
from holdfast.systems.files.images.errors import BlobWrong, ImageMissing, ManifestRefused, PushRefused
from tests.files.images.kit import Bench, Notes, Pusher, config, descriptor, digest_of, layer, manifest, open_settings
from tests.servers.need import need
from tests.servers.registry import RegistryServer


def blobs_of(folder):
    return {path.name for path in (folder / "blobs" / "sha256").iterdir()}


@pytest.mark.parametrize("docker", [False, True])
def test_by_tag_and_by_digest(tmp_path, registry, pusher, docker):
    repository = f"acme/api{'-docker' if docker else ''}"
    digest = pusher.image(repository, "1.0", [layer(1), layer(2)], docker=docker)
    bench = Bench(tmp_path, open_settings(registry))
    by_tag, by_digest = f"{registry.host}/{repository}:1.0", f"{registry.host}/{repository}@{digest}"
    point = bench.capture(by_tag, by_digest)
    facts = point.facts["images"]
    assert facts[by_tag]["digest"] == facts[by_digest]["digest"] == digest
    assert facts[by_tag]["tag"] == "1.0"
    assert bench.states(point) == {f"image {by_tag}": "passed", f"image {by_digest}": "passed"}
    folder = bench.restore(point)
    assert json.loads((folder / "oci-layout").read_bytes())["imageLayoutVersion"] == "1.0.0"
    for name in blobs_of(folder):
        assert hashlib.sha256((folder / "blobs" / "sha256" / name).read_bytes()).hexdigest() == name
    assert digest_of(layer(1))[7:] in blobs_of(folder)
    # What two names share was fetched once.
    assert bench.last.fetched_blobs == 3


def test_layers_of_the_base_are_not_fetched_again(tmp_path, registry, pusher):
    name = f"{registry.host}/acme/again:latest"
    pusher.image("acme/again", "latest", [layer(10), layer(11)])
    bench = Bench(tmp_path, open_settings(registry))
    first = bench.capture(name)
    assert bench.last.fetched_blobs == 3
    second = bench.capture(name, base=first)
    assert bench.last.fetched_blobs == 0
    pusher.image("acme/again", "latest", [layer(10), layer(12)])
    third = bench.capture(name, base=second)
    assert bench.last.fetched_blobs == 1
    assert bench.last.fetched_bytes == len(layer(12))
    assert third.facts["images"][name]["digest"] != first.facts["images"][name]["digest"]
    for point, inside, outside in ((first, layer(11), layer(12)), (third, layer(12), layer(11))):
        assert bench.states(point) == {f"image {name}": "passed"}
        names = blobs_of(bench.restore(point))
        assert digest_of(inside)[7:] in names
        assert digest_of(outside)[7:] not in names


@pytest.mark.parametrize("docker", [False, True])
def test_all_platforms_or_the_chosen_ones(tmp_path, registry, pusher, docker):
    repository = f"acme/multi{'-docker' if docker else ''}"
    pusher.multi(
        repository, "2", {"linux/amd64": [layer(20)], "linux/arm64/v8": [layer(21)], "linux/arm/v7": [layer(22), layer(20)]}, docker=docker
    )
    name = f"{registry.host}/{repository}:2"
    bench = Bench(tmp_path, open_settings(registry))
    everything = bench.capture(name)
    assert everything.facts["images"][name]["platforms"] == ["linux/amd64", "linux/arm/v7", "linux/arm64/v8"]
    assert everything.facts["images"][name]["blobs"] == 6
    assert bench.states(everything) == {f"image {name}": "passed"}
    some = bench.capture(ImageSpec(name, ("linux/arm64",)))
    assert some.facts["images"][name]["blobs"] == 2
    assert bench.states(some) == {f"image {name}": "passed"}
    assert digest_of(layer(20))[7:] not in blobs_of(bench.restore(some))
    with pytest.raises(ManifestRefused, match="none of the platforms"):
        bench.capture(ImageSpec(name, ("windows/amd64",)))


def test_an_image_that_is_gone_is_taken_from_the_base(tmp_path, registry, pusher):
    pusher.image("acme/stays", "1", [layer(30)])
    digest = pusher.image("acme/gone", "1", [layer(31)])
    stays, gone = f"{registry.host}/acme/stays:1", f"{registry.host}/acme/gone:1"
    bench = Bench(tmp_path, open_settings(registry))
    first = bench.capture(stays, gone)
    pusher._send("DELETE", f"{pusher.url}/v2/acme/gone/manifests/{digest}", None)
    with pytest.raises(ImageMissing, match="acme/gone has no 1"):
        bench.capture(stays, gone)
    second = bench.capture(stays, gone, base=first)
    assert [(one.code, one.where["image"]) for one in second.findings] == [("image-not-captured", gone)]
    assert bench.states(second) == {f"image {stays}": "passed", f"image {gone}": "passed"}
    third = bench.capture(stays, gone, base=second)
    assert third.facts["images"][gone] == first.facts["images"][gone]
    assert bench.states(third) == {f"image {stays}": "passed", f"image {gone}": "passed"}


def test_a_damaged_and_a_lost_layer_are_named(tmp_path, registry, pusher):
    good, bad, lost = layer(40), layer(41), layer(42)
    pusher.image("acme/bad", "1", [good, bad, lost])
    path = registry.blob_file(digest_of(bad))
    path.write_bytes(path.read_bytes()[:-1] + b"!")
    registry.blob_file(digest_of(lost)).unlink()
    name = f"{registry.host}/acme/bad:1"
    bench = Bench(tmp_path, open_settings(registry))
    point = bench.capture(name)
    found = {finding.where["digest"]: finding.code for finding in point.findings}
    assert found == {digest_of(bad): "image-blob-lacking", digest_of(lost): "image-blob-lacking"}
    # What did not prove right is not in the point at all.
    folder = bench.restore(point)
    assert digest_of(good)[7:] in blobs_of(folder)
    assert not blobs_of(folder) & {digest_of(bad)[7:], digest_of(lost)[7:]}
    assert bench.states(point) == {f"image {name}": "failed"}


def test_a_foreign_layer_is_told(tmp_path, registry, pusher):
    inside, outside = layer(50), layer(51)
    conf = config()
    for data in (inside, conf):
        pusher.blob("acme/windows", data)
    foreign = descriptor(outside, "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip", urls=["https://elsewhere.example/layer"])
    pusher.manifest("acme/windows", manifest([inside], conf, docker=True, extra=[foreign]), "1")
    name = f"{registry.host}/acme/windows:1"
    bench = Bench(tmp_path, open_settings(registry))
    point = bench.capture(name)
    assert point.facts["images"][name]["foreign"] == [digest_of(outside)]
    assert any("foreign layers are NOT in the point" in note for note in bench.notes.said)
    assert not point.findings
    [result] = examine(bench.restore(point))
    assert result.state == "passed"
    assert "1 foreign layers are not in the point" in result.detail


def test_every_damage_to_a_layout_is_found(tmp_path, registry, pusher):
    pusher.multi("acme/flip", "1", {"linux/amd64": [layer(60, 200)], "linux/arm64": [layer(61, 200)]})
    bench = Bench(tmp_path, open_settings(registry))
    folder = bench.restore(bench.capture(f"{registry.host}/acme/flip:1"))
    for path in sorted((folder / "blobs" / "sha256").iterdir()):
        whole = path.read_bytes()
        path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
        assert [one.state for one in examine(folder)] == ["failed"], path
        path.unlink()
        assert [one.state for one in examine(folder)] == ["failed"], path
        path.symlink_to("/etc/passwd")
        assert [one.state for one in examine(folder)] == ["failed"], path
        path.unlink()
        path.write_bytes(whole)
    assert [one.state for one in examine(folder)] == ["passed"]


def test_a_dead_registry_is_rebuilt(tmp_path, registry, pusher):
    shared = layer(70)
    pusher.multi("acme/one", "1", {"linux/amd64": [shared, layer(71)], "linux/arm64": [layer(72)]})
    digest = pusher.image("acme/two", "latest", [shared, layer(73)], docker=True)
    names = [f"{registry.host}/acme/one:1", f"{registry.host}/acme/two:latest", f"{registry.host}/acme/two@{digest}"]
    bench = Bench(tmp_path, open_settings(registry))
    folder = bench.restore(bench.capture(*names))
    with need():
        other = RegistryServer()
    with other:
        target = Registry(open_settings(other), bench.clock)
        done = push(folder, target, Notes(), prefix="rescued")
        assert done.images == [
            f"{other.host}/rescued/acme/one:1",
            f"{other.host}/rescued/acme/two:latest",
            f"{other.host}/rescued/acme/two@{digest}",
        ]
        # Six different blobs in two repositories; the layer and the config that both have were taken over inside the registry.
        assert (done.sent, done.mounted) == (6, 2)
        again = push(folder, target, Notes(), prefix="rescued")
        assert (again.sent, again.mounted) == (0, 0)
        # And what was rebuilt can be captured: the same digests under other names.
        copy = Bench(tmp_path / "copy", open_settings(other))
        point = copy.capture(*done.images)
        assert sorted(one["digest"] for one in point.facts["images"].values()) == sorted(image.digest for image in Layout(folder).images())
        damaged = next(path for path in (folder / "blobs/sha256").iterdir() if path.name == digest_of(layer(73))[7:])
        damaged.write_bytes(b"x")
        with pytest.raises(BlobWrong):
            push(folder, target, Notes(), prefix="elsewhere", only=lambda name: name.endswith("latest"))


def test_an_index_with_gaps_is_pushed_or_refused_with_a_reason(tmp_path, registry, pusher):
    pusher.multi("acme/gaps", "1", {"linux/amd64": [layer(80)], "linux/arm64": [layer(81)]})
    bench = Bench(tmp_path, open_settings(registry))
    folder = bench.restore(bench.capture(ImageSpec(f"{registry.host}/acme/gaps:1", ("linux/arm64",))))
    with need():
        other = RegistryServer()
    with other:
        with pytest.raises(PushRefused, match="linux/arm64"):
            push(folder, Registry(open_settings(other), bench.clock), Notes())
        assert Pusher(other.host)._send("GET", f"http://{other.host}/v2/acme/gaps/blobs/{digest_of(layer(81))}", None).status == 200
