"""Followers of several systems in one process: their heartbeats, their end, and what it is recorded as."""

import datetime as dt
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from holdfast.errors import HoldfastError
from holdfast.journal import Journal
from holdfast.model import Clock
from holdfast.protection.recorded import recorded
from holdfast.state import State

BEAT = 1.0
"""Seconds between two heartbeats in the state."""


class Status(Protocol):
    """What a follower says of itself; see the system's own status for the rest."""

    @property
    def state(self) -> Any: ...
    @property
    def branch(self) -> str | None: ...
    @property
    def durable(self) -> int | None: ...
    @property
    def covered(self) -> dt.datetime | None: ...
    @property
    def exposure(self) -> float: ...
    @property
    def behind(self) -> int: ...
    @property
    def backlog(self) -> int: ...
    @property
    def bytes(self) -> int: ...
    @property
    def trouble(self) -> str: ...
    @property
    def warning(self) -> str: ...
    @property
    def lacking(self) -> Sequence[str]: ...


class Follows(Protocol):
    """A follower of one system."""

    def run(self) -> None: ...

    def stop(self) -> None: ...


Make = Callable[[Callable[[Any], None]], Follows]


class Resident:
    """One system's follower in a thread. ``error`` is what it ended with for good; ``newest`` what it said last.

    ``locations``: address by name. One that the follower goes on without keeps the position that it had.
    """

    def __init__(self, system: str, make: Make, locations: Mapping[str, str], state: State, journal: Journal, clock: Clock) -> None:
        self.system = system
        self.newest: Any = None
        self.error: BaseException | None = None
        self._locations, self._state, self._journal, self._clock = dict(locations), state, journal, clock
        self._told = clock.monotonic() - BEAT
        self._stored: tuple[str | None, int | None] = (None, None)
        self._said: tuple[Any, str] = ("", "")
        self._saying = threading.Lock()
        self.follower = make(self._heard)
        self._thread = threading.Thread(target=self._run, name=f"follow-{system}", daemon=True)
        self.changed: Callable[[Resident, Any], None] = lambda _resident, _status: None

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Ask it to end; returns at once."""
        self.follower.stop()

    def join(self, timeout: float | None = None) -> bool:
        """Wait for its end, at which everything received is durable; False when it took longer."""
        self._thread.join(timeout)
        return not self._thread.is_alive()

    @property
    def alive(self) -> bool:
        return self._thread.is_alive()

    def _run(self) -> None:
        try:
            with self._state.database.held(), recorded(self._state, self._journal, self._clock, "follow", self.system) as work:
                self._work = work
                self.follower.run()
                if self.newest is not None:
                    work.add(branch=self.newest.branch, durable=self.newest.durable, bytes=self.newest.bytes)
        except BaseException as error:  # noqa: BLE001 - kept for whoever waits
            self.error = error

    def _heard(self, status: Status) -> None:
        self.newest = status
        now = self._clock.monotonic()
        said = (status.state, status.trouble or status.warning)
        with self._saying:  # heard from several threads, and to be told once
            if said != self._said:
                self._said = said
                self.changed(self, status)
        if now - self._told < BEAT:
            return
        self._told = now
        try:
            self._beat(status)
        except HoldfastError:
            # Following matters more than telling of it: without heartbeats `status` sees the exposure grow, and asks for attention.
            return
        if self._state.runs.cancelled(self._work.run):
            self.follower.stop()

    def _beat(self, status: Status) -> None:
        self._state.runs.progress(
            self._work.run, phase=str(status.state), exposure=status.exposure, behind=status.behind, done=status.bytes, unit="B"
        )
        if status.branch is None or status.durable is None:
            return
        stored = (status.branch, status.durable)
        moved, self._stored = stored != self._stored, stored
        for location, url in self._locations.items():
            if url in status.lacking:
                continue
            self._state.heartbeats.beat(
                self.system,
                status.branch,
                location,
                status.durable,
                server_time=status.covered,
                stored_at=self._clock.now() if moved else None,
                state=str(status.state),
                backlog=status.backlog,
                trouble=status.trouble or status.warning,
            )


def wait(residents: Sequence[Resident], clock: Clock, *, every: float = 0.5) -> None:
    """Until none is alive (each ended by its error, or because somebody cancelled it)."""
    while any(resident.alive for resident in residents):
        clock.sleep(every)


def stop_all(residents: Sequence[Resident], patience: float) -> Mapping[str, bool]:
    """Stop all and wait for the durable end of each; by system, whether it came within ``patience`` seconds."""
    for resident in residents:
        resident.stop()
    return {resident.system: resident.join(patience) for resident in residents}
