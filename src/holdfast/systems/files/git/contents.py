"""What a repository names but does not hold: submodules, and files that Git LFS keeps elsewhere."""

import posixpath
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from holdfast.systems.files.git.address import Repository, repository
from holdfast.systems.files.git.errors import GitAddress
from holdfast.systems.files.git.refs import Refs
from holdfast.systems.files.git.run import Git

_POINTER = re.compile(rb"version https://git-lfs\.github\.com/spec/v1\n(?:ext-.*\n)*oid sha256:([0-9a-f]{64})\nsize ([0-9]{1,18})\n")
_POINTER_SIZES = range(100, 1025)
_MOST_MODULES = 1000


@dataclass(frozen=True, slots=True)
class Submodule:
    """``url`` as written in ``.gitmodules``: it may be relative to the parent's."""

    path: str
    url: str


def submodules(git: Git, folder: Path, refs: Refs) -> Sequence[Submodule]:
    """Of the newest commit of every branch, each once; at most some thousand."""
    tips = [name for name in sorted(refs.refs) if name.startswith(b"refs/heads/")]
    if refs.detached:
        tips.append(refs.head or b"HEAD")
    asked = b"".join(tip + b":.gitmodules\n" for tip in tips)
    listed = git.need(["cat-file", "--batch-check=%(objectname) %(objecttype)"], folder=folder, given=asked) if tips else b""
    blobs = sorted({line.split(b" ")[0] for line in listed.split(b"\n") if line.endswith(b" blob")})
    found: dict[tuple[str, str], Submodule] = {}
    for blob in blobs:
        done = git.run(["config", "--blob", blob, "--no-includes", "-z", "--get-regexp", r"^submodule\..*\.(path|url)$"], folder=folder)
        for one in _modules(done.out):
            found.setdefault((one.path, one.url), one)
        if len(found) >= _MOST_MODULES:
            break
    return list(found.values())[:_MOST_MODULES]


def _modules(listing: bytes) -> Iterator[Submodule]:
    values: dict[str, dict[str, str]] = {}
    for item in listing.decode(errors="replace").split("\0"):
        key, _, value = item.partition("\n")
        name, _, what = key.removeprefix("submodule.").rpartition(".")
        if what in ("path", "url") and len(value) < 4096:
            values.setdefault(name, {})[what] = value
    for name, both in values.items():
        if "url" in both:
            yield Submodule(both.get("path", name), both["url"])


def module_repository(parent: Repository, module: Submodule) -> Repository:
    """The repository that a submodule names, with the parent's credentials if it is on the same host.

    What a remote repository says never leads to a folder of this machine. Raises GitAddress.
    """
    url = module.url
    if url.startswith(("./", "../")):
        url = _joined(parent.url, url)
    found = repository(url)
    if found.folder is not None and parent.folder is None:
        raise GitAddress(
            f"A submodule of {parent.url} at {module.path!r} names a folder of this machine.", hint="Add it to the plan if it is meant."
        )
    if _origin(found.url) == _origin(parent.url):
        return repository(url, user=parent.user, password=parent.password, submodules=True, lfs=parent.lfs, ca=parent.ca)
    return repository(url, submodules=True, lfs=parent.lfs)


def _origin(url: str) -> tuple[str, str]:
    parts = urlsplit(url) if "://" in url else None
    return (parts.scheme, parts.netloc) if parts else ("", url.partition(":")[0])


def _joined(parent: str, relative: str) -> str:
    """As git-submodule(1) does: relative to the parent's own address."""
    if "://" in parent:
        parts = urlsplit(parent)
        return urlunsplit(parts._replace(path=posixpath.normpath(posixpath.join(parts.path, relative))))
    if parent.startswith("/"):
        return posixpath.normpath(posixpath.join(parent, relative))
    host, _, path = parent.partition(":")
    joined = posixpath.normpath(posixpath.join("/" + path, relative))
    return f"{host}:{joined if path.startswith('/') else joined.lstrip('/')}"


def pointers(git: Git, folder: Path) -> Mapping[str, int]:
    """Large files that any commit names: SHA-256 (hex) → size in bytes. Looks only where some ``.gitattributes`` speaks of LFS."""
    named = git.need(["rev-list", "--objects", "--all"], folder=folder)
    attributes = {line.split(b" ", 1)[0] for line in named.split(b"\n") if line.endswith((b" .gitattributes", b"/.gitattributes"))}
    if not attributes or b"filter=lfs" not in b"".join(_contents(git, folder, sorted(attributes))):
        return {}
    listed = git.need(["cat-file", "--batch-all-objects", "--batch-check=%(objectname) %(objecttype) %(objectsize)"], folder=folder)
    small = []
    for line in listed.split(b"\n"):
        words = line.split(b" ")
        if len(words) == 3 and words[1] == b"blob" and int(words[2]) in _POINTER_SIZES:
            small.append(words[0])
    found = {}
    for content in _contents(git, folder, small):
        match = _POINTER.match(content)
        if match:
            found[match[1].decode()] = int(match[2])
    return found


def _contents(git: Git, folder: Path, oids: Sequence[bytes]) -> Iterator[bytes]:
    """Of blobs, some thousand at a time."""
    for begin in range(0, len(oids), 4096):
        text = git.need(["cat-file", "--batch"], folder=folder, given=b"\n".join(oids[begin : begin + 4096]) + b"\n")
        at = 0
        while at < len(text):
            end = text.index(b"\n", at)
            words = text[at:end].split(b" ")
            size = int(words[2]) if len(words) == 3 else -1
            if size >= 0:
                yield text[end + 1 : end + 1 + size]
            at = end + 1 + (size + 1 if size >= 0 else 0)
