"""Images made by hand and pushed through the API, a vault to put them into, and the way back."""

import gzip
import hashlib
import json
import random
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from holdfast.model import RecoveryPoint, SystemClock
from holdfast.systems.files.images import ImageCapture, ImageSpec, RegistrySettings, examine
from holdfast.systems.files.images.manifest import DOCKER_LIST, DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST
from holdfast.vault import Vault
from tests.files.git.kit import Notes
from tests.servers.registry import RegistryServer
from tests.vault import kit

CLOCK = SystemClock()
OCI_LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
OCI_CONFIG = "application/vnd.oci.image.config.v1+json"


class Impatient(SystemClock):
    """Does not sleep; remembers for how long it was asked to."""

    def __init__(self) -> None:
        self.slept: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)


def digest_of(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


def layer(seed: int, size: int = 30_000) -> bytes:
    return gzip.compress(random.Random(seed).randbytes(size), mtime=0)


def descriptor(data: bytes, media_type: str, **more: Any) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": digest_of(data), "size": len(data), **more}


def config(architecture: str = "amd64") -> bytes:
    return json.dumps({"architecture": architecture, "os": "linux", "rootfs": {"type": "layers", "diff_ids": []}}).encode()


def manifest(layers: Sequence[bytes], conf: bytes, *, docker: bool = False, extra: Sequence[Mapping[str, Any]] = ()) -> bytes:
    kind = DOCKER_MANIFEST if docker else OCI_MANIFEST
    layer_type = "application/vnd.docker.image.rootfs.diff.tar.gzip" if docker else OCI_LAYER
    config_type = "application/vnd.docker.container.image.v1+json" if docker else OCI_CONFIG
    rows = [*(descriptor(one, layer_type) for one in layers), *extra]
    document = {"schemaVersion": 2, "mediaType": kind, "config": descriptor(conf, config_type), "layers": rows}
    return json.dumps(document).encode()


def index(children: Sequence[tuple[bytes, str]], *, docker: bool = False) -> bytes:
    child, kind = (DOCKER_MANIFEST, DOCKER_LIST) if docker else (OCI_MANIFEST, OCI_INDEX)
    rows = []
    for data, platform in children:
        system, architecture, *variant = platform.split("/")
        where = {"os": system, "architecture": architecture, **({"variant": variant[0]} if variant else {})}
        rows.append(descriptor(data, child, platform=where))
    return json.dumps({"schemaVersion": 2, "mediaType": kind, "manifests": rows}).encode()


class Pusher:
    """The smallest client that can fill a registry: not the code under test."""

    def __init__(self, host: str, headers: Mapping[str, str] | None = None) -> None:
        self.url = f"http://{host}"
        self.headers = dict(headers or {})

    def _send(self, method: str, url: str, data: bytes | None, kind: str = "application/octet-stream") -> Any:
        request = urllib.request.Request(url, data=data, method=method, headers={**self.headers, "Content-Type": kind})
        with urllib.request.urlopen(request, timeout=30) as answer:
            answer.read()
            return answer

    def blob(self, repository: str, data: bytes) -> None:
        answer = self._send("POST", f"{self.url}/v2/{repository}/blobs/uploads/", b"")
        place = answer.headers["Location"]
        self._send("PUT", f"{place}&digest={digest_of(data)}", data)

    def manifest(self, repository: str, data: bytes, tag: str = "") -> str:
        kind = json.loads(data)["mediaType"]
        self._send("PUT", f"{self.url}/v2/{repository}/manifests/{tag or digest_of(data)}", data, kind)
        return digest_of(data)

    def image(self, repository: str, tag: str, layers: Sequence[bytes], *, architecture: str = "amd64", docker: bool = False) -> str:
        conf = config(architecture)
        for data in (*layers, conf):
            self.blob(repository, data)
        return self.manifest(repository, manifest(layers, conf, docker=docker), tag)

    def multi(self, repository: str, tag: str, by_platform: Mapping[str, Sequence[bytes]], *, docker: bool = False) -> str:
        children = []
        for platform, layers in by_platform.items():
            conf = config(platform.split("/")[1])
            for data in (*layers, conf):
                self.blob(repository, data)
            made = manifest(layers, conf, docker=docker)
            self.manifest(repository, made)
            children.append((made, platform))
        return self.manifest(repository, index(children, docker=docker), tag)


class Bench:
    """A vault in memory, and images that are captured and restored."""

    def __init__(self, folder: Path, *settings: RegistrySettings, clock: SystemClock = CLOCK, timeout: float = 20.0) -> None:
        self.folder = folder
        self.vault: Vault = kit.create(folder / "vault")
        self.settings = {one.host: one for one in settings}
        self.clock = clock
        self.timeout = timeout
        self.notes = Notes()
        self.restored = 0
        self.last: Any = None

    def capture(self, *names: str | ImageSpec, base: RecoveryPoint | None = None) -> RecoveryPoint:
        reader = self.vault.point(base.id) if base is not None else None
        specs = [one if isinstance(one, ImageSpec) else ImageSpec(one) for one in names]
        with self.vault.begin(system="code", kind="files", base=reader) as writer:
            done = self.last = ImageCapture(self.settings, self.clock, timeout=self.timeout).run(specs, writer, self.notes)
            return writer.commit(kind="files", start={}, stop={}, facts={"images": done.facts}, findings=done.findings)

    def restore(self, point: RecoveryPoint) -> Path:
        self.restored += 1
        into = self.folder / f"restored-{self.restored}"
        reader = self.vault.point(point.id)
        for stored in reader.entries("images/"):
            path = into / stored.entry.path.removeprefix("images/")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(reader.read(stored))
        return into

    def states(self, point: RecoveryPoint) -> dict[str, str]:
        return {one.name: one.state for one in examine(self.restore(point))}


def open_settings(server: RegistryServer) -> RegistrySettings:
    return RegistrySettings(server.host, plain_http=True)
