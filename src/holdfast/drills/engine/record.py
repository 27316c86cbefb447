"""What a drill writes into the journal, and the mark by which a later process sees that one was killed.

``<state>/drills/<run>.json`` lies there as long as a drill is at work; its process holds a lock on it, which ends with the process however
that ends. Order: the mark, ``drill.begin``, then anything else; at the end everything is undone, ``drill.end``, then the mark goes.
"""

import fcntl
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from holdfast.connect.durable import sync_folder
from holdfast.drills.errors import DrillActive
from holdfast.journal import Journal, Record
from holdfast.model import Clock
from holdfast.state.process import Process, current

PREFIX = "drill."


class Marker:
    """The mark of one drill."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path = path
        self._descriptor = descriptor

    @property
    def run(self) -> str:
        return self.path.stem

    def remove(self) -> None:
        """The drill is over and everything is undone."""
        self.path.unlink(missing_ok=True)
        self.close()

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


@dataclass(frozen=True, slots=True)
class AtWork:
    """A drill whose process lives."""

    run: str
    scenario: str
    process: Process


class Markers:
    """Of one host. ``folder`` is made when it is first needed."""

    def __init__(self, state_folder: Path) -> None:
        self.folder = state_folder / "drills"

    def set(self, run: str, scenario: str) -> Marker:
        """Raises DrillActive while another drill is at work: two of them would judge each other's damage."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        gate = os.open(self.folder / "gate", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(gate, fcntl.LOCK_EX)
            for other in self.at_work():
                raise DrillActive(
                    f"The drill {other.run} ({other.scenario}) is at work, process {other.process.pid}.",
                    hint=f"Wait for it, or end it: holdfast drill stop {other.run}",
                    run=other.run,
                )
            path, new = self.folder / f"{run}.json", self.folder / f"{run}.new"
            descriptor = os.open(new, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o600)
            # Locked before it has its name: whoever finds it there unlocked knows that its process is gone.
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            me = current()
            os.write(descriptor, json.dumps({"scenario": scenario, "host": me.host, "pid": me.pid, "born": me.born}).encode())
            os.fsync(descriptor)
            new.rename(path)
            sync_folder(self.folder)
            return Marker(path, descriptor)
        finally:
            os.close(gate)

    def any(self) -> bool:
        """Whether there is a mark at all: the cheap question of every command."""
        return self.folder.is_dir() and any(self.folder.glob("*.json"))

    def at_work(self) -> Iterator[AtWork]:
        """Drills whose process lives."""
        for path in sorted(self.folder.glob("*.json")):
            descriptor = _open(path)
            if descriptor is None:
                continue
            try:
                if not _lock(descriptor):
                    said = _said(path)
                    process = Process(str(said.get("host", "")), int(said.get("pid", 0)), str(said.get("born", "")))
                    yield AtWork(path.stem, str(said.get("scenario", "?")), process)
            finally:
                os.close(descriptor)

    def left(self) -> Iterator[Marker]:
        """Marks whose process is gone; each is locked by us until it is removed or closed."""
        for path in sorted(self.folder.glob("*.json")) if self.folder.is_dir() else ():
            descriptor = _open(path)
            if descriptor is None:
                continue
            if _lock(descriptor) and path.exists():
                yield Marker(path, descriptor)
            else:
                os.close(descriptor)


class DrillRecord:
    """The entries of one drill. Satisfies ``contract.Changes``."""

    def __init__(self, journal: Journal, clock: Clock, run: str) -> None:
        self.journal, self.clock, self.run = journal, clock, run
        self.open: list[tuple[str, str, Mapping[str, Any]]] = []
        """(id, change, undo) of what is not undone yet, in order."""
        self.undone_proofs: list[dict[str, Any]] = []
        self._changes = 0

    def write(self, kind: str, **payload: Any) -> Record:
        """Durable when it returns."""
        return self.journal.record(f"{PREFIX}{kind}", run=self.run, drill=True, **payload)

    def doing(self, change: str, undo: Mapping[str, Any]) -> str:
        self._changes += 1
        number = f"{self._changes}"
        self.write("doing", change=number, text=change, undo=dict(undo))
        self.open.append((number, change, undo))
        return number

    def undone(self, change: str, proof: str) -> None:
        text = next((text for number, text, _ in self.open if number == change), "")
        self.write("undone", change=change, text=text, proof=proof)
        self.open = [one for one in self.open if one[0] != change]
        self.undone_proofs.append({"name": text, "expected": "undone", "actual": proof})


def entries(journal: Journal, run: str) -> list[Record]:
    """What the journal holds of a drill."""
    return [
        record
        for record in journal.mentioning(f'"run":{json.dumps(run)}')
        if record.kind.startswith(PREFIX) and record.payload.get("run") == run
    ]


def changes_left(found: Sequence[Record]) -> list[tuple[str, str, Mapping[str, Any]]]:
    """(id, change, undo) of what was begun and is not undone, in order."""
    gone = {record.payload["change"] for record in found if record.kind == f"{PREFIX}undone"}
    return [
        (str(record.payload["change"]), str(record.payload["text"]), record.payload["undo"])
        for record in found
        if record.kind == f"{PREFIX}doing" and record.payload["change"] not in gone
    ]


def _open(path: Path) -> int | None:
    try:
        return os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return None


def _lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _said(path: Path) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found
