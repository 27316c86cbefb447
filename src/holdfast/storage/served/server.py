"""Serves a folder to another account, which can add to it and read it, and never change or remove what is there.

It knows nothing of the vault's content and holds no key. What it allows is decided by names alone (``refusal``).
"""

import contextlib
import errno
import os
import socket
import stat
import struct
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from holdfast.errors import HoldfastError, Refused, Unreachable
from holdfast.storage.contract import ObjectExists, Storage
from holdfast.storage.served import wire
from holdfast.storage.served.streams import FileStream, SocketStream


class ServeInTheWay(Refused):
    """Something that is no socket of a dead server stands where the socket is to be."""

    code = "serve-in-the-way"


class ServeDenied(Unreachable):
    """The socket cannot be made there."""

    code = "serve-denied"


_PASSING = ("sessions/", "probe/")
_OWNERS = ("condemned/",)
_OWNERS_ENDS = (".dropped", ".released")


def refusal(op: str, name: str, *, made: bool) -> str | None:
    """Why the other account may not; None where it may. ``made``: the vault stands, its ``config`` is there.

    It may add, and remove what says who is at work, what a copy was bringing, and probes. What takes from the vault (records of drops,
    lists of condemned packs, releases of holds), and keys once the vault stands, is for the account that owns the folder.
    """
    if op == "delete" and not name.startswith(_PASSING) and not name.endswith(".coming"):
        return "this location is append-only: nothing in it can be removed from here"
    if op == "put" and (name.startswith(_OWNERS) or name.endswith(_OWNERS_ENDS)):
        return "this location is append-only: nothing that takes from the vault can be put from here"
    if op == "put" and made and name.startswith("keys/"):
        return "this location is append-only: keys are changed by the account that owns the folder"
    return None


class Server:
    """``storage`` is the folder. Each connection is answered by a thread of its own."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._made = False

    def answer(self, stream: wire.Stream) -> None:
        """Until the other side ends the connection."""
        with contextlib.closing(stream):
            while True:
                try:
                    head, body = wire.receive(stream)
                except (EOFError, OSError, wire.BadMessage):
                    return
                try:
                    said, data = self._do(head, body)
                except ObjectExists as taken:
                    said, data = {"error": "exists", "message": taken.name}, b""
                except HoldfastError as error:
                    said, data = {"error": error.code, "message": error.message, "hint": error.hint}, b""
                except (KeyError, TypeError, ValueError) as error:
                    said, data = {"error": "location-unfit", "message": f"A question that makes no sense: {error!r}", "hint": ""}, b""
                try:
                    wire.send(stream, said, [data])
                except OSError:
                    return

    def _do(self, head: dict[str, Any], body: bytes) -> tuple[dict[str, Any], bytes]:
        op, name = str(head["op"]), str(head.get("name", ""))
        if op in {"put", "delete"}:
            self._made = self._made or self._storage.head("config") is not None
            why = refusal(op, name, made=self._made)
            if why is not None:
                return {"error": "location-denied", "message": f"{name}: {why}.", "hint": "Do this on the machine that serves it."}, b""
        if op == "hello":
            return {"ok": {"version": wire.VERSION, "append_only": True, "uid": os.geteuid()}}, b""
        if op == "put":
            self._storage.put_if_absent(name, [body])
            return {"ok": True}, b""
        if op == "get":
            start, length = int(head.get("start", 0)), head.get("length")
            if start < 0 or (length is not None and not 0 <= int(length) <= wire.MOST_BODY):
                raise ValueError("a range that is none")
            return {"ok": True}, self._storage.get(name, start, None if length is None else int(length))
        if op == "delete":
            self._storage.delete(name)
            return {"ok": True}, b""
        return {"ok": self._ask(op, head, name)}, b""

    def _ask(self, op: str, head: dict[str, Any], name: str) -> Any:
        if op == "head":
            found = self._storage.head(name)
            return None if found is None else [found.name, found.size, found.modified.isoformat()]
        if op == "list":
            rows = []
            for info in self._storage.list(str(head["prefix"]), str(head["after"])):
                rows.append([info.name, info.size, info.modified.isoformat()])
                if len(rows) == wire.PAGE:
                    break
            return rows
        if op == "folders":
            return list(self._storage.folders(str(head["prefix"])))
        if op == "now":
            return self._storage.now().isoformat()
        raise ValueError(f"no such question: {op}")


def serve_stdio(storage: Storage) -> None:
    """For ssh's forced command: one connection, over standard input and output."""
    Server(storage).answer(FileStream(sys.stdin.buffer, sys.stdout.buffer))


def serve_socket(storage: Storage, path: Path, mode: int, *, ready: Callable[[], None] = lambda: None, stop: threading.Event) -> None:
    """Until ``stop`` is set. ``mode`` of the socket says who may connect. Raises ServeInTheWay, ServeDenied."""
    server = Server(storage)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    with listener:
        _bind(listener, path, mode)
        listener.settimeout(0.5)
        ready()
        try:
            while not stop.is_set():
                try:
                    connection, _ = listener.accept()
                except TimeoutError:
                    continue
                connection.settimeout(None)
                threading.Thread(target=server.answer, args=(SocketStream(connection),), name="holdfast-serve", daemon=True).start()
        finally:
            with contextlib.suppress(OSError):
                path.unlink()


def _bind(listener: socket.socket, path: Path, mode: int) -> None:
    try:
        if path.exists() or path.is_symlink():
            _clear(path)
        before = os.umask(0o177)  # nobody connects before the mode is as asked
        try:
            listener.bind(str(path))
        finally:
            os.umask(before)
        path.chmod(mode)
        listener.listen(64)
    except OSError as error:
        raise ServeDenied(
            f"The socket {path} cannot be made: {error.strerror}.", hint="Name a path in a folder of this account."
        ) from error


def _clear(path: Path) -> None:
    """The socket of a server that died."""
    if stat.S_ISSOCK(path.lstat().st_mode):
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as other:
            try:
                other.connect(str(path))
            except OSError as error:
                if error.errno in {errno.ECONNREFUSED, errno.ENOENT}:
                    path.unlink(missing_ok=True)
                    return
    raise ServeInTheWay(f"{path} is there already.", hint="Another server runs, or something else has that name.", path=str(path))


def peer_uid(connection: socket.socket) -> int:
    """The account of the process at the other end of a Unix socket."""
    packed = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    uid: int = struct.unpack("3i", packed)[1]
    return uid
