"""A time stamp (RFC 3161) for an anchor, believed before it is kept."""

import hashlib
import secrets
from pathlib import Path

from holdfast.connect.timestamps import PATIENCE, ask
from holdfast.errors import Damaged, Usage
from holdfast.evidence.verifier import Altered, certificates, timestamp


class StampNotBelieved(Damaged):
    """A time-stamp authority's answer is not what was asked, or not signed by the authority that the plan names."""

    code = "timestamp-not-believed"


class AuthorityUnknown(Usage):
    """The certificate of a time-stamp authority cannot be read."""

    code = "timestamp-certificate"


def stamp(url: str, ca: Path, message: bytes, *, patience: float = PATIENCE) -> bytes:
    """The authority's answer for ``message``. ``ca``: a PEM file with its root and, where the answer brings none, the certificates between.

    Raises AuthorityUnreachable, StampNotBelieved, AuthorityUnknown.
    """
    try:
        roots = certificates([ca])
    except (OSError, ValueError) as error:
        raise AuthorityUnknown(
            f"The certificate of the time-stamp authority, {ca}, cannot be read: {error}.",
            hint="Name a PEM file with the authority's root in the plan: evidence.timestamp.ca.",
            path=str(ca),
        ) from error
    nonce = secrets.randbits(63) + 1
    answer = ask(url, hashlib.sha256(message).digest(), nonce, patience=patience)
    try:
        timestamp(answer, message, roots, nonce)
    except Altered as error:
        raise StampNotBelieved(
            f"The answer of the time-stamp authority {url} is not believed: {error}",
            hint="Check evidence.timestamp in the plan: 'ca' is the root of that very authority.",
            url=url,
        ) from error
    return answer
