"""A terminal as a whole: taken over and always given back. Only lines that changed are sent, which a slow connection can bear."""

import contextlib
import os
import select
import termios
import tty
from typing import Any, Self

ENTER = "\x1b[?1049h\x1b[?25l\x1b[?2004h\x1b[2J"
LEAVE = "\x1b[?2004l\x1b[?25h\x1b[?1049l"


class Screen:
    """``keys`` and ``out`` are open descriptors of a terminal. Ctrl-C still interrupts; Ctrl-Z, which would leave the run stopped with
    its lease held and the terminal unusable, and Ctrl-S, which would freeze the screen, do nothing.
    """

    def __init__(self, keys: int, out: int) -> None:
        self.keys, self.out = keys, out
        self._before: Any = None
        self._shown: list[str] = []
        self._size = (0, 0)

    def __enter__(self) -> Self:
        self._before = termios.tcgetattr(self.keys)
        try:
            tty.setcbreak(self.keys, termios.TCSANOW)
            mode = termios.tcgetattr(self.keys)
            mode[0] &= ~(termios.IXON | termios.ICRNL)
            mode[6][termios.VSUSP] = b"\0"
            with contextlib.suppress(AttributeError):
                mode[6][termios.VDISCARD] = b"\0"  # type: ignore[attr-defined, unused-ignore]  # Ctrl-O
            termios.tcsetattr(self.keys, termios.TCSANOW, mode)
            self._send(ENTER)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """The terminal may be gone."""
        with contextlib.suppress(OSError):
            self._send(LEAVE)
        if self._before is not None:
            with contextlib.suppress(termios.error, OSError):
                termios.tcsetattr(self.keys, termios.TCSANOW, self._before)

    def size(self) -> tuple[int, int]:
        """(columns, lines) now."""
        try:
            found = os.get_terminal_size(self.out)
        except OSError:
            return 80, 24
        return found.columns or 80, found.lines or 24

    def again(self) -> None:
        """Send everything the next time."""
        self._shown = []

    def show(self, lines: list[str], size: tuple[int, int]) -> None:
        """Make the terminal show these lines. Raises OSError when it is gone."""
        parts = []
        if size != self._size or not self._shown:
            parts.append("\x1b[0m\x1b[2J")
            self._shown, self._size = [], size
        for number, line in enumerate(lines):
            if number >= len(self._shown) or self._shown[number] != line:
                parts.append(f"\x1b[{number + 1};1H{line}\x1b[0m\x1b[K")
        self._shown = list(lines)
        if parts:
            self._send("".join(parts))

    def read(self, seconds: float, *others: int) -> bytes | None:
        """What was typed within that time; b'' for nothing, None when the terminal is gone. A byte on ``others`` ends the wait."""
        ready = select.select([self.keys, *others], [], [], seconds)[0]
        if self.keys not in ready:
            return b""
        try:
            return os.read(self.keys, 4096) or None
        except OSError:
            return None

    def _send(self, text: str) -> None:
        data = text.encode("utf-8", "replace")
        while data:
            data = data[os.write(self.out, data) :]
