"""Stands between a client and a server of HTTP on loopback, and does to each request what a test decides."""

import contextlib
import socket
import struct
import threading
from collections.abc import Callable
from typing import Self
from urllib.parse import urlsplit

SLOW_DOWN = b"<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>"
Decide = Callable[[int, str], str]
"""(number of the request from 0, its first line) -> "pass", "503", "reset", "stall", "cut" (amid the body), "late" (its answer is
lost), "flip" (a bit of the request's body)."""


class Faults:
    """``address`` is the proxy's own; ``seen`` the first lines of all requests."""

    def __init__(self, endpoint: str, decide: Decide) -> None:
        parts = urlsplit(endpoint)
        self._target = (parts.hostname, parts.port)
        self.decide = decide
        self.seen: list[str] = []
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._open: set[socket.socket] = set()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        with self._lock:
            left = list(self._open)
        for one in left:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        while not self._ended.is_set():
            try:
                client = self._listener.accept()[0]
            except OSError:
                return
            with self._lock:
                self._open.add(client)
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        try:
            file = client.makefile("rb")
            while True:
                head = _head(file)
                if not head:
                    return
                first = head.split(b"\r\n", 1)[0].decode()
                body = file.read(_length(head))
                with self._lock:
                    number = len(self.seen)
                    self.seen.append(first)
                if not self._answer(client, self.decide(number, first), first, head + body):
                    return
        except OSError:
            pass
        finally:
            with self._lock:
                self._open.discard(client)
            client.close()

    def _answer(self, client: socket.socket, what: str, first: str, request: bytes) -> bool:
        """Whether the connection is kept."""
        if what == "503":
            client.sendall(b"HTTP/1.1 503 Slow Down\r\nContent-Length: %d\r\n\r\n%s" % (len(SLOW_DOWN), SLOW_DOWN))
            return True
        if what == "reset":
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            return False
        if what == "stall":
            self._ended.wait(30)
            return False
        if what == "flip":
            request = request[:-1] + bytes([request[-1] ^ 1])
        head, body = self._ask(request, first)
        if what == "late":
            return False
        if what == "cut":
            client.sendall(head + body[: len(body) // 2])
            return False
        client.sendall(head + body)
        return b"connection: close" not in head.lower()

    def _ask(self, request: bytes, first: str) -> tuple[bytes, bytes]:
        with socket.create_connection(self._target) as server, server.makefile("rb") as file:
            server.sendall(request)
            head = _head(file)
            if first.startswith("HEAD ") or head[9:12] in (b"204", b"304"):
                return head, b""
            if b"transfer-encoding: chunked" in head.lower():
                return head, _chunks(file)
            return head, file.read(_length(head))


def _head(file) -> bytes:
    lines = []
    while line := file.readline():
        lines.append(line)
        if line == b"\r\n":
            break
    return b"".join(lines)


def _length(head: bytes) -> int:
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return int(line.split(b":")[1])
    return 0


def _chunks(file) -> bytes:
    found = []
    while True:
        line = file.readline()
        size = int(line.strip() or b"0", 16)
        found += [line, file.read(size + 2)]
        if not size:
            return b"".join(found)
