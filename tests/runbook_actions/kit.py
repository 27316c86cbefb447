"""Runs whose steps wait for heavy servers: nothing here breaks because a machine is loaded."""

import subprocess
import time

from tests.cli.asking import ran
from tests.cli.running import environment
from tests.runbooks.test_killed import Run as ShortRun

PATIENCE = 900


class Run(ShortRun):
    """As of the tests of kills, with more patience."""

    def __call__(self, *words: str) -> subprocess.CompletedProcess:
        return ran(["runbook", *words, "--json"], self.folder, environment(self.folder, **self.env), timeout=PATIENCE)


def until(condition, what):
    """Waits for a condition, never for a time."""
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, f"never: {what}"
        time.sleep(0.1)
