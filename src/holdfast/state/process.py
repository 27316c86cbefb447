"""Which process did something, told apart from a later one with the same number."""

import functools
import os
import socket
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Process:
    """``born`` is the kernel's start time of the process in clock ticks (empty where it cannot be read), so that a reused pid is seen."""

    host: str
    pid: int
    born: str

    def alive(self, here: str) -> bool | None:
        """None when it ran on a host other than ``here``: nobody can tell from here."""
        if self.host != here:
            return None
        born = birth(self.pid)
        return born is not None and (not self.born or not born or born == self.born)


def current() -> Process:
    return Process(socket.gethostname(), os.getpid(), birth(os.getpid()) or "")


@functools.lru_cache(maxsize=1)
def boot() -> str:
    """Which boot of the machine this is: monotonic clocks compare only within one. '' where the system does not tell."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""


def birth(pid: int) -> str | None:
    """Start time of a running process; '' where only its existence is known; None when there is none (a zombie counts as gone)."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        if Path("/proc/self/stat").exists():
            return None
    except OSError:
        return None
    else:
        # The command name is in parentheses and may hold spaces and parentheses itself.
        fields = stat.rpartition(")")[2].split()
        return None if fields[0] in "ZX" else fields[19]
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return None
    except PermissionError:
        pass
    return ""
