"""Reports as files: numbered without gaps, each naming the one before, each noted in the journal.

``<folder>/<chain>/<number, 8 digits>.json`` is a report as it was signed. Order: the file is written under the name of a draft and synced,
the journal notes its number and hash, then it takes its name. So a number is given once: a draft that the journal knows takes its name
later, and one that it does not know is written over.
"""

import contextlib
import fcntl
import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from holdfast.connect.durable import sync_folder
from holdfast.errors import Damaged, Unreachable, Usage
from holdfast.evidence.document import Facts, build
from holdfast.evidence.kinds import PROVING, begins, ends
from holdfast.evidence.signing import EVIDENCE
from holdfast.evidence.verifier import first, verify
from holdfast.journal import HostKey, Journal, Record, canonical, parse

NOTED = "evidence.issued"
LATEST = "latest"


class RunNotFound(Usage):
    """The journal of this host knows no such run, or several that begin like it."""

    code = "evidence-run-unknown"


class RunGoesOn(Usage):
    """A run that has not ended has no report yet."""

    code = "evidence-run-open"


class EvidenceUnwritable(Unreachable):
    """A report could not be stored."""

    code = "evidence-unwritable"


class JournalDoubtful(Damaged):
    """The journal's extract for a report is not whole."""

    code = "evidence-journal-broken"


@dataclass(frozen=True, slots=True)
class Run:
    """Where a run stands in the journal. ``end`` None: it has none (it goes on, or its process died)."""

    id: str
    chain: str
    start: Record
    end: Record | None

    @property
    def verb(self) -> str:
        return self.start.kind.rpartition(".")[0]


@dataclass(frozen=True, slots=True)
class Issued:
    """A report: its number in the chain, and its bytes."""

    chain: str
    number: int
    data: bytes

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.data).hexdigest()

    @property
    def evidence(self) -> dict[str, Any]:
        """What was signed."""
        found: dict[str, Any] = json.loads(self.data)["evidence"]
        return found


def runs(journal: Journal, begin: str = "") -> Iterator[Run]:
    """The runs of this host's chains whose id begins like that, oldest first in each chain. Entries are believed one by one; whether the
    chain between them is whole is looked at when a report is issued.
    """
    for chain in journal.chains():
        started: dict[str, Record] = {}
        ended: dict[str, Record] = {}
        for record in _mentioning(journal, chain, f'"run":{json.dumps(begin)[:-1]}'):
            run = record.payload.get("run")
            if isinstance(run, str) and run.startswith(begin):
                if begins(record.kind):
                    started.setdefault(run, record)
                elif run in started and ends(record.kind, started[run].kind.rpartition(".")[0]):
                    ended.setdefault(run, record)
        yield from (Run(run, chain, start, ended.get(run)) for run, start in started.items())


def find(journal: Journal, begin: str) -> Run:
    """The one run whose id begins like that; ``latest`` is the newest that proved something. Raises RunNotFound."""
    if begin == LATEST:
        proved = [run for run in runs(journal) if run.verb in PROVING and run.end is not None]
        if not proved:
            raise RunNotFound("No run on this host has proved anything yet.", hint="holdfast verify")
        return max(proved, key=lambda run: run.start.at)
    found = list(runs(journal, begin))
    exact = [run for run in found if run.id == begin] or found
    if len(exact) != 1:
        what = "no run" if not exact else f"{len(exact)} runs"
        raise RunNotFound(f"The journal of this host knows {what} beginning with '{begin}'.", hint="See: holdfast jobs --all")
    return exact[0]


def _mentioning(journal: Journal, chain: str, text: str) -> Iterator[Record]:
    """Entries whose line holds ``text`` (ASCII): only these are parsed, since a history is long. What is no entry is left out."""
    needle = text.encode("ascii")
    for line in journal.lines(chain):
        if needle in line:
            with contextlib.suppress(ValueError):
                yield parse(line)


class Reports:
    """The reports of one host. ``key`` signs."""

    def __init__(self, folder: Path, journal: Journal, key: HostKey) -> None:
        self.folder = folder
        self._journal, self._key = journal, key

    def all(self, chain: str | None = None) -> Iterator[Issued]:
        """In order of their numbers."""
        for tag in [chain] if chain else sorted(path.name for path in self.folder.glob("*") if path.is_dir()):
            for path in sorted((self.folder / tag).glob("*.json")):
                yield Issued(tag, int(path.stem), path.read_bytes())

    def of(self, run: str) -> Issued | None:
        """The newest report about a run that lies here."""
        for chain in self._journal.chains():
            for record in _mentioning(self._journal, chain, f'"of":{json.dumps(run)}'):
                said = record.payload
                if record.kind == NOTED and said.get("of") == run:
                    path = self.folder / str(said["chain"]) / _name(int(said["number"]))
                    if path.exists():
                        return Issued(str(said["chain"]), int(said["number"]), path.read_bytes())
        return None

    def issue(self, run: Run, to: int, facts: Callable[[], Facts]) -> Issued:
        """Make, sign, store and note the report of a run whose journal is anchored at entry ``to``.

        Raises EvidenceUnwritable, JournalDoubtful, JournalUnwritable.
        """
        extract = self._extract(run, to)
        try:
            with self._locked(run.chain) as folder:
                noted = self.noted(run.chain)
                self._finish_draft(folder, noted)
                # By the journal, not by the files: a report that was taken away leaves a gap, and its number is not given again.
                number = max(noted, default=0) + 1
                previous = noted.get(number - 1) or first(run.chain)
                evidence = build(run.id, run.chain, extract, number, previous, facts())
                data = canonical({"evidence": evidence, "signature": self._key.sign(EVIDENCE, evidence)}) + b"\n"
                _require_sound(data, self._key.public, run.id)
                draft = folder / f"{_name(number)}.draft"
                _write(draft, data)
                self._note(run, number, data, previous)
                draft.rename(folder / _name(number))
                return Issued(run.chain, number, data)
        except OSError as error:
            raise EvidenceUnwritable(
                f"The report of {run.id} cannot be stored in {self.folder}: {error}.",
                hint=f"Free or repair the folder, then: holdfast report {run.id}",
                folder=str(self.folder),
            ) from error

    def _extract(self, run: Run, to: int) -> Sequence[Record]:
        found: list[Record] = []
        try:
            for line in self._journal.lines(run.chain, run.start.n):
                record = parse(line)
                if found and record.prev != found[-1].hash:
                    raise ValueError(f"entry {record.n} does not continue entry {found[-1].n}")
                found.append(record)
                if record.n == to:
                    return found
            raise ValueError(f"entry {to} is gone")
        except ValueError as error:
            raise JournalDoubtful(
                f"The journal {run.chain} is not whole behind the run {run.id}: {error}.", hint="See: holdfast log", run=run.id
            ) from error

    def _note(self, run: Run, number: int, data: bytes, previous: str) -> None:
        self._journal.record(NOTED, of=run.id, chain=run.chain, number=number, sha256=hashlib.sha256(data).hexdigest(), previous=previous)

    def _finish_draft(self, folder: Path, noted: Mapping[int, str]) -> None:
        for draft in folder.glob("*.draft"):
            if _sha256(draft) == noted.get(int(draft.name[:8])):
                draft.rename(folder / draft.name.removesuffix(".draft"))
            else:
                draft.unlink()

    def noted(self, chain: str) -> dict[int, str]:
        """By number the SHA-256 of each report of a chain that was issued, as this host's journals say."""
        found: dict[int, str] = {}
        for tag in self._journal.chains():
            for record in _mentioning(self._journal, tag, f'"kind":"{NOTED}"'):
                if record.payload.get("chain") == chain:
                    found[int(record.payload["number"])] = str(record.payload["sha256"])
        return found

    @contextlib.contextmanager
    def _locked(self, chain: str) -> Iterator[Path]:
        folder = self.folder / chain
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = os.open(self.folder / "lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield folder
        finally:
            os.close(lock)


def _require_sound(data: bytes, public: str, run: str) -> None:
    """What would be called altered is not signed away: nobody could tell it from a forgery."""
    verdict = verify(data, {public})
    if verdict.state != "sound":
        raise JournalDoubtful(
            f"The report of {run} would not pass its own check: {'; '.join(verdict.problems)}",
            hint="Look at the journal: holdfast log",
            run=run,
        )


def _name(number: int) -> str:
    return f"{number:08d}.json"


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _write(path: Path, data: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        view = memoryview(data)
        while view:
            view = view[os.write(descriptor, view) :]
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    sync_folder(path.parent)
