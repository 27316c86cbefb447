"""Who asks, for Google: an access token, of a service account's key, of a user's login, of the machine's own account, or given."""

import base64
import json
import os
import random
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

from holdfast.connect.objects.errors import StoreDenied, StoreUnreachable
from holdfast.connect.objects.open import Options
from holdfast.connect.objects.transport import Broken, Transport
from holdfast.connect.objects.trying import Patience
from holdfast.model import Clock

SCOPE = "https://www.googleapis.com/auth/devstorage.read_write"
_TOKEN_URI = "https://oauth2.googleapis.com/token"  # noqa: S105 - an address
_EARLY = 300.0
_LONGEST = 3600
_PATIENCE = 30.0
_HINT = "Give credentials: {service_account: {file: key.json}} in the plan, or set GOOGLE_APPLICATION_CREDENTIALS to such a file."

Token = Callable[[], str]


def provider(options: Options, address: str, clock: Clock) -> Token | None:
    """Asked for each request; renews by itself. None: nobody is named, and the store at ``address`` is none of Google's.

    Raises StoreDenied: what was given is no such key.
    """
    given = options.credentials
    if given.get("token"):
        token = given["token"]
        return lambda: token
    if given.get("service_account"):
        return _of_key(given["service_account"], "the plan's service_account", clock)
    googles = address.endswith(".googleapis.com")
    # A user's own login is not shown to whoever else is named as endpoint.
    named = os.environ.get("GOOGLE_APPLICATION_CREDENTIALS") or (_login() if googles else None)
    if named:
        try:
            text = Path(named).read_text()
        except OSError as error:
            raise StoreDenied(f"{named} cannot be read: {error.strerror}.", hint=_HINT) from error
        return _of_key(text, named, clock)
    if not googles:
        return None
    return Renewing(_Machine(), clock)


def _login() -> str | None:
    """What ``gcloud auth application-default login`` leaves."""
    path = Path.home() / ".config/gcloud/application_default_credentials.json"
    return str(path) if path.exists() else None


def _of_key(text: str, name: str, clock: Clock) -> Token:
    try:
        key: Any = json.loads(text)
        kind = key["type"]
        if kind == "service_account":
            return Renewing(_ServiceAccount(key["client_email"], key["private_key"], key.get("token_uri") or _TOKEN_URI, clock), clock)
        if kind == "authorized_user":
            return Renewing(_User(key["client_id"], key["client_secret"], key["refresh_token"]), clock)
    except (ValueError, KeyError, TypeError) as error:
        # What it holds is not repeated.
        raise StoreDenied(f"{name} is no key of a service account ({type(error).__name__}).", hint=_HINT) from None
    raise StoreDenied(f"{name} holds credentials of the kind {kind!r}, which are not understood.", hint=_HINT)


class Renewing:
    """A token, asked for anew before it ends. ``ask`` returns (token, seconds that it holds). Thread-safe."""

    def __init__(self, ask: Callable[[], tuple[str, float]], clock: Clock) -> None:
        self._ask, self._clock = ask, clock
        self._lock = threading.Lock()
        self._token, self._soon, self._ends = "", 0.0, 0.0

    def __call__(self) -> str:
        with self._lock:
            now = self._clock.monotonic()
            if not self._token or now >= self._soon:
                patience = Patience(_PATIENCE, self._clock, random.random)
                while True:
                    try:
                        self._token, holds = self._ask()
                        self._soon, self._ends = now + max(holds - _EARLY, holds / 2), now + holds
                        break
                    except StoreUnreachable:
                        if self._token and self._clock.monotonic() < self._ends:
                            break  # the one that is there holds yet; the next request asks again
                        if not patience.wait():
                            raise
            return self._token


class _ServiceAccount:
    """By a signed assertion (RFC 7523)."""

    def __init__(self, email: str, pem: str, uri: str, clock: Clock) -> None:
        from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
        from cryptography.hazmat.primitives.serialization import load_pem_private_key

        key = load_pem_private_key(pem.encode(), None)
        if not isinstance(key, RSAPrivateKey):
            raise TypeError("not an RSA key")
        self._email, self._key, self._uri, self._clock = email, key, uri, clock

    def __call__(self) -> tuple[str, float]:
        from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
        from cryptography.hazmat.primitives.hashes import SHA256

        now = int(self._clock.now().timestamp())
        claims = {"iss": self._email, "scope": SCOPE, "aud": self._uri, "iat": now, "exp": now + _LONGEST}
        text = f"{_part({'alg': 'RS256', 'typ': 'JWT'})}.{_part(claims)}"
        assertion = f"{text}.{_base64(self._key.sign(text.encode(), PKCS1v15(), SHA256()))}"
        return asked(self._uri, {"grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer", "assertion": assertion}, self._email)


class _User:
    def __init__(self, client: str, secret: str, refresh: str) -> None:
        self._form = {"grant_type": "refresh_token", "client_id": client, "client_secret": secret, "refresh_token": refresh}

    def __call__(self) -> tuple[str, float]:
        return asked(_TOKEN_URI, self._form, "the user's login")


class _Machine:
    """The account that the machine runs as, told by its metadata server."""

    def __call__(self) -> tuple[str, float]:
        host = os.environ.get("GCE_METADATA_HOST", "metadata.google.internal")
        path = "/computeMetadata/v1/instance/service-accounts/default/token"
        try:
            return _answered("GET", f"http://{host}{path}", {"metadata-flavor": "Google"}, None, "this machine's account")
        except StoreUnreachable as error:
            raise StoreDenied("No credentials for Google Cloud Storage were found.", hint=_HINT) from error


def asked(uri: str, form: Mapping[str, str], who: str) -> tuple[str, float]:
    """(token, seconds that it holds) by OAuth. Raises StoreDenied, StoreUnreachable."""
    return _answered("POST", uri, {"content-type": "application/x-www-form-urlencoded"}, urlencode(form).encode(), who)


def _answered(method: str, uri: str, headers: Mapping[str, str], body: bytes | None, who: str) -> tuple[str, float]:
    parts = urlsplit(uri)
    connection = Transport(f"{parts.scheme}://{parts.netloc}", read_timeout=30)
    try:
        answer = connection.ask(method, parts.path or "/", {"host": connection.host, **headers}, body)
    except Broken as error:
        raise StoreUnreachable(f"{parts.netloc} gave no token for {who}: {error}", hint="Look at the network.") from error
    finally:
        connection.close()
    try:
        told = json.loads(answer.body)
        if answer.status < 300:
            return str(told["access_token"]), float(told.get("expires_in", 3600))
        said = f"{told.get('error', '')} {told.get('error_description', '')}".strip()
    except (ValueError, KeyError, TypeError, AttributeError):
        said = ""
    kind = StoreUnreachable if answer.status >= 500 else StoreDenied
    raise kind(f"{parts.netloc} gave no token for {who}: {answer.status} {said}"[:400], hint="Look at the key, and at this host's clock.")


def _part(told: Mapping[str, Any]) -> str:
    return _base64(json.dumps(told, separators=(",", ":")).encode())


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
