"""Stands between a client and a real registry, and does what networks, storages and busy registries do."""

import json
import socket
import threading
import time
import urllib.error
import urllib.request
from base64 import b64decode, urlsafe_b64encode
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is no news here."""


class Loopback:
    """A server on loopback that calls ``answer(handler)`` for each request."""

    def __init__(self) -> None:
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *args: object) -> None:
                pass

            def every(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                with outer.lock:
                    outer.seen.append((self.command, self.path, self.headers.get("Authorization"), self.headers.get("Range")))
                outer.answer(self, body)

            do_GET = do_HEAD = do_PUT = do_POST = every  # noqa: N815

        self.lock = threading.Lock()
        self.seen: list[tuple[str, str, str | None, str | None]] = []
        self.released = threading.Event()
        self.server = _Server(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)

    def answer(self, handler: Any, body: bytes) -> None:
        raise NotImplementedError

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.server.server_port}"

    def __enter__(self) -> Self:
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.released.set()
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


def reply(handler: Any, status: int, headers: dict[str, str], body: bytes = b"") -> None:
    handler.send_response(status)
    for name, value in headers.items():
        handler.send_header(name, value)
    if "Content-Length" not in headers:
        handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    if handler.command != "HEAD":
        handler.wfile.write(body)


class Meddler(Loopback):
    """Passes everything on to ``host``, unless ``rule(handler)`` answers itself and returns True.

    ``cut``: bytes after which each of the first ``cuts`` blob transfers breaks off.
    """

    def __init__(self, host: str, rule: Callable[[Any], bool] = lambda _handler: False, *, cut: int = 0, cuts: int = 0) -> None:
        super().__init__()
        self.upstream = f"http://{host}"
        self.rule = rule
        self.cut = cut
        self.cuts = cuts

    def answer(self, handler: Any, body: bytes) -> None:
        if self.rule(handler):
            return
        kept = {name: value for name, value in handler.headers.items() if name.lower() not in ("host", "connection")}
        data = body if handler.command in ("PUT", "POST") else None
        request = urllib.request.Request(self.upstream + handler.path, data=data, method=handler.command, headers=kept)
        try:
            answer: Any = urllib.request.urlopen(request, timeout=30)
        except urllib.error.HTTPError as error:
            answer = error
        with answer:
            content = answer.read()
            headers = {
                name: value
                for name, value in answer.headers.items()
                if name.lower() not in ("connection", "transfer-encoding", "date", "server")
            }
            if "Location" in headers:
                headers["Location"] = headers["Location"].replace(self.upstream, f"http://{self.host}")
            if self.cuts and "/blobs/sha256" in handler.path and handler.command == "GET" and len(content) > self.cut:
                with self.lock:
                    self.cuts -= 1
                handler.send_response(answer.status)
                for name, value in headers.items():
                    handler.send_header(name, value)
                handler.end_headers()
                handler.wfile.write(content[: self.cut])
                handler.wfile.flush()
                handler.close_connection = True
                handler.connection.shutdown(socket.SHUT_RDWR)
                return
            reply(handler, answer.status, headers, content)


class Tokens(Loopback):
    """Gives out the tokens of a registry: signed as the distribution project has it, for one user, or for nobody in particular."""

    def __init__(self, *, user: str = "", password: str = "") -> None:
        super().__init__()
        self.user = user
        self.password = password
        self.given: list[list[str]] = []
        self.lifetime = 300
        self._make()

    def _make(self) -> None:
        import datetime as dt

        from cryptography import x509
        from cryptography.hazmat.primitives import hashes, serialization
        from cryptography.hazmat.primitives.asymmetric import ec

        self.key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "tokens")])
        now = dt.datetime.now(dt.UTC)
        builder = x509.CertificateBuilder(name, name, self.key.public_key(), 1, now - dt.timedelta(hours=1), now + dt.timedelta(hours=2))
        self.certificate = builder.sign(self.key, hashes.SHA256())
        self.pem = self.certificate.public_bytes(serialization.Encoding.PEM)
        self.der = self.certificate.public_bytes(serialization.Encoding.DER)

    def configuration(self, folder: Path) -> str:
        """For the registry's file."""
        path = folder / "tokens.pem"
        path.write_bytes(self.pem)
        path.chmod(0o644)
        return f"  token: {{realm: 'http://{self.host}/token', service: test-registry, issuer: tokens, rootcertbundle: {path}}}"

    def answer(self, handler: Any, body: bytes) -> None:
        import secrets
        from base64 import b64encode

        from cryptography.hazmat.primitives import hashes
        from cryptography.hazmat.primitives.asymmetric import ec
        from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

        if self.user:
            given = b64decode((handler.headers.get("Authorization") or "Basic ").removeprefix("Basic ")).decode()
            if given != f"{self.user}:{self.password}":
                reply(handler, 401, {"WWW-Authenticate": 'Basic realm="tokens"'})
                return
        scopes = parse_qs(urlsplit(handler.path).query).get("scope", [])
        self.given.append(scopes)
        access = [
            {"type": kind, "name": name, "actions": actions.split(",")}
            for kind, name, actions in (scope.split(":") for scope in scopes if scope.count(":") == 2)
        ]
        now = int(time.time())
        head = {"typ": "JWT", "alg": "ES256", "x5c": [b64encode(self.der).decode()]}
        claims = {"iss": "tokens", "sub": self.user, "aud": "test-registry", "exp": now + 300, "nbf": now - 60, "iat": now}
        claims |= {"jti": secrets.token_hex(8), "access": access}
        signed = ".".join(_base64(json.dumps(part).encode()) for part in (head, claims))
        r, s = decode_dss_signature(self.key.sign(signed.encode(), ec.ECDSA(hashes.SHA256())))
        token = f"{signed}.{_base64(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}"
        reply(handler, 200, {"Content-Type": "application/json"}, json.dumps({"token": token, "expires_in": self.lifetime}).encode())


def _base64(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()
