"""Progress for people: bars with rate and time left on a terminal, sparse lines elsewhere. All on stderr."""

import contextlib
import sys
import threading
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Self, TextIO

if TYPE_CHECKING:
    from rich.progress import TaskID

    from holdfast.model import Progress

EVERY_S = 15.0


@contextlib.contextmanager
def progress(stderr: TextIO | None = None) -> "Iterator[Progress]":
    """A progress that shows itself while the block runs. Any thread may call it."""
    stream = stderr or sys.stderr
    if stream.isatty():
        with BarProgress(stream) as bars:
            yield bars
        return
    lines = LineProgress(stream)
    try:
        yield lines
    finally:
        lines.close()


class LineProgress:
    """One line when a phase begins, one when it ends, and one every EVERY_S seconds between."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._lock = threading.Lock()
        self._name = ""
        self._unit = "B"
        self._total: int | None = None
        self._done = 0
        self._began = self._told = 0.0

    def phase(self, name: str, total: int | None = None, unit: str = "B") -> None:
        with self._lock:
            self._end()
            self._name, self._total, self._unit, self._done = name, total, unit, 0
            self._began = self._told = time.monotonic()
            self._write(f"{name}{f': {amount(total, unit)}' if total else ''} …")

    def advance(self, amount: int) -> None:
        with self._lock:
            self._done += amount
            now = time.monotonic()
            if now - self._told >= EVERY_S:
                self._told = now
                self._write(self._state(now))

    def note(self, text: str) -> None:
        with self._lock:
            self._write(text)

    def close(self) -> None:
        """End the last phase."""
        with self._lock:
            self._end()

    def _state(self, now: float) -> str:
        passed = max(now - self._began, 1e-9)
        rate = self._done / passed
        text = f"{self._name}: {amount(self._done, self._unit)}"
        if self._total:
            text += f" of {amount(self._total, self._unit)} ({min(self._done / self._total, 1):.0%})"
        text += f", {amount(rate, self._unit)}/s"
        if self._total and rate > 0 and self._done < self._total:
            text += f", {(self._total - self._done) / rate:.0f} s left"
        return text

    def _end(self) -> None:
        if self._name and self._done:
            passed = time.monotonic() - self._began
            self._write(f"{self._name}: done, {amount(self._done, self._unit)} in {passed:.1f} s")
        self._name, self._done = "", 0

    def _write(self, text: str) -> None:
        with contextlib.suppress(BrokenPipeError):
            self._stream.write(text + "\n")
            self._stream.flush()


class BarProgress:
    """A bar for the current phase; ended ones stay above it."""

    def __init__(self, stream: TextIO) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
        from rich.progress import Progress as Bars

        self._bars: Bars = Bars(
            TextColumn("{task.description}"),
            BarColumn(bar_width=30),
            TextColumn("{task.fields[shown]}"),
            TimeElapsedColumn(),
            TimeRemainingColumn(compact=True),
            console=Console(file=stream, stderr=True),
        )
        self._lock = threading.Lock()
        self._task: TaskID | None = None
        self._unit = "B"
        self._total: int | None = None
        self._done = 0
        self._began = 0.0
        self._drawn = 0.0

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        with self._lock:
            self._end(whole=kind is None)
        self._bars.stop()

    def phase(self, name: str, total: int | None = None, unit: str = "B") -> None:
        with self._lock:
            self._end(whole=True)
            self._unit, self._total, self._done, self._began = unit, total, 0, time.monotonic()
            self._task = self._bars.add_task(name, total=total, shown="")

    def advance(self, amount: int) -> None:
        with self._lock:
            self._done += amount
            now = time.monotonic()
            if now - self._drawn > 0.1:
                self._drawn = now
                self._draw(now)

    def note(self, text: str) -> None:
        self._bars.console.print(text, markup=False, highlight=False)

    def _draw(self, now: float) -> None:
        if self._task is None:
            return
        rate = self._done / max(now - self._began, 1e-9)
        whole = f" of {amount(self._total, self._unit)}" if self._total else ""
        self._bars.update(self._task, completed=self._done, shown=f"{amount(self._done, self._unit)}{whole}, {amount(rate, self._unit)}/s")

    def _end(self, *, whole: bool) -> None:
        if self._task is not None:
            self._draw(time.monotonic())
            if whole:
                self._bars.update(self._task, total=self._total or self._done or 1, completed=self._total or self._done or 1)
            self._bars.stop_task(self._task)
        self._task = None


def amount(value: float, unit: str) -> str:
    """Bytes in binary units; anything else as a count with its noun, which is given in the plural."""
    if unit != "B":
        noun = unit if value != 1 else unit[:-3] + "y" if unit.endswith("ies") else unit.removesuffix("s")
        return f"{value:,.0f} {noun}"
    for name in ("B", "KiB", "MiB", "GiB"):
        if abs(value) < 1000:
            return f"{value:.0f} {name}" if name == "B" else f"{value:.3g} {name}"
        value /= 1024
    return f"{value:,.3g} TiB"
