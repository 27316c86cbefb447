"""Runs whose steps wait for heavy servers: nothing here breaks because a machine is loaded."""

import subprocess
import time

from tests.cli.running import PROGRAM, environment
from tests.runbooks.test_killed import Run as ShortRun

PATIENCE = 900


class Run(ShortRun):
    """As of the tests of kills, with more patience."""

    def __call__(self, *words: str) -> subprocess.CompletedProcess:
        return subprocess.run(
            [*PROGRAM, "runbook", *words, "--json"],
            cwd=self.folder,
            env=environment(self.folder, **self.env),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )


def until(condition, what):
    """Waits for a condition, never for a time."""
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, f"never: {what}"
        time.sleep(0.1)
