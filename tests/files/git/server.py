"""Git over HTTP: git-http-backend(1) behind the standard library's server, with a password, redirects and bad manners on request."""

import base64
import json
import os
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit


class GitHttp:
    """``root`` holds repositories. ``user``, ``password``: asked for when set. ``hang``: paths that never answer. ``seen``: headers.

    ``large``: a folder of files as git-lfs keeps them, served by the batch API.
    """

    def __init__(self, root: Path, *, user: str = "", password: str = "", redirect: str = "") -> None:
        self.root = root
        self.user = user
        self.password = password
        self.redirect = redirect
        self.hang: set[str] = set()
        self.broken = 0
        self.large: Any = None
        self.seen: list[tuple[str, str | None]] = []
        self.released = threading.Event()
        outer = self

        class Handler(_Handler):
            server_of = outer

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)

    def __enter__(self) -> Self:
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.released.set()
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}"


class _Handler(BaseHTTPRequestHandler):
    server_of: GitHttp
    protocol_version = "HTTP/1.1"

    def log_message(self, *args: object) -> None:
        pass

    def do_GET(self) -> None:
        self.answer(b"")

    def do_POST(self) -> None:
        if self.headers.get("Transfer-Encoding") == "chunked":
            body = b""
            while size := int(self.rfile.readline(), 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
        else:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.answer(body)

    def answer(self, body: bytes) -> None:
        outer = self.server_of
        parts = urlsplit(self.path)
        outer.seen.append((self.path, self.headers.get("Authorization")))
        if outer.redirect:
            self.send_response(302)
            self.send_header("Location", outer.redirect + self.path)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        if any(mark in parts.path for mark in outer.hang):
            outer.released.wait(60)
            self.close_connection = True
            return
        expected = "Basic " + base64.b64encode(f"{outer.user}:{outer.password}".encode()).decode()
        if outer.user and self.headers.get("Authorization") != expected:
            self.send_response(401)
            self.send_header("WWW-Authenticate", 'Basic realm="git"')
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        if "/info/lfs/objects/batch" in parts.path:
            self.batch(json.loads(body))
            return
        if parts.path.startswith("/lfs/"):
            path = outer.large / parts.path.removeprefix("/lfs/")
            self.json(path.read_bytes(), "application/octet-stream")
            return
        done = subprocess.run(
            ["git", "http-backend"],
            input=body,
            capture_output=True,
            check=False,
            env={
                "PATH": os.environ["PATH"],
                "GIT_PROJECT_ROOT": str(outer.root),
                "GIT_HTTP_EXPORT_ALL": "1",
                "GIT_CONFIG_NOSYSTEM": "1",
                "GIT_CONFIG_COUNT": "1",
                "GIT_CONFIG_KEY_0": "safe.directory",
                "GIT_CONFIG_VALUE_0": "*",
                "REQUEST_METHOD": self.command,
                "PATH_INFO": parts.path,
                "QUERY_STRING": parts.query,
                "CONTENT_TYPE": self.headers.get("Content-Type", ""),
                "CONTENT_LENGTH": str(len(body)),
                "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
                "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
                "REMOTE_ADDR": "127.0.0.1",
            },
        )
        head, _, content = done.stdout.partition(b"\r\n\r\n")
        status = 200
        headers = []
        for line in head.decode().split("\r\n"):
            name, _, value = line.partition(": ")
            if name.lower() == "status":
                status = int(value.split()[0])
            elif name:
                headers.append((name, value))
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if outer.broken and self.command == "POST" and len(content) > 2000:
            outer.broken -= 1
            self.wfile.write(content[: len(content) // 2])
            self.close_connection = True
            return
        self.wfile.write(content)

    def batch(self, asked: dict[str, Any]) -> None:
        """The Git LFS batch API, for downloads."""
        outer = self.server_of
        objects = []
        for one in asked["objects"]:
            path = next(outer.large.glob(f"*/*/{one['oid']}"), None) if outer.large else None
            if path is None:
                objects.append({**one, "error": {"code": 404, "message": "not there"}})
            else:
                objects.append({**one, "actions": {"download": {"href": f"{outer.url}/lfs/{path.relative_to(outer.large)}"}}})
        self.json(json.dumps({"transfer": "basic", "objects": objects}).encode(), "application/vnd.git-lfs+json")

    def json(self, body: bytes, kind: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
