"""The client of a served folder: a storage whose every call is a question to another account's process."""

import contextlib
import datetime as dt
import os
import shlex
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, ClassVar
from urllib.parse import SplitResult, unquote

from holdfast.errors import HoldfastError
from holdfast.storage.contract import (
    Buffer,
    Capabilities,
    ObjectExists,
    ObjectInfo,
    ObjectMissing,
    StorageDenied,
    StorageFull,
    StorageUnfit,
    StorageUnreachable,
)
from holdfast.storage.names import BadName, check_name
from holdfast.storage.served import wire
from holdfast.storage.served.streams import FileStream, SocketStream

_KNOWN: dict[str, type[HoldfastError]] = {
    one.code: one for one in (ObjectMissing, StorageDenied, StorageFull, StorageUnfit, StorageUnreachable, BadName)
}
_IDLE = 4
"""Connections kept for the next call."""
_PATIENCE = 120.0

Dial = Callable[[], wire.Stream]


class ServedStorage:
    """``dial`` makes a connection; several are open at once when several threads ask."""

    capabilities: ClassVar[Capabilities] = Capabilities()

    def __init__(self, url: str, dial: Dial) -> None:
        self.url = url
        self._dial = dial
        self._free: list[wire.Stream] = []
        self._lock = threading.Lock()

    def hello(self) -> Mapping[str, Any]:
        """What the server says of itself: "append_only", "uid"."""
        said: Mapping[str, Any] = self._ask({"op": "hello"})[0]
        return said

    def put_if_absent(self, name: str, parts: Sequence[Buffer]) -> None:
        self._ask({"op": "put", "name": check_name(name)}, parts)

    def get(self, name: str, start: int = 0, length: int | None = None) -> bytes:
        return self._ask({"op": "get", "name": check_name(name), "start": start, "length": length})[1]

    def head(self, name: str) -> ObjectInfo | None:
        row = self._ask({"op": "head", "name": check_name(name)})[0]
        return None if row is None else _info(row)

    def list(self, prefix: str = "", after: str = "") -> Iterator[ObjectInfo]:
        if prefix:
            check_name(f"{prefix}x")
        while True:
            rows = self._ask({"op": "list", "prefix": prefix, "after": after})[0]
            yield from map(_info, rows)
            if len(rows) < wire.PAGE:
                return
            after = rows[-1][0]

    def folders(self, prefix: str) -> Iterator[str]:
        if prefix:
            check_name(f"{prefix}x")
        yield from self._ask({"op": "folders", "prefix": prefix})[0]

    def delete(self, name: str) -> None:
        self._ask({"op": "delete", "name": check_name(name)})

    def now(self) -> dt.datetime:
        return dt.datetime.fromisoformat(self._ask({"op": "now"})[0])

    def close(self) -> None:
        with self._lock:
            free, self._free = self._free, []
        for stream in free:
            stream.close()

    def _ask(self, head: dict[str, Any], parts: Sequence[Buffer] = ()) -> tuple[Any, bytes]:
        with self._lock:
            stream = self._free.pop() if self._free else None
        try:
            stream = stream or self._dial()
            wire.send(stream, head, parts)
            said, body = wire.receive(stream)
        except (OSError, EOFError, wire.BadMessage) as error:
            if stream is not None:
                stream.close()
            self.close()  # the others lead to the same server, which ended
            raise StorageUnreachable(
                f"{self.url} did not answer: {str(error) or 'the connection ended'}.",
                hint="Does 'holdfast vault serve' run there, and may this account reach it?",
                url=self.url,
            ) from error
        except BaseException:
            if stream is not None:
                stream.close()
            raise
        self._keep(stream)
        if "error" in said:
            raise self._error(said, str(head.get("name", "")))
        return said.get("ok"), body

    def _keep(self, stream: wire.Stream) -> None:
        with self._lock:
            if len(self._free) < _IDLE:
                self._free.append(stream)
                return
        stream.close()

    def _error(self, said: dict[str, Any], name: str) -> Exception:
        code = str(said.get("error"))
        if code == "exists":
            return ObjectExists(name)
        kind = _KNOWN.get(code, StorageUnreachable)
        return kind(f"{self.url}: {said.get('message', code)}", hint=str(said.get("hint", "")), url=self.url, name=name)


def unix(path: str) -> Dial:
    """Connects to the socket at ``path``."""

    def dial() -> wire.Stream:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            connection.settimeout(_PATIENCE)
            connection.connect(path)
        except BaseException:
            connection.close()
            raise
        return SocketStream(connection)

    return dial


def ssh(parts: SplitResult, environ: Mapping[str, str] | None = None) -> Dial:
    """Starts ``ssh`` (or what ``HOLDFAST_SSH`` names) for ``ssh://user@host:port/folder``; a forced command there may decide."""
    words = shlex.split((os.environ if environ is None else environ).get("HOLDFAST_SSH") or "ssh")
    words += ["-T", "-o", "BatchMode=yes", "-o", "ConnectTimeout=20"]
    if parts.port:
        words += ["-p", str(parts.port)]
    target = f"{parts.username}@{parts.hostname}" if parts.username else str(parts.hostname)
    words += ["--", target, f"holdfast vault serve {shlex.quote(unquote(parts.path))}"]

    def dial() -> wire.Stream:
        process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert process.stdin is not None
        assert process.stdout is not None
        return FileStream(process.stdout, process.stdin, process)

    return dial


def server_uid(path: str) -> int | None:
    """Of the process that serves the socket; None when nobody does."""
    from holdfast.storage.served.server import peer_uid

    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.connect(path)
        return peer_uid(connection)
    return None


def _info(row: Sequence[Any]) -> ObjectInfo:
    return ObjectInfo(str(row[0]), int(row[1]), dt.datetime.fromisoformat(str(row[2])))
