"""What the world outside gives to every room: the clock and progress, injected so that tests decide them."""

import datetime as dt
import time
from typing import Protocol


class Clock(Protocol):
    """Wall-clock time for records, monotonic time for durations. Nothing below ``interfaces`` reads the clock another way."""

    def now(self) -> dt.datetime:
        """The present moment, aware, in UTC."""
        ...

    def monotonic(self) -> float:
        """Seconds since an arbitrary start; never steps back."""
        ...

    def sleep(self, seconds: float) -> None: ...


class SystemClock:
    """The machine's own clock."""

    def now(self) -> dt.datetime:
        return dt.datetime.now(dt.UTC)

    def monotonic(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


class Progress(Protocol):
    """Receives progress from any thread. Implementations are cheap: they may be called hundreds of times a second."""

    def phase(self, name: str, total: int | None = None, unit: str = "B") -> None:
        """A new phase begins; ``total`` in ``unit`` ('B' or a plural noun), None when unknown."""
        ...

    def advance(self, amount: int) -> None: ...

    def note(self, text: str) -> None:
        """One line worth showing: what was decided or found."""
        ...


class Silent:
    """Progress that nobody watches."""

    def phase(self, name: str, total: int | None = None, unit: str = "B") -> None:
        pass

    def advance(self, amount: int) -> None:
        pass

    def note(self, text: str) -> None:
        pass
