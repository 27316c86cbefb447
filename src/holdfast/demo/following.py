"""The follower, in a thread of its own, and what it said of itself."""

import threading
from collections.abc import Callable
from typing import Any

from holdfast.model import Clock


class Following:
    """``make(on_status)`` builds a follower with ``run``, ``stop``, ``close`` and ``durable``. ``samples``: (monotonic seconds, status)."""

    def __init__(self, make: Callable[[Callable[[Any], None]], Any], clock: Clock) -> None:
        self.samples: list[tuple[float, Any]] = []
        self.error: BaseException | None = None
        self._clock = clock
        self._streaming = threading.Event()
        self._follower = make(self._said)
        self._thread = threading.Thread(target=self._run, name="follow", daemon=True)

    def start(self, timeout: float = 30) -> None:
        """Returns when it streams. Raises what it ended with, or TimeoutError."""
        self._thread.start()
        if not self._streaming.wait(timeout) or self.error:
            raise self.error or TimeoutError(f"following did not begin within {timeout:.0f} s")

    def stop(self, timeout: float = 30) -> None:
        """Ask it to end, and wait until everything received is durable. Raises what it ended with."""
        if self._thread.is_alive():
            self._follower.stop()
            self._thread.join(timeout)
        if self.error:
            raise self.error

    @property
    def durable(self) -> int | None:
        """The log position up to which the vault holds everything."""
        at = self._follower.durable
        return None if at is None else int(at[1])

    def wait_for(self, position: int, timeout: float = 30) -> bool:
        """Until the vault holds the log up to ``position``."""
        deadline = self._clock.monotonic() + timeout
        while (self.durable or 0) < position:
            if self.error is not None or self._clock.monotonic() > deadline:
                return False
            self._clock.sleep(0.02)
        return True

    def _said(self, status: Any) -> None:
        self.samples.append((self._clock.monotonic(), status))
        if status.state == "streaming":
            self._streaming.set()

    def _run(self) -> None:
        try:
            self._follower.run()
        except BaseException as error:  # noqa: BLE001 - raised by start() and stop()
            self.error = error
            self._streaming.set()
