"""Who one is to a registry: nobody, Basic, or a bearer token that another server gives out for a repository and an action.

Source: the distribution project's "Token Authentication Specification".
"""

import base64
import json
import threading
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlencode, urlsplit

from holdfast.model import Clock
from holdfast.systems.files.images.challenge import Challenge, parse_challenges
from holdfast.systems.files.images.errors import RegistryDenied, RegistryUnreachable
from holdfast.systems.files.images.transport import BROKEN, Answer, Transport

_TOKEN_LIMIT = 1 << 20
_LIFETIME_S = 60.0


@dataclass(frozen=True, slots=True)
class RegistrySettings:
    """How the registry at ``host`` is reached. ``plain_http``: without TLS, for one on the same machine or a closed network.

    ``password`` may be a token. ``ca``: a PEM file in place of the system's authorities.
    """

    host: str
    user: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)
    ca: Path | None = None
    plain_http: bool = False

    @property
    def url(self) -> str:
        return f"{'http' if self.plain_http else 'https'}://{self.host}"


class Credentials:
    """Answers a registry's challenges. Safe from many threads. No message of it holds a secret."""

    def __init__(self, settings: RegistrySettings, transport: Transport, clock: Clock) -> None:
        self._settings = settings
        self._transport = transport
        self._clock = clock
        self._basic = False
        self._tokens: dict[str, tuple[str, float]] = {}
        self._lock = threading.Lock()

    def header(self, scope: str) -> dict[str, str]:
        """What is known to be asked for ``scope`` (``repository:<name>:pull``)."""
        with self._lock:
            if self._basic:
                return {"Authorization": self._basic_value()}
            token, until = self._tokens.get(scope, ("", 0.0))
        return {"Authorization": f"Bearer {token}"} if token and self._clock.monotonic() < until else {}

    def answer(self, refused: Answer, scope: str) -> bool:
        """Make ready for another try after a 401; False when nothing else can be tried. Raises RegistryDenied, RegistryUnreachable."""
        challenges = parse_challenges(refused.headers.get("www-authenticate", ""))
        for one in challenges:
            if one.scheme == "bearer" and one.parameters.get("realm"):
                token, lifetime = self._token(one, scope)
                with self._lock:
                    self._tokens[scope] = (token, self._clock.monotonic() + lifetime)
                return True
        if any(one.scheme == "basic" for one in challenges) and self._settings.password is not None:
            with self._lock:
                tried, self._basic = self._basic, True
            return not tried
        return False

    def _token(self, challenge: Challenge, scope: str) -> tuple[str, float]:
        realm = challenge.parameters["realm"]
        scheme = urlsplit(realm).scheme
        if scheme != "https" and not (scheme == "http" and self._settings.plain_http):
            raise RegistryDenied(
                f"{self._settings.host} sends for its tokens to an address without TLS.",
                hint="Credentials are not sent there; look at the registry.",
            )
        given = [("scope", one) for one in scope.split(" ")]
        if "service" in challenge.parameters:
            given.insert(0, ("service", challenge.parameters["service"]))
        url = f"{realm}{'&' if '?' in realm else '?'}{urlencode(given)}"
        headers = {"Authorization": self._basic_value()} if self._settings.password is not None else {}
        with self._transport.request("GET", url, headers) as answer:
            if answer.status in (400, 401, 403):
                raise self.denied(f"the server that gives out tokens answered {answer.status}")
            try:
                document = json.loads(answer.read(_TOKEN_LIMIT)) if answer.status == 200 else None
            except (*BROKEN, ValueError, RecursionError):
                document = None
        found = document.get("token") or document.get("access_token") if isinstance(document, dict) else None
        if not isinstance(found, str) or not found.isascii() or not found.isprintable():
            raise RegistryUnreachable(
                f"The server that gives out tokens for {self._settings.host} gave none (status {answer.status}).",
                hint="Look at the registry.",
            )
        lifetime = document.get("expires_in", _LIFETIME_S) if isinstance(document, dict) else _LIFETIME_S
        known = isinstance(lifetime, int | float) and not isinstance(lifetime, bool) and 0 < lifetime < 1e7
        # A little less than it lives: it is checked when the request arrives.
        return found, max(float(lifetime) * 0.9 - 5, 1.0) if known else _LIFETIME_S

    def denied(self, why: str) -> RegistryDenied:
        return RegistryDenied(
            f"{self._settings.host} refuses: {why}.",
            hint="Check user and password (or token) of the registry in the plan, and what they may do there."
            if self._settings.password is not None
            else "Name user and password of the registry in the plan.",
        )

    def _basic_value(self) -> str:
        pair = f"{self._settings.user or ''}:{self._settings.password or ''}"
        return "Basic " + base64.b64encode(pair.encode()).decode()
