"""Azurite, which speaks Azure Blob Storage's interface, on loopback, in memory."""

import base64
import secrets
import shutil
from collections.abc import Sequence
from pathlib import Path

from tests.servers.loopback import LoopbackServer
from tests.servers.need import ServerMissing
from tests.servers.versions import services_folder

VERSION = "3.35.0"


def azurite_folder() -> Path:
    return services_folder() / f"azurite-{VERSION}"


def main_file(folder: Path) -> Path:
    return folder / "node_modules" / "azurite" / "dist" / "src" / "blob" / "main.js"


class AzuriteServer(LoopbackServer):
    """``account`` with ``key`` (base64); ``address`` ends where a container's name begins."""

    name = "azurite"

    def __init__(self) -> None:
        self.node = shutil.which("node")
        self.program = main_file(azurite_folder())
        if self.node is None or not self.program.exists():
            raise ServerMissing("Azurite is not on this machine; `make services` gets it")
        super().__init__()
        self.account = "holdfasttest"
        self.key = base64.b64encode(secrets.token_bytes(32)).decode()
        self.address = f"{self.endpoint}/{self.account}"

    def command(self) -> Sequence[str]:
        words = ["--blobHost", "127.0.0.1", "--blobPort", str(self.port), "--inMemoryPersistence"]
        return [str(self.node), str(self.program), *words, "--silent", "--disableTelemetry"]

    def environment(self) -> dict[str, str]:
        return {"AZURITE_ACCOUNTS": f"{self.account}:{self.key}"}

    @property
    def credentials(self) -> dict[str, str]:
        return {"account_name": self.account, "account_key": self.key}

    def container(self, name: str = "") -> str:
        """A new container; returns its name."""
        from holdfast.connect.objects import Options
        from holdfast.connect.objects.azure.asking import AzureCaller
        from holdfast.model import SystemClock

        name = name or f"raw-{secrets.token_hex(5)}"
        caller = AzureCaller(name, Options(endpoint=self.address, credentials=self.credentials), SystemClock())
        caller.ask("PUT", caller.base, {"restype": "container"}, None, b"")
        caller.close()
        return name
