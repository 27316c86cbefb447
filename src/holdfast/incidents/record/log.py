"""Reads and appends entries of incidents. The journal is the only place where an incident lives: nothing of it is in the state.

Journals of other hosts lie beside this host's own, in ``incidents/others/<tag>.jsonl`` of the state folder, as they were copied out of
the vault last (``others.py``); they may be lost at any time and are copied again.
"""

import contextlib
import fcntl
import json
import os
import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from holdfast.incidents.errors import IncidentRecordBroken, IncidentUnknown
from holdfast.incidents.record.events import PREFIX, Event, event
from holdfast.incidents.record.fold import fold
from holdfast.incidents.record.order import heads
from holdfast.incidents.record.state import Incident
from holdfast.journal import Journal, Record, parse
from holdfast.model import Clock
from holdfast.runbooks.engine.people import Person

NEEDLE = f'"kind":"{PREFIX}'.encode()
MARK = "INC-"

Check = Callable[[Incident], None]


class Log:
    """Safe from several processes of one host; of several hosts each writes its own journal."""

    def __init__(self, folder: Path, journal: Journal, clock: Clock) -> None:
        """``folder``: the state's."""
        self.folder = folder / "incidents"
        self.others = self.folder / "others"
        self.journal = journal
        self.clock = clock
        self.doubts: dict[str, str] = {}
        """Entries that were met and are not believed, by their place. They are passed over: one bad line must not keep anybody from
        answering an incident."""

    def new_id(self) -> str:
        """8 random hex digits."""
        return MARK + secrets.token_hex(4)

    def events(self, incident: str | None = None) -> list[Event]:
        """Of one incident or of all, from the journals of all hosts that are known here; what is not believed is in ``doubts``."""
        needle = b'"incident":' + json.dumps(incident).encode() if incident else b""
        found = []
        for path in self.files():
            for record in self._records(path, needle):
                if record.kind.startswith(PREFIX) and incident in (None, record.payload.get("incident")):
                    try:
                        found.append(event(path.stem, record))
                    except IncidentRecordBroken as error:
                        self.doubts[f"{path.stem}:{record.n}"] = error.message
        return found

    def load(self, incident: str) -> Incident:
        """Raises IncidentUnknown."""
        found = fold(self.events(incident))
        if found is None:
            raise IncidentUnknown(
                f"There is no incident '{incident}' in the journals that are known here.",
                hint="See: holdfast incident list --all --sync",
                incident=incident,
            )
        return found

    def all(self) -> list[Incident]:
        """Newest declaration first."""
        grouped: dict[str, list[Event]] = {}
        for one in self.events():
            grouped.setdefault(one.incident, []).append(one)
        found = [incident for events in grouped.values() if (incident := fold(events)) is not None]
        return sorted(found, key=lambda incident: (incident.declared.at, incident.id), reverse=True)

    def find(self, text: str) -> str:
        """The id of the one incident that begins so, with or without ``INC-``. Raises IncidentUnknown."""
        begin = text if text.upper().startswith(MARK) else MARK + text
        begin = MARK + begin[len(MARK) :].lower()
        known = {one.incident for one in self.events()}
        found = sorted(one for one in known if one.startswith(begin))
        if begin in found or len(found) == 1:
            return begin if begin in found else found[0]
        several = f" {', '.join(found[:5])} begin so." if found else ""
        raise IncidentUnknown(f"'{text}' names no single incident.{several}", hint="See: holdfast incident list --all", incident=text)

    def declare(self, incident: str, by: Person, data: Mapping[str, Any], *, key: str = "") -> tuple[Incident, bool]:
        """The incident, and whether it was this call that declared it. Raises JournalUnwritable."""
        with self._locked():
            found = fold(self.events(incident))
            if found is not None:
                return found, False
            self._write(incident, "declared", by, data, key, [])
            return self.load(incident), True

    def append(
        self, incident: str, kind: str, by: Person, data: Mapping[str, Any], *, key: str = "", check: Check | None = None
    ) -> tuple[Incident, Event | None]:
        """What became of the incident, and the entry; None where one with that ``key`` is there already.

        ``check`` looks at the incident as it is under the lock, and raises where the entry makes no sense (any more).
        """
        with self._locked():
            found = self.load(incident)
            if check is not None:
                check(found)
            if key and key in found.keys:
                return found, None
            record = self._write(incident, kind, by, data, key, [list(one) for one in heads(found.events)])
            after = self.load(incident)
        return after, next(one for one in after.events if one.hash == record)

    def _write(self, incident: str, kind: str, by: Person, data: Mapping[str, Any], key: str, cites: Iterable[Any]) -> str:
        more = {"key": key} if key else {}
        said = json.loads(json.dumps(dict(data)))
        return self.journal.record(PREFIX + kind, incident=incident, by=by.to_json(), cites=list(cites), data=said, **more).hash

    def files(self) -> list[Path]:
        """One for each chain: this host's own, then what is known of others."""
        own = self.journal.chains()
        others = [path for path in sorted(self.others.glob("*.jsonl")) if path.stem not in own]
        return [*(self.journal.folder / f"{tag}.jsonl" for tag in own), *others]

    def _records(self, path: Path, needle: bytes) -> Iterator[Record]:
        with path.open("rb") as file:
            for number, line in enumerate(file):
                if NEEDLE in line and needle in line and line.endswith(b"\n"):
                    try:
                        record = parse(line)
                    except ValueError as error:
                        self.doubt(path, number, error)
                        continue
                    yield record

    def doubt(self, path: Path, number: int, error: Exception) -> None:
        """A line that is torn or was changed is passed over, and told."""
        self.doubts[f"{path.stem}:{number}"] = f"Entry {number} of the journal {path.stem} was changed: {error}."

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = os.open(self.folder / "lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
        finally:
            os.close(lock)
