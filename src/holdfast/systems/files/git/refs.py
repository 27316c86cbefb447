"""References of a repository as a value: read from Git's listings, written in Git's own format, compared by digest.

Names are bytes: a reference may hold any but control characters and a few others (git-check-ref-format(1)), UTF-8 or not.
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

_OID = re.compile(rb"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_BAD_NAME = re.compile(rb"[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{|//|/\.|^\.|^/|/$|\.$|\.lock(?:/|$)")
DETACHED = b"refs/holdfast-capture/HEAD"
"""Where a HEAD that names a commit instead of a branch is kept while objects travel."""


class BadRefs(ValueError):
    """A listing is not in its format."""


@dataclass(frozen=True, slots=True)
class Refs:
    """``refs``: name → object id (hex). ``head``: the branch that HEAD names (born or not) or the id of a commit; None when unknown.

    ``symbolic``: references other than HEAD that name another one.
    """

    refs: Mapping[bytes, bytes] = field(default_factory=dict)
    head: bytes | None = None
    symbolic: Mapping[bytes, bytes] = field(default_factory=dict)

    @property
    def detached(self) -> bool:
        return self.head is not None and not self.head.startswith(b"refs/")

    def packed(self) -> bytes:
        """Git's ``packed-refs``: one line ``<id> <name>`` each, sorted. Symbolic ones are kept apart."""
        return b"".join(b"%s %s\n" % (oid, name) for name, oid in sorted(self.refs.items()) if name not in self.symbolic)

    def head_file(self) -> bytes:
        """Git's ``HEAD``."""
        if self.head is None:
            return b"ref: refs/heads/main\n"
        return self.head + b"\n" if self.detached else b"ref: " + self.head + b"\n"

    def symrefs(self) -> bytes:
        """Lines ``<name> <target>`` of the symbolic ones."""
        return b"".join(b"%s %s\n" % pair for pair in sorted(self.symbolic.items()))

    def digest(self) -> str:
        """SHA-256 (hex) over all three: equal exactly when the references are."""
        return hashlib.sha256(self.head_file() + b"\0" + self.symrefs() + b"\0" + self.packed()).hexdigest()


def from_ls_remote(listing: bytes) -> Refs:
    """From ``git ls-remote --symref`` (tab between id and name; ``^{}`` marks what a tag leads to). Raises BadRefs."""
    refs: dict[bytes, bytes] = {}
    symbolic: dict[bytes, bytes] = {}
    head: bytes | None = None
    for line in listing.split(b"\n"):
        if not line:
            continue
        value, tab, name = line.partition(b"\t")
        if not tab:
            raise BadRefs(f"a line without a tab: {line[:80]!r}")
        if value.startswith(b"ref: "):
            symbolic[_name(name)] = _name(value[5:])
        elif name.endswith(b"^{}"):
            continue
        elif not _OID.fullmatch(value):
            raise BadRefs(f"no object id: {value[:80]!r}")
        elif name == b"HEAD":
            head = value
        else:
            refs[_name(name)] = value
    head = symbolic.pop(b"HEAD", head)
    return Refs(refs, head, {name: target for name, target in symbolic.items() if target in refs})


def from_for_each_ref(listing: bytes) -> dict[bytes, bytes]:
    """From ``git for-each-ref --format='%(objectname) %(refname)'``. Raises BadRefs."""
    return dict(_pairs(listing))


def from_files(packed: bytes, head: bytes, symrefs: bytes) -> Refs:
    """From what ``packed``, ``head_file`` and ``symrefs`` wrote. Raises BadRefs."""
    refs = dict(_pairs(packed))
    symbolic: dict[bytes, bytes] = {}
    for line in filter(None, symrefs.split(b"\n")):
        name, space, target = line.partition(b" ")
        if not space:
            raise BadRefs(f"no symbolic reference: {line[:80]!r}")
        symbolic[_name(name)] = _name(target)
    text = head.removesuffix(b"\n")
    target = _name(text.removeprefix(b"ref: ")) if text.startswith(b"ref: ") else text
    if not target.startswith(b"refs/") and not _OID.fullmatch(target):
        raise BadRefs(f"HEAD is neither a branch nor an id: {text[:80]!r}")
    for name, leads in symbolic.items():
        if leads in refs:
            refs[name] = refs[leads]
    return Refs(refs, target, symbolic)


def _pairs(listing: bytes) -> list[tuple[bytes, bytes]]:
    pairs = []
    for line in listing.split(b"\n"):
        if not line:
            continue
        oid, space, name = line.partition(b" ")
        if not space or not _OID.fullmatch(oid):
            raise BadRefs(f"no reference: {line[:80]!r}")
        pairs.append((_name(name), oid))
    return pairs


def _name(name: bytes) -> bytes:
    """A reference's name that cannot lead a path astray; HEAD is one. Raises BadRefs."""
    if name != b"HEAD" and (not name.startswith(b"refs/") or _BAD_NAME.search(name)):
        raise BadRefs(f"no name of a reference: {name[:80]!r}")
    return name
