"""One HTTP request. Redirects are not followed: an answer from elsewhere is not the one that was asked for, and credentials stay here."""

import contextlib
import http.client
import ssl
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path

from holdfast.errors import Unreachable

CHUNK = 1 << 16


class WebFailed(Unreachable):
    """A request got no answer."""

    code = "http-failed"


class _Stay(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: object, **__: object) -> None:
        return None


def request(
    method: str,
    url: str,
    *,
    headers: Mapping[str, str],
    body: bytes | None,
    timeout: float,
    take: Callable[[bytes], None],
    now: Callable[[], float],
    ca: Path | None = None,
) -> int:
    """The status; the body goes to ``take`` in pieces. ``timeout`` in seconds for all of it, ``now`` a monotonic clock in seconds.

    Raises WebFailed, also when the time is over; ValueError for a URL or header that is none.
    """
    context = ssl.create_default_context(cafile=str(ca) if ca else None)
    opener = urllib.request.build_opener(_Stay, urllib.request.HTTPSHandler(context=context))
    # Schemes are checked by the caller's shape: http and https alone.
    asked = urllib.request.Request(url, data=body, headers=dict(headers), method=method)  # noqa: S310
    deadline = now() + timeout
    try:
        try:
            answer = opener.open(asked, timeout=timeout)
        except urllib.error.HTTPError as error:
            answer = error
        with contextlib.closing(answer):
            while data := answer.read1(CHUNK) if hasattr(answer, "read1") else answer.read(CHUNK):
                take(data)
                if now() > deadline:
                    raise WebFailed(f"The answer to {method} did not end within {timeout:g} s.", hint="Give the step a longer timeout:.")
            return int(answer.status)
    except WebFailed:
        raise
    except TimeoutError:
        raise WebFailed(
            f"{method} got no answer within {timeout:g} s.", hint="Is the server there? Give the step a longer timeout:."
        ) from None
    except (OSError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", None) or error
        if isinstance(reason, TimeoutError):
            raise WebFailed(f"{method} got no answer within {timeout:g} s.", hint="Is the server there?") from None
        raise WebFailed(f"{method} got no answer: {reason}.", hint="Check the address, and that the server runs.") from None
