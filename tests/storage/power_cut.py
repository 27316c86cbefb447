"""A file system that remembers what was synced, so that a power cut can be tried behind every single call.

Model: a file's data survives as it was at its last fsync; a folder's entries survive as they were at the folder's last fsync. An entry
made since may survive too (the kernel writes when it likes): ``disk(eager=True)`` keeps all entries, but still loses unsynced data.
"""

import itertools
import os
from pathlib import Path

from holdfast.storage.posix import RealFileSystem


class Node:
    def __init__(self, folder):
        self.folder = folder
        self.now = {} if folder else bytearray()
        self.synced = {} if folder else b""


class PowerCut(RealFileSystem):
    """Carries calls out for real below ``root`` and keeps the model beside them. ``after_call`` runs behind each change."""

    def __init__(self, root, after_call=lambda: None):
        self.root = str(root)
        self.top = Node(folder=True)
        self.by_fd = {}
        self.after_call = after_call
        self.calls = 0

    def _node(self, path):
        node = self.top
        for part in os.path.relpath(path, self.root).split("/"):
            if part != ".":
                node = node.now[part]
        return node

    def _changed(self):
        self.calls += 1
        self.after_call()

    def _inside(self, path):
        return path == self.root or path.startswith(self.root + "/")

    def open(self, path, flags, mode=0o600):
        fd = super().open(path, flags, mode)
        if self._inside(path):
            folder, name = os.path.split(path)
            if flags & os.O_CREAT:
                self._node(folder).now[name] = Node(folder=False)
            self.by_fd[fd] = self._node(path)
            if flags & os.O_CREAT:
                self._changed()
        return fd

    def close(self, fd):
        self.by_fd.pop(fd, None)
        super().close(fd)

    def writev(self, fd, parts):
        done = super().writev(fd, parts)
        self.by_fd[fd].now += b"".join(parts)[:done]
        self._changed()
        return done

    def fsync(self, fd):
        super().fsync(fd)
        node = self.by_fd.get(fd)
        if node is not None:
            node.synced = dict(node.now) if node.folder else bytes(node.now)
            self._changed()

    def link(self, source, target):
        super().link(source, target)
        folder, name = os.path.split(target)
        self._node(folder).now[name] = self._node(source)
        self._changed()

    def unlink(self, path):
        super().unlink(path)
        folder, name = os.path.split(path)
        self._node(folder).now.pop(name)
        self._changed()

    def mkdir(self, path):
        super().mkdir(path)
        folder, name = os.path.split(path)
        self._node(folder).now[name] = Node(folder=True)
        self._changed()

    def disk(self, place, *, eager=False):
        """Lay down below ``place`` what a power cut now would leave."""
        self._lay(self.top, Path(place), eager)

    def _lay(self, node, place, eager):
        if not node.folder:
            place.write_bytes(node.synced)
            return
        place.mkdir(exist_ok=True)
        for name, child in {**node.synced, **(node.now if eager else {})}.items():
            self._lay(child, place / name, eager)


class NoFolderSync(PowerCut):
    """Planted fault: folders are never synced."""

    def fsync(self, fd):
        if not self.by_fd[fd].folder if fd in self.by_fd else True:
            super().fsync(fd)


class NoFileSync(PowerCut):
    """Planted fault: files are never synced."""

    def fsync(self, fd):
        if fd in self.by_fd and self.by_fd[fd].folder:
            super().fsync(fd)


fresh = itertools.count()
