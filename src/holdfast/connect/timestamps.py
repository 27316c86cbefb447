"""A time-stamp authority (RFC 3161) asked over HTTP (section 3.4). The answer is not checked here: see ``evidence.stamps``."""

from holdfast.errors import Unreachable

LARGEST = 1 << 20
PATIENCE = 10.0
"""Seconds: a stamp that comes late is not worth holding up what it is about; the next anchor asks again."""

_SHA256 = bytes.fromhex("300d06096086480165030402010500")


class AuthorityUnreachable(Unreachable):
    """A time-stamp authority did not answer, or not with a time stamp."""

    code = "timestamp-unreachable"


def query(digest: bytes, nonce: int) -> bytes:
    """A TimeStampReq (DER, section 2.4.1) for a SHA-256 digest, which asks for the authority's certificates too. ``nonce`` > 0."""
    imprint = _element(0x30, _SHA256 + _element(0x04, digest))
    number = _element(0x02, nonce.to_bytes(nonce.bit_length() // 8 + 1, "big"))
    return _element(0x30, b"\x02\x01\x01" + imprint + number + b"\x01\x01\xff")


def ask(url: str, digest: bytes, nonce: int, *, patience: float = PATIENCE) -> bytes:
    """The authority's whole answer (TimeStampResp, DER). Raises AuthorityUnreachable."""
    if not url.startswith(("http://", "https://")):
        raise AuthorityUnreachable(f"{url} is no address of a time-stamp authority.", hint="Write an http or https URL.", url=url)
    # Every command that proves something comes by here; hardly any asks an authority.
    import urllib.error
    import urllib.request

    headers = {"Content-Type": "application/timestamp-query", "Accept": "application/timestamp-reply"}
    request = urllib.request.Request(url, data=query(digest, nonce), headers=headers, method="POST")  # noqa: S310 - looked at above
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


def _element(tag: int, content: bytes) -> bytes:
    """DER; all that is written here is shorter than 128 bytes."""
    return bytes((tag, len(content))) + content
