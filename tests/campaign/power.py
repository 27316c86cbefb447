"""A machine whose power fails: of everything that was not synced nothing is left, or some of it, or pieces of it."""

import random
import threading
from pathlib import Path

from tests.campaign.watch import Point, end_here
from tests.storage.power_cut import Node, PowerCut

KINDS = ("power cut", "power cut, names kept", "torn writes")
AT_THE_END = 10**9
"""The number of the call behind the last: when the deed is done."""
_LOCKED = ("open", "close", "writev", "fsync", "link", "unlink", "mkdir")


class Machine:
    """All folder locations of one process share it: ``files(root)`` makes the file system of one. At the point they all lose power.

    ``unsynced``: a planted fault, nothing is ever synced.
    """

    def __init__(self, point: Point, kind: str, seed: int, *, unsynced: bool = False) -> None:
        self.kind, self.seed, self.unsynced = kind, seed, unsynced
        self.point = point
        point.act = self.off
        self.lock = threading.RLock()
        self.disks: dict[str, Disk] = {}

    def files(self, root: str) -> "Disk":
        with self.lock:
            if root not in self.disks:
                self.disks[root] = Disk(root, self)
            return self.disks[root]

    def off(self) -> None:
        """Lay down what is left, beside each location, and end."""
        with self.lock:
            for root, disk in self.disks.items():
                place = Path(root).parent / "cut" / Path(root).name
                place.parent.mkdir(exist_ok=True)
                disk.disk(place, eager=self.kind != KINDS[0])
            end_here()


class Disk(PowerCut):
    """Begins with what is there already, all of it synced. One call at a time: the model beside it is no file system."""

    def __init__(self, root: str, machine: Machine) -> None:
        Path(root).mkdir(exist_ok=True)
        super().__init__(root, lambda: machine.point.around("sync point", "", lambda: None))
        self.machine = machine
        self.random = random.Random(f"{machine.seed} {Path(root).name}")
        _read(Path(root), self.top)

    def fsync(self, fd):
        if self.machine.unsynced:
            self._changed()
        else:
            super().fsync(fd)

    def _lay(self, node, place, eager):
        if node.folder or self.machine.kind != KINDS[2]:
            super()._lay(node, place, eager)
            return
        place.write_bytes(_torn(bytes(node.now), node.synced, self.random))


def _torn(now: bytes, synced: bytes, draw: random.Random) -> bytes:
    """What was synced, and behind it some sectors of the rest, others zero."""
    rest = bytearray(now[len(synced) : draw.randint(len(synced), len(now))])
    for at in range(0, len(rest), 512):
        if draw.random() < 0.5:
            rest[at : at + 512] = bytes(len(rest[at : at + 512]))
    return synced + bytes(rest)


def _read(folder: Path, node: Node) -> None:
    for path in folder.iterdir():
        child = node.now[path.name] = Node(folder=path.is_dir())
        if path.is_dir():
            _read(path, child)
        else:
            child.now, child.synced = bytearray(path.read_bytes()), path.read_bytes()
    node.synced = dict(node.now)


def _locked(name):
    whole = getattr(Disk, name)

    def call(self, *args, **options):
        with self.machine.lock:
            return whole(self, *args, **options)

    return call


for _name in _LOCKED:
    setattr(Disk, _name, _locked(_name))


def after_the_cut(folder: Path) -> bool:
    """Put what was left into the places of the locations; False where no power failed."""
    cut = folder / "cut"
    if not cut.exists():
        return False
    for left in cut.iterdir():
        (folder / left.name).rename(folder / f"lost-{left.name}")
        left.rename(folder / left.name)
    cut.rmdir()
    return True
