"""What a delta restore was asked to remove: entries of the target that the point does not hold."""

import os
import stat
from pathlib import Path

from holdfast.model import counted
from holdfast.systems.contract import PointReader
from holdfast.systems.files.capture.ledger import Ledger
from holdfast.systems.files.compare import of_point, on_machine, pairs
from holdfast.systems.files.restore.folders import Folders
from holdfast.systems.files.restore.left_out import Judge
from holdfast.systems.files.restore.plan import Detail
from holdfast.systems.files.restore.removing import mount_in_the_way, mount_of, remove_tree
from holdfast.systems.files.restore.writing import failed
from holdfast.systems.files.settings import outside


def remove_extra(reader: PointReader, detail: Detail, into: Path, folders: Folders) -> list[str]:
    """Remove them, folders with all that is in them. Returns notes. With a selection by globs nothing counts as extra.

    What the plan excludes is left alone, and so is a folder for what it holds of that.

    Raises MountInTheWay for what lies on another mount than the top that was restored; the plan refused mounts that were there then.
    """
    roots = tuple(outside(unit) for unit in detail.units)
    if not roots:
        return []
    extra = _Extra(detail.left_out.judge(str(into)) if detail.left_out else None)
    here = len(str(into).rstrip("/"))
    for line, found in pairs(of_point(reader, detail.selection), on_machine(into, roots, Ledger())):
        if found is not None:
            place = outside(found.path)[here:].strip("/")
            extra.look(place, folder=stat.S_ISDIR(found.status.st_mode), held=line is not None)
    gone = extra.to_go()
    mounts = {outside(unit): mount_of(folders.at(outside(unit).strip("/")).fd) for unit in detail.units if _is_folder(folders, unit)}
    for place in gone:  # all of them are looked at before the first goes
        top = max((root for root in mounts if f"/{place}".startswith(root.rstrip("/") + "/")), key=len, default=None)
        folder, _ = folders.parent(place)
        if top is not None and mount_of(folder.fd) != mounts[top]:
            raise mount_in_the_way([folders.show(place.rpartition("/")[0])], "where something is to be removed")
    for place in gone:
        folder, name = folders.parent(place)
        try:
            status = os.stat(name, dir_fd=folder.fd, follow_symlinks=False)
            if stat.S_ISDIR(status.st_mode):
                remove_tree(folder, name, folders.show(place))
                folders.forget(place)
            else:
                os.unlink(name, dir_fd=folder.fd)
        except OSError as error:
            failed(folders.show(place), error)
    said = counted(len(gone), "entry that the point does not hold was removed.", "entries that the point does not hold were removed.")
    kept = counted(len(extra.needed), "folder that the point does not hold stays", "folders that the point does not hold stay")
    notes = [said] if gone else []
    return [*notes, f"{kept}, for what the plan excludes in it."] if extra.needed else notes


class _Extra:
    """What the point does not hold, as it is found in the order of paths. ``needed``: extra folders that hold what stays."""

    def __init__(self, judge: Judge | None) -> None:
        self._judge = judge
        self._found: dict[str, None] = {}
        self._folders: set[str] = set()
        self.needed: set[str] = set()

    def look(self, place: str, *, folder: bool, held: bool) -> None:
        if self._judge is not None and self._judge.stays(place, folder=folder):
            above = place.rpartition("/")[0]
            while above in self._folders and above not in self.needed:
                self.needed.add(above)
                above = above.rpartition("/")[0]
            return
        if held:
            return
        # Where nothing stays a folder goes as a whole, and what is in it is not remembered.
        if self._judge is not None or place.rpartition("/")[0] not in self._folders:
            self._found[place] = None
        if folder:
            self._folders.add(place)

    def to_go(self) -> list[str]:
        """Files, and folders as a whole."""
        whole = self._folders - self.needed
        return [place for place in self._found if place not in self.needed and place.rpartition("/")[0] not in whole]


def _is_folder(folders: Folders, unit: str) -> bool:
    """A path of the plan may be a file, which has nothing extra below it."""
    place = outside(unit).strip("/")
    if not place:
        return True
    folder, name = folders.parent(place)
    try:
        return stat.S_ISDIR(os.stat(name, dir_fd=folder.fd, follow_symlinks=False).st_mode)
    except FileNotFoundError:
        return False
