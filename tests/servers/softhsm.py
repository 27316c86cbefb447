"""SoftHSM2, a security module in software: a token in a folder of the test's own, reached by PKCS#11 like any other."""

import os
import subprocess
from pathlib import Path

from tests.servers.need import ServerMissing

_LIBRARIES = ("/usr/lib/softhsm/libsofthsm2.so", "/usr/lib64/softhsm/libsofthsm2.so", "/usr/local/lib/softhsm/libsofthsm2.so")
PIN, OFFICER = "hen house", "fox house"


class SoftHsm:
    """The library reads its configuration when it is first loaded, so processes that use a token get ``environment``."""

    def __init__(self, folder: Path) -> None:
        self.library = next((path for path in _LIBRARIES if Path(path).exists()), "")
        if not self.library or not Path("/usr/bin/softhsm2-util").exists():
            raise ServerMissing("SoftHSM2 is not here: make services (apt-get install softhsm2)")
        self.folder = folder
        (folder / "tokens").mkdir(parents=True)
        config = folder / "softhsm2.conf"
        config.write_text(f"directories.tokendir = {folder / 'tokens'}\nobjectstore.backend = file\nlog.level = ERROR\n")
        self.environment = {**os.environ, "SOFTHSM2_CONF": str(config)}

    def token(self, label: str) -> None:
        subprocess.run(
            ["softhsm2-util", "--init-token", "--free", "--label", label, "--pin", PIN, "--so-pin", OFFICER],
            env=self.environment,
            check=True,
            capture_output=True,
        )
