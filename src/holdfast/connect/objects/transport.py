"""HTTP/1.1 over kept connections, bodies read straight into the caller's buffer.

The standard library's client parses headers as e-mail and copies every body; at thousands of small objects a second that is what costs.
"""

import contextlib
import os
import socket
import ssl
import struct
import threading
import weakref
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from holdfast.connect.objects.errors import StoreUntrusted

Buffer = bytes | bytearray | memoryview

CONNECT_TIMEOUT = 10.0
READ_TIMEOUT = 60.0
"""Seconds without a byte."""
_HEAD = 64 << 10
_FIRST = 4096
"""Bytes that a read for a head takes: what follows it goes straight to where it belongs, by one call for all of it."""
_TOGETHER = 16384
"""Bytes of a body that are rather copied behind the head than sent by themselves."""
_TIMEVAL = struct.Struct("ll")
_IDLE = 64


class Broken(Exception):
    """The connection failed or the answer is no HTTP. ``fresh``: on a new connection; else the server had just closed a kept one."""

    def __init__(self, message: str, *, fresh: bool = True) -> None:
        super().__init__(message)
        self.fresh = fresh


@dataclass(slots=True)
class Answer:
    """Names of ``headers`` are in lower case. ``got``: bytes of the body in the caller's buffer; ``body``: where none was given."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    got: int = 0


class Partial(Broken):
    """A body ended early: ``answer.got`` bytes of it are in the buffer."""

    def __init__(self, message: str, answer: Answer) -> None:
        super().__init__(message)
        self.answer = answer


class Transport:
    """Connections to one address (``https://host[:port]``). Thread-safe: each request has a connection for itself."""

    def __init__(
        self, address: str, *, ca: str | None = None, certificate: tuple[str, str | None] | None = None, read_timeout: float = READ_TIMEOUT
    ) -> None:
        """Raises OSError, ssl.SSLError: the certificates cannot be read. StoreUntrusted: they would not be used."""
        parts = urlsplit(address)
        self._host, secure = parts.hostname or "", parts.scheme == "https"
        if not secure and (ca or certificate):
            raise StoreUntrusted(
                f"{address} is no https, and certificates (tls) are given for it: nothing would be encrypted or verified.",
                hint="Write https:// in the endpoint, or take tls out.",
                address=address,
            )
        self._port = parts.port or (443 if secure else 80)
        self.host = parts.netloc
        self._read_timeout = read_timeout
        self._context: ssl.SSLContext | None = None
        if secure:
            self._context = ssl.create_default_context(cafile=ca)
            if certificate is not None:
                self._context.load_cert_chain(*certificate)
        self._proxy = _proxy(self._host) if secure else None
        self._idle: list[_Connection] = []
        self._lock = threading.Lock()
        self._closed = False
        # Whoever forgets to close still leaves no open connections behind.
        weakref.finalize(self, _close, self._idle)

    def ask(
        self, method: str, target: str, headers: Mapping[str, str], body: Buffer | None = None, into: memoryview | None = None
    ) -> Answer:
        """One request. A body of an answer below 300 goes into ``into`` if it fits exactly; else it is in ``Answer.body``.

        Raises Broken, Partial, StoreUntrusted.
        """
        with self._lock:
            kept = self._idle.pop() if self._idle else None
        connection = kept or self._connect()
        try:
            answer = connection.ask(method, target, headers, body, into)
        except (OSError, ValueError, Broken) as error:
            connection.close()
            if isinstance(error, Partial):
                raise
            raise Broken(_said(error), fresh=kept is None or connection.answered) from error
        except BaseException:
            connection.close()
            raise
        with self._lock:
            if connection.reusable and not self._closed and len(self._idle) < _IDLE:
                self._idle.append(connection)
                return answer
        connection.close()
        return answer

    def close(self) -> None:
        with self._lock:
            self._closed = True
            _close(self._idle)

    def _connect(self) -> "_Connection":
        made: socket.socket | None = None
        try:
            made = socket.create_connection(self._proxy or (self._host, self._port), CONNECT_TIMEOUT)
            made.settimeout(self._read_timeout)
            made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._proxy:
                _tunnel(made, self._host, self._port)
            if self._context is not None:
                made = self._context.wrap_socket(made, server_hostname=self._host)
            else:
                _block(made, self._read_timeout)
            return _Connection(made, whole=0 if self._context is not None else socket.MSG_WAITALL)
        except (OSError, ValueError) as error:
            if made is not None:
                made.close()
            if isinstance(error, ssl.SSLError) and not isinstance(error, ssl.SSLEOFError | ssl.SSLZeroReturnError):
                raise self._untrusted(error) from error
            raise Broken(_said(error)) from error

    def _untrusted(self, error: ssl.SSLError) -> StoreUntrusted:
        """Asking again would not make it right."""
        if isinstance(error, ssl.SSLCertVerificationError):
            said, hint = error.verify_message, "Name the PEM file of its authority (tls: {ca: …}), or set its certificate right."
        else:
            said = (error.reason or str(error)).replace("_", " ").lower()
            hint = "Does it speak TLS there? Does it ask for a certificate (tls: {cert: …, key: …})?"
        return StoreUntrusted(f"https://{self.host} is not trusted: {said}.", hint=hint, address=self.host)


class _Connection:
    """``whole``: how to ask for as many bytes as there is room for, in one call (0: it cannot be asked for)."""

    def __init__(self, sock: socket.socket, whole: int) -> None:
        self._socket = sock
        self._whole = whole
        self._rest = b""
        self.reusable = False
        self.answered = False

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._socket.close()

    def ask(self, method: str, target: str, headers: Mapping[str, str], body: Buffer | None, into: memoryview | None) -> Answer:
        self.reusable = self.answered = False
        lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
        if body is not None or method in ("PUT", "POST"):
            lines.append(f"content-length: {0 if body is None else memoryview(body).nbytes}")
        head = ("\r\n".join(lines) + "\r\n\r\n").encode("utf-8", "surrogateescape")
        self._send(head, memoryview(b"" if body is None else body).cast("B"))
        answer = self._head()
        while answer.status == 100:
            answer = self._head()
        self._body(method, answer, into)
        return answer

    def _send(self, head: bytes, body: memoryview) -> None:
        if len(body) <= _TOGETHER:
            self._socket.sendall(head + body)
            return
        sent = 0
        if self._whole:
            sent = self._socket.sendmsg((head, body))
        if sent < len(head):
            self._socket.sendall(head[sent:])
        if sent < len(head) + len(body):
            self._socket.sendall(body[max(0, sent - len(head)) :])

    def _head(self) -> Answer:
        data = self._rest
        while (end := data.find(b"\r\n\r\n")) < 0:
            if len(data) > _HEAD:
                raise Broken("the answer's head does not end")
            more = self._socket.recv(_FIRST)
            if not more:
                raise Broken("the connection was closed before an answer")
            self.answered = True
            data = data + more if data else more
        self._rest = data[end + 4 :]
        first, *lines = data[:end].decode("utf-8", "surrogateescape").split("\r\n")
        words = first.split(" ", 2)
        if not first.startswith("HTTP/1.") or len(words) < 2 or not words[1].isdigit():
            raise Broken("the answer is no HTTP")
        headers: dict[str, str] = {}
        for line in lines:
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip()
        self.reusable = headers.get("connection", "").lower() != "close" and first.startswith("HTTP/1.1")
        return Answer(int(words[1]), headers)

    def _body(self, method: str, answer: Answer, into: memoryview | None) -> None:
        headers = answer.headers
        if method == "HEAD" or answer.status in (204, 304):
            return
        if headers.get("transfer-encoding", "").lower() == "chunked":
            answer.body = self._chunks()
            if into is not None and answer.status < 300 and len(answer.body) == len(into):
                into[:] = answer.body
                answer.got, answer.body = len(into), b""
            return
        if "content-length" not in headers:
            self.reusable = False
            parts = [self._rest]
            while part := self._socket.recv(_HEAD):
                parts.append(part)
            answer.body, self._rest = b"".join(parts), b""
            return
        length = int(headers["content-length"])
        if into is not None and answer.status < 300:
            if length != len(into):
                # Another size than was asked for: told by the caller; what would come is not waited for.
                self.reusable = False
                return
            self._fill(into, answer)
            return
        view = memoryview(bytearray(length))
        self._fill(view, answer)
        answer.body, answer.got = view.tobytes(), 0

    def _fill(self, view: memoryview, answer: Answer) -> None:
        rest = self._rest[: len(view)]
        view[: len(rest)] = rest
        self._rest = self._rest[len(rest) :]
        got, size = len(rest), len(view)
        try:
            while got < size:
                more = self._socket.recv_into(view[got:], size - got, self._whole)
                if not more:
                    raise Broken("the connection was closed in the middle of an answer")
                got += more
        except (OSError, Broken) as error:
            answer.got = got
            raise Partial(_said(error), answer) from error
        answer.got = got

    def _chunks(self) -> bytes:
        parts = []
        while True:
            size = int(self._line().split(b";")[0], 16)
            if not size:
                break
            parts.append(self._exactly(size))
            self._line()
        while self._line():
            pass
        return b"".join(parts)

    def _line(self) -> bytes:
        while (end := self._rest.find(b"\r\n")) < 0:
            self._more()
        line, self._rest = self._rest[:end], self._rest[end + 2 :]
        return line

    def _exactly(self, size: int) -> bytes:
        parts, have = [self._rest], len(self._rest)
        while have < size:
            more = self._socket.recv(max(_HEAD, min(size - have, 1 << 20)))
            if not more:
                raise Broken("the connection was closed in the middle of an answer")
            parts.append(more)
            have += len(more)
        data = b"".join(parts)
        self._rest = data[size:]
        return data[:size]

    def _more(self) -> None:
        more = self._socket.recv(_HEAD)
        if not more:
            raise Broken("the connection was closed in the middle of an answer")
        self._rest += more


def _block(sock: socket.socket, seconds: float) -> None:
    """Time-outs kept by the kernel: a socket with one of Python's own is asked twice for everything (poll, then recv), piece by piece."""
    sock.settimeout(None)
    span = _TIMEVAL.pack(int(seconds), int(seconds % 1 * 1_000_000))
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, span)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, span)


def _close(idle: list[_Connection]) -> None:
    while idle:
        idle.pop().close()


def _said(error: BaseException) -> str:
    return "no answer in time" if isinstance(error, TimeoutError | BlockingIOError) else str(error) or type(error).__name__


def _proxy(host: str) -> tuple[str, int] | None:
    """The proxy that the environment names for https; one without credentials."""
    import urllib.request

    if urllib.request.proxy_bypass(host):
        return None
    named = urllib.request.getproxies().get("https")
    parts = urlsplit(named if not named or "://" in named else f"http://{named}")
    return (parts.hostname, parts.port or 80) if isinstance(parts.hostname, str) and os.environ else None


def _tunnel(sock: socket.socket, host: str, port: int) -> None:
    sock.sendall(f"CONNECT {host}:{port} HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n".encode())
    data = b""
    while b"\r\n\r\n" not in data:
        more = sock.recv(4096)
        if not more or len(data) > _HEAD:
            raise OSError("the proxy closed the connection")
        data += more
    if b" 200" not in data.split(b"\r\n", 1)[0]:
        raise OSError(f"the proxy refused: {data.split(bytes([13]), 1)[0].decode('latin-1')}")
