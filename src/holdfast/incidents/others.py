"""Journals of other hosts, copied out of the vault, so that one incident is seen whole on every host."""

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

from holdfast.incidents.record.log import Log
from holdfast.journal import check


class Stored(Protocol):
    """Journals as they lie in one location of a vault."""

    def tags(self) -> list[str]:
        """Of all hosts. Raises Unreachable."""
        ...

    def lines(self, tag: str, begin: int) -> Iterator[bytes]:
        """Entries of a host from number ``begin`` on, in order; ends before the first that is not believed. Raises Unreachable."""
        ...


def pull(log: Log, stored: Stored, told: Callable[[str], None] = lambda _: None) -> int:
    """Copy what is not here yet; how many entries. A chain that is not whole is kept up to its break, and told."""
    own = set(log.journal.chains())
    log.others.mkdir(mode=0o700, parents=True, exist_ok=True)
    made = 0
    for tag in stored.tags():
        if tag in own:
            continue
        path = log.others / f"{tag}.jsonl"
        here = path.read_bytes().splitlines(keepends=True) if path.exists() else []
        new = list(stored.lines(tag, len(here)))
        if not new:
            continue
        believed, problems = check(tag, [*here, *new])
        if problems:
            told(f"the journal {tag} of another host: {problems[0].text}")
        if len(believed) > len(here):
            _replace(path, b"".join(record.line for record in believed))
            made += len(believed) - len(here)
    with contextlib.suppress(OSError):
        (log.others / "pulled").touch()
    return made


def _replace(path: Path, data: bytes) -> None:
    new = path.with_name(f"{path.name}.{os.getpid()}.new")
    try:
        new.write_bytes(data)
        new.replace(path)
    finally:
        new.unlink(missing_ok=True)
