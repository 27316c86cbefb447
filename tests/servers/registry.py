"""A real container registry (the distribution project's) on loopback: open, with a password, or with tokens of another server."""

import contextlib
import os
import secrets
import shutil
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Self

from tests.servers.account import reachable, server_folder, service_account
from tests.servers.need import ServerMissing
from tests.servers.ports import free_port
from tests.servers.versions import services_folder

USER, PASSWORD = "holdfast", "correct-horse"
_HASH = "$2y$04$abcdefghijklmnopqrstuuPoaPXzWjiVz4HaNq2LJXksWbO79E.S6"
"""bcrypt of PASSWORD: the registry knows no other hash, and Python has none."""


def registry_program() -> Path:
    """The program; raises ServerMissing."""
    override = os.environ.get("HOLDFAST_REGISTRY")
    built = services_folder() / "bin" / "registry"
    for place in (Path(override) if override else None, built):
        if place and place.exists():
            return reachable(place.parent, (place.name,), place.name) / place.name
    found = shutil.which("docker-registry", path="/usr/bin:/usr/local/bin")
    if found:
        return Path(found)
    raise ServerMissing("the container registry (docker-registry) is not on this machine; `make services` gets it")


class RegistryServer:
    """``host`` (127.0.0.1:port). ``basic``: USER and PASSWORD are asked for. ``token``: lines of the configuration's auth part.

    ``tls``: (certificate, key), PEM files.
    """

    def __init__(self, *, basic: bool = False, token: str = "", tls: tuple[Path, Path] | None = None) -> None:
        self.program = registry_program()
        self.folder = server_folder("registry", keep=True)
        self.port = free_port()
        self.basic = basic
        self.token = token
        self.tls = tls
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def data(self) -> Path:
        return self.folder / "data"

    def _configuration(self) -> str:
        lines = [
            "version: 0.1\nlog: {level: warn}",
            f"storage:\n  filesystem: {{rootdirectory: {self.data}}}\n  delete: {{enabled: true}}",
            f"http:\n  addr: 127.0.0.1:{self.port}\n  secret: {secrets.token_hex(8)}",
        ]
        if self.tls:
            for name, path in zip(("registry.crt", "registry.key"), self.tls, strict=True):
                shutil.copy(path, self.folder / name)
                (self.folder / name).chmod(0o644)
            lines.append(f"  tls: {{certificate: {self.folder}/registry.crt, key: {self.folder}/registry.key}}")
        lines.append('validation:\n  manifests: {urls: {allow: ["^https://"]}}')
        if self.basic:
            lines.append(f"auth:\n  htpasswd: {{realm: test, path: {self.folder}/htpasswd}}")
            (self.folder / "htpasswd").write_text(f"{USER}:{_HASH}\n")
        elif self.token:
            lines.append(f"auth:\n{self.token}")
        return "\n".join(lines) + "\n"

    def start(self, timeout: float = 120) -> None:
        account = service_account()
        self.data.mkdir(exist_ok=True)
        (self.folder / "config.yml").write_text(self._configuration())
        account.own(self.folder)
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [self.program, "serve", self.folder / "config.yml"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.folder,
                env={**account.environment(self.folder), "OTEL_TRACES_EXPORTER": "none"},
                start_new_session=True,
                **account.popen,
            )
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            if self.process.poll() is not None:
                raise RuntimeError(f"the registry ended with status {self.process.returncode} at start:\n{self.log_text()}")
            if self._answers():
                return
            time.sleep(0.05)
        raise TimeoutError(f"the registry is not ready after {timeout} s:\n{self.log_text()}")

    def _answers(self) -> bool:
        import ssl

        context = ssl._create_unverified_context() if self.tls else None
        try:
            with urllib.request.urlopen(f"{'https' if self.tls else 'http'}://{self.host}/v2/", timeout=2, context=context):
                return True
        except urllib.error.HTTPError as error:
            error.close()
            return error.code == 401
        except OSError:
            return False

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait(30)

    def remove(self) -> None:
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.remove()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.remove()

    def log_text(self) -> str:
        with contextlib.suppress(OSError):
            return (self.folder / "log").read_text(errors="replace")[-4000:]
        return ""

    def blob_file(self, digest: str) -> Path:
        """Where the registry keeps a blob, to be damaged."""
        algorithm, _, value = digest.partition(":")
        return self.data / "docker/registry/v2/blobs" / algorithm / value[:2] / value / "data"
