"""A process of a step that outlives the Holdfast that began it: whoever takes the run up again on this host waits for it, reads what it
printed and how it ended, instead of starting it a second time.

Between Holdfast and the process stands a small one of its own (``supervisor``). What is known of both lies in files below the run's
folder, by the number of the event that began them: ``N.process`` (durable before the process can change anything), ``N.out`` and ``N.err``
(what it printed last, secrets taken out), ``N.ended`` (durable once it has ended).
"""

import codecs
import contextlib
import functools
import json
import os
import selectors
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from holdfast.model import Clock
from holdfast.runbooks.actions import supervisor
from holdfast.runbooks.actions.contract import RUN_MARK, STEP_MARK
from holdfast.runbooks.actions.output import Kept, kept
from holdfast.runbooks.actions.process import Ended
from holdfast.runbooks.actions.supervisor import GRACE, durable
from holdfast.state.process import birth

VERSION = 1
TICK = 0.2
SLACK = 30.0
"""Seconds after the end of a step's time in which its supervisor must have ended it; then it is done from here."""
SHOWN = 64 << 10
"""Bytes of what was printed since the last look that are shown to who looks on, at most."""
Printed = Callable[[str, str], None]
"""Told what a process prints while it runs: 'out' or 'err', and text without secrets."""
START = "import sys; sys.path.append(sys.argv[1]); from holdfast.runbooks.actions.supervisor import main; main()"
UNSEEN = "nobody saw how it ended: what watched over it was gone, and what was left of it was ended"
TORN = {
    "asked": "it was ended from outside while it was at work",
    "silent": "it was ended on its host, since nobody there said any more that the host drives the run",
}


@functools.cache
def machine() -> str:
    """The machine since its start, as processes here see each other; '' where that cannot be told (then nobody attaches)."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot} {Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return ""


def _lives(process: int, born: str) -> bool:
    return bool(born) and birth(process) == born


def _signal(process: int, born: str, how: int, *, group: bool = False) -> None:
    """To that very process (or the group that it leads), never to a later one of its number."""
    with contextlib.suppress(OSError):
        held = os.pidfd_open(process)
        try:
            if _lives(process, born):
                if group:
                    os.killpg(process, how)
                else:
                    signal.pidfd_send_signal(held, how)
        finally:
            os.close(held)


class Keeper:
    """Of one doing: the event ``n`` of a run whose files lie in ``folder``.

    ``attach``: nothing is started, what was started before is waited for. ``word``: a file in which this host says that it drives the run,
    and after how many seconds without a new word the process is ended.
    """

    def __init__(
        self, folder: Path, n: int, *, attach: bool = False, word: tuple[Path, float] | None = None, printed: Printed | None = None
    ) -> None:
        self._path = folder / str(n)
        self.attach = attach
        self._word = word
        self._printed = printed
        self.attached = False
        self.seconds: float | None = None
        """How long it took, where its end was seen."""
        self._at: dict[str, int] = {}
        self._texts: dict[str, codecs.IncrementalDecoder] = {}

    # ------------------------------------------------------------ what is known of it

    def record(self) -> Mapping[str, Any] | None:
        """``N.process``; None where there is none of this machine since its start."""
        said = self._read("process")
        here = machine()
        return said if said is not None and here and said.get("machine") == here and said.get("version") == VERSION else None

    def waits(self) -> bool:
        """Whether attaching makes sense: it ended with a status, or somebody watches over it who will write one."""
        said = self.record()
        return said is not None and (self._read("ended") is not None or _lives(said["supervisor"], said["supervisor_born"]))

    def processes(self) -> list[int]:
        """Those of the step and of who watches over it that live."""
        said = self.record() or {}
        named = (("process", "born"), ("supervisor", "supervisor_born"))
        return [said[name] for name, born in named if name in said and _lives(said[name], said[born])]

    def forget(self) -> None:
        """Its end is written down elsewhere."""
        for kind in ("process", "ended", "out", "err", "process.new", "ended.new"):
            with contextlib.suppress(OSError):
                self._file(kind).unlink(missing_ok=True)

    # ------------------------------------------------------------ running it

    def run(
        self,
        argv: Sequence[str],
        *,
        environment: Mapping[str, str],
        directory: Path,
        timeout: float,
        clock: Clock,
        secrets: Sequence[str] = (),
        began: Callable[[int], None] = lambda _process: None,
    ) -> Ended:
        """As ``process.run``; when interrupted, it and everything that it started is ended first. Once for each doing."""
        if self.attach:
            self.attached = True
            return self._waited(clock)
        path = self._path
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.forget()
        if any("\0" in text for pair in environment.items() for text in pair):
            raise ValueError("embedded null byte")
        said = {
            "argv": [_plain(word) for word in argv],
            "environment": {_plain(name): _plain(value) for name, value in environment.items()},
            "directory": _plain(str(directory)),
            "path": str(path.absolute()),
            "timeout": timeout,
            "secrets": list(secrets),
            "word": str(self._word[0].absolute()) if self._word else None,
            "silent": self._word[1] if self._word else None,
        }
        marks = {name: environment[name] for name in (RUN_MARK, STEP_MARK) if name in environment}
        watching = subprocess.Popen(
            [sys.executable, "-I", "-S", "-X", "utf8", "-c", START, str(Path(supervisor.__file__).resolve().parents[3])],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=marks,
            cwd="/",
            start_new_session=True,
        )
        assert watching.stdin is not None
        assert watching.stdout is not None
        with watching.stdout:
            try:
                try:
                    self._begin(watching, said, timeout, clock, began)
                finally:
                    with contextlib.suppress(OSError):
                        watching.stdin.close()
                self._watch(watching, clock)
            except BaseException:
                self.end(clock)
                watching.wait()
                raise
            watching.wait()
        return self._ended(clock)

    def _begin(
        self, watching: "subprocess.Popen[bytes]", said: Mapping[str, Any], timeout: float, clock: Clock, began: Callable[[int], None]
    ) -> None:
        assert watching.stdin is not None
        assert watching.stdout is not None
        watching.stdin.write(json.dumps(said).encode() + b"\n")
        watching.stdin.flush()
        told = watching.stdout.readline()
        if not told.strip().isdigit():
            raise OSError(0, "the process that is to watch over it ended at once")
        process = int(told)
        record = {
            "version": VERSION,
            "machine": machine(),
            "process": process,
            "born": birth(process),
            "supervisor": watching.pid,
            "supervisor_born": birth(watching.pid),
            "until": clock.monotonic() + timeout,
        }
        # Before it can change anything: from here on whoever comes finds it.
        durable(self._file("process"), record)
        watching.stdin.write(b"go\n")
        watching.stdin.flush()
        began(process)

    def _watch(self, watching: "subprocess.Popen[bytes]", clock: Clock) -> None:
        """Until the supervisor's end of the pipe is closed."""
        said = self.record() or {"until": clock.monotonic()}
        assert watching.stdout is not None
        # select(2) alone knows no descriptor above 1023.
        with selectors.DefaultSelector() as selector:
            selector.register(watching.stdout, selectors.EVENT_READ)
            while not selector.select(TICK if self._printed else SLACK):
                self._tell()
                if clock.monotonic() > said["until"] + 2 * GRACE + SLACK:
                    self.end(clock)
        self._tell()

    def _waited(self, clock: Clock) -> Ended:
        """By another process than the one that began it."""
        try:
            while (said := self.record()) is not None and self._read("ended") is None:
                if not _lives(said["supervisor"], said["supervisor_born"]):
                    break
                self._tell()
                if clock.monotonic() > said["until"] + 2 * GRACE + SLACK:
                    self.end(clock)
                clock.sleep(TICK)
        except BaseException:
            self.end(clock)
            raise
        self._tell()
        return self._ended(clock)

    def end(self, clock: Clock) -> None:
        """End it and everything that it started: by its supervisor, which writes that down; where that one does not answer, from here."""
        said = self.record()
        if said is None:
            return
        _signal(said["supervisor"], said["supervisor_born"], signal.SIGTERM)
        for how in (None, signal.SIGTERM, signal.SIGKILL):
            if how is not None:
                _signal(said["process"], said["born"], how, group=True)
            until = clock.monotonic() + 2 * GRACE + 1
            while self.processes() and clock.monotonic() < until:
                if how is None and not _lives(said["supervisor"], said["supervisor_born"]):
                    break  # nobody is there to do it
                clock.sleep(0.02)
        _signal(said["supervisor"], said["supervisor_born"], signal.SIGKILL)

    def _ended(self, clock: Clock) -> Ended:
        said = self._read("ended")
        if said is None:
            # What is told as interrupted is probed, and may be begun again: never beside itself.
            self.end(clock)
            return Ended(-1, False, kept(""), kept(""), None, torn=UNSEEN)
        if said["errno"] is not None:
            raise OSError(said["errno"], os.strerror(said["errno"]))
        self.seconds = float(said["seconds"])
        torn = TORN.get(said["why"], "")
        return Ended(int(said["code"]), said["why"] == "late", Kept.of(said["out"]), Kept.of(said["err"]), said["text"], torn=torn)

    # ------------------------------------------------------------ what it prints

    def _tell(self) -> None:
        if self._printed is None:
            return
        for name in ("out", "err"):
            for text in self._fresh(name):
                self._printed(name, text)

    def _fresh(self, name: str) -> Iterator[str]:
        """What came since the last look, the newest of it."""
        with contextlib.suppress(OSError):
            with self._file(name).open("rb") as file:
                size = os.fstat(file.fileno()).st_size
                at = self._at.get(name, 0)
                at = 0 if size < at else at  # it began anew
                file.seek(max(at, size - SHOWN))
                data = file.read(SHOWN)
                self._at[name] = file.tell()
            text = self._texts.setdefault(name, codecs.getincrementaldecoder("utf-8")("replace")).decode(data)
            if text:
                yield text

    # ------------------------------------------------------------ its files

    def _file(self, kind: str) -> Path:
        return self._path.with_name(f"{self._path.name}.{kind}")

    def _read(self, kind: str) -> dict[str, Any] | None:
        try:
            said = json.loads(self._file(kind).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        return said if isinstance(said, dict) else None


def _plain(text: str) -> str:
    """The bytes that the system is given, one character each."""
    return os.fsencode(text).decode("latin-1")
