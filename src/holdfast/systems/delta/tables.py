"""Which tables lie below a lake's address."""

import fnmatch
import re
from collections.abc import Iterator, Sequence

from holdfast.systems.delta.errors import TableMissing, TablesNested
from holdfast.systems.delta.store import Store

_DEEP = 8
_PATTERN = "*?["
_ASIDE = re.compile(r".*\.(?:damaged|before)-\d{8}T\d{6}Z(?:-\d+)?")
"""What restores moved aside is found by no pattern."""


def find(store: Store, wanted: Sequence[str]) -> list[str]:
    """Names (paths below the address, '/'-separated; '' for the address itself) of the tables that ``wanted`` means.

    Raises TableMissing for a name without a pattern that is no table, TablesNested.
    """
    names = [one.strip("/") for one in wanted if not any(letter in one for letter in _PATTERN)]
    patterns = [one.strip("/") for one in wanted if any(letter in one for letter in _PATTERN)]
    found = set(names)
    for name in names:
        if not is_table(store, name):
            raise TableMissing(
                f"{store.url} has no Delta table {name!r}: nothing lies in {name}/_delta_log."
                if name
                else f"{store.url} is no Delta table.",
                hint="Look at url and tables in the plan.",
                table=name,
            )
    if patterns or not wanted:
        for name in _walk(store, "", 0):
            if not wanted or any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns):
                found.add(name)
    ordered = sorted(found)
    for outer in ordered:
        for inner in ordered:
            if inner != outer and inner.startswith(f"{outer}/" if outer else ""):
                raise TablesNested(
                    f"The table {inner} lies inside the table {outer or 'at the address itself'}.",
                    hint="Leave one of them out of the plan.",
                )
    return ordered


def is_table(store: Store, name: str) -> bool:
    return next(iter(store.things(f"{prefix(name)}_delta_log/")), None) is not None


def prefix(name: str) -> str:
    """The table's folder as the beginning of its keys."""
    return f"{name}/" if name else ""


def _walk(store: Store, folder: str, depth: int) -> Iterator[str]:
    # Asked first: what lies beside a log are a table's files, however many.
    if is_table(store, folder.rstrip("/")):
        yield folder.rstrip("/")
        return
    if depth < _DEEP:
        for name in store.folders(folder):
            if not name.startswith((".", "_")) and not _ASIDE.fullmatch(name):
                yield from _walk(store, f"{folder}{name}/", depth + 1)
