"""What a delta restore was asked to remove: entries of the target that the point does not hold."""

import os
import shutil
import stat
from pathlib import Path

from holdfast.systems.contract import PointReader
from holdfast.systems.files.capture.ledger import Ledger
from holdfast.systems.files.compare import of_point, on_machine, pairs
from holdfast.systems.files.restore.folders import Folders
from holdfast.systems.files.restore.plan import Detail
from holdfast.systems.files.restore.writing import failed
from holdfast.systems.files.settings import outside


def remove_extra(reader: PointReader, detail: Detail, into: Path, folders: Folders) -> list[str]:
    """Remove them, folders with all that is in them. Returns notes. With a selection by globs nothing counts as extra."""
    roots = tuple(outside(unit) for unit in detail.units)
    if not roots:
        return []
    gone: list[str] = []
    here = len(str(into).rstrip("/"))
    for line, found in pairs(of_point(reader, detail.selection), on_machine(into, roots, Ledger())):
        if line is None and found is not None:
            place = outside(found.path)[here:].strip("/")
            if not gone or not place.startswith(gone[-1] + "/"):
                gone.append(place)
    for place in gone:
        folder, name = folders.parent(place)
        try:
            status = os.stat(name, dir_fd=folder.fd, follow_symlinks=False)
            if stat.S_ISDIR(status.st_mode):
                shutil.rmtree(name, dir_fd=folder.fd)
                folders.forget(place)
            else:
                os.unlink(name, dir_fd=folder.fd)
        except OSError as error:
            failed(folders.show(place), error)
    return [f"{len(gone)} entries that the point does not hold were removed."] if gone else []
