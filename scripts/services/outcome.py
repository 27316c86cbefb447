"""What came of getting one service."""

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Outcome:
    name: str
    there: bool
    detail: str

    def __str__(self) -> str:
        return f"{'ok     ' if self.there else 'MISSING'} {self.name:<14} {self.detail}"


def run(command: Sequence[str | Path], *, environment: dict[str, str] | None = None, timeout: float = 3000) -> str:
    """Runs a command; returns "" when it did its work, else the end of what it printed."""
    try:
        done = subprocess.run(
            [str(word) for word in command],
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=timeout,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    if done.returncode == 0:
        return ""
    lines = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()]
    return " / ".join(lines[-4:]) or f"status {done.returncode}"
