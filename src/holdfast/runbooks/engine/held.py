"""The lease of a run, while a process drives it.

Of one host: it ends with its process. With a state that several hosts share it is prolonged all the time, and whoever cannot prolong it
stops by itself before another host may take the run: what it has begun is ended, what it writes is refused. A process that stood still
(stopped, swapped out, a host that slept) asks before each thing it does whether the run is still its own.
"""

import contextlib
import math
import os
import signal
import threading
from pathlib import Path

from holdfast.errors import HoldfastError
from holdfast.runbooks.engine.at_work import AtWork
from holdfast.runbooks.engine.record import Records, lost
from holdfast.runbooks.errors import ParameterWrong, RunHeld
from holdfast.state import Lease

ALONE_S = 7 * 86400.0
"""A lease on one host ends with its process; the time is for processes that cannot be asked."""
SHARED_S = 60.0
"""How long after its last word a host counts as alive."""
SHORTEST_S = 30.0
"""A host that lost touch needs so long to end what it began before another may go on."""


def shared_seconds(given: str | None) -> float:
    """What ``HOLDFAST_RUN_LEASE_S`` says, in seconds. Raises ParameterWrong."""
    if not given:
        return SHARED_S
    try:
        seconds = float(given)
    except ValueError:
        seconds = math.nan
    if not SHORTEST_S <= seconds <= ALONE_S:
        raise ParameterWrong(
            f"HOLDFAST_RUN_LEASE_S is {given!r}.", hint=f"Give a number of seconds from {SHORTEST_S:.0f} to {ALONE_S:.0f}, such as 60."
        )
    return seconds


class Held:
    """``with Held(records, run):``. Raises RunHeld."""

    def __init__(self, records: Records, run: str) -> None:
        self._records = records
        self._run = run
        self._lease: Lease | None = None
        self._shared = records.state.database.shared
        self._seconds = shared_seconds(os.environ.get("HOLDFAST_RUN_LEASE_S")) if self._shared else ALONE_S
        self._done = threading.Event()
        self._lost = False
        self._said = 0.0
        self._threads: list[threading.Thread] = []
        self._word = records.state.folder / "runbooks" / run / "word"

    @property
    def word(self) -> tuple[Path, float] | None:
        """Where this host says that it drives the run, and after how many seconds of silence it does not any more: what its steps started
        is ended then, also when this process is gone. None where no other host can take the run.
        """
        return (self._word, self._seconds * 3 / 5) if self._shared else None

    def _says(self, asked: float) -> None:
        """``asked``: when the lease was asked for that was given. A word that cannot be written ends what it was for, which is safe."""
        self._said = asked
        with contextlib.suppress(OSError):
            self._word.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            new = self._word.with_suffix(".new")
            new.write_text(f"{asked:.3f}", encoding="ascii")
            new.replace(self._word)

    def __enter__(self) -> None:
        name = f"runbook:{self._run}"
        leases = self._records.state.leases
        asked = self._records.clock.monotonic()
        self._lease = leases.acquire(name, self._seconds)
        if self._lease is None:
            raise self._refused(leases.holder(name))
        self._records.held[self._run] = self._lease
        if self._shared:
            self._says(asked)
            # Apart from each other: who waits for a server that does not answer cannot watch the time.
            self._threads = [threading.Thread(target=each, daemon=True) for each in (self._prolong, self._watch)]
            for thread in self._threads:
                thread.start()

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._done.set()
        for thread in self._threads:
            thread.join(1)
        self._records.held.pop(self._run, None)
        if self._lost:
            if kind is KeyboardInterrupt:
                raise lost(self._run, self._other())
            return
        if self._shared and AtWork(self._records.state.folder, self._run).left():
            # It ends in time without a new word (see ``word``); another host may begin it anew after that, as when this one was killed.
            return
        if self._lease is not None:
            self._records.state.leases.release(self._lease)

    def sure(self) -> None:
        """Raises RunLost; StateUnusable where nobody can be asked."""
        if not self._shared or self._lease is None:
            return
        if self._lost or not self._records.state.leases.renew(self._lease, self._seconds):
            self._lost = True
            raise lost(self._run, self._other())

    def _other(self) -> str:
        """The host that has the run now; '' where nobody can be asked."""
        try:
            other = self._records.state.leases.holder(f"runbook:{self._run}")
        except HoldfastError:
            return ""
        return other.process.host if other and other.process.host != self._records.state.database.host else ""

    def _prolong(self) -> None:
        clock = self._records.clock
        while not self._done.wait(self._seconds / 5):
            assert self._lease is not None
            asked = clock.monotonic()
            try:
                if not self._records.state.leases.renew(self._lease, self._seconds):
                    self._said = -math.inf
                    return
                self._says(asked)
            except HoldfastError:
                continue  # the one that watches the time decides

    def _watch(self) -> None:
        """Two fifths are left for ending what runs before another host may begin."""
        while not self._done.wait(self._seconds / 50):
            if self._records.clock.monotonic() - self._said > self._seconds * 3 / 5:
                self._lost = True
                # As Ctrl-C: whatever is at work is ended with all that it started.
                main = threading.main_thread()
                if main.is_alive() and main.ident is not None:
                    signal.pthread_kill(main.ident, signal.SIGINT)
                return

    def _refused(self, other: Lease | None) -> RunHeld:
        who = f"process {other.process.pid} on {other.process.host}, since {other.taken:%H:%M:%S} UTC" if other else "another process"
        hint = "Answer it with 'holdfast runbook approve'; it goes on there. Or end that process, then resume."
        elsewhere = other is not None and other.process.host != self._records.state.database.host
        if other is not None and elsewhere:
            hint = (
                f"That host counts as alive until {other.expires:%H:%M:%S} UTC, longer if it says more. If it is dead, resume after that."
            )
        return RunHeld(
            f"Run {self._run} is driven by {who}.",
            hint=hint,
            run=self._run,
            process=other.process.pid if other else None,
            host=other.process.host if other else None,
            until=other.expires.isoformat() if other and elsewhere else None,
        )
