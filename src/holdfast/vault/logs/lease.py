"""One follower a branch: a lease in the first location, timed by that location's own clock.

Objects ``sessions/follow-<system tag>-<branch tag>.<number>`` (kind ``session``, purpose ``follow``): who takes or renews the lease puts
the next number, and put-if-absent lets one of several win. The newest number counts, for ``seconds`` from the time that the location put
on it; older ones are removed by the holder. A holder that slept finds a higher number than its own and has lost. Losing it late is
harmless for the data: increments are put-if-absent too, and equal ranges must be equal bytes. A dead holder of the same machine (its
process is gone) is followed at once.

A follower that finds a backup's lease asks for it: ``sessions/ask-<system tag>-<branch tag>.<holder>``, signed like the lease. It is meant
for that holder alone, so one that was left behind means nothing to any other. Who took the branch behind the holder removes it.
"""

import contextlib
import datetime as dt
import os
import re
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import blake3

from holdfast.errors import Damaged, HoldfastError, Unreachable
from holdfast.model import Clock
from holdfast.storage.contract import ObjectExists, Storage
from holdfast.vault.keys.notary import Notary
from holdfast.vault.logs.errors import LeaseLost, LogFollowed

SECONDS = 60
_TRIES = 10
_HOLDER = re.compile(r"[0-9a-f]{32}")
_held_here: set[str] = set()
_held_lock = threading.Lock()


def place() -> str:
    """Names this boot and process namespace: where a process id means something."""
    facts = []
    for path in ("/proc/sys/kernel/random/boot_id", "/proc/self/ns/pid"):
        with contextlib.suppress(OSError):
            facts.append(Path(path).read_text() if path.endswith("boot_id") else str(Path(path).readlink()))
    return blake3.blake3("\0".join(facts).encode()).hexdigest()[:16] if len(facts) == 2 else ""


class Lease:
    """Taken by the constructor; raises LogFollowed. ``keep`` renews when a third of it has passed; a thread of its own does the same."""

    def __init__(
        self, storage: Storage, notary: Notary, clock: Clock, system: str, branch: str, *, seconds: int = SECONDS, by: str = "follower"
    ) -> None:
        """``by``: follower or backup; told to whoever finds the branch taken."""
        self._by = by
        self._storage = storage
        self._notary = notary
        self._clock = clock
        self._prefix = f"sessions/follow-{system}-{branch}."
        self._asks = f"sessions/ask-{system}-{branch}."
        self._holder = notary.random(16).hex()
        self._seconds = seconds
        self._number = 0
        self._taken = 0.0
        self._lost: LeaseLost | None = None
        self._lock = threading.Lock()
        self._done = threading.Event()
        # Before it is taken: who finds it in this process must not take its holder for dead.
        with _held_lock:
            _held_here.add(self._holder)
        try:
            self._take()
        except BaseException:
            with _held_lock:
                _held_here.discard(self._holder)
            raise
        self._thread = threading.Thread(target=self._renew_for_ever, name="lease", daemon=True)
        self._thread.start()

    def keep(self) -> None:
        """Raises LeaseLost when another took over."""
        with self._lock:
            if self._lost is not None:
                raise self._lost
            if self._clock.monotonic() - self._taken > self._seconds / 3:
                self._renew()

    def asked(self) -> bool:
        """Whether a follower waits for this lease. A location that does not answer tells nothing: the next append meets that."""
        name = self._asks + self._holder
        try:
            return self._notary.check(name, self._storage.get(name), "session").clear.get("purpose") == "ask"
        except (Damaged, Unreachable):
            return False

    def release(self) -> None:
        """Give the branch free at once."""
        self._done.set()
        self._thread.join()
        with self._lock:
            with _held_lock:
                _held_here.discard(self._holder)
            if self._lost is None:
                with contextlib.suppress(ObjectExists, Unreachable):
                    self._put(self._number + 1, released=True)
                    self._storage.delete(self._name(self._number))
                    self._forget(self._by, self._holder)

    def abandon(self) -> None:
        """Stop renewing: its location does not answer, and the lease runs out there by itself."""
        self._done.set()
        with _held_lock:
            _held_here.discard(self._holder)

    def _take(self) -> None:
        for _ in range(_TRIES):
            if self._taken_at_once():
                return
        raise self._followed("took it at this moment")

    def _taken_at_once(self) -> bool:
        """False where somebody took, renewed or released it meanwhile: who holds it now is looked at again. Raises LogFollowed."""
        newest = self._newest()
        before: Mapping[str, Any] = {}
        self._number = 0
        if newest is not None:
            number, modified = newest
            before = self._read(number)
            if not before and self._newest() != newest:
                return False
            self._refuse_if_alive(before, modified)
            self._number = number
        try:
            self._put(self._number + 1)
        except ObjectExists:
            return False
        previous, self._number = self._number, self._number + 1
        self._taken = self._clock.monotonic()
        now = self._newest()
        if now is None or now[0] != self._number:
            # We slept between looking and taking, and our number had been used and cleaned away meanwhile.
            self._storage.delete(self._name(self._number))
            return False
        for info in list(self._storage.list(self._prefix)):
            if int(info.name[len(self._prefix) :], 16) <= previous:
                self._storage.delete(info.name)
        self._forget(before.get("by"), before.get("holder"))
        return True

    def _refuse_if_alive(self, clear: Mapping[str, Any], modified: dt.datetime) -> None:
        if clear.get("released") is True:
            return
        age = (self._storage.now() - modified).total_seconds()
        seconds = clear.get("lease")
        left = (seconds if isinstance(seconds, int) else self._seconds) - age
        if left > 0 and not self._dead(clear):
            backup = clear.get("by") == "backup"
            if backup and self._by == "follower":
                self._ask(clear.get("holder"))
            free = "when that lets go" if backup else f"in {left:.0f} s"
            raise self._followed(f"renewed it {max(age, 0):.0f} s ago; it is free {free}", by="backup" if backup else "follower")

    def _ask(self, holder: object) -> None:
        """Of a backup, which lets go of the branch when it sees this. Asked already is as good, and not heard is asked again."""
        if isinstance(holder, str) and _HOLDER.fullmatch(holder):
            name = self._asks + holder
            with contextlib.suppress(ObjectExists, Unreachable):
                fields = {"purpose": "ask", "holder": self._holder, "place": place(), "pid": os.getpid()}
                self._storage.put_if_absent(name, [self._notary.make(name, "session", self._clock.now(), fields)])

    def _forget(self, by: object, holder: object) -> None:
        """Remove what a backup that no longer holds the branch was asked."""
        if by == "backup" and isinstance(holder, str) and _HOLDER.fullmatch(holder):
            # One that stays is heard by nobody.
            with contextlib.suppress(Unreachable):
                self._storage.delete(self._asks + holder)

    @staticmethod
    def _dead(clear: Mapping[str, Any]) -> bool:
        """The holder was a process of this machine that is no more."""
        where, pid, holder = clear.get("place"), clear.get("pid"), clear.get("holder")
        if not where or where != place() or not isinstance(pid, int):
            return False
        if pid == os.getpid():
            with _held_lock:
                return holder not in _held_here
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        except OSError:
            return False
        return False

    def _renew(self) -> None:
        try:
            self._put(self._number + 1)
        except ObjectExists:
            # After a lost answer it may be our own.
            if self._read(self._number + 1).get("holder") != self._holder:
                self._lost = LeaseLost(
                    "Another follower took this branch over.",
                    hint="Stop one of the two; the newer one goes on. Nothing that was acknowledged is lost.",
                    prefix=self._prefix,
                )
                raise self._lost from None
        self._number += 1
        self._taken = self._clock.monotonic()
        # An old number that stays is harmless; whoever takes the lease next removes it.
        with contextlib.suppress(Unreachable):
            self._storage.delete(self._name(self._number - 1))

    def _renew_for_ever(self) -> None:
        while not self._done.wait(self._seconds / 6):
            # Not told here: the holder's next append renews by itself and raises what it meets (also that its writer was revoked).
            with contextlib.suppress(HoldfastError):
                self.keep()

    def _put(self, number: int, *, released: bool = False) -> None:
        name = self._name(number)
        fields = {
            "purpose": "follow",
            "lease": self._seconds,
            "holder": self._holder,
            "by": self._by,
            "place": place(),
            "pid": os.getpid(),
            "released": released,
        }
        self._storage.put_if_absent(name, [self._notary.make(name, "session", self._clock.now(), fields)])

    def _read(self, number: int) -> Mapping[str, Any]:
        """{} for one that is gone or not believed."""
        name = self._name(number)
        try:
            return self._notary.check(name, self._storage.get(name), "session").clear
        except Damaged:
            return {}

    def _newest(self) -> tuple[int, dt.datetime] | None:
        newest = None
        for info in self._storage.list(self._prefix):
            newest = int(info.name[len(self._prefix) :], 16), info.modified
        return newest

    def _name(self, number: int) -> str:
        return f"{self._prefix}{number:016x}"

    def _followed(self, why: str, by: str = "follower") -> LogFollowed:
        who = "A backup, which ships its own WAL," if by == "backup" else "Another follower"
        return LogFollowed(
            f"{who} holds this branch of the log: it {why}.",
            hint="A follower asks for it, and the backup lets go."
            if by == "backup"
            else "One follower a system is enough; stop the other, or wait for its lease to end.",
            url=self._storage.url,
            by=by,
        )
