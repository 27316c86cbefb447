"""A machine of the demonstration: a folder with a home of its own, on which Holdfast is run as a person would run it."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from holdfast.errors import FoundWrong
from holdfast.model import Clock

# A child that the kernel ends with its parent, where the kernel can: a killed demonstration leaves nothing that runs.
TIED = """
import ctypes, os, sys
if sys.platform == "linux":
    ctypes.CDLL(None).prctl(1, 9)
os.execv(sys.argv[1], sys.argv[1:])
"""


class DemoCommandFailed(FoundWrong):
    """A command that the demonstration runs ended otherwise than it should."""

    code = "demo-command-failed"


class Machine:
    """``folder/home`` is its account's home; nothing of the caller's own state, plan or key is seen by what runs here."""

    def __init__(self, folder: Path, clock: Clock, given: Mapping[str, str]) -> None:
        self.folder = folder
        self.home = folder / "home"
        self._clock = clock
        self._given = dict(given)
        folder.mkdir(mode=0o711, parents=True)
        self.home.mkdir(mode=0o700)

    @property
    def plan(self) -> Path:
        return self.home / "holdfast.yaml"

    @property
    def environ(self) -> dict[str, str]:
        """Small and predictable. Programs of this very installation come first."""
        return {
            "PATH": f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin",
            "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
            "HOME": str(self.home),
            "LANG": "C.UTF-8",
            "TMPDIR": str(self.folder.parent),
            "HOLDFAST_STATE": str(self.home / "state"),
            "HOLDFAST_CACHE": str(self.home / "cache"),
            "HOLDFAST_PLAN": str(self.plan),
            **self._given,
        }

    def ask(self, *words: str, status: tuple[int, ...] = (0,), planless: bool = False) -> dict[str, Any]:
        """Run ``holdfast … --json`` there; what it printed. Raises DemoCommandFailed for another exit status than ``status``."""
        environ = self.environ
        if planless:
            del environ["HOLDFAST_PLAN"]
        done = subprocess.run(
            [*self.program, *words, "--json"],
            cwd=self.home,
            env=environ,
            capture_output=True,
            text=True,
            check=False,
            stdin=subprocess.DEVNULL,
        )
        if done.returncode not in status:
            raise DemoCommandFailed(
                f"holdfast {' '.join(words)} ended with {done.returncode}: {(done.stderr or done.stdout).strip()[-1500:]}",
                hint="This is a defect of the demonstration or of Holdfast: please report it.",
            )
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    def begin(self, words: list[str], log: str) -> "subprocess.Popen[bytes]":
        """A program that goes on; its output goes into the file ``log``. It dies with the demonstration at the latest."""
        with (self.folder / log).open("ab") as out:
            tied = [sys.executable, "-c", TIED, *words]
            return subprocess.Popen(tied, cwd=self.home, env=self.environ, stdin=subprocess.DEVNULL, stdout=out, stderr=out)

    @property
    def program(self) -> list[str]:
        return [sys.executable, "-m", "holdfast.interfaces.cli.main"]


def end(process: "subprocess.Popen[bytes]", how: int = signal.SIGKILL, timeout: float = 60) -> None:
    """By the number it was started with. May be called twice."""
    if process.poll() is None:
        process.send_signal(how)
        try:
            process.wait(timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(timeout)
