"""The parent's side of the process in which Great Expectations runs. One serves a whole run of Holdfast: loading it takes seconds."""

import atexit
import json
import os
import selectors
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping
from typing import Any

from holdfast.errors import MissingExtra
from holdfast.model import SystemClock
from holdfast.validation.expectations.errors import SuiteBroke

MEMORY = 2 << 30
"""Bytes that the process may allocate."""

# Every thread of the libraries takes memory for itself, however little it has to do.
_FEW_THREADS = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "2"}
_LOAD = 600.0
_lock = threading.Lock()
_kept: list["Worker"] = []


def ask(question: Mapping[str, Any], *, timeout: float | None = None, memory: int = MEMORY) -> dict[str, Any]:
    """The worker's answer. ``timeout`` in seconds. Raises MissingExtra, SuiteBroke; the worker is ended then."""
    with _lock:
        try:
            answer: dict[str, Any] = {}
            if not _kept:
                _kept.append(Worker())
                atexit.register(close)
                # What a check may take is counted without the loading.
                answer = _kept[0].ask({"ask": "load", "memory": memory}, _LOAD)
            if "error" not in answer:
                answer = _kept[0].ask({**question, "memory": memory}, timeout)
        except BaseException:
            close()
            raise
        if answer.get("kind") == "memory":
            # What it holds is not given back before its end.
            close()
    if answer.get("kind") == "missing":
        raise MissingExtra("expectations", "Judging by Great Expectations")
    if answer.get("kind") == "old":
        raise SuiteBroke(f"{answer['error']}.", hint="pip install 'holdfast[expectations]'")
    if answer.get("kind") == "memory":
        raise SuiteBroke(
            f"Great Expectations needs more than {memory >> 20} MiB here: {answer['error']}.",
            hint="Expectations about all distinct values of a column hold them all; leave those out for columns with many.",
        )
    if "error" in answer:
        raise SuiteBroke(f"Great Expectations failed: {answer['error']}")
    return answer


def close() -> None:
    """End the worker, if one runs."""
    while _kept:
        _kept.pop().close()


class Worker:
    """One process, ended with its parent: it reads to the end of its input."""

    def __init__(self) -> None:
        self._said = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the process
        # -P: what lies in the working directory is none of its libraries.
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-W", "ignore", "-m", "holdfast.validation.expectations.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._said,
            bufsize=0,
            env={**os.environ, **_FEW_THREADS},
            start_new_session=True,
        )
        self.pid = self._process.pid

    def ask(self, question: Mapping[str, Any], timeout: float | None) -> dict[str, Any]:
        """Raises SuiteBroke when no answer comes."""
        assert self._process.stdin is not None
        try:
            self._write(json.dumps(question).encode() + b"\n")
        except BrokenPipeError as error:
            raise self._broke() from error
        line = self._line(timeout)
        if not line:
            raise self._broke()
        answer: dict[str, Any] = json.loads(line)
        return answer

    def _write(self, data: bytes) -> None:
        assert self._process.stdin is not None
        left = memoryview(data)
        while left:
            left = left[os.write(self._process.stdin.fileno(), left) :]

    def _line(self, timeout: float | None) -> bytes:
        assert self._process.stdout is not None
        clock = SystemClock()
        end = clock.monotonic() + timeout if timeout else None
        parts: list[bytes] = []
        with selectors.DefaultSelector() as selector:
            selector.register(self._process.stdout, selectors.EVENT_READ)
            while True:
                left = None if end is None else end - clock.monotonic()
                if (left is not None and left <= 0) or not selector.select(left):
                    raise SuiteBroke(f"The suite took longer than {timeout:g} s.", hint="Give the check a longer timeout.")
                part = os.read(self._process.stdout.fileno(), 1 << 20)
                parts.append(part)
                if not part or part.endswith(b"\n"):
                    return b"".join(parts)

    def _broke(self) -> SuiteBroke:
        status = self._process.wait()
        self._said.seek(0)
        lines = self._said.read()[-4000:].decode(errors="replace").replace("\r", "\n").strip().splitlines()
        how, said = "by signal" if status < 0 else "with status", lines[-1][:300] if lines else "it said nothing"
        hint = "It may have needed more memory than it may take." if status < 0 else ""
        return SuiteBroke(f"Great Expectations ended {how} {abs(status)}: {said}", hint=hint)

    def close(self) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout, self._said):
            if stream is not None:
                stream.close()
