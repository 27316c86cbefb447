"""Journals of other hosts, copied out of the vault, so that one incident is seen whole on every host."""

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Protocol

from holdfast.incidents.record.log import Log
from holdfast.journal import parse


class Stored(Protocol):
    """Journals as they lie in one location of a vault."""

    def tags(self) -> list[str]:
        """Of all hosts. Raises Unreachable."""
        ...

    def lines(self, tag: str, begin: int) -> Iterator[bytes]:
        """Entries of a host from number ``begin`` on, in order; with 0 only the newest, where there are many. Ends before the first that is
        not believed. Raises Unreachable.
        """
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
        last = _last(here)
        new, problem = _believed(stored.lines(tag, last[0] + 1 if last else 0), last)
        if problem:
            told(f"The journal {tag} of another host: {problem}.")
        if new:
            _replace(path, b"".join([*here, *new]))
            made += len(new)
    with contextlib.suppress(OSError):
        (log.others / "pulled").touch()
    return made


def _believed(lines: Iterable[bytes], last: tuple[int, str] | None) -> tuple[list[bytes], str]:
    """Those that continue each other, and why the next one does not."""
    found: list[bytes] = []
    for line in lines:
        try:
            record = parse(line)
        except ValueError as error:
            return found, f"an entry behind {last[0] if last else 'the beginning'} is not believed: {error}"
        if last is not None and (record.n != last[0] + 1 or record.prev != last[1]):
            return found, f"entry {record.n} does not continue entry {last[0]}"
        found.append(line)
        last = (record.n, record.hash)
    return found, ""


def _last(lines: list[bytes]) -> tuple[int, str] | None:
    """Number and hash; None where nothing is here, or what is here is damaged: then it is copied anew."""
    if not lines:
        return None
    try:
        record = parse(lines[-1])
    except ValueError:
        lines.clear()
        return None
    return record.n, record.hash


def _replace(path: Path, data: bytes) -> None:
    new = path.with_name(f"{path.name}.{os.getpid()}.new")
    try:
        new.write_bytes(data)
        new.replace(path)
    finally:
        new.unlink(missing_ok=True)
