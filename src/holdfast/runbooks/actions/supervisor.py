"""Watches over one process of a step from a process of its own, so that the step outlives the Holdfast that began it.

A program by itself, started by ``kept.Keeper`` without site-packages (it imports next to nothing). It reads one line of JSON (``argv``
and ``environment`` as bytes in latin-1, ``directory``, ``path``, ``timeout``, ``secrets``, ``word``, ``silent``), forks, says the child's
number on its standard output, and lets the child go when it reads ``go``: by then whoever started it has written down which process that
is. Where ``go`` never comes, nothing was begun.

It takes the secrets out of what the child prints before any of it reaches a disk, keeps the newest in ``PATH.out`` and ``PATH.err`` (RING
bytes each at most), ends the child's group when its time is over, when it is asked to (SIGTERM), or when nobody says any more that this
host still drives the run (``word``, ``silent``); and writes how it ended into ``PATH.ended``, durably, as its last act.
"""

import contextlib
import json
import os
import selectors
import signal
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from holdfast.runbooks.actions.output import Capture

GRACE = 5.0
"""Seconds between the polite and the final signal."""
LINGER = 1.0
"""Seconds that output is still read after the process ended, where something it started holds the pipe open."""
RING = 1 << 20
"""Bytes of a stream that lie on the disk at most while it runs."""


class Ring:
    """A file that holds what was printed last; it begins anew when it is full. A disk that is full stops no step."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_CREAT | os.O_TRUNC | os.O_WRONLY | os.O_CLOEXEC, 0o600)
        self._size = 0

    def add(self, data: bytes) -> None:
        data = data[-RING:]
        with contextlib.suppress(OSError):
            if self._size + len(data) > RING:
                os.ftruncate(self._file, 0)
                os.lseek(self._file, 0, os.SEEK_SET)
                self._size = 0
            self._size += os.write(self._file, data)


class Word:
    """Whether somebody still says that this host drives the run; where nothing was asked for, always."""

    def __init__(self, path: str | None, silent: float | None) -> None:
        self._path, self._silent = path, silent
        self._last = time.monotonic()

    @property
    def every(self) -> float | None:
        """Seconds until it is to be looked at again."""
        return None if self._silent is None else max(self._silent / 20, 0.05)

    def over(self) -> bool:
        if self._path is None or self._silent is None:
            return False
        with contextlib.suppress(OSError, ValueError):
            # The clock of whoever wrote it is this one, as long as the machine runs.
            self._last = float(Path(self._path).read_text(encoding="ascii"))
        return time.monotonic() - self._last > self._silent


class Watched:
    """The child, from its fork to its end."""

    def __init__(self, said: Mapping[str, Any]) -> None:
        self._said = said
        # What cannot be watched is not begun.
        self._captures = [Capture(said["secrets"], Ring(Path(f"{said['path']}.{name}")).add) for name in ("out", "err")]
        self._out, self._err = os.pipe(), os.pipe()
        self._gate, self._failed = os.pipe(), os.pipe()
        self.code: int | None = None
        self.number = os.fork()
        if self.number == 0:
            self._become()
        for end in (self._out[1], self._err[1], self._gate[0], self._failed[1]):
            os.close(end)

    def _become(self) -> None:
        """In the child: wait until it is written down, then be the program."""
        try:
            os.setsid()
            os.close(self._gate[1])
            nothing = os.open(os.devnull, os.O_RDWR)
            for end, number in ((nothing, 0), (self._out[1], 1), (self._err[1], 2)):
                os.dup2(end, number)
            for number in (signal.SIGPIPE, signal.SIGXFSZ, signal.SIGTERM, signal.SIGCHLD):
                signal.signal(number, signal.SIG_DFL)
            signal.set_wakeup_fd(-1)
            if os.read(self._gate[0], 1) != b"!":
                os._exit(1)
            os.chdir(self._said["directory"].encode("latin-1"))
            argv = [word.encode("latin-1") for word in self._said["argv"]]
            environment = {name.encode("latin-1"): value.encode("latin-1") for name, value in self._said["environment"].items()}
            os.execvpe(argv[0], argv, environment)  # noqa: S606 - an argv, on purpose without a shell
        except OSError as error:
            os.write(self._failed[1], str(error.errno or 0).encode())
        finally:
            os._exit(127)

    def go(self) -> None:
        os.write(self._gate[1], b"!")
        os.close(self._gate[1])

    def never(self) -> None:
        os.close(self._gate[1])
        os.waitpid(self.number, 0)

    def unable(self) -> int | None:
        """Why it could not be started, as an errno; None where it was."""
        told = os.read(self._failed[0], 16)
        return int(told) if told else None

    def gone(self) -> bool:
        if self.code is None:
            number, status = os.waitpid(self.number, os.WNOHANG)
            if number:
                self.code = os.waitstatus_to_exitcode(status)
        return self.code is not None

    def signal(self, how: int) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.number, how)

    def others(self) -> bool:
        """Whether anything of its group is left."""
        try:
            os.killpg(self.number, 0)
        except ProcessLookupError:
            return False
        except PermissionError:
            return True
        return True

    def watch(self, wake: int, asked: list[bool]) -> tuple[str, Capture, Capture]:
        """Until its end. First: '' when it ended by itself, else why it was ended: 'late', 'asked', 'silent'."""
        captures, began = self._captures, time.monotonic()
        word = Word(self._said.get("word"), self._said.get("silent"))
        deadline, ending, next_signal, gone_at, killed = began + self._said["timeout"], "", 0.0, 0.0, 0
        with selectors.DefaultSelector() as selector:
            selector.register(wake, selectors.EVENT_READ)
            for end, capture in zip((self._out[0], self._err[0]), captures, strict=True):
                os.set_blocking(end, False)
                selector.register(end, selectors.EVENT_READ, capture)
            while True:
                now = time.monotonic()
                if not gone_at and self.gone():
                    gone_at = now
                # What two final signals do not end is not in anybody's power.
                if gone_at and (not ending or killed > 1 or not self.others()) and (len(selector.get_map()) == 1 or now - gone_at > LINGER):
                    return ending, captures[0], captures[1]
                if not ending and not gone_at:
                    ending = "asked" if asked else "late" if now > deadline else "silent" if word.over() else ""
                    if ending:
                        self.signal(signal.SIGTERM)
                        next_signal = now + GRACE
                elif ending and now > next_signal:
                    self.signal(signal.SIGKILL)
                    killed, next_signal = killed + 1, now + GRACE
                wait = 0.05 if gone_at or ending else min(max(deadline - now, 0.0) + 0.01, word.every or 3600.0)
                for key, _ in selector.select(wait):
                    if key.fd == wake:
                        os.read(wake, 4096)
                        continue
                    data = os.read(key.fd, 1 << 16)
                    if data:
                        key.data.feed(data)
                    else:
                        selector.unregister(key.fd)


def durable(path: Path, said: Mapping[str, Any]) -> None:
    """A small file of JSON, there as a whole or not at all, also after a power cut. Raises OSError."""
    new = path.with_name(path.name + ".new")
    file = os.open(new, os.O_CREAT | os.O_TRUNC | os.O_WRONLY | os.O_CLOEXEC, 0o600)
    with os.fdopen(file, "w", encoding="utf-8") as out:
        json.dump(said, out)
        out.flush()
        os.fsync(out.fileno())
    new.replace(path)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def write_down(path: str, ended: Mapping[str, Any]) -> None:
    """How it ended. On a full disk it is worth more than what was printed, which is in it anyway. Raises OSError."""
    try:
        durable(Path(f"{path}.ended"), ended)
    except OSError:
        for name in ("out", "err"):
            with contextlib.suppress(OSError):
                os.truncate(f"{path}.{name}", 0)
        durable(Path(f"{path}.ended"), ended)


def main() -> None:
    said = json.loads(sys.stdin.readline())
    wake, woken = os.pipe()
    for end in (wake, woken):
        os.set_blocking(end, False)
    asked: list[bool] = []
    # Set before there is a child: neither its end nor a request is missed.
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.signal(signal.SIGTERM, lambda *_: asked.append(True))
    signal.set_wakeup_fd(woken, warn_on_full_buffer=False)
    watched = Watched(said)
    began = time.monotonic()
    with contextlib.suppress(OSError):
        os.write(1, f"{watched.number}\n".encode())
    if sys.stdin.readline() != "go\n":
        watched.never()
        return
    watched.go()
    ending, out, err = watched.watch(wake, asked)
    ended = {
        "code": watched.code,
        "errno": watched.unable(),
        "why": ending,
        "seconds": round(time.monotonic() - began, 3),
        "out": out.end().to_json(),
        "err": err.end().to_json(),
        "text": out.whole,
    }
    write_down(said["path"], ended)
