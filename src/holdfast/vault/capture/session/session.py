"""The session object: it announces a writer to a prune, and names the one object by which the session can commit or be aborted."""

import datetime as dt
import threading
from collections.abc import Callable
from typing import NoReturn

from holdfast.errors import Unreachable
from holdfast.model import Clock
from holdfast.storage.contract import ObjectExists, Storage
from holdfast.vault.errors import ClockSkew, ObjectDamaged, SessionAborted
from holdfast.vault.format import names
from holdfast.vault.keys.notary import Notary
from holdfast.vault.locations import Locations, get_if_there, put_same

MOST_SKEW = dt.timedelta(minutes=5)
LEASE = dt.timedelta(hours=1)
_RENEW = 600.0
_LOOK = 5.0


class Session:
    """Opened before the first pack. Its lease counts by the location's clock from the newest renewal. ``system``: its tag."""

    def __init__(self, locations: Locations, notary: Notary, clock: Clock, system: str = "") -> None:
        self._locations = locations
        self._notary = notary
        self._clock = clock
        self._system = system
        self.started_at = clock.now()
        check_skew(locations.first, clock)
        self.id = names.session_id(self.started_at, notary.random(10))
        self._decider = locations.first
        self._earlier: list[str] = []
        self._renewals = 0
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None
        self._renewed = clock.monotonic()
        self._put(f"{names.SESSIONS}{self.id}")

    @property
    def point_name(self) -> str:
        return f"{names.POINTS}{self.id}"

    def keep_alive(self, failed: Callable[[BaseException], None]) -> None:
        """Renew from a thread of its own until ``end``; ``failed`` hears when the lease could not be extended in time."""
        self._thread = threading.Thread(target=self._keep, args=(failed,), name="holdfast-lease", daemon=True)
        self._thread.start()

    def end(self) -> None:
        """Renew no more."""
        self._ended.set()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join()

    def _keep(self, failed: Callable[[BaseException], None]) -> None:
        while not self._ended.wait(_LOOK):
            try:
                self._renew()
            except Unreachable as error:
                if self._clock.monotonic() - self._renewed > LEASE.total_seconds() / 2:
                    failed(error)
                    return
            except BaseException as error:  # noqa: BLE001 - raised to whoever captures
                failed(error)
                return

    def _renew(self) -> None:
        if self._clock.monotonic() - self._renewed >= _RENEW:
            now = self._clock.monotonic()
            self._renewals += 1
            for session in (*self._earlier, self.id):
                self._put(f"{names.SESSIONS}{session}.{self._renewals}")
            self._renewed = now

    def require_open(self) -> None:
        """Raises SessionAborted when an abort stands where the point would go. Only ``commit`` is certain; this one is early."""
        if self._locations.first.head(self.point_name) is not None:
            self._aborted()

    def leave_late(self) -> bool:
        """Go on without the locations that aborted the session because it came too late there; True when there were any.

        A copy brings the point to them. Where the first one did so the session has ended: see ``require_open``.
        """
        late = [storage for storage in self._locations.storages[1:] if storage.head(self.point_name) is not None]
        for storage in late:
            self._locations.drop(storage, self._too_late())
        return bool(late)

    def settle(self) -> None:
        """When the location that decides was lost, go on under a new name, which stands only in those that are left.

        Under the old name a prune may have put an abort where we cannot look. That session is kept alive as well until the end: what was
        chosen for reuse was chosen under it. The new one says so, and only then looks whether the old one was aborted: so either a prune
        that waits for the old one sees the new one, or we see its abort. Raises SessionAborted.
        """
        if self._locations.first is self._decider:
            return
        decider = self._locations.first
        self._earlier.append(self.id)
        self.id = names.session_id(self.started_at, self._notary.random(10))
        self._put(f"{names.SESSIONS}{self.id}")
        for storage in self._locations.storages:
            if any(storage.head(names.point(session)) is not None for session in self._earlier):
                self._aborted()
        self._decider = decider

    def commit(self, make: Callable[[], bytes]) -> None:
        """The point, in every location of the session. The first decides: SessionAborted when an abort stands there.

        ``make`` gives the point's envelope for the session's present id. A location that does not take it is left out, and a copy brings it
        there: its packs lie there already. Raises Unreachable when none is left.
        """
        while True:
            self.settle()
            first = self._locations.first
            envelope = make()
            try:
                won = decide(Locations([first]), self.point_name, envelope)
            except Unreachable as error:
                self._locations.drop(first, error)
                continue
            if not won:
                self._aborted()
            break
        for storage in self._locations.storages[1:]:
            try:
                put_same(storage, self.point_name, [envelope])
            except (Unreachable, ObjectDamaged) as error:
                # Or its own prune found that the session came too late there: a copy brings the point all the same.
                self._locations.drop(storage, error)

    def abort(self) -> None:
        """Give up the name, so that the session can never commit. What was uploaded stays."""
        decide(self._locations, self.point_name, self._notary.make(self.point_name, "abort", self._clock.now(), {"session": self.id}))

    def _aborted(self) -> NoReturn:
        raise self._too_late()

    def _too_late(self) -> SessionAborted:
        return SessionAborted(
            f"The session {self.id} was aborted meanwhile; nothing was committed.",
            hint="Run the backup again: what was uploaded is reused. Was this host asleep for longer than an hour?",
            session=self.id,
        )

    def _put(self, name: str) -> None:
        fields = {
            "session": name[len(names.SESSIONS) :].partition(".")[0],
            "lease": int(LEASE.total_seconds()),
            "system": self._system,
            "earlier": list(self._earlier),
        }
        self._locations.put(name, [self._notary.make(name, "session", self._clock.now(), fields)])


def decide(locations: Locations, name: str, envelope: bytes) -> bool:
    """Commit or abort: True when ``envelope`` is what stands under ``name`` everywhere, False when the other one came first."""
    try:
        locations.first.put_if_absent(name, [envelope])
    except ObjectExists:
        # Gone by now: it was an abort, or a point that a prune is dropping.
        if get_if_there(locations.first, name) != envelope:
            return False
    for storage in locations.storages[1:]:
        put_same(storage, name, [envelope])
    return True


def check_skew(storage: Storage, clock: Clock) -> dt.timedelta:
    """How far the local clock is from the location's; ClockSkew over five minutes."""
    skew = clock.now() - storage.now()
    if abs(skew) > MOST_SKEW:
        seconds = skew.total_seconds()
        raise ClockSkew(
            f"This machine's clock is {abs(seconds):.0f} s {'ahead of' if seconds > 0 else 'behind'} the clock of {storage.url}.",
            hint="Set the clock (NTP): retention and restore targets depend on it.",
            seconds=seconds,
        )
    return skew
