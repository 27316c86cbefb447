"""A terminal with a program in it: what it shows is read off the bytes that the program sends, and keys are typed into it."""

import contextlib
import fcntl
import os
import re
import signal
import struct
import subprocess
import termios
import threading
import time

from tests.cli.running import PROGRAM, environment

PATIENCE = 240.0
_PIECE = re.compile(rb"\x1b\[([0-9;?]*)([A-Za-z])|\x1b.|[\x80-\xff]+|[\x20-\x7e]+|[\x00-\x1f]")


class Terminal:
    """``held``: nothing is read from the program any more, as on a line that hangs."""

    def __init__(self, folder, *words, columns=100, lines=30, **env) -> None:
        self.ours, theirs = os.openpty()
        self.columns, self.lines = columns, lines
        self._set(columns, lines)
        self.before = termios.tcgetattr(theirs)
        self.theirs = theirs
        self.grid: dict[int, str] = {}
        self.row, self.other, self.sent = 1, False, 0
        self.raw = bytearray()
        self.lock = threading.Lock()
        self.go = threading.Event()
        self.go.set()

        given = environment(folder, TERM="xterm", **env)
        # A session of its own with this terminal, so that Ctrl-C reaches it.
        self.process = subprocess.Popen(
            ["setsid", "--ctty", *PROGRAM, *words], cwd=folder, env=given, stdin=theirs, stdout=theirs, stderr=theirs
        )
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _set(self, columns, lines):
        fcntl.ioctl(self.ours, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    def resize(self, columns, lines):
        with self.lock:
            self.columns, self.lines = columns, lines
            self.grid = {}
        self._set(columns, lines)

    def _read(self):
        while True:
            self.go.wait()
            try:
                data = os.read(self.ours, 65536)
            except OSError:
                return
            if not data:
                return
            with self.lock:
                self.raw += data
                self._show(data)

    def _show(self, data):
        """What the program uses of a terminal; text outside of the other screen is kept in ``raw`` alone."""
        for found in _PIECE.finditer(data):
            numbers, letter = found.group(1), found.group(2)
            if letter == b"h" and numbers == b"?1049":
                self.other, self.grid = True, {}
            elif letter == b"l" and numbers == b"?1049":
                self.other = False
            elif letter == b"J":
                self.grid = {}
            elif letter == b"H":
                self.row = int((numbers or b"1").split(b";")[0])
                self.grid[self.row] = ""
            elif letter is None and self.other and not found.group().startswith(b"\x1b"):
                self.grid[self.row] = self.grid.get(self.row, "") + found.group().decode("utf-8", "replace")

    @property
    def screen(self) -> str:
        with self.lock:
            return "\n".join(self.grid.get(number, "").rstrip() for number in range(1, self.lines + 1))

    def wait(self, test, what=""):
        """Until the screen passes; fails when the program ends or after minutes."""
        end = time.monotonic() + PATIENCE
        while not test(self.screen):
            assert self.process.poll() is None, f"it ended: {bytes(self.raw[-3000:]).decode(errors='replace')}"
            assert time.monotonic() < end, f"never: {what}\n{self.screen}"
            time.sleep(0.02)
        return self.screen

    def see(self, *texts):
        return self.wait(lambda shown: all(text in shown for text in texts), str(texts))

    def left(self, *texts) -> str:
        """What stands there after the screen was given back, once it says ``texts``."""
        end = time.monotonic() + PATIENCE
        while True:
            with self.lock:
                after = bytes(self.raw).rpartition(b"\x1b[?1049l")[2].decode(errors="replace")
            if all(text in after for text in texts):
                return after
            assert time.monotonic() < end, f"never: {texts}\n{after}"
            time.sleep(0.02)

    def type(self, text):
        os.write(self.ours, text.encode())

    def ended(self) -> int:
        return self.process.wait(PATIENCE)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.go.set()
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.process.pid, signal.SIGKILL)
        self.process.wait()
        for end in (self.theirs, self.ours):
            with contextlib.suppress(OSError):
                os.close(end)
        self.reader.join(10)
