"""Free ports on the loopback interface."""

import os
import socket

_given: set[int] = set()


def free_port() -> int:
    """A TCP port that was free a moment ago and was not handed out before by this process.

    Below the kernel's range for outgoing connections, and spread by process id, so that two test processes seldom meet.
    """
    for attempt in range(2000):
        port = 10_000 + (os.getpid() * 101 + len(_given) * 7 + attempt * 13) % 20_000
        if port in _given:
            continue
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        _given.add(port)
        return port
    raise RuntimeError("no free port between 10000 and 30000")
