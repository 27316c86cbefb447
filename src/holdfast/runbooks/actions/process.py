"""A process of a step: in a session of its own, with a time limit for all of it, its output bounded."""

import contextlib
import os
import selectors
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from holdfast.model import Clock
from holdfast.runbooks.actions.contract import RUN_MARK, STEP_MARK
from holdfast.runbooks.actions.output import Capture, Kept
from holdfast.runbooks.actions.supervisor import GRACE, LINGER


@dataclass(frozen=True, slots=True)
class Ended:
    """``code``: exit status, negative for a signal; ``late``: it was ended because its time was over. ``torn``: why nobody knows what it
    did, '' where it came to its own end or its time was over.
    """

    code: int
    late: bool
    out: Kept
    err: Kept
    text: str | None
    torn: str = ""


def run(
    argv: Sequence[str],
    *,
    environment: Mapping[str, str],
    directory: Path,
    timeout: float,
    clock: Clock,
    secrets: Sequence[str] = (),
    began: Callable[[int], None] = lambda _process: None,
) -> Ended:
    """Raises OSError when it cannot be started. When interrupted (Ctrl-C), everything it started is ended first.

    It does not outlive this process for long: into a pipe whose reader was killed a program writes once and dies of it. What changes
    something is run by ``kept.Keeper``.
    """
    process = subprocess.Popen(
        list(argv),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=dict(environment),
        cwd=directory,
        start_new_session=True,
    )
    out, err = Capture(secrets), Capture(secrets)
    try:
        began(process.pid)
        late = _watch(process, {process.stdout: out, process.stderr: err}, clock, clock.monotonic() + timeout)
    except BaseException:
        _end(process, clock)
        raise
    finally:
        for stream in (process.stdout, process.stderr):
            if stream:
                stream.close()
    kept_out, kept_err = out.end(), err.end()
    return Ended(process.returncode, late, kept_out, kept_err, out.whole)


def _watch(process: "subprocess.Popen[bytes]", streams: "dict[IO[bytes] | None, Capture]", clock: Clock, deadline: float) -> bool:
    gone: float | None = None
    with selectors.DefaultSelector() as selector:
        for stream, capture in streams.items():
            assert stream is not None
            os.set_blocking(stream.fileno(), False)
            selector.register(stream, selectors.EVENT_READ, capture)
        while selector.get_map():
            now = clock.monotonic()
            if gone is None and process.poll() is not None:
                gone = now
            if gone is not None and now - gone > LINGER:
                return False
            if gone is None and now > deadline:
                _end(process, clock)
                return True
            for key, _ in selector.select(0.05 if gone is None else LINGER / 10):
                data = os.read(key.fd, 1 << 16)
                if data:
                    key.data.feed(data)
                else:
                    selector.unregister(key.fileobj)
    try:
        process.wait(max(0.0, deadline - clock.monotonic()))
    except subprocess.TimeoutExpired:
        _end(process, clock)
        return True
    return False


def _end(process: "subprocess.Popen[bytes]", clock: Clock) -> None:
    """The whole session's group: first politely."""
    for how, patience in ((signal.SIGTERM, GRACE), (signal.SIGKILL, GRACE)):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, how)
        until = clock.monotonic() + patience
        while clock.monotonic() < until:
            if process.poll() is not None and not _group_lives(process.pid):
                return
            clock.sleep(0.02)
    process.wait(GRACE)


def _group_lives(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def marked(run_id: str, step: str | None = None) -> list[int]:
    """Processes on this host that a run (or one step of it) started, this one and those above it left out: they carry its mark in their
    environment, servers that it started on purpose as well. Where there is no ``/proc`` nothing can be seen.
    """
    wanted = {f"{RUN_MARK}={run_id}".encode(), *([f"{STEP_MARK}={step}".encode()] if step is not None else [])}
    own = _ancestors()
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        number = int(folder.name)
        if number in own:
            continue
        with contextlib.suppress(OSError):
            if wanted <= set((folder / "environ").read_bytes().split(b"\0")):
                found.append(number)
    return sorted(found)


def _ancestors() -> set[int]:
    found, number = set[int](), os.getpid()
    while number > 1 and number not in found:
        found.add(number)
        try:
            stat = Path(f"/proc/{number}/stat").read_text(encoding="utf-8", errors="replace")
        except OSError:
            break
        number = int(stat.rpartition(")")[2].split()[1])
    return found
