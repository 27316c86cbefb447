"""Free ports on the loopback interface."""

import contextlib
import fcntl
import itertools
import os
import socket
import tempfile
from functools import cache
from pathlib import Path

FIRST, MANY = 10_000, 2_500
"""Where ports begin, and how many each worker of a test run has: below the kernel's range for outgoing connections."""
_steps = itertools.count(os.getpid())


def free_port() -> int:
    """A TCP port that is free and stays this process's own until it ends, also while the server that got it is down.

    Each worker has a range of its own, in steps: what is tested takes the next port that is free behind a server's.
    """
    first = FIRST + MANY * (int(os.environ.get("PYTEST_XDIST_WORKER", "gw7").removeprefix("gw")) % 8)
    for _ in range(MANY):
        port = first + next(_steps) * 7 % MANY
        if _ours(port) and _free(port):
            return port
    raise RuntimeError(f"no free port between {first} and {first + MANY}")


def _free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return True
    return False


_given: set[int] = set()


def _ours(port: int) -> bool:
    """A lock on one byte of a file that all test processes of this account share; it goes with the process."""
    if port in _given:
        return False
    try:
        fcntl.lockf(_locks(), fcntl.LOCK_EX | fcntl.LOCK_NB, 1, port)
    except OSError:
        return False
    _given.add(port)
    return True


@cache
def _locks() -> int:
    # Kept open: closing any descriptor of the file would release all locks.
    return os.open(Path(tempfile.gettempdir(), f"holdfast-test-ports-{os.geteuid()}"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
