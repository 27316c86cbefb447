"""Gets a repository's references and objects: one listing, one fetch; where objects are damaged, everything that can still be had."""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from holdfast.systems.files.git.address import Repository
from holdfast.systems.files.git.errors import GitIncomplete, GitUnreachable
from holdfast.systems.files.git.refs import DETACHED, BadRefs, Refs, from_for_each_ref, from_ls_remote
from holdfast.systems.files.git.run import Done, Git

_MOST_FETCHES = 200
"""References are halved that often in the search for damaged ones."""
_PASSING = ("not our ref", "early EOF", "hung up", "couldn't find remote ref", "RPC failed", "reset by peer")
_DENIED = ("Authentication failed", "could not read Username", "could not read Password", "Permission denied", "error: 403")
_PARTIAL = r"^(extensions\.partialclone|remote\..*\.promisor)$"
_SHALLOW = ("shallow update not allowed", "shallow roots are not allowed")
"""Git 2.39 leaves such references out and ends with status 0 all the same."""


@dataclass(frozen=True, slots=True)
class Listing:
    """``broken``: references that name nothing (Git lists them with an id of zeros)."""

    refs: Refs
    broken: tuple[bytes, ...] = ()


@dataclass(slots=True)
class Fetched:
    """``lost``: references whose objects could not be had, with what Git said."""

    refs: Refs
    lost: dict[bytes, str] = field(default_factory=dict)


def listing(git: Git, repository: Repository) -> Listing:
    """What the repository offers now. Raises GitUnreachable, GitIncomplete, GitSilent."""
    place = _whole(git, repository.folder, repository) if repository.folder is not None else None
    done = git.run(["ls-remote", "--symref", "--", repository.url], network=True)
    if done.status:
        raise _unreachable(repository, done)
    try:
        refs = from_ls_remote(done.out)
    except BadRefs as error:
        raise GitUnreachable(f"{repository.url} lists references that are none: {error}.", hint="Look at the repository.") from None
    if refs.head is None:
        refs = Refs(refs.refs, _unborn(git, repository, place, empty=not refs.refs), refs.symbolic)
    broken = sorted(name for name, oid in refs.refs.items() if not oid.strip(b"0"))
    kept = {name: oid for name, oid in refs.refs.items() if oid.strip(b"0")}
    return Listing(Refs(kept, refs.head, {name: to for name, to in refs.symbolic.items() if name in kept and to in kept}), tuple(broken))


def fetch(git: Git, repository: Repository, folder: Path, listed: Refs) -> Fetched:
    """Bring everything into the bare repository ``folder``, whose references become the source's. Raises GitUnreachable, GitIncomplete."""
    specs = [b"+refs/*:refs/*", *([b"+HEAD:" + DETACHED] if listed.detached else [])]
    done = _fetch(git, repository, folder, specs, prune=True)
    if done.status and "dumb http" not in done.err and _passing(done):
        done = _fetch(git, repository, folder, specs, prune=True)
    if (folder / "shallow").exists() or any(mark in done.err for mark in _SHALLOW):
        raise _shallow(repository)
    lost = _what_can_be_had(git, repository, folder, listed, done) if done.status else {}
    refs = _present(git, folder)
    if left_out := listed.refs.keys() - refs.keys() - lost.keys():
        # Deleted since the listing, or left out by Git without a word.
        still = listing(git, repository).refs.refs
        lost |= {name: "git fetch left it out" for name in left_out if name in still}
    head = refs.pop(DETACHED, None) if listed.detached else listed.head
    symbolic = {name: target for name, target in listed.symbolic.items() if name in refs and target in refs}
    return Fetched(Refs(refs, head or listed.head, symbolic), lost)


def _fetch(git: Git, repository: Repository, folder: Path, specs: Sequence[bytes], *, prune: bool = False) -> Done:
    words = ["fetch", "--progress", "--no-tags", "--no-write-fetch-head", "--no-auto-maintenance", "--no-recurse-submodules", "--stdin"]
    words += ["--prune"] if prune else []
    return git.run([*words, "--", repository.url], folder=folder, given=b"".join(spec + b"\n" for spec in specs), network=True)


def _passing(done: Done) -> bool:
    """A reference that moved between listing and fetching, or a connection that broke: worth one more try."""
    return any(
        mark in done.err for mark in ("not our ref", "early EOF", "hung up", "couldn't find remote ref", "RPC failed", "reset by peer")
    )


def _what_can_be_had(git: Git, repository: Repository, folder: Path, listed: Refs, first: Done) -> dict[bytes, str]:
    """Reference by reference, by halving; those that failed. Raises GitUnreachable when none can be had."""
    names = sorted(listed.refs)
    # What is there from the point before is no proof that the source still has it.
    git.need(["update-ref", "--stdin"], folder=folder, given=b"".join(b"delete %s\n" % name for name in _present(git, folder)))
    lost: dict[bytes, str] = {}
    waiting = [names]
    fetches = 0
    while waiting:
        some = waiting.pop()
        if not some:
            continue
        done = first
        if fetches < _MOST_FETCHES:
            fetches += 1
            done = _fetch(git, repository, folder, [b"+%s:%s" % (name, name) for name in some])
        if not done.status:
            continue
        if len(some) == 1 or fetches >= _MOST_FETCHES:
            lost |= dict.fromkeys(some, done.last() or "git said nothing")
        else:
            waiting += [some[: len(some) // 2], some[len(some) // 2 :]]
    if len(lost) == len(names):
        raise _unreachable(repository, first)
    if listed.detached:
        _fetch(git, repository, folder, [b"+HEAD:" + DETACHED])
    return lost


def _present(git: Git, folder: Path) -> dict[bytes, bytes]:
    return from_for_each_ref(git.need(["for-each-ref", "--format=%(objectname) %(refname)"], folder=folder))


def _whole(git: Git, folder: Path, repository: Repository) -> Path:
    """The Git folder of a local repository that is there and has all its history. Raises GitUnreachable, GitIncomplete."""
    place = git_folder(folder)
    if not (place / "HEAD").exists() or not (place / "objects").is_dir():
        raise GitUnreachable(f"{folder} is no Git repository, or is gone.", hint="Correct the plan, or bring the repository back.")
    if (place / "shallow").exists():
        raise _shallow(repository)
    found = git.run(
        ["config", "--file", place / "config", "--no-includes", "--get-regexp", r"^(extensions\.partialclone|remote\..*\.promisor)$"]
    )
    if found.status == 0 and found.out.strip():
        raise GitIncomplete(
            f"{repository.url} is a partial clone: it does not hold all objects of its history.",
            hint="Name the repository that it was cloned from, or complete it: git fetch --refetch without --filter.",
        )
    return place


def git_folder(folder: Path) -> Path:
    """Where a repository on this machine keeps its objects: the folder itself, its ``.git``, or where a worktree's file leads."""
    inner = folder / ".git"
    if inner.is_file():
        place = (folder / inner.read_text(encoding="utf-8", errors="surrogateescape").removeprefix("gitdir:").strip()).resolve()
        common = place / "commondir"
        return (place / common.read_text(encoding="utf-8", errors="surrogateescape").strip()).resolve() if common.is_file() else place
    return inner if inner.is_dir() else folder


def _unborn(git: Git, repository: Repository, place: Path | None, *, empty: bool) -> bytes | None:
    """The branch that HEAD names and that has no commit yet; over a network only a clone is told it."""
    if place is None:
        if not empty:
            return None
        place = git.home / "unborn"
        shutil.rmtree(place, ignore_errors=True)
        if git.run(["clone", "-q", "--bare", "--", repository.url, place], network=True).status:
            return None
    done = git.run(["symbolic-ref", "-q", "HEAD"], folder=place)
    return done.out.strip() or None if done.status == 0 else None


def _shallow(repository: Repository) -> GitIncomplete:
    return GitIncomplete(
        f"{repository.url} is a shallow clone: its history is cut off.",
        hint="Name the repository that it was cloned from, or complete it: git fetch --unshallow.",
    )


def _unreachable(repository: Repository, done: Done) -> GitUnreachable:
    said = done.last() or f"git ended with status {done.status}"
    if any(mark in done.err for mark in _DENIED):
        return GitUnreachable(
            f"{repository.url} refuses the credentials: {said}.",
            hint="Check user and password (or token) in the plan, or the key that this account's ssh offers.",
        )
    return GitUnreachable(f"{repository.url} cannot be read: {said}.", hint="Check the address and the network.")
