"""Asks for runs of the program (see warm.py), and waits for them as ``subprocess.run`` does."""

import atexit
import contextlib
import io
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

WARM = Path(__file__).with_name("warm.py")
WORDS = [sys.executable, "-m", "holdfast.interfaces.cli.main"]
# What Python and the loader of programs read before anything else: a run that is given another value starts in full.
EARLY = ("PYTHON", "LD_", "LC_", "LANG", "OPENBLAS", "MALLOC")
READY = b"ready"


class Warm:
    """The process that was started once, with ``environ``. Where it cannot be (``ready``), every run starts in full."""

    def __init__(self) -> None:
        self.environ = {name: os.environ[name] for name in ("PATH", "LANG", "LC_ALL") if name in os.environ}
        self.environ["PYTHONDONTWRITEBYTECODE"] = "1"
        self.control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.process = subprocess.Popen(
            [sys.executable, str(WARM), str(theirs.fileno())],
            env={**self.environ, "OPENBLAS_NUM_THREADS": "1", "PYDANTIC_DISABLE_PLUGINS": "1"},  # as the program has it for itself
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            cwd="/",
        )
        theirs.close()
        self.ready = self.control.recv(16) == READY

    def fits(self, env: Mapping[str, str]) -> bool:
        def early(of: Mapping[str, str]) -> dict[str, str]:
            return {name: value for name, value in of.items() if name.startswith(EARLY) and name != "PYTHONDONTWRITEBYTECODE"}

        return self.ready and self.process.poll() is None and early(env) == early(self.environ)

    def end(self) -> None:
        self.control.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(60)

    def run(
        self, words: Sequence[str], cwd: Path, env: Mapping[str, str], stdin: str | None, timeout: float
    ) -> subprocess.CompletedProcess[str]:
        ours, theirs = socket.socketpair()
        outputs = [os.pipe(), os.pipe()]
        reading, writing = os.pipe() if stdin is not None else (os.open(os.devnull, os.O_RDONLY), -1)
        streams = [reading, *(end for _, end in outputs)]
        try:
            socket.send_fds(self.control, [b"run"], [theirs.fileno(), *streams])
        finally:
            theirs.close()
            for end in streams:
                os.close(end)
        said = [_Reader(end) for end, _ in outputs]
        if stdin is not None:
            threading.Thread(target=_write, args=(writing, stdin.encode()), daemon=True).start()
        umask = os.umask(0o022)
        os.umask(umask)
        order = {"words": list(words), "cwd": str(cwd), "env": dict(env), "umask": umask}
        with ours, ours.makefile("rb") as told:
            ours.sendall(json.dumps(order).encode() + b"\n")
            pid = int(told.readline())
            end = time.monotonic() + timeout
            ours.settimeout(timeout)
            try:
                status = int(told.readline())
            except TimeoutError:
                _kill(pid)
                raise subprocess.TimeoutExpired([*WORDS, *words], timeout) from None
        for one in said:
            one.join(max(end - time.monotonic(), 0.0))
            if one.is_alive():
                raise subprocess.TimeoutExpired([*WORDS, *words], timeout)
        out, err = (one.text() for one in said)
        return subprocess.CompletedProcess([*WORDS, *words], status, out, err)


class _Reader(threading.Thread):
    """Reads a pipe to its end: who holds it open is waited for."""

    def __init__(self, end: int) -> None:
        super().__init__(daemon=True)
        self.data = b""
        self.end = end
        self.start()

    def run(self) -> None:
        with os.fdopen(self.end, "rb") as file:
            self.data = file.read()

    def text(self) -> str:
        return io.TextIOWrapper(io.BytesIO(self.data)).read()


def _write(end: int, data: bytes) -> None:
    with contextlib.suppress(BrokenPipeError), os.fdopen(end, "wb") as file:
        file.write(data)


def _kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


_warm: Warm | None = None
_lock = threading.Lock()


def ran(
    words: Sequence[str], cwd: Path, env: Mapping[str, str], *, stdin: str | None = None, timeout: float = 120
) -> subprocess.CompletedProcess[str]:
    """``holdfast`` with these words, in a process of its own, to its end. Raises subprocess.TimeoutExpired."""
    global _warm  # noqa: PLW0603
    with _lock:
        if _warm is None:
            _warm = Warm()
            atexit.register(_warm.end)
    if _warm.fits(env):
        return _warm.run(words, cwd, env, stdin, timeout)
    given = {"input": stdin} if stdin is not None else {"stdin": subprocess.DEVNULL}
    return subprocess.run([*WORDS, *words], cwd=cwd, env=dict(env), capture_output=True, text=True, timeout=timeout, check=False, **given)
