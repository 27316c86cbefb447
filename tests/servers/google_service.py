"""What of Google the server for tests lacks, written from the published format: tokens, and resumable uploads with faults."""

import contextlib
import hashlib
import json
import socketserver
import threading
from base64 import b64encode
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from urllib.parse import parse_qsl, urlsplit

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat


class Google(socketserver.ThreadingMixIn, socketserver.TCPServer):
    """Gives tokens and takes resumable uploads. ``plan`` holds, for each piece that comes, how much of it is kept before the connection
    is closed without an answer; None: all goes well."""

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.server_address[1]}"
        self.asked: list[tuple[str, str, dict[str, str]]] = []
        self.bodies: list[bytes] = []
        self.plan: list[int | None] = []
        self.held = b""
        self.whole: bytes | None = None
        self.refuse = 0

    def handle_error(self, request, client_address) -> None:
        del request, client_address


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Google

    def log_message(self, *_: object) -> None:
        pass

    def _any(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.server.asked.append((self.command, self.path, headers))
        path = urlsplit(self.path).path
        if path == "/token":
            self.server.bodies.append(body)
            if self.server.refuse:
                self._say(self.server.refuse, {"error": "invalid_grant", "error_description": "Invalid JWT Signature."})
            else:
                self._say(200, {"access_token": "ya29.it", "expires_in": 3599, "token_type": "Bearer"})
        elif self.command == "POST":
            self._say(200, {}, {"Location": f"{self.server.address}{path}?uploadType=resumable&upload_id=x%2Fy"})
        elif self.command == "PUT":
            self._piece(headers["content-range"], body)
        else:
            self._say(200, {"items": []})

    do_GET = do_POST = do_PUT = do_DELETE = _any  # noqa: N815 - the library asks for these names

    def _piece(self, told: str, body: bytes) -> None:
        server = self.server
        assert dict(parse_qsl(urlsplit(self.path).query)) == {"uploadType": "resumable", "upload_id": "x/y"}
        span, _, total = told.removeprefix("bytes ").partition("/")
        if span != "*":
            assert int(span.partition("-")[0]) == len(server.held), "not where it left off"
            keep = server.plan.pop(0) if server.plan else None
            server.held += body if keep is None else body[:keep]
            self._done(total)
            if keep is not None:
                self.close_connection = True
                return
        else:
            self._done(total)
        if server.whole is not None:
            md5 = hashlib.md5(server.whole).digest()
            item = {"name": "a", "size": str(len(server.whole)), "generation": "5", "metageneration": "1"}
            item |= {
                "timeCreated": "2026-11-21T00:00:00.5Z",
                "updated": "2026-11-21T00:00:00.5Z",
                "md5Hash": b64encode(md5).decode(),
            }
            self._say(200, item)
        else:
            self._say(308, {}, {"Range": f"bytes=0-{len(server.held) - 1}"} if server.held else {})

    def _done(self, total: str) -> None:
        if total != "*" and len(self.server.held) == int(total):
            self.server.whole = self.server.held

    def _say(self, status: int, told: object, headers: dict[str, str] | None = None) -> None:
        body = json.dumps(told).encode()
        self.send_response(status)
        for name, value in {"content-type": "application/json", "content-length": str(len(body)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)


def account(other: Google, key: RSAPrivateKey) -> str:
    """The file of a service account whose tokens are given there."""
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    told = {"type": "service_account", "client_email": "holdfast@acme.example", "private_key": pem, "token_uri": f"{other.address}/token"}
    return json.dumps(told)


def new_key() -> RSAPrivateKey:
    return generate_private_key(65537, 2048)


@contextlib.contextmanager
def google_service() -> Iterator[Google]:
    with Google() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
