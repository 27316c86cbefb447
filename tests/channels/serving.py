"""A service on the loopback interface that misbehaves on demand: what it was asked is kept, what it would do next can be replaced."""

import contextlib
import json
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit


@dataclass
class Asked:
    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Told:
    status: int
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)


class Wrong(Exception):
    """A request that the published format does not allow."""


def exactly(body: Any, must: dict[str, Any], may: dict[str, Any] | None = None, *, where: str = "body") -> None:
    """A mapping with the keys ``must`` and perhaps ``may``, none else, each of its type (or passing its test)."""
    if not isinstance(body, dict):
        raise Wrong(f"{where} is no object")
    may = may or {}
    for key in must.keys() - body.keys():
        raise Wrong(f"{where} lacks {key}")
    for key, value in body.items():
        kind = {**must, **may}.get(key)
        if kind is None:
            raise Wrong(f"{where} has the unknown field {key}")
        if isinstance(kind, type | tuple):
            if not isinstance(value, kind) or (kind is not bool and isinstance(value, bool)):
                raise Wrong(f"{where}.{key} is {type(value).__name__}")
        elif not kind(value):
            raise Wrong(f"{where}.{key} is not allowed: {value!r}")


def text(longest: int, *, empty: bool = False) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, str) and (empty or bool(value)) and len(value) <= longest


class Service:
    """``handle`` is the service's own way. ``next``: what happens to the next requests instead, first come first served:

    a ``Told`` (that answer, nothing done), 'die-before' (the connection closes, nothing done), 'die-after' (it is done, and the
    connection closes without an answer), 'slow' (nothing until the service is closed), 'garbage' (no HTTP), 'page' (200 with HTML),
    'cut' (half an answer).
    """

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.asked: list[Asked] = []
        self.next: list[Told | str] = []
        self.always: Told | str | None = None
        self.over = threading.Event()
        self.lock = threading.RLock()
        service = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: Any) -> None:
                pass

            def _serve(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                body = self.rfile.read(length)
                parts = urlsplit(self.path)
                query = {key: values[0] for key, values in parse_qs(parts.query, keep_blank_values=True).items()}
                asked = Asked(self.command, parts.path, query, {key.lower(): value for key, value in self.headers.items()}, body)
                with service.lock:
                    service.asked.append(asked)
                    fault = service.next.pop(0) if service.next else service.always
                    told = fault if isinstance(fault, Told) else None
                    if fault in (None, "die-after", "cut"):
                        told = service.answer(asked)
                if fault == "slow":
                    service.over.wait(120)
                if fault in ("die-before", "die-after", "slow"):
                    self.close_connection = True
                    return
                if fault == "garbage":
                    self.wfile.write(b"\x00\x01 what is this \xff\r\n\r\n")
                    self.close_connection = True
                    return
                if fault == "page":
                    told = Told(200, b"<html>Sign in</html>", {"Content-Type": "text/html"})
                assert told is not None
                data = told.body if isinstance(told.body, bytes) else b"" if told.body is None else json.dumps(told.body).encode()
                self.send_response(told.status)
                for name, value in told.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(data) + (20 if fault == "cut" else 0)))
                self.end_headers()
                self.wfile.write(data)
                if fault == "cut":
                    self.close_connection = True

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = _serve  # noqa: N815

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_: Any) -> None:
                """A client that went away is what is tested."""

        self.server = Server(("127.0.0.1", 0), Handler)
        if tls:
            self.server.socket = tls.wrap_socket(self.server.socket, server_side=True)
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self.server.server_address[1]}"
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self.thread.start()

    @property
    def host(self) -> str:
        return self.url.partition("://")[2]

    def answer(self, asked: Asked) -> Told:
        try:
            return self.handle(asked)
        except (Wrong, ValueError, KeyError) as error:
            return self.refuse(f"{type(error).__name__}: {error}")

    def handle(self, asked: Asked) -> Told:
        raise NotImplementedError

    def refuse(self, why: str) -> Told:
        raise NotImplementedError

    def close(self) -> None:
        self.over.set()
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()

    def __enter__(self):
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):
            self.close()
