"""Puts repositories into a recovery point: whole at first, then a bundle of what came since, each proved before it counts."""

import hashlib
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from holdfast.errors import HoldfastError
from holdfast.model import Clock, Entry, Finding, Progress
from holdfast.systems.contract import CaptureWriter
from holdfast.systems.files.git import contents, large, proof
from holdfast.systems.files.git.address import Repository, named
from holdfast.systems.files.git.errors import GitAddress, GitBundleWrong, GitSilent, GitUnreachable
from holdfast.systems.files.git.fetch import Listing, fetch, git_folder, listing
from holdfast.systems.files.git.keep import Keep
from holdfast.systems.files.git.refs import DETACHED, Refs
from holdfast.systems.files.git.run import STALL_S, Git, shown
from holdfast.systems.files.git.stored import LISTS, MOST_BUNDLES, ROOT, Bundle, bundle_list, bundle_name

_MOST_MODULES = 200
_SMALL = 1 << 20
"""Later bundles together may have the size of the first, or this many bytes, before a new chain begins."""


@dataclass(slots=True)
class Captured:
    """``facts``: by the repository's name, JSON-ready, for the point. ``findings`` mark the point."""

    facts: dict[str, Any] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)


class _Folder:
    """One repository's folder in the point; each path is queued once."""

    def __init__(self, writer: CaptureWriter, one: Repository, clock: Clock) -> None:
        self._writer = writer
        self._clock = clock
        self.path = f"{ROOT}/{one.name}"
        self._queued: set[str] = set()
        self.base = _base_facts(writer, one)

    def add(self, name: str, size: int, content: "bytes | _OpenFile") -> None:
        entry = self._entry(name, size)
        if entry.path not in self._queued:
            self._queued.add(entry.path)
            self._writer.add(entry, content)

    def reuse(self, name: str, size: int) -> bool:
        entry = self._entry(name, size)
        if entry.path not in self._queued:
            if not self._writer.reuse(entry):
                return False
            self._queued.add(entry.path)
        return True

    def reuse_all(self) -> bool:
        """The whole folder from the base; the lists last, so that a half reuse is never taken for a repository."""
        if self.base is None or self._writer.base is None:
            return False
        inner = len(self.path) + 1
        stored = [(found.entry.path[inner:], found.entry.size) for found in self._writer.base.entries(f"{self.path}/")]
        stored.sort(key=lambda row: row[0] in LISTS)
        names = {name for name, _ in stored}
        return {*LISTS, *(row[0] for row in self.base["bundles"])} <= names and all(self.reuse(*row) for row in stored)

    def _entry(self, name: str, size: int) -> Entry:
        return Entry(f"{self.path}/{name}", "file", size=size, mode=0o644, mtime_ns=int(self._clock.now().timestamp()) * 10**9)


@dataclass(slots=True)
class _Made:
    """What one run found out of a repository that changed."""

    refs: Refs
    bundles: list[Bundle]
    facts: dict[str, Any]
    new: Path | None = None
    findings: list[Finding] = field(default_factory=list)
    wanted: Mapping[str, int] = field(default_factory=dict)


class GitCapture:
    """``cache``: a folder of this host that may be lost at any time. ``stall``: seconds that a server may be silent."""

    def __init__(self, cache: Path, clock: Clock, *, stall: float = STALL_S, environ: Mapping[str, str] | None = None) -> None:
        self._cache = cache
        self._clock = clock
        self._stall = stall
        self._environ = environ

    def run(self, repositories: Sequence[Repository], writer: CaptureWriter, progress: Progress) -> Captured:
        """Capture all of them and, where asked, the submodules that they name.

        A repository that cannot be reached is taken from the base as it was, with a finding; without a base that has it the error is
        raised. Raises GitMissing, GitUnreachable, GitSilent, GitIncomplete, GitBundleWrong, GitFailed, GitBusy.
        """
        done = Captured()
        waiting = list(named(repositories))
        seen = {one.url for one in waiting}
        names = {one.name.lower() for one in waiting}
        progress.phase("git", None, "repositories")
        while waiting:
            one = waiting.pop(0)
            facts = self._one(one, writer, progress, done.findings)
            done.facts[one.name] = facts
            progress.advance(1)
            for module in facts["submodules"] if one.submodules else ():
                found = self._module(one, contents.Submodule(module["path"], module["url"]), module)
                if found is None or found.url in seen:
                    continue
                if len(seen) >= len(repositories) + _MOST_MODULES:
                    progress.note(f"More than {_MOST_MODULES} submodules: {found.url} and others were left out.")
                    break
                seen.add(found.url)
                if found.name.lower() in names:
                    found = named([found, Repository(found.name, "")])[0]
                names.add(found.name.lower())
                waiting.append(found)
        return done

    def _module(self, parent: Repository, module: contents.Submodule, told: dict[str, Any]) -> Repository | None:
        try:
            return contents.module_repository(parent, module)
        except GitAddress as error:
            told["left_out"] = error.message
            return None

    # ------------------------------------------------------------ one repository

    def _one(self, one: Repository, writer: CaptureWriter, progress: Progress, findings: list[Finding]) -> dict[str, Any]:
        folder = _Folder(writer, one, self._clock)
        try:
            keep = Keep(self._cache, one.url, self._clock)
            with keep.locked():
                git = Git(keep.work / "home", self._clock, one, stall=self._stall, environ=self._environ)
                git.version()
                progress.note(f"git {one.name}: {one.url}")
                listed = listing(git, one)
                findings += [_broken(one, name) for name in listed.broken]
                if self._same(folder.base, listed, git, one) and folder.reuse_all():
                    return {**(folder.base or {}), "seen_at": _now(self._clock)}
                facts = self._changed(one, git, keep, listed, folder, progress, findings)
        except (GitUnreachable, GitSilent) as error:
            return _carried(one, folder, error, findings, progress)
        _told(one, facts, progress)
        return facts

    def _same(self, base: Mapping[str, Any] | None, listed: Listing, git: Git, one: Repository) -> bool:
        if base is None or base["refs_digest"] != listed.refs.digest():
            return False
        # Files that could not be had for want of the program are had when it is there.
        return not (one.lfs and base["lfs"].get("tool") is False and large.available(git))

    def _changed(
        self, one: Repository, git: Git, keep: Keep, listed: Listing, folder: _Folder, progress: Progress, findings: list[Finding]
    ) -> dict[str, Any]:
        chain, known = _continued(keep, folder)
        try:
            made = self._bundle(one, git, keep, listed, chain, known)
        except GitBundleWrong:
            if not chain:
                raise
            progress.note(f"git {one.name}: the kept objects are not sound; everything is fetched anew.")
            for left in ("fetched.git", "proved.git", "new.bundle"):
                shutil.rmtree(keep.work / left, ignore_errors=True)
            keep.only([])
            chain = []
            made = self._bundle(one, git, keep, listed, chain, Refs())
        findings += made.findings
        if made.new is not None:
            folder.add(made.bundles[-1].name, made.bundles[-1].size, _OpenFile(made.new))
        self._large(git, one, keep, made, folder)
        for name, data in zip(
            LISTS, (bundle_list(made.bundles), made.refs.packed(), made.refs.head_file(), made.refs.symrefs()), strict=True
        ):
            folder.add(name, len(data), data)
        keep.put_refs(made.refs)
        keep.only([*chain, *made.bundles])
        return made.facts

    def _bundle(self, one: Repository, git: Git, keep: Keep, listed: Listing, chain: Sequence[Bundle], known: Refs) -> _Made:
        """Fetch, bundle what is new, and build the repository from the bundles alone to prove it."""
        stores = [keep.objects(bundle) for bundle in chain]
        fetched = proof.bare(git, keep.work / "fetched.git", listed.refs, stores)
        proof.set_refs(fetched, known)
        got = fetch(git, one, fetched, listed.refs)
        (fetched / "HEAD").write_bytes(got.refs.head_file())
        proved = proof.bare(git, keep.work / "proved.git", got.refs, stores)
        # What the new bundle builds on must be what the chain gave.
        earlier = {**known.refs, **({DETACHED: known.head} if known.detached and known.head else {})}
        proof.set_refs(proved, Refs(earlier))
        made = _Made(got.refs, list(chain), {}, findings=[_lost(one, name, why) for name, why in sorted(got.lost.items())])
        exclude = b"".join(b"^%s\n" % oid for oid in sorted(set(earlier.values())))
        if git.need(["rev-list", "--objects", "--max-count=1", "--all", "--stdin"], folder=fetched, given=exclude):
            waiting = keep.work / "new.bundle"
            git.need(["bundle", "create", "-q", waiting, "--all", "--stdin"], folder=fetched, given=exclude)
            proof.unbundle(git, proved, waiting, one.name)
            with waiting.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            made.bundles.append(Bundle(bundle_name(len(chain), digest), digest, waiting.stat().st_size))
            made.new = waiting
        proof.set_refs(proved, got.refs)
        proof.set_symbolic(git, proved, got.refs)
        sound = proof.prove(git, proved, got.refs, one.name)
        made.facts = {
            "url": one.url,
            "head": shown(got.refs.head or b""),
            "refs": len(got.refs.refs),
            "refs_digest": got.refs.digest(),
            "bundles": [[bundle.name, bundle.sha256, bundle.size] for bundle in made.bundles],
            "captured_at": _now(self._clock),
            "seen_at": _now(self._clock),
            "complaints": list(sound.complaints),
            "submodules": [{"path": module.path, "url": module.url} for module in contents.submodules(git, proved, got.refs)],
            "lfs": {},
        }
        made.wanted = contents.pointers(git, proved) if one.lfs else {}
        if made.new is not None:
            keep.adopt(proved / "objects", made.bundles[-1])
        return made

    def _large(self, git: Git, one: Repository, keep: Keep, made: _Made, folder: _Folder) -> None:
        if not made.wanted:
            return
        missing = [(oid, size) for oid, size in sorted(made.wanted.items()) if not folder.reuse(_large_name(oid), size)]
        storage, tool, why = keep.folder / "lfs", True, ""
        if one.folder is not None:
            # A repository on this machine keeps them itself: no program is needed.
            storage = git_folder(one.folder) / "lfs"
        elif missing:
            tool = large.available(git)
            why = large.fetch(git, one, keep.work / "fetched.git", storage) if tool else "git-lfs is not installed here"
        lost = 0
        for oid, size in missing:
            path = large.place(storage, oid)
            if large.right(path, oid, size):
                folder.add(_large_name(oid), size, _OpenFile(path))
            else:
                lost += 1
        if one.folder is None:
            large.forget(storage, made.wanted)
        lfs = {"files": len(made.wanted), "bytes": sum(made.wanted.values()), "included": len(made.wanted) - lost, "tool": tool}
        made.facts["lfs"] = {**lfs, "why": why or "the repository does not have them"} if lost else lfs


def _large_name(oid: str) -> str:
    return f"lfs/objects/{oid[:2]}/{oid[2:4]}/{oid}"


class _OpenFile:
    """A file as a source; it may be removed from its folder meanwhile."""

    def __init__(self, path: Path) -> None:
        self._handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)

    def read_into(self, offset: int, buffer: memoryview) -> int:
        return os.preadv(self._handle, [buffer], offset)

    def close(self) -> None:
        os.close(self._handle)


def _now(clock: Clock) -> str:
    return clock.now().isoformat(timespec="seconds")


def _base_facts(writer: CaptureWriter, one: Repository) -> Mapping[str, Any] | None:
    """What the base says of the same repository."""
    if writer.base is None:
        return None
    facts = (writer.base.point.facts.get("git") or {}).get(one.name)
    return facts if facts and facts.get("url") == one.url else None


def _continued(keep: Keep, folder: _Folder) -> tuple[list[Bundle], Refs]:
    """The chain that the next bundle may build on, taken from the base, and the references it led to; empty where a new one must begin."""
    if folder.base is None or not folder.base["bundles"]:
        return [], Refs()
    chain = [Bundle(*row) for row in folder.base["bundles"]]
    known = keep.refs(folder.base["refs_digest"])
    later = sum(bundle.size for bundle in chain[1:])
    if known is None or not keep.has(chain) or len(chain) >= MOST_BUNDLES or later > max(chain[0].size, _SMALL):
        return [], Refs()
    return (chain, known) if all(folder.reuse(bundle.name, bundle.size) for bundle in chain) else ([], Refs())


def _carried(one: Repository, folder: _Folder, error: HoldfastError, findings: list[Finding], progress: Progress) -> dict[str, Any]:
    """The repository as the base has it, with a finding. Raises ``error`` where there is none."""
    if folder.base is None or not folder.reuse_all():
        raise error
    message = f"{error.message} The point holds it as it was at {folder.base['captured_at']}."
    progress.note(f"git {one.name}: {message}")
    findings.append(Finding(code="git-not-captured", message=message, where={"repository": one.name, "url": one.url, "cause": error.code}))
    return dict(folder.base)


def _lost(one: Repository, name: bytes, why: str) -> Finding:
    ref = shown(name)
    return Finding(
        code="git-objects-damaged",
        message=f"{one.url} does not give the objects of {ref}: {why}. The reference is not in the point.",
        where={"repository": one.name, "ref": ref},
    )


def _broken(one: Repository, name: bytes) -> Finding:
    ref = shown(name)
    return Finding(
        code="git-reference-broken",
        message=f"{one.url} has a reference that names nothing: {ref}. It is not in the point.",
        where={"repository": one.name, "ref": ref},
    )


def _told(one: Repository, facts: Mapping[str, Any], progress: Progress) -> None:
    """What is not in the point, or odd in it, and is no fault."""
    if complaints := facts["complaints"]:
        progress.note(f"git {one.name}: fsck has {len(complaints)} complaints about objects that are whole: {complaints[0]}")
    if facts["submodules"] and not one.submodules:
        listed = ", ".join(shown(module["url"]) for module in facts["submodules"][:3])
        progress.note(f"git {one.name}: {len(facts['submodules'])} submodules are not captured with it: {listed}")
    if "why" in facts["lfs"]:
        lfs = facts["lfs"]
        progress.note(f"git {one.name}: {lfs['files'] - lfs['included']} of {lfs['files']} LFS files are NOT in the point: {lfs['why']}.")
