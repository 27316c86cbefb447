"""Monitoring of the shop, as anybody would have it: a thread that looks now and then until it finds something wrong."""

import abc
import threading

from holdfast.model import Clock


class Monitoring(abc.ABC):
    """Looks every ``every`` seconds. ``said``: what was wrong, once it was."""

    def __init__(self, clock: Clock, every: float) -> None:
        self.said = ""
        self._clock, self._every = clock, every
        self._found, self._stop = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._watch, name="monitor", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def wait(self, timeout: float) -> bool:
        """Until something is wrong; False when ``timeout`` seconds are over."""
        return self._found.wait(timeout)

    def stop(self) -> None:
        """May be called twice, or before it began."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()

    @abc.abstractmethod
    def _watch(self) -> None:
        """Look until ``_stop`` is set, or something is wrong: then ``said``, ``_found``."""
