"""One request to S3, signed, and tried again while that makes sense."""

import datetime as dt
import hashlib
import random
import ssl
from base64 import b64encode
from collections.abc import Callable, Mapping
from functools import partial
from typing import NoReturn

from holdfast.connect.objects.credentials import provider
from holdfast.connect.objects.errors import ObjectChanged, ObjectDenied, ObjectGone, StoreDenied, shown
from holdfast.connect.objects.open import Options
from holdfast.connect.objects.sign import EMPTY, UNSIGNED, Signer, encoded_path, encoded_query
from holdfast.connect.objects.transport import Answer, Buffer, Transport
from holdfast.connect.objects.trying import Patience, Trying
from holdfast.connect.objects.xml import error_code
from holdfast.model import Clock

_AGAIN = frozenset({429, 500, 502, 503, 504})
_AGAIN_CODES = frozenset(
    {"RequestTimeout", "IncompleteBody", "OperationAborted", "SlowDown", "InternalError", "ConditionalRequestConflict"}
)
_GONE = frozenset({"NoSuchKey", "NoSuchVersion", "MethodNotAllowed", "NoSuchUpload"})
_ACCOUNT = frozenset(
    {
        "InvalidAccessKeyId",
        "SignatureDoesNotMatch",
        "ExpiredToken",
        "InvalidToken",
        "InvalidTokenId",
        "InvalidClientTokenId",
        "TokenRefreshRequired",
        "RequestTimeTooSkewed",
        "RequestExpired",
        "AccountProblem",
    }
)
"""Something is wrong with who asks, so no other request would fare better. MinIO calls an ended session InvalidTokenId."""


class Asker(Trying):
    """Of one bucket. Thread-safe."""

    def __init__(
        self,
        bucket: str,
        options: Options,
        clock: Clock,
        note: Callable[[str], None] | None = None,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        super().__init__(f"s3://{bucket}", options, clock, note, jitter)
        self._credentials = provider(options.credentials)
        region = options.region or "us-east-1"
        address, self._folder = _address(bucket, options, region)
        self._signer = Signer(region)
        certificate = (options.certificate, options.key) if options.certificate else None
        try:
            self._transport = Transport(address, ca=options.ca, certificate=certificate, read_timeout=options.read_timeout)
        except (OSError, ssl.SSLError) as error:
            raise StoreDenied(f"The certificates for {self.url} cannot be read: {error}", hint="Name readable PEM files.") from error
        self.signs_bodies = False
        """The store took a body by its SHA-256 that it had refused by its MD5."""

    def ask(
        self,
        method: str,
        key: str | None = None,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        body: Buffer | None = None,
        *,
        into: memoryview | None = None,
        patience: Patience | None = None,
        md5: bool | bytes = False,
        missing: bool = False,
    ) -> Answer:
        """An answer below 300. ``missing``: 404 is an answer too. With ``into`` a body that broke off is one as well (``got``, status 0).

        ``md5``: the store is to check the body by that (True: it is counted here), and the signature covers it; else, and where the
        store will not have it so, by the SHA-256 in the signature.

        Raises ObjectGone, ObjectChanged, ObjectDenied, StoreDenied, StoreThrottled, StoreUnreachable.
        """
        patience = patience or self.patience()
        path = encoded_path(f"{self._folder}/{key}" if key is not None else self._folder or "/")
        text = encoded_query(query or {})
        target = f"{path}?{text}" if text else path
        by_md5 = bool(md5) and not self.signs_bodies
        payload = EMPTY if body is None else UNSIGNED if by_md5 else hashlib.sha256(body).hexdigest()
        given = {"host": self._transport.host, **(headers or {})}
        if md5 and body is not None:
            told = hashlib.md5(body, usedforsecurity=False).digest() if md5 is True else md5
            given["content-md5"] = b64encode(told).decode()
        while True:
            signed = self._signer.headers(self._credentials(), self._now(), method, path, text, given, payload)
            send = partial(self._transport.ask, method, target, {**given, **signed}, body, into)
            answer = self.once(send, patience, key, part=into is not None)
            if answer is None:
                continue
            if answer.status < 300 or (missing and answer.status == 404 and error_code(answer.body)[0] != "NoSuchBucket"):
                if by_md5 and payload is not UNSIGNED:
                    self.signs_bodies = True
                return answer
            if payload is UNSIGNED and body is not None and answer.status in (400, 403) and not _transient(answer):
                # The MD5 that somebody told is none of this content, or a policy wants bodies signed: only a second answer tells.
                payload = hashlib.sha256(body).hexdigest()
                if md5 is not True:
                    del given["content-md5"]
                continue
            self._judge(answer, key, patience, None if query is None else query.get("versionId"))

    def close(self) -> None:
        self._transport.close()

    def _now(self) -> dt.datetime:
        return self.clock.now()

    def _judge(self, answer: Answer, key: str | None, patience: Patience, version: str | None) -> None:
        """Returns when it is to be tried again."""
        code, message = error_code(answer.body)
        status = answer.status
        said = f"{status} {code} {message}".strip()[:400]
        if status in _AGAIN or code in _AGAIN_CODES:
            throttled = status in (429, 503) or code == "SlowDown"
            after = answer.headers.get("retry-after", "")
            self.again(patience, key, said, throttled=throttled, after=float(after) if after.isdigit() else None)
            return
        self._refuse(status, code, said, key, version)

    def _refuse(self, status: int, code: str, said: str, key: str | None, version: str | None) -> NoReturn:
        details = {"url": self.url, "key": key, "said": code, "status": status}
        what = f"{self.url}/{shown(key)}" if key is not None else self.url
        if key is not None and (code in _GONE or (status in (404, 405) and code != "NoSuchBucket")):
            raise ObjectGone(f"{what} is not there{f' in version {version}' if version else ''}.", hint="See: holdfast ls", **details)
        if status in (412, 416):
            raise ObjectChanged(f"{what} was replaced meanwhile.", hint="Run it again.", **details)
        if code == "InvalidObjectState":
            raise ObjectDenied(
                f"{what} is archived: it must be brought back from its storage class first.", hint="Restore it there.", **details
            )
        if key is not None and status == 403 and code not in _ACCOUNT:
            raise ObjectDenied(
                f"{what} is refused: {said}", hint="Look at what the credentials allow for this object and its key.", **details
            )
        hint = "Look at the bucket's name, the endpoint, the credentials and what they allow."
        if code in ("RequestTimeTooSkewed", "RequestExpired"):
            hint = "Set this host's clock by NTP."
        elif code in ("ExpiredToken", "InvalidToken", "InvalidTokenId", "InvalidClientTokenId", "TokenRefreshRequired"):
            hint = "The credentials have ended or were never valid: renew them, and run it again. What was stored is used."
        elif code in ("PermanentRedirect", "AuthorizationHeaderMalformed", "TemporaryRedirect"):
            hint = "The bucket lies in another region: name it in the plan (region)."
        raise StoreDenied(f"{what} refused: {said}", hint=hint, **details)


def _transient(answer: Answer) -> bool:
    return error_code(answer.body)[0] in _AGAIN_CODES


def _address(bucket: str, options: Options, region: str) -> tuple[str, str]:
    """(address of the server, folder in front of each key)."""
    if options.endpoint:
        base = options.endpoint.rstrip("/")
        if options.path_style is not False:
            return base, f"/{bucket}"
        scheme, _, host = base.partition("://")
        return f"{scheme}://{bucket}.{host}", ""
    host = f"s3.{region}.amazonaws.com" + (".cn" if region.startswith("cn-") else "")
    if "." in bucket or options.path_style:
        return f"https://{host}", f"/{bucket}"
    return f"https://{bucket}.{host}", ""
