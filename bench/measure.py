"""One timed run of a program: wall time, CPU seconds and the peak of memory of its own, all over the process tree."""

import contextlib
import os
import resource
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.servers import Account

INTERVAL = 0.02


@dataclass(frozen=True)
class Run:
    """``seconds`` of wall time, ``cpu`` seconds (user and system, of the program and every child it waited for),
    ``anonymous`` peak in bytes (sum of RssAnon and RssShmem over the tree, looked at every 20 ms), ``output`` what it printed."""

    seconds: float
    cpu: float
    anonymous: int
    output: str


class RunFailed(RuntimeError):
    """A program ended with a status other than 0."""


def run(
    command: Sequence[str | Path],
    account: Account,
    home: Path,
    *,
    environment: Mapping[str, str] | None = None,
    statuses: Sequence[int] = (0,),
) -> Run:
    """Runs a command as the account and measures it. The page cache stays warm; what others wrote is on disk before the clock starts."""
    os.sync()
    words = [str(word) for word in command]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    started = time.perf_counter()
    process = subprocess.Popen(
        words,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        cwd=home,
        env={**account.environment(home), **(environment or {})},
        **account.popen,
    )
    watcher = Watcher(process.pid)
    watcher.start()
    output, _ = process.communicate()
    seconds = time.perf_counter() - started
    watcher.stop()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    text = output.decode(errors="replace")
    if process.returncode not in statuses:
        raise RunFailed(f"{' '.join(words)} ended with status {process.returncode}:\n{text[-4000:]}")
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Run(seconds, cpu, watcher.peak, text)


class Watcher(threading.Thread):
    """Watches the anonymous memory of a process and all below it."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self.pid = pid
        self.peak = 0
        self._end = threading.Event()

    def run(self) -> None:
        while not self._end.wait(INTERVAL):
            self.peak = max(self.peak, anonymous(tree(self.pid)))

    def stop(self) -> None:
        self._end.set()
        self.join()


def tree(pid: int) -> list[int]:
    """A process and its descendants, by the kernel's own lists of children."""
    found, waiting = [], [pid]
    while waiting:
        one = waiting.pop()
        found.append(one)
        with contextlib.suppress(OSError):
            for task in Path(f"/proc/{one}/task").iterdir():
                waiting += map(int, (task / "children").read_text().split())
    return found


def anonymous(pids: Sequence[int]) -> int:
    """Bytes of resident memory that no file backs, shared or not: mapped files are the page cache's and are not counted."""
    total = 0
    for pid in pids:
        with contextlib.suppress(OSError, IndexError):
            status = Path(f"/proc/{pid}/status").read_text()
            total += sum(int(status.split(f"{name}:")[1].split()[0]) for name in ("RssAnon", "RssShmem")) * 1024
    return total


def cpu_seconds(pids: Sequence[int]) -> float:
    """User and system seconds that living processes have used so far, with the children they waited for."""
    ticks = 0
    for pid in pids:
        with contextlib.suppress(OSError, IndexError):
            fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
            ticks += sum(map(int, fields[11:15]))
    return ticks / os.sysconf("SC_CLK_TCK")


def stored(folder: Path) -> int:
    """Bytes of all files below a folder, by their sizes."""
    return sum(path.lstat().st_size for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
