"""A server that speaks Google Cloud Storage's JSON interface: fake-gcs-server, on loopback, in memory."""

import json
import os
import secrets
import shutil
import urllib.request
from collections.abc import Sequence
from pathlib import Path

from tests.servers.loopback import LoopbackServer
from tests.servers.need import ServerMissing
from tests.servers.versions import services_folder


def program() -> Path:
    """Raises ServerMissing."""
    override = os.environ.get("HOLDFAST_FAKE_GCS")
    for place in (Path(override) if override else None, services_folder() / "bin" / "fake-gcs-server"):
        if place and place.exists():
            return place
    found = shutil.which("fake-gcs-server")
    if found:
        return Path(found)
    raise ServerMissing("fake-gcs-server is not on this machine; `make services` builds it")


class GoogleServer(LoopbackServer):
    name = "gcs"
    ready = "/_internal/healthcheck"

    def command(self) -> Sequence[str]:
        here = f"127.0.0.1:{self.port}"
        words = ["-scheme", "http", "-host", "127.0.0.1", "-port", str(self.port), "-backend", "memory", "-log-level", "error"]
        return [str(program()), *words, "-public-host", here, "-external-url", f"http://{here}"]

    def bucket(self, name: str = "", *, versions: bool = False) -> str:
        """A new bucket; returns its name."""
        name = name or f"raw-{secrets.token_hex(5)}"
        body = json.dumps({"name": name, "versioning": {"enabled": versions}}).encode()
        request = urllib.request.Request(f"{self.endpoint}/storage/v1/b?project=test", body, {"content-type": "application/json"})
        urllib.request.urlopen(request, timeout=30).close()
        return name
