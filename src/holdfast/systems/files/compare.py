"""Holds a tree on the machine against a point, entry by entry in the order of their paths; nothing of either is kept in memory."""

import heapq
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from holdfast.model import Entry
from holdfast.systems.contract import History, PointReader, StoredLine
from holdfast.systems.files import attributes
from holdfast.systems.files.capture.entries import plain_entry
from holdfast.systems.files.capture.ledger import Ledger
from holdfast.systems.files.capture.run import unchanged
from holdfast.systems.files.capture.walk import Found, Walk
from holdfast.systems.files.restore.select import Selection
from holdfast.systems.files.settings import ROOT, FilesSettings, inside

Pair = tuple[StoredLine | None, Found | None]
"""What the point holds and what stands on the machine under one path; None for nothing."""


def pairs(lines: Iterator[StoredLine], walk: Iterator[tuple[str, Found]]) -> Iterator[Pair]:
    """Both in the order of the point's paths."""
    line, found = next(lines, None), next(walk, None)
    while line is not None or found is not None:
        if found is None or (line is not None and line.path < found[0]):
            yield line, None
            line = next(lines, None)
        elif line is None or found[0] < line.path:
            yield None, found[1]
            found = next(walk, None)
        else:
            yield line, found[1]
            line, found = next(lines, None), next(walk, None)


def of_point(reader: PointReader, selection: Selection | None = None) -> Iterator[StoredLine]:
    """The lines that came from folders, in order: what a capture looked at again at its end stands behind the others in the point."""
    late = sorted((line for line, ordered in _ordered(reader) if not ordered), key=lambda line: line.path)
    chooser = (selection or Selection()).chooser()
    for line in heapq.merge((line for line, ordered in _ordered(reader) if ordered), late, key=lambda line: line.path):
        if _from_folder(line.path) and chooser.wants(line.path, folder=not line.is_file):
            yield line


def _ordered(reader: PointReader) -> Iterator[tuple[StoredLine, bool]]:
    """Each line, and whether it comes behind all before it."""
    last = ""
    for line in reader.lines():
        ordered = line.path >= last
        if ordered:
            last = line.path
        yield line, ordered


def on_machine(into: Path, paths: tuple[str, ...], ledger: Ledger) -> Iterator[tuple[str, Found]]:
    """What stands below ``into`` where ``paths`` (of the machine) were restored to, under the point's paths."""
    prefix = inside(str(into)).rstrip("/") if str(into) != "/" else ROOT
    walk = Walk(FilesSettings(tuple(str(into / path.lstrip("/")) for path in paths)), ledger)
    for found in walk.run():
        yield ROOT + found.path[len(prefix) :], found


def _from_folder(path: str) -> bool:
    return path == ROOT or path.startswith(ROOT + "/")


def differing(entry: Entry, found: Found, *, owners: bool) -> list[str]:
    """In which respects an entry on the machine is not what the point says; its content apart."""
    status = found.status
    there = plain_entry(entry.path, status)
    if there.kind != entry.kind:
        return ["type"]
    wrong = []
    if entry.kind == "symlink":
        if os.readlink(found.name, dir_fd=found.folder.fd) != entry.target:
            wrong.append("target")
    elif there.mode != entry.mode:
        wrong.append("mode")
    if owners and (there.uid, there.gid) != (entry.uid, entry.gid):
        wrong.append("owner")
    if there.mtime_ns != entry.mtime_ns:
        wrong.append("time")
    if there.size != entry.size:
        wrong.append("size")
    if "d" in entry.extra and there.extra.get("d") != entry.extra["d"]:
        wrong.append("device")
    place: int | str = f"/proc/self/fd/{found.folder.fd}/{found.name}"
    if found.opened is not None:
        place = found.opened.fd
    if attributes.read_attributes(place) != entry.extra.get("a", {}):
        wrong.append("attributes")
    return wrong


def newest_matching(settings: FilesSettings, history: History | None) -> str | None:
    """The newest point, if the paths of the plan are still as they were when it was taken; judged without reading content."""
    points = history.points() if history is not None else ()
    if history is None or not points or points[-1].facts.get("incomplete"):
        return None
    ledger = Ledger()
    walk = ((found.path, found) for found in Walk(settings, ledger).run())
    for line, found in pairs(of_point(history.open(points[-1].id)), walk):
        if line is None or found is None:
            return None
        if line.is_file:
            if not stat.S_ISREG(found.status.st_mode) or not unchanged(line, found.status):
                return None
        elif differing(line.entry, found, owners=True):
            return None
    return None if ledger.unreadable or ledger.vanished else points[-1].id
