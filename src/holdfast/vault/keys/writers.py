"""Writers: who may sign in a vault. Listed out of their certificates; revoked with a signed list of what they had signed until then."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

from holdfast.errors import Damaged, Refused
from holdfast.storage.contract import ObjectMissing, Storage
from holdfast.vault.errors import WriterUnknown
from holdfast.vault.format import envelope, names
from holdfast.vault.format.text import from_json, to_time
from holdfast.vault.keys.change import Changes, removed
from holdfast.vault.keys.notary import inventory_entry
from holdfast.vault.keys.ring import Ring

_THREADS = 8
_SIGNED = (
    names.POINTS,
    names.INDEX,
    names.LOGS,
    names.HOLDS,
    names.JOURNAL,
    names.PLAN,
    names.HOSTS,
    names.ANCHORS,
    names.EVIDENCE,
    names.SESSIONS,
    names.CONDEMNED,
    names.DAMAGED,
)
"""Where envelopes of writers stand. Packs need no list: only an index or a point that is believed leads to one."""


class OwnWriter(Refused):
    """A writer that owners' keys share, or the one at work, cannot be revoked."""

    code = "vault-writer-own"


@dataclass(frozen=True, slots=True)
class WriterState:
    """``slots``: ids of the slots in force that hold its keys. ``revoked``: when, as text; None while it is believed."""

    id: str
    label: str
    role: str
    slots: tuple[str, ...]
    revoked: str | None


class Writers:
    """``changes`` as in ``Keyring``."""

    def __init__(self, changes: Changes) -> None:
        self._changes = changes
        self._notary = changes.notary
        self._locations = changes.locations

    def list(self) -> list[WriterState]:
        """All that the root ever certified."""
        ring = self._changes.current()
        found = []
        for info in self._locations.list(names.WRITERS):
            try:
                checked = self._locations.read(info.name, lambda data, name=info.name: self._notary.check(name, data, "writer"))  # type: ignore[misc]
                label = str(from_json(self._notary.open(checked)).get("label", ""))
            except Damaged:
                continue
            writer = info.name.removeprefix(names.WRITERS)
            held = tuple(one for one, listed in ring.slots.items() if listed.writer == writer)
            role = str(checked.clear.get("role", "owner"))
            if role == "writer":
                label = next((ring.labels[one] for one in held if ring.labels.get(one)), label)
            found.append(WriterState(writer, label, role, held, ring.revoked.get(writer)))
        return found

    def revoke(self, wanted: str) -> WriterState:
        """Believe nothing that the writer signs from now on; what it signed before stays believed. Its slots are removed. Returns it.

        ``wanted``: a writer's id or label, or the id of its slot. Every location must answer: what only a silent one holds would be lost.
        A backup of that writer which is under way does not commit. Raises WriterUnknown, OwnWriter, Unreachable.
        """
        self._changes.require_owner("revoke writers")
        self._changes.require_all()
        chosen = self._choose(wanted)
        if chosen.role == "owner":
            raise OwnWriter(
                f"The writer {chosen.id} is the one of the owner's keys, which can certify any other: revoking it would protect nothing.",
                hint="If an owner's key leaked, make a new vault and copy what is needed: see the guide on keys. Revoke writers of hosts.",
                writer=chosen.id,
            )
        now = to_time(self._changes.now())
        if chosen.revoked is None:
            self._record(chosen.id, now)

        def edit(ring: Ring) -> Ring:
            gone = [one for one, listed in ring.slots.items() if listed.writer == chosen.id]
            return replace(removed(ring, gone, now), revoked={chosen.id: now, **ring.revoked})

        ring = self._changes.change(edit)
        return replace(chosen, slots=(), revoked=ring.revoked[chosen.id])

    def _choose(self, wanted: str) -> WriterState:
        every = self.list()
        chosen = [one for one in every if one.id == wanted or wanted in one.slots] or [one for one in every if one.label == wanted]
        if len(chosen) != 1:
            listed = ", ".join(f"{one.id} ({one.label or one.role})" for one in every)
            what = "No writer" if not chosen else f"{len(chosen)} writers"
            raise WriterUnknown(f"{what} named {wanted!r}.", hint=f"Writers: {listed}.")
        return chosen[0]

    def _record(self, writer: str, at: str) -> None:
        """The list of what it signed, in every location, before the revocation is in force."""
        name = names.revoked(writer, at)
        entries: set[bytes] = set()
        for storage in self._locations.storages:
            entries |= self._signed_by(storage, writer)
        made = self._notary.make(name, "revoked", self._changes.now(), {"revoked": writer}, packs=b"".join(sorted(entries)))
        self._changes.put(name, made)

    def _signed_by(self, storage: Storage, writer: str) -> set[bytes]:
        wanted = [info.name for prefix in _SIGNED for info in storage.list(prefix)]

        def entry(name: str) -> bytes | None:
            try:
                data = storage.get(name)
                parsed = envelope.parse(name, data)
                if parsed.writer != writer:
                    return None
                self._notary.check(name, data)
            except (ObjectMissing, Damaged):
                return None
            return inventory_entry(name, parsed.digest)

        with ThreadPoolExecutor(_THREADS, thread_name_prefix="revoke") as pool:
            return {found for found in pool.map(entry, wanted) if found is not None}


def by_slot(states: Sequence[WriterState], slot: str) -> WriterState | None:
    """The writer whose keys a slot holds."""
    return next((one for one in states if slot in one.slots), None)
