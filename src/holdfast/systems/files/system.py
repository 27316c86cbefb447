"""Files as a system that Holdfast protects."""

import os
from collections.abc import Mapping, Sequence
from typing import Any

from holdfast.model import Clock, Finding, Progress, RecoveryPoint, SystemClock, counted
from holdfast.systems.contract import Capabilities, CaptureWriter, LogStore, Probe
from holdfast.systems.files.capture.run import FolderCapture
from holdfast.systems.files.circle import circle
from holdfast.systems.files.errors import NothingNamed
from holdfast.systems.files.missed import chosen
from holdfast.systems.files.parts import Part
from holdfast.systems.files.settings import FilesSettings


class FilesSystem:
    """Folders, and what ``parts`` add: Git repositories, images. Satisfies ``systems.contract.System``."""

    kind = "files"
    capabilities = Capabilities(isolated_restore=True, delta_restore=True, builds_on_findings=True)

    def __init__(self, name: str, settings: FilesSettings, *, parts: Sequence[Part] = (), clock: Clock | None = None) -> None:
        self.name = name
        self.settings = settings
        self.parts = parts
        self.clock = clock or SystemClock()

    def probe(self) -> Sequence[Probe]:
        found = [probe for root in self.settings.roots() for probe in _look(root)]
        around = circle(self.name, self.settings)
        if around is not None:
            found.append(Probe("vault", "fail", around.message, around.hint))
        for part in self.parts:
            found += part.probe()
        return found

    def coordinate(self) -> Mapping[str, Any]:
        return {"time": self.clock.now().isoformat()}

    def capture(self, writer: CaptureWriter, progress: Progress, *, logs: LogStore | None = None) -> RecoveryPoint:
        """One recovery point. What could not be read is named in its findings; ``facts.incomplete`` counts it.

        Raises NothingNamed, VaultInside, PathVanished, PathEmptied, and what the parts raise; then nothing is committed.
        """
        del logs
        if not self.settings.paths and not self.parts:
            raise NothingNamed(f"{self.name} names nothing to protect.", hint="Give it paths, git or images.")
        around = circle(self.name, self.settings)
        if around is not None:
            raise around
        start = self.coordinate()
        facts: dict[str, Any] = {}
        findings: list[Finding] = []
        if self.settings.paths:
            began = int(self.clock.now().timestamp() * 1e6) * 1000
            folders = FolderCapture(self.settings, writer, progress, began)
            facts |= {**folders.run(), "chosen": chosen(self.settings)}
            findings += folders.ledger.findings()
            gone = folders.ledger.vanished
            if gone:
                progress.note(f"{self.name}: {counted(gone, 'entry was', 'entries were')} gone when its turn came, and not in the point.")
        for part in self.parts:
            done = part.capture(writer, progress)
            facts[part.name] = dict(done.facts)
            findings += done.findings
        facts["incomplete"] = facts.get("incomplete", 0) + sum(1 for one in findings if not one.code.startswith("files-"))
        return writer.commit(kind=self.kind, start=start, stop=self.coordinate(), facts=facts, findings=findings)


def _look(root: str) -> Sequence[Probe]:
    name = f"path {root}"
    try:
        status = os.lstat(root)
        if os.path.islink(root):
            return [Probe(name, "fail", "is a symbolic link", "Name the folder itself: a link may be turned elsewhere.")]
        if not os.path.isdir(root):
            with open(root, "rb"):
                return [Probe(name, "ok", f"a file of {status.st_size} bytes")]
        with os.scandir(root) as listing:
            count = sum(1 for _ in listing)
    except OSError as error:
        return [Probe(name, "fail", error.strerror or str(error), "Is it mounted, and may this account read it?")]
    if not count:
        return [Probe(name, "warn", "is empty", "Is it mounted?")]
    if os.geteuid():
        detail = f"holds {counted(count, 'entry', 'entries')}; read as an ordinary account, what it may not read is named and left out"
        return [Probe(name, "ok", detail)]
    return [Probe(name, "ok", f"holds {counted(count, 'entry', 'entries')}")]
