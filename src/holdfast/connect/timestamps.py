"""A time-stamp authority (RFC 3161) asked over HTTP (section 3.4): its answer is checked before it is kept."""

import urllib.error
import urllib.request
from pathlib import Path

from holdfast.errors import Damaged, MissingExtra, Unreachable, Usage

LARGEST = 1 << 20
PATIENCE = 10.0
"""Seconds: a stamp that comes late is not worth holding up what it is about; the next anchor asks again."""


class AuthorityUnreachable(Unreachable):
    """A time-stamp authority did not answer, or not with a time stamp."""

    code = "timestamp-unreachable"


class StampNotBelieved(Damaged):
    """A time-stamp authority's answer is not what was asked, or not signed by the authority that the plan names."""

    code = "timestamp-not-believed"


class AuthorityUnknown(Usage):
    """The certificate of a time-stamp authority cannot be read."""

    code = "timestamp-certificate"


def stamp(url: str, ca: Path, message: bytes, *, patience: float = PATIENCE) -> bytes:
    """The authority's whole answer (TimeStampResp, DER) for the SHA-256 of ``message``; ``ca``: PEM file with the authority's root and,
    where the answer brings none, the certificates between.

    Raises AuthorityUnreachable, StampNotBelieved, AuthorityUnknown, MissingExtra.
    """
    try:
        from cryptography import x509
        from rfc3161_client import (
            HashAlgorithm,
            TimestampRequestBuilder,
            VerificationError,
            VerifierBuilder,
            decode_timestamp_response,
        )
    except ImportError:
        raise MissingExtra("evidence", "A time stamp (RFC 3161)") from None
    try:
        roots = x509.load_pem_x509_certificates(ca.read_bytes())
    except (OSError, ValueError) as error:
        raise AuthorityUnknown(
            f"The certificate of the time-stamp authority, {ca}, cannot be read: {error}.",
            hint="Name a PEM file with the authority's root in the plan: evidence.timestamp.ca.",
            path=str(ca),
        ) from error
    asked = TimestampRequestBuilder().data(message).hash_algorithm(HashAlgorithm.SHA256).cert_request(cert_request=True).build()
    body = _post(url, asked.as_bytes(), patience)
    try:
        answer = decode_timestamp_response(body)
        builder = VerifierBuilder(roots=roots[:1], intermediates=roots[1:], nonce=asked.nonce)
        builder.build().verify_message(answer, message)
    except (VerificationError, ValueError) as error:
        raise StampNotBelieved(
            f"The answer of the time-stamp authority {url} is not believed: {error}.",
            hint="Check evidence.timestamp in the plan: 'ca' is the root of that very authority.",
            url=url,
        ) from error
    return body


def _post(url: str, body: bytes, patience: float) -> bytes:
    if not url.startswith(("http://", "https://")):
        raise AuthorityUnreachable(f"{url} is no address of a time-stamp authority.", hint="Write an http or https URL.", url=url)
    headers = {"Content-Type": "application/timestamp-query", "Accept": "application/timestamp-reply"}
    request = urllib.request.Request(url, data=body, headers=headers, method="POST")  # noqa: S310 - looked at above
    try:
        with urllib.request.urlopen(request, timeout=patience) as response:  # noqa: S310
            kind = response.headers.get_content_type()
            answer: bytes = response.read(LARGEST)
    except (OSError, ValueError) as error:
        reason = error.reason if isinstance(error, urllib.error.URLError) else error
        raise AuthorityUnreachable(
            f"The time-stamp authority {url} did not answer: {reason}.", hint="The next anchor asks again; nothing is lost.", url=url
        ) from error
    if kind != "application/timestamp-reply":
        raise AuthorityUnreachable(f"{url} answered with {kind}, which is no time stamp.", hint="Check evidence.timestamp.url.", url=url)
    return answer
