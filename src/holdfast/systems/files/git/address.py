"""Addresses of repositories: what Git may be told, what belongs to the credentials, and the name that a repository has in a point."""

import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit, urlunsplit

from holdfast.systems.files.git.errors import GitAddress

SCHEMES = ("https", "http", "ssh", "git", "file")
"""Transports that are allowed; ``ext::`` and other helpers would run whatever the address says."""

_SCP = re.compile(r"(?:[A-Za-z0-9_][^@\s/:]*@)?(?:\[[0-9A-Fa-f:]+\]|[A-Za-z0-9][^\s/:]*):(?!//)[^-\s].*")
_NAME = re.compile(r"[^A-Za-z0-9._-]+")


@dataclass(frozen=True, slots=True)
class Repository:
    """One repository to protect. ``url`` carries no password; ``user`` and ``password`` go to the host of ``url`` and nowhere else.

    ``folder``: the repository on this machine, for local ones. ``submodules``: capture what it names too. ``lfs``: fetch large files.
    """

    name: str
    url: str
    user: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)
    folder: Path | None = None
    submodules: bool = False
    lfs: bool = True
    ca: Path | None = None

    @property
    def secret(self) -> str:
        """What no message may hold; empty when there is none."""
        return self.password or (self.user or "" if self.password is not None else "")


def repository(
    url: str,
    *,
    user: str | None = None,
    password: str | None = None,
    submodules: bool = False,
    lfs: bool = True,
    ca: Path | None = None,
) -> Repository:
    """The repository behind an address: a URL (a password in it is taken out of it), ``user@host:path``, or an absolute folder.

    Raises GitAddress, which never repeats an address that may hold a password.
    """
    if any(letter in url for letter in "\n\r\0") or url.startswith("-") or not url:
        raise _wrong("it holds a line break, begins with '-' or is empty")
    if url.startswith("/"):
        return Repository(_plain(url), url, folder=Path(url), submodules=submodules, lfs=lfs)
    if "://" not in url:
        if "::" in url.split("/", 1)[0]:
            raise _wrong("transports of the form helper::address are not allowed, for they run programs")
        if not _SCP.fullmatch(url):
            raise _wrong("it is neither a URL, nor user@host:path, nor an absolute folder")
        return Repository(_plain(url), url, submodules=submodules, lfs=lfs)
    try:
        parts = urlsplit(url)
        host, port, found_user, found_password = parts.hostname, parts.port, parts.username, parts.password
    except ValueError:
        raise _wrong("it is no URL") from None
    if parts.scheme not in SCHEMES:
        raise _wrong(f"the transport {parts.scheme[:20]!r} is not allowed; these are: {', '.join(SCHEMES)}")
    if parts.scheme == "file":
        if host not in (None, "", "localhost") or not parts.path.startswith("/"):
            raise _wrong("file:// needs an absolute folder of this machine")
        return Repository(_plain(parts.path), url, folder=Path(unquote(parts.path)), submodules=submodules, lfs=lfs)
    if not host or host.startswith("-") or not parts.path.strip("/"):
        raise _wrong("it names no host or no path")
    where = f"[{host}]" if ":" in host else host
    where += f":{port}" if port else ""
    if parts.scheme == "ssh":
        # The account is part of the address there, not a secret; ssh itself takes no password from us.
        if found_password is not None:
            raise _wrong("ssh takes no password from an address; use a key and the agent")
        where = f"{quote(unquote(found_user))}@{where}" if found_user else where
        return Repository(_plain(parts.path), urlunsplit((parts.scheme, where, parts.path, "", "")), submodules=submodules, lfs=lfs)
    clean = urlunsplit((parts.scheme, where, parts.path, parts.query, ""))
    given_user = user if user is not None else (unquote(found_user) if found_user else None)
    given_password = password if password is not None else (unquote(found_password) if found_password else None)
    if given_user is not None and given_password is None:
        # A token that stands where the name does.
        given_password = ""
    return Repository(_plain(parts.path), clean, given_user, given_password, None, submodules, lfs, ca)


def named(repositories: Iterable[Repository]) -> Sequence[Repository]:
    """The same without repetitions, each under a name that no other has (letter case does not tell names apart)."""
    unique: dict[str, Repository] = {}
    for one in repositories:
        unique.setdefault(one.url, one)
    names = [one.name.lower() for one in unique.values()]
    return [
        one if names.count(one.name.lower()) == 1 else replace(one, name=f"{one.name}-{hashlib.sha256(one.url.encode()).hexdigest()[:8]}")
        for one in unique.values()
    ]


def _plain(path: str) -> str:
    """The last part of a path as a folder's name."""
    tail = path.rstrip("/").removesuffix("/.git").rstrip("/").replace(":", "/").rsplit("/", 1)[-1].removesuffix(".git")
    return _NAME.sub("_", unquote(tail)).strip("._-")[:80] or "repository"


def _wrong(why: str) -> GitAddress:
    return GitAddress(
        f"The address of a Git repository (not repeated here) cannot be used: {why}.",
        hint="Write https://host/path.git, ssh://user@host/path.git, user@host:path.git, or the absolute folder of a repository.",
    )
