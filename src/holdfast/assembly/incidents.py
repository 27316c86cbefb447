"""Incidents, joined with the journal, the outbox, the plan's channels and the vault that other hosts see."""

import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from typing import TYPE_CHECKING, Any

from holdfast.errors import Damaged
from holdfast.incidents.errors import IncidentUnknown
from holdfast.incidents.policy import Policy, policy
from holdfast.incidents.record.fold import MACHINE
from holdfast.incidents.record.log import Log
from holdfast.incidents.record.state import Incident
from holdfast.incidents.room import Room
from holdfast.incidents.upkeep import escalate, queue, remind
from holdfast.journal import Journal
from holdfast.model import Clock
from holdfast.plan import Plan
from holdfast.runbooks.engine.people import Person
from holdfast.state import State, StateUnusable, directory

if TYPE_CHECKING:
    from holdfast.state.outbox import Line, Outbox
    from holdfast.storage.contract import Storage
    from holdfast.vault import Vault
    from holdfast.vault.keys.notary import Notary

FIRST = 2000
"""Newest entries of another host that are fetched when nothing of it is here: incidents that are open are young."""
RECENT = 200
"""Incidents that were closed longer ago than so many others have nothing left to tell."""


class Incidents:
    """What the command line, ``due`` and drills use. Without a plan incidents are kept all the same, and nobody is told."""

    def __init__(
        self, plan: Plan | None, clock: Clock, environ: Mapping[str, str], *, journal: Journal | None = None, state: State | None = None
    ) -> None:
        self.plan, self.clock, self.environ = plan, clock, environ
        self.folder = directory(environ)
        self.journal = journal or Journal(self.folder / "journal", clock)
        self.state = state or State(self.folder, clock)
        self.apart = ""
        """Why this host sends from an outbox of its own, though there is one for all."""

    @cached_property
    def log(self) -> Log:
        return Log(self.folder, self.journal, self.clock)

    @cached_property
    def policy(self) -> Policy:
        return policy(self.plan)

    @cached_property
    def room(self) -> Room:
        return Room(self.log, self.policy)

    @cached_property
    def machine(self) -> Person:
        """Who does what nobody did."""
        return Person(MACHINE, MACHINE, socket.gethostname())

    # ------------------------------------------------------------ telling

    def tell(self, found: Sequence[Incident], patience: float = 0.0) -> int:
        """Queue what is to be told, and try to send it; how many messages were taken. What fails waits in the outbox."""
        try:
            return self._tell(found, patience)
        except StateUnusable as error:
            if not self._alone(error):
                raise
            return self._tell(found, patience)

    def _tell(self, found: Sequence[Incident], patience: float) -> int:
        if self.box is not self.state.own_outbox and self._note_settled(self.state.own_outbox):
            # Killed before that was noted: what this host told alone is not queued again for all.
            found = [self.log.load(one.id) for one in found]
        waiting = self.box.waiting()
        for one in found:
            queue(one, self.policy, self.log, self.box, waiting.get(one.id, ()))
        return self.send(patience)

    @cached_property
    def box(self) -> "Outbox":
        """What messages wait in: one for all hosts where they share their state. While that cannot be used this host sends from its own,
        since the database that is down may be what the incident is about; what is left there is handed over afterwards.
        """
        shared, own = self.state.outbox, self.state.own_outbox
        if shared is own:
            return own
        try:
            own.hand_over(shared)
            shared.channels_waiting()
        except StateUnusable as error:
            self.apart = error.message
            return own
        return shared

    def _alone(self, error: StateUnusable) -> bool:
        """Go on with this host's own outbox; False where it is what failed."""
        if self.box is self.state.own_outbox:
            return False
        self.box, self.apart = self.state.own_outbox, error.message
        return True

    def send(self, patience: float = 0.0) -> int:
        """Try what waits, of whichever incident."""
        if self.plan is None or not self.box.channels_waiting():
            self._note_settled(self.box)
            return 0
        from holdfast.assembly.channels import Channels

        return Channels(self.plan, self.clock, self.environ).delivery(self.box, self._noted).run(patience=patience)

    def _note_settled(self, box: "Outbox") -> int:
        """How many were."""
        settled = box.unnoted()
        for line in settled:
            if self._noted(line) or not box.shared:
                box.noted(line)
        return len(settled)

    def _noted(self, line: "Line") -> bool:
        """Into the journal: what was told, and what could not be. False where this host does not know the incident: another will do it."""
        data: dict[str, Any] = {"message": line.message.key, "channel": line.channel}
        if line.standing == "sent":
            kind, key = "delivered", f"delivered/{line.message.key}"
            data["reference"] = line.reference.to_json() if line.reference else None
        else:
            kind, key = "undelivered", f"undelivered/{line.message.key}/{line.standing}/{line.attempts}"
            data |= {"state": line.standing, "error": line.error}
        try:
            self.log.append(line.message.incident, kind, self.machine, data, key=key)
        except IncidentUnknown:
            return not self.box.shared  # of one host alone: a test of a channel
        return True

    def lines(self, incident: str) -> "list[Line]":
        """Messages of an incident."""
        return self.box.lines(incident=incident)

    # ------------------------------------------------------------ what is due

    def living(self) -> list[Incident]:
        """Those that may have something due or to be told: not closed, or with open actions, and the newest of the others."""
        found = self.log.all()
        return [one for number, one in enumerate(found) if one.state != "closed" or one.open_actions or number < RECENT]

    def upkeep(self) -> list[Incident]:
        """Page whoever is next, remind of what is overdue, queue and send; the incidents that are not closed."""
        living = self.living()
        for one in living:
            if escalate(one, self.policy, self.log, self.machine):
                continue
            remind(one, self.policy, self.log, self.machine)
        living = self.living()
        self.tell(living)
        return [one for one in living if one.state != "closed"]

    # ------------------------------------------------------------ other hosts

    def pull(self, vault: "Vault", told: Callable[[str], None]) -> int:
        """Entries of other hosts out of the vault. Raises Unreachable."""
        from holdfast.incidents.others import pull

        return pull(self.log, StoredJournals(vault.locations.first, vault.notary), told)


class StoredJournals:
    """The journals in one location of a vault; satisfies ``incidents.others.Stored``."""

    def __init__(self, storage: "Storage", notary: "Notary") -> None:
        self._storage, self._notary = storage, notary

    def tags(self) -> list[str]:
        from holdfast.vault.format import names

        return [each.removeprefix(names.JOURNAL).strip("/") for each in self._storage.folders(names.JOURNAL)]

    def lines(self, tag: str, begin: int) -> Iterator[bytes]:
        from holdfast.vault.errors import RoleLacking
        from holdfast.vault.format import names

        folder = f"{names.JOURNAL}{tag}/"
        after = f"{folder}{begin - 1:016x}" if begin else ""
        found = [info.name for info in self._storage.list(folder, after)]
        if not begin:
            found = found[-FIRST:]
        with ThreadPoolExecutor(8, thread_name_prefix="journals") as pool:
            for name, data in zip(found, pool.map(self._storage.get, found), strict=True):
                try:
                    line = self._notary.open(self._notary.check(name, data, "journal"))
                except (Damaged, RoleLacking):
                    return  # a check of the vault says that it is damaged
                yield line
