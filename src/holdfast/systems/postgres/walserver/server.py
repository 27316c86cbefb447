"""The Unix socket: one request with an open file per connection, one line of answer."""

import contextlib
import os
import socket
import threading
from pathlib import Path
from typing import Protocol, Self

from holdfast.errors import HoldfastError, Refused, Unreachable
from holdfast.model import Clock, SystemClock
from holdfast.systems.postgres.walserver.archive import WalArchive

LONGEST_REQUEST = 4096


class Files(Protocol):
    """Where ``get`` takes files from."""

    def file(self, name: str) -> bytes | bytearray | None: ...


class WalServer:
    """Answers ``holdfast wal push`` and ``wal get`` until closed. Use as a context manager.

    A request is a line ``GET name`` or ``PUSH name`` together with a file descriptor to write to or read from (SCM_RIGHTS); the answer is
    ``OK text``, ``NONE text`` (proved not to be there) or ``ERR text``. The socket is made with mode ``mode``: only its owner by default.
    An unreachable vault is tried again for ``patience`` seconds before a GET fails: a failed GET ends a recovery.
    """

    def __init__(
        self,
        path: Path,
        files: Files | None = None,
        archive: WalArchive | None = None,
        *,
        mode: int = 0o600,
        patience: float = 60.0,
        clock: Clock | None = None,
    ) -> None:
        self.path = path
        self._patience = patience
        self._clock = clock or SystemClock()
        self._files = files
        self._archive = archive
        self._closing = threading.Event()
        self._socket = _listen(path, mode)
        self._threads: set[threading.Thread] = set()
        self._asked = self._clock.monotonic()
        self.answered = 0
        self._thread = threading.Thread(target=self._accept, name="wal-socket", daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop listening; requests under way are answered first."""
        self._closing.set()
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join()
        for thread in list(self._threads):
            thread.join(10)
        self.path.unlink(missing_ok=True)

    @property
    def idle(self) -> float:
        """Seconds since somebody asked; 0 while somebody is being answered."""
        if any(thread.is_alive() for thread in list(self._threads)):
            return 0.0
        return self._clock.monotonic() - self._asked

    def _accept(self) -> None:
        while not self._closing.is_set():
            try:
                connection, _ = self._socket.accept()
            except OSError:
                if self._closing.is_set():
                    return
                continue
            thread = threading.Thread(target=self._serve, args=(connection,), name="wal-request", daemon=True)
            self._threads = {one for one in self._threads if one.is_alive()} | {thread}
            thread.start()

    def _serve(self, connection: socket.socket) -> None:
        with connection:
            descriptors: list[int] = []
            try:
                connection.settimeout(10)
                request, descriptors, _, _ = socket.recv_fds(connection, LONGEST_REQUEST, 1)
                while request and not request.endswith(b"\n") and len(request) < LONGEST_REQUEST:
                    more = connection.recv(LONGEST_REQUEST)
                    if not more:
                        return
                    request += more
                if not request:
                    # Somebody looked whether we are here.
                    return
                answer = self._answer(request, descriptors)
                self._asked = self._clock.monotonic()
                self.answered += 1
                connection.sendall(answer.replace("\n", " ").encode("utf-8", "replace") + b"\n")
            except OSError:
                # The client is gone; PostgreSQL asks again.
                return
            finally:
                for descriptor in descriptors:
                    os.close(descriptor)

    def _answer(self, request: bytes, descriptors: list[int]) -> str:
        word, _, name = request.decode("utf-8", "surrogateescape").rstrip("\n").partition(" ")
        if not name or "/" in name or len(descriptors) != 1:
            return "ERR not a request"
        try:
            if word == "GET" and self._files is not None:
                return self._get(name, descriptors[0])
            if word == "PUSH" and self._archive is not None:
                return f"OK {self._archive.push(name, OpenFile(descriptors[0]))}"
        except HoldfastError as exc:
            return f"{'ERR refused:' if isinstance(exc, Refused) else 'ERR'} {exc.message} {exc.hint}".rstrip()
        except Exception as exc:  # noqa: BLE001  -- whatever it is, the client must hear that it was not done
            return f"ERR {type(exc).__name__}: {exc}"
        return f"ERR {word} is not served here"

    def _get(self, name: str, descriptor: int) -> str:
        assert self._files is not None
        until = self._clock.monotonic() + self._patience
        while True:
            try:
                data = self._files.file(name)
                break
            except Unreachable:
                if self._closing.wait(1.0) or self._clock.monotonic() > until:
                    raise
        if data is None:
            return "NONE not in this history, or behind its end"
        view = memoryview(data)
        written = 0
        while written < len(view):
            written += os.write(descriptor, view[written:])
        return f"OK {len(view)}"


class OpenFile:
    """A file by its descriptor, read in parts so that hashing a segment needs next to no memory."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def size(self) -> int:
        return os.fstat(self._descriptor).st_size

    def digest(self) -> bytes:
        import blake3

        hasher = blake3.blake3()
        buffer = bytearray(1 << 20)
        view, at = memoryview(buffer), 0
        while count := os.preadv(self._descriptor, [buffer], at):
            hasher.update(view[:count])
            at += count
        return hasher.digest()

    def read(self) -> bytes:
        parts, at = [], 0
        while part := os.pread(self._descriptor, 1 << 24, at):
            parts.append(part)
            at += len(part)
        return b"".join(parts)


def _listen(path: Path, mode: int) -> socket.socket:
    """A listening socket at ``path``; one that a killed process left is replaced, one that answers is not."""
    if path.exists():
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            try:
                _at(path, probe.connect)
            except OSError:
                path.unlink(missing_ok=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    try:
        # Linux gives the file the mode of the socket: nobody can connect before the mode is right.
        os.fchmod(listener.fileno(), 0o600)
        try:
            _at(path, listener.bind)
        except OSError as exc:
            raise SocketTaken(f"Another process listens at {path}.", hint="One follower for each socket; name another one.") from exc
        path.chmod(mode)
        listener.listen(16)
    except BaseException:
        listener.close()
        raise
    return listener


def _at(path: Path, act: "Act") -> None:
    """Bind or connect also where the path is longer than a socket's address may be: by way of its folder."""
    if len(os.fsencode(path)) < 100:
        act(str(path))
        return
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY)
    try:
        act(f"/proc/self/fd/{folder}/{path.name}")
    finally:
        os.close(folder)


class Act(Protocol):
    def __call__(self, address: str, /) -> None: ...


class SocketTaken(Refused):
    """The socket's path is in use."""

    code = "pg-wal-socket-taken"
