"""Small servers that hold everything in memory: one process on a free port, ended by the id it was started with."""

import atexit
import contextlib
import os
import subprocess
import time
import urllib.error
import urllib.request
import weakref
from collections.abc import Sequence
from typing import Self

from tests.servers.account import server_folder
from tests.servers.ports import free_port

_live: "weakref.WeakSet[LoopbackServer]" = weakref.WeakSet()


class LoopbackServer:
    """``endpoint``. Use as a context manager, or call ``remove()``. What is inherited says by which command it runs."""

    name = ""
    ready = "/"
    """A path that is answered, in whatever way, as soon as it runs."""

    def __init__(self) -> None:
        self.port = free_port()
        self.endpoint = f"http://127.0.0.1:{self.port}"
        self.folder = server_folder(self.name)
        self.process: subprocess.Popen[bytes] | None = None
        _live.add(self)

    def command(self) -> Sequence[str]:
        raise NotImplementedError

    def environment(self) -> dict[str, str]:
        """What is not for every eye in a list of processes."""
        return {}

    @classmethod
    def create(cls) -> Self:
        """Raises ServerMissing."""
        server = cls()
        server.start()
        return server

    def start(self, timeout: float = 120) -> None:
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                self.command(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.folder,
                env={"PATH": os.environ.get("PATH", "/usr/bin:/bin"), "HOME": str(self.folder), "TZ": "UTC", **self.environment()},
                start_new_session=True,
            )
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            if self.process.poll() is not None:
                raise RuntimeError(f"{self.name} ended with status {self.process.returncode} at start:\n{self.log_text()}")
            try:
                urllib.request.urlopen(self.endpoint + self.ready, timeout=2).close()
                return
            except urllib.error.HTTPError as error:
                error.close()
                return
            except OSError:
                time.sleep(0.05)
        raise TimeoutError(f"{self.name} not ready after {timeout} s:\n{self.log_text()}")

    def remove(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait(30)
        _live.discard(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.remove()

    def log_text(self) -> str:
        with contextlib.suppress(OSError):
            return (self.folder / "log").read_text(errors="replace")[-4000:]
        return ""


@atexit.register
def _remove_all() -> None:
    for server in list(_live):
        with contextlib.suppress(Exception):
            server.remove()
