"""Signatures of S3 requests: AWS Signature Version 4 (docs.aws.amazon.com, "Signature Calculations for the Authorization Header")."""

import datetime as dt
import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import quote

EMPTY = hashlib.sha256(b"").hexdigest()
UNSIGNED = "UNSIGNED-PAYLOAD"
_SIGNED = frozenset({"content-md5"})


@dataclass(frozen=True, slots=True)
class Credentials:
    access_key: str
    secret_key: str = field(repr=False)
    token: str | None = field(default=None, repr=False)


def encoded_path(path: str) -> str:
    """Every byte but letters, digits, ``-._~`` and ``/`` as %XX; nothing is tidied up: ``..`` and ``//`` are parts of a key."""
    return quote(path.encode("utf-8", "surrogateescape"), safe="/-._~")


def encoded_query(query: Mapping[str, str]) -> str:
    """Sorted, as it is signed and sent."""
    pairs = ((quote(name, safe="-._~"), quote(value.encode("utf-8", "surrogateescape"), safe="-._~")) for name, value in query.items())
    return "&".join(f"{name}={value}" for name, value in sorted(pairs))


class Signer:
    """Signs for one region. The key of a day is made once."""

    def __init__(self, region: str) -> None:
        self._region = region
        self._made: tuple[str, str, bytes] = ("", "", b"")
        self._stamp: tuple[int, str] = (0, "")

    def headers(
        self,
        credentials: Credentials,
        now: dt.datetime,
        method: str,
        path: str,
        query: str,
        headers: Mapping[str, str],
        payload: str,
    ) -> dict[str, str]:
        """What is to be sent beside ``headers`` (names in lower case, ``host`` among them); ``path`` and ``query`` encoded.

        ``payload``: the body's SHA-256, or UNSIGNED; ``content-md5`` is signed too, so a body that it names is covered either way.
        """
        second = int(now.timestamp())
        known, stamp = self._stamp
        if known != second:
            stamp = now.astimezone(dt.UTC).strftime("%Y%m%dT%H%M%SZ")
            self._stamp = second, stamp
        more = {"x-amz-content-sha256": payload, "x-amz-date": stamp}
        if credentials.token:
            more["x-amz-security-token"] = credentials.token
        others = [name for name in headers if name in _SIGNED or name.startswith("x-amz-")]
        # Sorted, as they must be: most requests have no more than these.
        signed = {"host": headers["host"], **more}
        if others:
            signed |= {name: " ".join(headers[name].split()) for name in others}
            signed = {name: signed[name] for name in sorted(signed)}
        lines = "".join([f"{name}:{value}\n" for name, value in signed.items()])
        listed = ";".join(signed)
        canonical = f"{method}\n{path}\n{query}\n{lines}\n{listed}\n{payload}"
        scope = f"{stamp[:8]}/{self._region}/s3/aws4_request"
        digest = hashlib.sha256(canonical.encode("utf-8", "surrogateescape")).hexdigest()
        text = f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{digest}"
        signature = hmac.digest(self._key(credentials, stamp[:8]), text.encode(), "sha256").hex()
        more["authorization"] = (
            f"AWS4-HMAC-SHA256 Credential={credentials.access_key}/{scope}, SignedHeaders={listed}, Signature={signature}"
        )
        return more

    def _key(self, credentials: Credentials, day: str) -> bytes:
        known = self._made
        if known[:2] == (day, credentials.secret_key):
            return known[2]
        key = f"AWS4{credentials.secret_key}".encode()
        for part in (day, self._region, "s3", "aws4_request"):
            key = hmac.digest(key, part.encode(), "sha256")
        self._made = (day, credentials.secret_key, key)
        return key
