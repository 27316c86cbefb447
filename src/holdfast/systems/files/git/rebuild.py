"""A point's folder of bundles becomes a repository again, proved before it gets its name."""

import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from holdfast.errors import HoldfastError
from holdfast.model import Clock, counted
from holdfast.systems.contract import Structural
from holdfast.systems.files.git import large, proof
from holdfast.systems.files.git.errors import GitBundleWrong, GitTargetTaken
from holdfast.systems.files.git.refs import BadRefs, Refs, from_files
from holdfast.systems.files.git.run import Git
from holdfast.systems.files.git.stored import Bundle, bundle_list, parse_bundle_list

_LIST_LIMIT = 256 << 20
MARK = "holdfast-restored"
"""In a restored repository: from which state it was made."""


def rebuild(
    raw: Path,
    into: Path,
    clock: Clock,
    *,
    working: bool = False,
    origin: str | None = None,
    durable: Callable[[Path], None] | None = None,
) -> proof.Sound | None:
    """``raw``: what the point holds below ``git/<name>``, as files. ``into``: the bare repository to be (or, ``working``, a clone of it).

    ``into`` appears only when it is whole, proved and (by ``durable``, called with its folder) durable; what a killed run left beside it
    is removed. None when it was made before from the same state. ``origin``: the address that a working clone remembers.
    Raises GitTargetTaken, GitBundleWrong, GitFailed, GitMissing.
    """
    state = _state(raw, into.name)
    if into.exists() or into.is_symlink():
        if not into.is_symlink() and not working and _marked(into) == state:
            return None
        raise GitTargetTaken(f"{into} exists already.", hint="Restore elsewhere, or move it away.")
    into.parent.mkdir(parents=True, exist_ok=True)
    partial = into.with_name(f".{into.name}.partial")
    if partial.is_symlink():
        raise GitTargetTaken(f"{partial} is a symbolic link.", hint="Restore into a folder of its own.")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(mode=0o700)
    try:
        git = Git(partial / "home", clock)
        git.version()
        made = partial / "bare.git"
        sound = _build(git, raw, made, into.name)
        if working:
            made = _clone(git, made, partial / "clone", origin)
        else:
            (made / MARK).write_text(state, encoding="ascii")
        if durable is not None:
            durable(partial)
        made.rename(into)
        return sound
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def examine_rebuilt(folder: Path, clock: Clock) -> Structural:
    """A repository that ``rebuild`` made, once more: what ``verify`` shows of a restored copy."""
    name = f"git {folder.name.removesuffix('.git')}"
    try:
        # Beside it: what a killed process leaves goes with the copy.
        with tempfile.TemporaryDirectory(prefix=".home-", dir=folder.parent) as home:
            git = Git(Path(home), clock)
            refs = proof.refs_of(git, folder)
            sound = proof.prove(git, folder, refs, folder.name)
    except HoldfastError as error:
        return Structural(name, "failed", error.message)
    if refs.digest() != (_marked(folder) or "").partition(" ")[0]:
        return Structural(name, "failed", "its references are not those of the point")
    said = f"; fsck complains {counted(len(sound.complaints), 'time')} about whole objects" if sound.complaints else ""
    return Structural(name, "passed", f"bundles verified, cloned, fsck --full --strict, {counted(len(refs.refs), 'reference')}{said}")


def _state(raw: Path, name: str) -> str:
    """What a repository was built from: the digest of its references, and of its list of bundles."""
    refs = stored_refs(raw, name).digest()
    return f"{refs} {hashlib.sha256(bundle_list(_bundles(raw, name))).hexdigest()}\n"


def _marked(folder: Path) -> str | None:
    try:
        return _read(folder / MARK).decode("ascii", errors="replace")
    except OSError:
        return None


def stored_refs(raw: Path, name: str) -> Refs:
    """Raises GitBundleWrong."""
    try:
        return from_files(*(_read(raw / part) for part in ("packed-refs", "HEAD", "symrefs")))
    except (OSError, BadRefs) as error:
        raise GitBundleWrong(f"The references of {name} cannot be read: {error}.", hint="Restore another recovery point.") from None


def _build(git: Git, raw: Path, made: Path, name: str) -> proof.Sound:
    refs = stored_refs(raw, name)
    proof.bare(git, made, refs)
    heads: set[bytes] = set()
    for bundle in _bundles(raw, name):
        file = raw / bundle.name
        _right(file, bundle, name)
        proof.unbundle(git, made, file, name)
        # The next bundle is accepted when references lead to what it builds on.
        heads.update(proof.heads(git, made, file))
        proof.set_refs(made, Refs({b"refs/holdfast-capture/%d" % number: oid for number, oid in enumerate(sorted(heads))}))
    proof.set_refs(made, refs)
    proof.set_symbolic(git, made, refs)
    _large(raw, made, name)
    sound = proof.prove(git, made, refs, name)
    # Written again with what each tag leads to, as Git does it.
    git.need(["pack-refs", "--all"], folder=made)
    return sound


def _clone(git: Git, bare: Path, clone: Path, origin: str | None) -> Path:
    git.need(["clone", "-q", "--no-hardlinks", "--", bare, clone])
    if (bare / "lfs").is_dir():
        shutil.move(bare / "lfs", clone / ".git" / "lfs")
    if origin is not None:
        git.need(["config", "remote.origin.url", origin], folder=clone / ".git")
    else:
        git.need(["remote", "remove", "origin"], folder=clone / ".git")
    return clone


def _bundles(raw: Path, name: str) -> Sequence[Bundle]:
    try:
        return parse_bundle_list(_read(raw / "bundles"), name)
    except OSError as error:
        raise GitBundleWrong(f"The list of bundles of {name} cannot be read: {error}.", hint="Restore another recovery point.") from None


def _right(file: Path, bundle: Bundle, name: str) -> None:
    try:
        with os.fdopen(os.open(file, os.O_RDONLY | os.O_NOFOLLOW), "rb") as opened:
            found = hashlib.file_digest(opened, "sha256").hexdigest()
    except OSError as error:
        raise GitBundleWrong(f"{bundle.name} of {name} cannot be read: {error}.", hint="Restore another recovery point.") from None
    if found != bundle.sha256:
        raise GitBundleWrong(
            f"{bundle.name} of {name} has SHA-256 {found}, expected {bundle.sha256}.", hint="Restore another recovery point."
        )


def _large(raw: Path, made: Path, name: str) -> None:
    """Move the large files to where git-lfs looks for them, each proved by its name."""
    objects = raw / "lfs" / "objects"
    if not objects.is_dir() or objects.is_symlink():
        return
    for path in sorted(objects.glob("??/??/*")):
        if path.is_symlink() or not large.right(path, path.name, path.stat().st_size):
            raise GitBundleWrong(f"The LFS file {path.name} of {name} is not what its name says.", hint="Restore another recovery point.")
        place = large.place(made / "lfs", path.name)
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, place)


def _read(path: Path) -> bytes:
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW), "rb") as file:
        return file.read(_LIST_LIMIT)
