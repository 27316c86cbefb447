"""New clusters without running initdb each time: one is made for each kind, then copied and given an identity of its own."""

import atexit
import re
import secrets
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

from holdfast.systems.postgres import controlfile
from tests.servers.account import service_account

_made: dict[tuple[str, ...], Path] = {}
_lock = threading.Lock()

SYSTEM_AT_IN_SEGMENT = 24
"""Where a segment's first page header names the system (xlp_sysid, xlog_internal.h)."""


def lay_down(kind: tuple[str, ...], data: Path, initdb: Callable[[Path], None]) -> None:
    """``data`` becomes a fresh cluster, as ``initdb`` makes one of this ``kind``, with a system identifier that no other has."""
    with _lock:
        template = _made.get(kind)
        if template is None:
            # Stays with the process: one test's folders go with the test.
            folder = Path(tempfile.mkdtemp(prefix="hf-initdb-", dir=data.parent.parent))
            service_account().own(folder)
            folder.chmod(0o755)
            atexit.register(shutil.rmtree, folder, ignore_errors=True)
            template = folder / "data"
            initdb(template)
            _made[kind] = template
    subprocess.run(["cp", "-a", "--reflink=auto", str(template), str(data)], check=True, capture_output=True)
    identify(data, int(time.time()) << 32 | secrets.randbits(32))


def identify(data: Path, system: int) -> None:
    """Writes a system identifier into the control file, with its CRC, and into the WAL segments of a cluster that never ran."""
    number = system.to_bytes(8, "little")
    with (data / controlfile.PATH).open("r+b") as file:
        before = file.read()
        content = number + before[8:]
        at = next(at for at in (288, 292) if controlfile.crc32c(before[:at]) == int.from_bytes(before[at : at + 4], "little"))
        file.seek(0)
        file.write(content[:at] + controlfile.crc32c(content[:at]).to_bytes(4, "little") + content[at + 4 :])
    for segment in (data / "pg_wal").iterdir():
        if re.fullmatch("[0-9A-F]{24}", segment.name):
            with segment.open("r+b") as file:
                file.seek(SYSTEM_AT_IN_SEGMENT)
                file.write(number)
