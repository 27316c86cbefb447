"""How a repository lies in a recovery point: bundles in order, and its references in Git's own formats.

Below ``git/<name>/``: ``bundles`` (lines ``<sha256>  <file>``, as ``sha256sum -c`` reads them, in the order in which they are unbundled),
the bundles themselves, ``packed-refs``, ``HEAD``, ``symrefs`` (``<name> <target>``), and ``lfs/objects/…``. The first bundle stands on its
own; each later one needs those before it and holds what came since. So a point restores by itself, with Git alone: each
bundle is fetched in order into an empty bare repository, then ``packed-refs`` and ``HEAD`` are copied into it.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from holdfast.systems.files.git.errors import GitBundleWrong

ROOT = "git"
LISTS = ("bundles", "packed-refs", "HEAD", "symrefs")
"""Written last: a repository is in the point when they are."""
_LINE = re.compile(r"([0-9a-f]{64})  ([0-9]{4}-[0-9a-f]{16}\.bundle)")
MOST_BUNDLES = 50
"""A longer chain begins anew with one whole bundle."""


@dataclass(frozen=True, slots=True)
class Bundle:
    """``name``: its place in the chain and the begin of its SHA-256, so that one name never stands for different bytes."""

    name: str
    sha256: str
    size: int = 0

    @property
    def number(self) -> int:
        return int(self.name[:4])


def bundle_name(number: int, sha256: str) -> str:
    return f"{number:04d}-{sha256[:16]}.bundle"


def bundle_list(bundles: Sequence[Bundle]) -> bytes:
    return "".join(f"{one.sha256}  {one.name}\n" for one in bundles).encode()


def parse_bundle_list(text: bytes, name: str) -> Sequence[Bundle]:
    """Raises GitBundleWrong."""
    found: list[Bundle] = []
    for line in text.decode(errors="replace").splitlines():
        match = _LINE.fullmatch(line)
        if match is None or not match[2].startswith(f"{len(found):04d}-{match[1][:16]}"):
            raise GitBundleWrong(f"The list of bundles of {name} has a line that is none: {line[:100]!r}.", hint="Restore another point.")
        found.append(Bundle(match[2], match[1]))
    return found
