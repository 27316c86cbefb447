"""Probes that look all the time, each in a thread of its own, and the series of what they saw."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from holdfast.drills.contract import Look, Probe
from holdfast.model import Clock

LONGEST = 500
"""Points of a series that are recorded: beyond it only those at which the state changed."""
PATIENCE = 10.0
"""Seconds in which a look that was told to end is waited for, all of them together."""


@dataclass
class Series:
    """``seen``: (monotonic seconds, ok, value, detail). A probe that could not look is red: nobody knows is not healthy."""

    name: str
    seen: list[tuple[float, bool, Any, str]] = field(default_factory=list)

    def red_after(self, moment: float) -> tuple[float, str] | None:
        """When it was first red after that moment, and why."""
        return next(((at, detail) for at, ok, _, detail in self.seen if at >= moment and not ok), None)

    def to_json(self, began: float) -> list[list[Any]]:
        """``[seconds since began, ok, value]``; in a long series only where it changed, and its last."""
        points = [[round(at - began, 3), ok, value] for at, ok, value, _ in self.seen]
        if len(points) <= LONGEST:
            return points
        changed = [one for before, one in zip([None, *points[:-1]], points, strict=True) if before is None or before[1:] != one[1:]]
        return [*changed[:LONGEST], points[-1]]


class Prober:
    """Runs probes until stopped."""

    def __init__(self, probes: Sequence[Probe], clock: Clock) -> None:
        self.series = [Series(probe.name) for probe in probes]
        self._probes, self._clock = probes, clock
        self._stop = threading.Event()
        self._red = threading.Condition()
        self._threads = [
            threading.Thread(target=self._watch, args=(probe, series), name=f"probe {probe.name}", daemon=True)
            for probe, series in zip(probes, self.series, strict=True)
        ]

    def start(self) -> None:
        """The first look of each is made before it returns, in the caller's thread: what is red now was so before the disaster."""
        for probe, series in zip(self._probes, self.series, strict=True):
            self._look(probe, series)
        for thread in self._threads:
            thread.start()

    def red_now(self) -> list[str]:
        """Names of those whose newest look was red."""
        return [f"{one.name}: {one.seen[-1][3]}" for one in self.series if one.seen and not one.seen[-1][1]]

    def wait_for_red(self, after: float, patience: float) -> tuple[float, str] | None:
        """(moment, which and why) of the first red look after that moment; None when none came."""
        end = self._clock.monotonic() + patience
        with self._red:
            while True:
                found = [(seen[0], f"{one.name}: {seen[1]}") for one in self.series if (seen := one.red_after(after)) is not None]
                if found:
                    return min(found)
                left = end - self._clock.monotonic()
                if left <= 0:
                    return None
                self._red.wait(min(left, 0.5))

    def stop(self) -> None:
        """May be called twice. A look that does not end is left behind: nothing that is to be undone waits for it."""
        self._stop.set()
        for probe in self._probes:
            probe.end()
        end = self._clock.monotonic() + PATIENCE
        for thread in self._threads:
            if thread.is_alive():
                thread.join(max(end - self._clock.monotonic(), 0.0))

    def _watch(self, probe: Probe, series: Series) -> None:
        while not self._stop.wait(probe.every):
            self._look(probe, series)

    def _look(self, probe: Probe, series: Series) -> None:
        # The moment before asking: the answer speaks for a state not older than that.
        at = self._clock.monotonic()
        try:
            seen = probe.look()
        except Exception as error:  # noqa: BLE001 - whatever hinders a probe is what it saw
            seen = Look(None, None, f"{type(error).__name__}: {error}".partition("\n")[0][:300])
        if self._stop.is_set() and seen.ok is not True:
            return  # it was ended, and says nothing of what it looked at
        with self._red:
            series.seen.append((at, seen.ok is True, seen.value, seen.detail))
            self._red.notify_all()
