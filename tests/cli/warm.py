"""Runs of the program by a process that has read all of it already: reading it takes most commands longer than what they do.

Each run is a process of its own, forked from one that did nothing but import. What it is given, it has as a fresh one has: words, folder,
environment, the three streams, umask; it ends by itself or by a signal. Where the start itself matters (PROGRAM), it is made in full.

A request is one message with four descriptors: a connection of its own, and the streams. On it come the words as JSON, and go back the
process id and, when it ended, its status as ``os.waitstatus_to_exitcode`` gives it, a line each.
"""

import array
import contextlib
import gc
import importlib
import json
import os
import pkgutil
import select
import signal
import socket
import sys
import time
from pathlib import Path
from typing import Any

HEAVY = ("holdfast.demo", "holdfast.validation.expectations._", "holdfast.assembly.executor")
DRIVERS = ("psycopg",)
LATEST = 4096
"""The length of a request's own message: nothing but its descriptors counts."""


def serve(control: socket.socket) -> int:
    """Until nobody holds the other end; in each forked process, what its run ended with."""
    import_all()
    os.close(os.pidfd_open(os.getpid()))  # fails here where it is not to be had
    control.send(b"ready")
    running: dict[int, tuple[int, socket.socket]] = {}  # by descriptor of the process
    poll = select.poll()
    poll.register(control, select.POLLIN)
    while True:
        for ready, _ in poll.poll():
            if ready != control.fileno():
                poll.unregister(ready)
                pid, asker = running.pop(ready)
                os.close(ready)
                tell(asker, os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
                asker.close()
                continue
            given = received(control)
            if not given:
                return 0
            connection, *streams = given
            asker = socket.socket(fileno=connection)
            pid = os.fork()
            if pid == 0:
                control.close()
                for watched, (_, other) in running.items():
                    os.close(watched)
                    other.close()
                return become(asker, streams)
            for number in streams:
                os.close(number)
            tell(asker, pid)
            watched = os.pidfd_open(pid)
            running[watched] = pid, asker
            poll.register(watched, select.POLLIN)


def import_all() -> None:
    """All of the program but what only a few commands need. A thread would not be there in a fork, so there must be none."""
    import holdfast

    for name in DRIVERS:
        importlib.import_module(name)
    for module in pkgutil.walk_packages(holdfast.__path__, "holdfast."):
        if not module.name.startswith(HEAVY) and not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    tasks = list(Path("/proc/self/task").iterdir())
    assert len(tasks) == 1, "a process with threads must not fork"
    gc.collect()
    gc.freeze()


def become(asker: socket.socket, streams: list[int]) -> int:
    """A run of the program."""
    with asker.makefile("rb") as file:
        order: dict[str, Any] = json.loads(file.readline())
    asker.close()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    os.chdir(order["cwd"])
    os.umask(order["umask"])
    os.environ.clear()
    os.environ.update(order["env"])
    time.tzset()
    from holdfast.interfaces.cli import main

    sys.argv = [str(main.__file__), *order["words"]]
    return main.main()


def received(control: socket.socket) -> list[int]:
    """The descriptors of the next request; none at the end."""
    room = array.array("i", [0] * 4)
    _, found, _, _ = control.recvmsg(LATEST, socket.CMSG_SPACE(len(room) * room.itemsize), socket.MSG_CMSG_CLOEXEC)
    numbers = array.array("i")
    for level, kind, data in found:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            numbers.frombytes(data)
    return list(numbers)


def tell(asker: socket.socket, number: int) -> None:
    """Who asked may have gone."""
    with contextlib.suppress(OSError):
        asker.sendall(f"{number}\n".encode())


if __name__ == "__main__":
    # A Ctrl-C is meant for the runs and for who asked, which ends and closes the connection.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    sys.exit(serve(socket.socket(fileno=int(sys.argv[1]))))
