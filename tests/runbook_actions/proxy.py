"""A proxy on loopback that can hold an answer back: what stands behind it has done its work, and who asked does not know."""

import http.client
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self
from urllib.parse import urlsplit

PATIENCE = 300


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def _pass_on(self) -> None:
        proxy: Proxy = self.server.proxy  # type: ignore[attr-defined]
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        there = http.client.HTTPConnection(proxy.host, timeout=PATIENCE)
        headers = {name: value for name, value in self.headers.items() if name.lower() not in ("host", "connection")}
        there.request(self.command, self.path, body or None, headers)
        answer = there.getresponse()
        data = answer.read()
        there.close()
        with proxy.lock:
            proxy.seen.append(f"{self.command} {urlsplit(self.path).path}")
            held = proxy.hold is not None and proxy.hold(self.command, self.path)
        if held:
            proxy.held.set()
            proxy.go.wait(PATIENCE)
            self.close_connection = True
            return
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.headers.get("Content-Type", "application/json"))
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    do_GET = do_POST = do_PATCH = do_PUT = do_DELETE = _pass_on  # noqa: N815 - names of the library

    def log_message(self, *_):
        pass


class Proxy:
    """``hold(method, path)`` says whose answer never comes; ``seen`` lists what was asked."""

    def __init__(self, url: str) -> None:
        self.host = urlsplit(url).netloc
        self.hold: Callable[[str, str], bool] | None = None
        self.held, self.go, self.lock = threading.Event(), threading.Event(), threading.Lock()
        self.seen: list[str] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
        self._server.daemon_threads = True
        self._server.proxy = self  # type: ignore[attr-defined]
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.go.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
