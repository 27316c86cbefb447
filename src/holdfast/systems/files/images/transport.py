"""HTTP for registries: one request, its answer as a stream, redirects by hand, patience with limits.

``urllib`` is used without its error and redirect handlers, so that every status comes back and no header follows a redirect by itself;
proxies are taken from the environment as usual.
"""

import contextlib
import email.utils
import http.client
import ssl
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self
from urllib.parse import urljoin, urlsplit

from holdfast.model import Clock
from holdfast.systems.files.images.errors import RegistryUnreachable

TIMEOUT_S = 60.0
TRIES = 5
_LONGEST_WAIT_S = 120.0
_PASSING = (429, 500, 502, 503, 504)
_REDIRECTS = (301, 302, 303, 307, 308)
_MOST_REDIRECTS = 5
BROKEN = (OSError, http.client.HTTPException)
"""What a connection may raise; URLError and time-outs are OSErrors."""


@dataclass(slots=True)
class Answer:
    """Close it, or use it as a context manager. ``headers`` by lower-case name; ``url`` after redirects."""

    status: int
    headers: Mapping[str, str]
    url: str
    body: http.client.HTTPResponse = field(repr=False)

    def read(self, most: int) -> bytes:
        """At most ``most`` bytes of it; raises what a connection raises."""
        return self.body.read(most)

    def close(self) -> None:
        with contextlib.suppress(*BROKEN):
            self.body.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


Body = Callable[[], IO[bytes]]
"""Opens what is to be sent, anew for each try."""


class Transport:
    """``ca``: a PEM file in place of the system's authorities. ``timeout``: seconds of silence."""

    def __init__(self, clock: Clock, *, ca: Path | None = None, timeout: float = TIMEOUT_S, tries: int = TRIES) -> None:
        self._clock = clock
        self._timeout = timeout
        self._tries = tries
        context = ssl.create_default_context(cafile=str(ca) if ca is not None else None)
        self._opener = urllib.request.OpenerDirector()
        for handler in (urllib.request.ProxyHandler(), urllib.request.HTTPHandler(), urllib.request.HTTPSHandler(context=context)):
            self._opener.add_handler(handler)

    def request(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        *,
        body: Body | bytes | None = None,
        length: int | None = None,
    ) -> Answer:
        """The final answer, whatever its status: after redirects (of GET and HEAD), and after waiting where the server asks for patience.

        ``Authorization`` goes to the host of ``url`` and to no other. Raises RegistryUnreachable.
        """
        last = ""
        for attempt in range(self._tries):
            wait = min(2.0**attempt, 30.0)
            try:
                answer = self._follow(method, url, dict(headers), body, length)
            except BROKEN as error:
                last = _said(error)
            else:
                if answer.status not in _PASSING or attempt + 1 == self._tries:
                    return answer
                last = f"status {answer.status}"
                wait = self._asked(answer, wait)
                answer.close()
            if attempt + 1 < self._tries:
                self._clock.sleep(wait)
        raise RegistryUnreachable(
            f"{_shown(url)} did not answer after {self._tries} tries: {last}.",
            hint="Check the address, the network, and the registry's certificate.",
        )

    def _follow(self, method: str, url: str, headers: dict[str, str], body: Body | bytes | None, length: int | None) -> Answer:
        home = _origin(url)
        for _ in range(_MOST_REDIRECTS + 1):
            answer = self._once(method, url, headers, body, length)
            target = answer.headers.get("location")
            if method not in ("GET", "HEAD") or answer.status not in _REDIRECTS or not target:
                return answer
            answer.close()
            there = urljoin(url, target)
            scheme = urlsplit(there).scheme
            if scheme not in ("http", "https") or (scheme == "http" and urlsplit(url).scheme == "https"):
                raise RegistryUnreachable(
                    f"{_shown(url)} redirects to an address that is not safe to follow ({scheme[:20]}).",
                    hint="Look at the registry's storage.",
                )
            url = there
            if _origin(url) != home:
                headers.pop("Authorization", None)
        raise RegistryUnreachable(f"{_shown(url)} redirects without end.", hint="Look at the registry and what stands before it.")

    def _once(self, method: str, url: str, headers: Mapping[str, str], body: Body | bytes | None, length: int | None) -> Answer:
        with contextlib.ExitStack() as stack:
            data: Any = stack.enter_context(body()) if callable(body) else body
            request = urllib.request.Request(url, data=data, method=method, headers={"Accept-Encoding": "identity", **headers})  # noqa: S310
            if length is not None:
                request.add_unredirected_header("Content-Length", str(length))
            if data is not None and not request.has_header("Content-type"):
                request.add_unredirected_header("Content-Type", "application/octet-stream")
            response = self._opener.open(request, timeout=self._timeout)
        assert isinstance(response, http.client.HTTPResponse)
        return Answer(response.status, {name.lower(): value for name, value in response.headers.items()}, url, response)

    def _asked(self, answer: Answer, otherwise: float) -> float:
        """Seconds that Retry-After asks for (a number, or a date), within reason."""
        text = answer.headers.get("retry-after", "").strip()
        if text.isascii() and text.isdigit():
            return min(float(text[:9]), _LONGEST_WAIT_S)
        with contextlib.suppress(TypeError, ValueError, OverflowError):
            when = email.utils.parsedate_to_datetime(text)
            return min(max((when - self._clock.now()).total_seconds(), 0.0), _LONGEST_WAIT_S)
        return otherwise


def _origin(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or {"http": 80, "https": 443}.get(parts.scheme)


def _shown(url: str) -> str:
    """Without what follows '?': storage behind a registry is addressed with signatures there."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.hostname}{f':{parts.port}' if parts.port else ''}{parts.path}"


def _said(error: BaseException) -> str:
    reason = error.reason if isinstance(error, urllib.error.URLError) else error
    return str(reason)[:300] or type(error).__name__
