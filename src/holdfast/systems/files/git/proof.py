"""Builds a repository from its bundles alone, and proves it: bundle verify, unbundle, fsck, every reference."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from holdfast.systems.files.git.errors import GitBundleWrong
from holdfast.systems.files.git.refs import Refs, from_for_each_ref
from holdfast.systems.files.git.run import Git, shown

_COMPLAINT = re.compile(r"(?:error|warning) in (?:blob|tree|commit|tag) [0-9a-f]+: [A-Za-z0-9]+: ")
"""fsck of an object that is whole and breaks today's rules (old, or written by odd software). Its status does not tell it from loss."""
_HARMLESS = ("notice:", "dangling ", "unreachable ")


@dataclass(frozen=True, slots=True)
class Sound:
    """``complaints``: what fsck says of whole objects that break its strict rules; the source has the same ones."""

    complaints: tuple[str, ...] = ()


def bare(git: Git, folder: Path, refs: Refs | None, alternates: Sequence[Path] = ()) -> Path:
    """A new bare repository that also sees other object stores. Its hash follows the ids of ``refs``."""
    sha256 = refs is not None and any(len(oid) == 64 for oid in refs.refs.values())
    git.need(["init", "-q", "--bare", *(["--object-format=sha256"] if sha256 else []), "--", folder])
    if alternates:
        info = folder / "objects" / "info"
        info.mkdir(exist_ok=True)
        (info / "alternates").write_text("".join(f"{place}\n" for place in alternates), encoding="utf-8", errors="surrogateescape")
    return folder


def set_refs(folder: Path, refs: Refs) -> None:
    """Make the references of a bare repository exactly these (it must have no loose ones)."""
    (folder / "packed-refs").write_bytes(refs.packed())
    (folder / "HEAD").write_bytes(refs.head_file())


def set_symbolic(git: Git, folder: Path, refs: Refs) -> None:
    for name, target in refs.symbolic.items():
        git.need(["symbolic-ref", name, target], folder=folder)


def unbundle(git: Git, folder: Path, bundle: Path, what: str) -> None:
    """``git bundle verify``, then its objects into ``folder``. Raises GitBundleWrong."""
    for verb in ("verify", "unbundle"):
        done = git.run(["bundle", verb, bundle], folder=folder)
        if done.status:
            raise GitBundleWrong(
                f"git bundle {verb} of {bundle.name} of {what}: {done.last() or f'status {done.status}'}.",
                hint="Run 'holdfast vault check --read all'; restore another recovery point.",
            )


def heads(git: Git, folder: Path, bundle: Path) -> Sequence[bytes]:
    """The ids that a bundle's references name."""
    listed = git.need(["bundle", "list-heads", bundle], folder=folder)
    return [line.split(b" ", 1)[0] for line in listed.split(b"\n") if line]


def prove(git: Git, folder: Path, refs: Refs, what: str) -> Sound:
    """``git fsck --full --strict``, and the references are exactly ``refs``. Raises GitBundleWrong."""
    done = git.run(["fsck", "--full", "--strict", "--no-dangling", "--no-progress"], folder=folder)
    said = tuple(shown(line.strip()) for line in (done.out.decode(errors="replace") + done.err).splitlines() if line.strip())
    complaints = tuple(line for line in said if _COMPLAINT.match(line))
    bad = [line for line in said if not _COMPLAINT.match(line) and not line.startswith(_HARMLESS)]
    if done.status and (bad or not complaints):
        raise GitBundleWrong(
            f"git fsck of {what}: {' / '.join(bad[:3])[:500] or f'status {done.status}'}.",
            hint="Run 'holdfast vault check --read all'; restore another recovery point.",
        )
    compare(git, folder, refs, what)
    return Sound(complaints[:50])


def refs_of(git: Git, folder: Path) -> Refs:
    """What a bare repository of ours refers to."""
    listed = git.need(["for-each-ref", "--format=%(objectname) %(refname) %(symref)"], folder=folder)
    refs: dict[bytes, bytes] = {}
    symbolic: dict[bytes, bytes] = {}
    for line in listed.split(b"\n"):
        words = line.split(b" ")
        if len(words) == 3:
            refs[words[1]] = words[0]
            if words[2]:
                symbolic[words[1]] = words[2]
    head = (folder / "HEAD").read_bytes().strip()
    return Refs(refs, head.removeprefix(b"ref: "), symbolic)


def compare(git: Git, folder: Path, refs: Refs, what: str) -> None:
    """The repository's references, HEAD and symbolic ones are exactly ``refs``. Raises GitBundleWrong."""
    found = from_for_each_ref(git.need(["for-each-ref", "--format=%(objectname) %(refname)"], folder=folder))
    wrong = {name for name in found.keys() | refs.refs.keys() if found.get(name) != refs.refs.get(name)}
    head = (folder / "HEAD").read_bytes()
    if wrong or head != refs.head_file():
        first = shown(min(wrong)) if wrong else "HEAD"
        raise GitBundleWrong(
            f"{len(wrong) or 1} of {len(refs.refs)} references of {what} are not what was captured: {first!r} first.",
            hint="Run 'holdfast vault check --read all'; restore another recovery point.",
        )
