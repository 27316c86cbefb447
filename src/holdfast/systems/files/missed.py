"""What a capture left out: it lay there, unchanged, before the newest point was begun, and the point lacks it.

A source that moved on has entries that the point lacks, too; but whatever makes, links or renames an entry sets its ctime, and the mtime
of the folder that it comes into. So an entry whose ctime is older than the point lay in its folder when the point was taken, and the folder
lay where it lies now if its own mtime is still the point's, or if a file below it still is the one that was captured (same inode and
ctime). Of an entry in a folder for which neither holds nothing is said.
"""

import datetime as dt
import stat
from collections.abc import Iterator, Mapping
from typing import Any

from holdfast.model import RecoveryPoint
from holdfast.systems.contract import History, LeftOut, PointReader
from holdfast.systems.files.capture.ledger import Ledger
from holdfast.systems.files.capture.run import unchanged
from holdfast.systems.files.capture.walk import Found, Walk
from holdfast.systems.files.compare import Pair, of_point, pairs
from holdfast.systems.files.settings import FilesSettings, outside

MARGIN = 60
"""Seconds by which an entry must be older than the point: the clocks of a file system and of this machine may differ."""
_MOST = 10_000
_NAMED = 5


def chosen(settings: FilesSettings) -> Mapping[str, Any]:
    """What decides which entries a point holds, as it is told in its facts."""
    return {
        "paths": list(settings.roots()),
        "exclude": list(settings.exclude),
        "caches": settings.exclude_caches,
        "one_filesystem": settings.one_filesystem,
    }


def left_out(settings: FilesSettings, history: History) -> LeftOut:
    """By the newest point, where it was taken by the present plan and lacks nothing that it names itself."""
    points = history.points()
    point = points[-1] if points else None
    if point is None or point.facts.get("incomplete") or point.facts.get("chosen") != chosen(settings):
        return LeftOut()
    reader = history.open(point.id)
    began = _began(point)
    suspects = [found.path for line, found in _sides(settings, reader) if line is None and found is not None and _older(found, began)]
    suspects = suspects[:_MOST]
    if not suspects:
        return LeftOut()
    steady = _steady(settings, reader, {path.rpartition("/")[0] for path in suspects})
    sure: list[str] = []
    known: set[str] = set()
    for path in suspects:
        above = path.rpartition("/")[0]
        if above in steady or above in known:
            known.add(path)
            sure.append(outside(path))
    return LeftOut(len(sure), tuple(sure[:_NAMED]))


def _sides(settings: FilesSettings, reader: PointReader) -> Iterator[Pair]:
    return pairs(of_point(reader), ((found.path, found) for found in Walk(settings, Ledger()).run()))


def _began(point: RecoveryPoint) -> int:
    """In ns since the epoch, with the margin."""
    return int((dt.datetime.fromisoformat(str(point.start["time"])).timestamp() - MARGIN) * 1e9)


def _older(found: Found, began: int) -> bool:
    return found.status.st_ctime_ns < began


def _steady(settings: FilesSettings, reader: PointReader, folders: set[str]) -> set[str]:
    """Those of the folders that lie where they lay when the point was taken."""
    found: set[str] = set()
    for line, there in _sides(settings, reader):
        if line is None or there is None:
            continue
        if there.path in folders and stat.S_ISDIR(there.status.st_mode):
            if line.entry.kind == "dir" and line.mtime_ns == there.status.st_mtime_ns:
                found.add(there.path)
        elif line.is_file and stat.S_ISREG(there.status.st_mode) and unchanged(line, there.status):
            above = there.path
            while above := above.rpartition("/")[0]:
                if above in folders:
                    found.add(above)
    return found
