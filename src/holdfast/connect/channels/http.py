"""One request to a service that takes messages: what it answered, or an error that says whether it may have arrived.

Redirects are not followed: an answer from elsewhere is not the one that was asked for, and credentials stay here. Addresses may be
secrets, so errors name the host alone. A proxy of the environment (HTTPS_PROXY) is used as everywhere.
"""

import contextlib
import datetime as dt
import email.utils
import http.client
import json
import socket
import ssl
import threading
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from holdfast.connect.channels.contract import ChannelDown, ChannelRejected

LARGEST = 4 << 20
"""Bytes of an answer that are read; a service's are a few thousand."""
LONGEST_WAIT = 3600.0
"""Seconds: a service that asks to wait longer is asked again after that all the same."""


@dataclass(frozen=True, slots=True)
class Answer:
    """``status`` of a request that was answered in full, whatever it says."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    def json(self) -> Any:
        """The body as JSON, None when it is none."""
        try:
            return json.loads(self.body)
        except ValueError:
            return None

    def mapping(self) -> dict[str, Any]:
        """The body's JSON object; empty when it is something else."""
        found = self.json()
        return found if isinstance(found, dict) else {}


class _Stay(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: object, **__: object) -> None:
        return None


class _Wire:
    """The connection of one request: whether it was made, and how to cut it when the time is over."""

    def __init__(self) -> None:
        self.made = False
        self.cut = False
        self.sock: socket.socket | None = None

    def took(self, sock: socket.socket) -> None:
        self.made, self.sock = True, sock

    def over(self) -> None:
        self.cut = True
        if self.sock is not None:
            with contextlib.suppress(OSError):
                # The socket's own, also under TLS, whose object belongs to the thread that reads.
                socket.socket.shutdown(self.sock, socket.SHUT_RDWR)


class _Plain(urllib.request.HTTPHandler):
    def __init__(self, wire: _Wire) -> None:
        super().__init__()
        self.wire = wire

    def http_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        wire = self.wire

        class Connection(http.client.HTTPConnection):
            def connect(self) -> None:
                super().connect()
                wire.took(self.sock)

        return self.do_open(Connection, req)


class _Tls(urllib.request.HTTPSHandler):
    def __init__(self, wire: _Wire, context: ssl.SSLContext) -> None:
        super().__init__(context=context)
        self.wire, self.context = wire, context

    def https_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        wire = self.wire

        class Connection(http.client.HTTPSConnection):
            def connect(self) -> None:
                super().connect()
                wire.took(self.sock)

        return self.do_open(Connection, req, context=self.context)


@dataclass(frozen=True, slots=True)
class Web:
    """How the services of one channel are asked. ``name``: the plan's name of the channel; ``timeout`` in seconds for a whole request;
    ``ca``: a PEM file that replaces the system's authorities.
    """

    name: str
    timeout: float = 15.0
    ca: Path | None = None

    def ask(self, method: str, url: str, *, headers: Mapping[str, str] | None = None, body: Any = None) -> Answer:
        """The answer. ``body``: bytes as they are, anything else as JSON.

        Raises ChannelDown (``maybe`` tells whether the request may have been taken) and ChannelRejected for an address that is none.
        """
        host, secure = host_of(url), url.lower().startswith("https://")
        sent = {"User-Agent": "holdfast", "Accept": "application/json", **(headers or {})}
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body, ensure_ascii=False).encode()
            sent.setdefault("Content-Type", "application/json; charset=utf-8")
        if not host or not (secure or url.lower().startswith("http://")):
            raise ChannelRejected(f"Channel '{self.name}' has an address that is none of the web.", hint="Begin it with https://.")
        if not all(value.isprintable() for value in sent.values()):
            raise self._unspeakable()
        wire = _Wire()
        # Authorities are read only where they are needed: it takes longer than the rest.
        opener = urllib.request.build_opener(_Stay, _Tls(wire, self._context()) if secure else _Plain(wire))
        watch = threading.Timer(self.timeout, wire.over)
        watch.daemon = True
        watch.start()
        try:
            request = urllib.request.Request(url, data=body, headers=sent, method=method)  # noqa: S310 - looked at above
            try:
                answer = opener.open(request, timeout=self.timeout)
            except urllib.error.HTTPError as error:
                answer = error
            with contextlib.closing(answer):
                data = answer.read(LARGEST)
                status, said = int(answer.status), {key.lower(): value for key, value in answer.headers.items()}
                missing = getattr(answer, "length", None)
            if wire.cut:
                # A connection that is cut looks like an answer's end where no length was given.
                raise TimeoutError
            if missing:
                raise http.client.IncompleteRead(data)
            return Answer(status, said, data)
        except ValueError:
            # No text of it: it repeats the header or the address.
            raise self._unspeakable() from None
        except (OSError, http.client.HTTPException) as error:
            raise self._down(host, wire, error) from None
        finally:
            watch.cancel()

    def _unspeakable(self) -> ChannelRejected:
        return ChannelRejected(
            f"The address or the token of channel '{self.name}' holds characters that HTTP cannot carry.",
            hint="Look for spaces and line ends in the secret.",
        )

    def _context(self) -> ssl.SSLContext:
        try:
            return ssl.create_default_context(cafile=str(self.ca) if self.ca else None)
        except (OSError, ssl.SSLError) as error:
            raise ChannelRejected(
                f"The authorities of channel '{self.name}' in {self.ca} cannot be read: {error.strerror or 'no PEM file'}.",
                hint="Correct the channel's ca:.",
            ) from None

    def _down(self, host: str, wire: _Wire, error: Exception) -> ChannelDown:
        reason = getattr(error, "reason", None) or error
        if wire.cut or isinstance(reason, TimeoutError):
            said = f"did not answer within {self.timeout:g} s"
        elif isinstance(reason, ssl.SSLCertVerificationError):
            said = f"shows a certificate that is not believed ({reason.verify_message})"
        elif wire.made:
            said = "closed the connection before it answered" if isinstance(reason, OSError) else "answered with something that is no HTTP"
        else:
            # A proxy's or resolver's text names no path of ours.
            said = f"cannot be reached: {getattr(reason, 'strerror', None) or reason}"
        return ChannelDown(
            f"{host} {said} (channel '{self.name}').",
            hint="The message waits and is sent again." if not wire.made else "The message is sent again; it may have arrived.",
            maybe=wire.made,
            channel=self.name,
        )

    def strange(self, host: str, *, maybe: bool) -> ChannelDown:
        """For a success that does not say what the service says."""
        return ChannelDown(
            f"{host} answered with something that this service never says (channel '{self.name}').",
            hint="Is a proxy or a sign-in page in between? The message is sent again.",
            maybe=maybe,
            channel=self.name,
        )

    def judge(self, answer: Answer, host: str, said: str = "", *, fix: str = "") -> ChannelDown | ChannelRejected:
        """The error for an answer that is no success. ``said``: the service's own words; ``fix``: what to do when it refused."""
        words = f": {' '.join(said.split())[:300]}" if said else ""
        text = f"{host} answered {answer.status}{words} (channel '{self.name}')."
        if answer.status in (408, 425, 429, 500, 502, 503, 504, 507) or answer.status >= 520:
            # Only 'too many' and 'not yet' promise that nothing was done.
            maybe = answer.status not in (425, 429)
            return ChannelDown(text, hint="The message is sent again.", after=waiting(answer), maybe=maybe, channel=self.name)
        if 200 <= answer.status < 300:
            return self.strange(host, maybe=True)
        if 300 <= answer.status < 400:
            fix = "It points elsewhere, which is not followed with credentials: write the address that it should be."
        return ChannelRejected(
            text, hint=fix or "Correct the channel in the plan, then: holdfast incident outbox --retry.", channel=self.name
        )


def waiting(answer: Answer) -> float | None:
    """Seconds that ``Retry-After`` asks for (RFC 9110, 10.2.3: seconds or a date, which the answer's own Date makes relative)."""
    said = answer.headers.get("retry-after", "").strip()
    if not said:
        return None
    if said.isascii() and said.isdigit():
        return min(float(said[:9]), LONGEST_WAIT)
    until, now = _moment(said), _moment(answer.headers.get("date", ""))
    return None if until is None or now is None else min(max((until - now).total_seconds(), 0.0), LONGEST_WAIT)


def _moment(text: str) -> dt.datetime | None:
    try:
        found = email.utils.parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError):
        return None
    return found if found.tzinfo else found.replace(tzinfo=dt.UTC)


def host_of(url: str) -> str:
    """The host and port of an address: all of it that may be shown."""
    try:
        parts = urlsplit(url)
        port = f":{parts.port}" if parts.port else ""
        return f"{parts.hostname or ''}{port}"
    except ValueError:
        return ""
