"""Git repositories as a part of a files system."""

import re
import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from holdfast.errors import Damaged, HoldfastError
from holdfast.model import Clock, Progress, counted
from holdfast.systems.contract import CaptureWriter, PointReader, Probe, Structural
from holdfast.systems.files import plain
from holdfast.systems.files.git import large
from holdfast.systems.files.git.address import Repository, named
from holdfast.systems.files.git.capture import GitCapture
from holdfast.systems.files.git.errors import GitTargetTaken
from holdfast.systems.files.git.fetch import listing
from holdfast.systems.files.git.rebuild import examine_rebuilt, rebuild
from holdfast.systems.files.git.run import STALL_S, Git
from holdfast.systems.files.git.stored import ROOT
from holdfast.systems.files.parts import Captured, Lacks
from holdfast.systems.files.restore.writing import sync

_NAME = r"[A-Za-z0-9][A-Za-z0-9._-]{0,120}"
_INNER = r"bundles|packed-refs|HEAD|symrefs|[0-9]{4}-[0-9a-f]{16}\.bundle|lfs/objects/[0-9a-f]{2}/[0-9a-f]{2}/[0-9a-f]{64}"
_FORM = re.compile(rf"{ROOT}/(?P<name>{_NAME})/(?:{_INNER})")


class GitPart:
    """``repositories`` is asked only where they are read: a restore needs no credentials. ``cache``: a folder that may be lost."""

    name = ROOT

    def __init__(self, repositories: Callable[[], Sequence[Repository]], cache: Path, clock: Clock, *, stall: float = STALL_S) -> None:
        self._repositories = repositories
        self._cache = cache
        self._clock = clock
        self._stall = stall

    def probe(self) -> Sequence[Probe]:
        try:
            return [self._look(one) for one in named(self._repositories())]
        except HoldfastError as error:
            return [Probe("git", "fail", error.message, error.hint)]

    def _look(self, one: Repository) -> Probe:
        name = f"git {one.name}"
        try:
            with tempfile.TemporaryDirectory(prefix="holdfast-git-") as home:
                git = Git(Path(home), self._clock, one, stall=min(self._stall, 60.0))
                git.version()
                found = listing(git, one)
        except HoldfastError as error:
            return Probe(name, "fail", error.message, error.hint)
        if found.broken:
            return Probe(
                name,
                "warn",
                f"{counted(len(found.broken), 'reference names', 'references name')} nothing: {found.broken[0]!r}",
                "Repair or delete them.",
            )
        told = f"{counted(len(found.refs.refs), 'reference')} at {one.url}"
        if one.lfs and not large.available(git):
            told += "; git-lfs is not installed: files that it keeps would not be in a point"
        return Probe(name, "ok", told)

    def capture(self, writer: CaptureWriter, progress: Progress) -> Captured:
        done = GitCapture(self._cache, self._clock, stall=self._stall).run(self._repositories(), writer, progress)
        return Captured(done.facts, done.findings)

    def restore(
        self, reader: PointReader, into: Path, paths: Sequence[str], progress: Progress, lack: Lacks | None = None
    ) -> Sequence[str]:
        """``into/<name>.git`` for each repository, durable and proved under that name; one that is there from this point is kept.
        ``lack`` hears of each that damage keeps from that.

        Raises GitTargetTaken, GitBundleWrong, GitMissing, EntryUnexpected.
        """
        repositories: dict[str, list[str]] = {}
        entries = []
        wanted = ["/".join(path.split("/")[:2]) for path in paths if "/" in path] if ROOT not in paths else []
        for stored in plain.chosen(reader, ROOT, _FORM, wanted):
            repositories.setdefault(stored.entry.path.split("/")[1], []).append(stored.entry.path)
            entries.append(stored)
        if into.is_symlink():
            raise GitTargetTaken(f"{into} is a symbolic link.", hint="Restore into a folder of its own.")
        into.mkdir(mode=0o755, parents=True, exist_ok=True)
        raw = into / ".bundles.partial"
        _remove(raw)
        notes = []
        hurt: dict[str, HoldfastError] = {}

        def lost(path: str, error: HoldfastError) -> None:
            hurt.setdefault(path.split("/")[1], error)

        try:
            plain.extract(reader, entries, ROOT, raw, progress, lack=lost if lack is not None else None)
            progress.phase("git", len(repositories), "repositories")
            for name in repositories:
                facts = (reader.point.facts.get(ROOT) or {}).get(name) or {}
                sound = None
                try:
                    if name not in hurt:
                        sound = rebuild(raw / name, into / f"{name}.git", self._clock, durable=sync)
                except Damaged as error:
                    if lack is None:
                        raise
                    hurt[name] = error
                if name in hurt and lack is not None:
                    lack(f"{ROOT}/{name}", hurt[name])
                elif sound is None:
                    notes.append(f"{into / f'{name}.git'} is there already, from this state.")
                notes += _told(name, facts)
                _remove(raw / name)
                progress.advance(1)
        finally:
            _remove(raw)
        sync(into)
        return notes

    def examine(self, into: Path) -> Sequence[Structural]:
        """Each repository that ``restore`` made there, once more: fsck, and its references by digest."""
        return [examine_rebuilt(folder, self._clock) for folder in sorted(into.glob("*.git"))]


def _told(name: str, facts: "dict[str, object]") -> list[str]:
    lfs = facts.get("lfs")
    if isinstance(lfs, dict) and "why" in lfs:
        return [f"{name}: {lfs['files'] - lfs['included']} of {lfs['files']} LFS files are not in the point: {lfs['why']}."]
    return []


def _remove(folder: Path) -> None:
    """Raises GitTargetTaken for what is no folder of ours."""
    if folder.is_symlink():
        raise GitTargetTaken(f"{folder} is a symbolic link.", hint="Restore into a folder of its own.")
    if folder.exists():
        shutil.rmtree(folder)
