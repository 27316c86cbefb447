"""Two copies of one version, held against each other file by file; samples of files."""

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from holdfast.systems.contract import Draw, Sampled
from holdfast.systems.delta.data import rows, scan, sql
from holdfast.systems.delta.data.rows import TableAt
from holdfast.systems.delta.data.rowsum import Sums
from holdfast.systems.delta.errors import QueryFailed
from holdfast.systems.delta.log.snapshot import FileKey
from holdfast.systems.shared import narrowing

_SHOWN = 160


def sample(table: TableAt, draw: Draw, done: Callable[[Path], None] | None = None) -> Sampled:
    """Data files, each with the sum of its rows. A table with files elsewhere is hashed whole: a copy gives them other names."""
    files = table.pinned.snapshot.files
    if any(one.address is not None for one in table.pinned.data()):
        whole = rows.summed(table, [scan.sums(table, done=done)])
        return Sampled("rows", int(whole["rows"]), 0, {"": str(whole["hash"])})
    asked = draw.one_in.get(table.name)
    one_in = max(1, asked or len(files) // max(1, draw.wanted))
    drawn = [key for key in files if narrowing.number(_name(key), draw.seed) % one_in == 0]
    found = scan.by_file(_only(table, drawn), done=done)
    return Sampled("files", len(files), one_in, {_name(key): _shown(one) for key, one in found.items()})


def differing(mine: TableAt, theirs: TableAt, folder: Path, limit: int = 5) -> dict[str, Any]:
    """``{"missing", "extra", "changed", "examples"}`` in rows; an example names the file and, where it is changed, the row."""
    left, right = scan.by_file(mine), scan.by_file(theirs)
    found: dict[str, Any] = {"missing": 0, "extra": 0, "changed": 0, "examples": [], "files": 0}
    same_names = not any(one.address is not None for table in (mine, theirs) for one in table.pinned.data())
    if same_names:
        wrong = sorted(key for key in left.keys() | right.keys() if left.get(key) != right.get(key))
        pairs = [([key] if key in left else [], [key] if key in right else []) for key in wrong]
    else:
        pairs = [(list(left), list(right))]
    for ours, others in pairs:
        found["files"] += max(len(ours), len(others))
        _rows(_only(mine, ours), _only(theirs, others), folder, found, limit)
    return found


def _rows(mine: TableAt, theirs: TableAt, folder: Path, found: dict[str, Any], limit: int) -> None:
    """Counted by hashes of their texts, so that what is in memory does not depend on how wide they are."""
    connection = rows.connect(folder)
    import duckdb

    try:
        views = {}
        for view, table in (("mine", mine), ("theirs", theirs)):
            rows.create(connection, table, view)
            views[view] = f"SELECT {sql.canonical(table.pinned.snapshot.metadata)} AS t FROM {view}"
        query = (
            "SELECT coalesce(m.h, o.h), coalesce(m.c, 0) - coalesce(o.c, 0), coalesce(m.t, o.t)"
            f" FROM (SELECT md5(t) AS h, count(*) AS c, min(t) AS t FROM ({views['mine']}) GROUP BY 1) m"
            f" FULL OUTER JOIN (SELECT md5(t) AS h, count(*) AS c, min(t) AS t FROM ({views['theirs']}) GROUP BY 1) o ON m.h = o.h"
            " WHERE coalesce(m.c, 0) <> coalesce(o.c, 0)"
        )
        result = connection.execute(query)
        where = _where(mine, theirs)
        while some := result.fetchmany(1000):
            for _, more, text in some:
                kind = "extra" if more > 0 else "missing"
                found[kind] += abs(int(more))
                if len(found["examples"]) < limit:
                    found["examples"].append({"key": f"{str(text)[:_SHOWN]} in {where}", "difference": kind})
    except duckdb.Error as error:
        raise QueryFailed(f"{mine.label}: {str(error).strip().splitlines()[0]}") from error
    finally:
        connection.close()


def _where(*tables: TableAt) -> str:
    files: Iterable[Mapping[str, Any]] = [add for table in tables for add in table.pinned.snapshot.files.values()]
    paths = sorted({str(add["path"]) for add in files})
    return paths[0] if len(paths) == 1 else f"{len(paths)} files"


def _only(table: TableAt, keys: Iterable[FileKey]) -> TableAt:
    """The table with no other files than these."""
    files = table.pinned.snapshot.files
    snapshot = dataclasses.replace(table.pinned.snapshot, files={key: files[key] for key in keys})
    return dataclasses.replace(table, pinned=dataclasses.replace(table.pinned, snapshot=snapshot))


def _name(key: FileKey) -> str:
    return f"{key[0]}#{key[1]}" if key[1] else key[0]


def _shown(one: Sums) -> str:
    return " ".join(map(str, one))
