"""Requests to a store that is not S3: each is signed, and tried again while that makes sense. Google's and Azure's stores build on it."""

import abc
import datetime as dt
import email.utils
import random
import ssl
from collections.abc import Callable, Mapping
from functools import partial
from typing import NoReturn

from holdfast.connect.objects.errors import ObjectChanged, ObjectDenied, ObjectGone, StoreDenied, StoreUnreachable, shown
from holdfast.connect.objects.open import Options
from holdfast.connect.objects.sign import encoded_query
from holdfast.connect.objects.transport import Answer, Broken, Buffer, Transport
from holdfast.connect.objects.trying import Patience, Trying
from holdfast.model import Clock

AGAIN = frozenset({408, 429, 500, 502, 503, 504})
_THROTTLED = frozenset({429, 503})


class Caller(Trying, abc.ABC):
    """Of one bucket or container. Thread-safe.

    A store says by overriding how a request is signed (``_signed``), what an answer means (``_said``), and which of them tell that an
    object is gone, changed, refused (``_kind``).
    """

    def __init__(
        self,
        url: str,
        address: str,
        options: Options,
        clock: Clock,
        note: Callable[[str], None] | None = None,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        super().__init__(url, options, clock, note, jitter)
        self.transport = transport(url, address, options)

    def ask(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        body: Buffer | None = None,
        *,
        key: str | None = None,
        into: memoryview | None = None,
        patience: Patience | None = None,
        also: frozenset[int] = frozenset(),
    ) -> Answer:
        """An answer below 300, or of a status in ``also``. ``path`` is encoded, ``key`` is for errors. With ``into`` a body that broke off
        is an answer as well (``got``, status 0).

        Raises ObjectGone, ObjectChanged, ObjectDenied, StoreDenied, StoreThrottled, StoreUnreachable.
        """
        patience = patience or self.patience()
        sent = 0
        while True:
            sent += 1
            send = partial(self._once, method, path, query or {}, headers or {}, body, into)
            answer = self.once(send, patience, key, part=into is not None)
            if answer is None:
                continue
            if answer.status < 300 or answer.status in also:
                return answer
            self.judge(answer, key, patience, sent)

    def time(self, path: str) -> dt.datetime:
        """The store's, by the date of its answer to a GET, whatever it answers; in whole seconds. Raises as ``ask``."""
        patience = self.patience()
        while True:
            try:
                date = self._once("GET", path, {}, {}, None, None).headers.get("date", "")
                return email.utils.parsedate_to_datetime(date)
            except Broken as error:
                if error.fresh:
                    self.again(patience, None, str(error))
            except ValueError:
                raise StoreUnreachable(f"{self.url} answered without its time.", hint="Look at the endpoint.", url=self.url) from None

    def _once(
        self, method: str, path: str, query: Mapping[str, str], headers: Mapping[str, str], body: Buffer | None, into: memoryview | None
    ) -> Answer:
        given = {"host": self.transport.host, **headers}
        signed, query = self._signed(method, path, query, given, body)
        text = encoded_query(query)
        return self.transport.ask(method, f"{path}?{text}" if text else path, signed, body, into)

    def close(self) -> None:
        self.transport.close()

    # ------------------------------------------------------------ what each store says for itself

    @abc.abstractmethod
    def _signed(
        self, method: str, path: str, query: Mapping[str, str], headers: dict[str, str], body: Buffer | None
    ) -> tuple[Mapping[str, str], Mapping[str, str]]:
        """Headers and query with what proves who asks."""

    @abc.abstractmethod
    def _said(self, answer: Answer) -> tuple[str, str]:
        """(the store's word for an error, its sentence)."""

    @abc.abstractmethod
    def _kind(self, status: int, code: str, key: str | None) -> str:
        """``gone``, ``changed``, ``object`` (this object is refused), ``archived``, ``again``, or empty: the store refuses altogether."""

    def _hint(self, code: str) -> str:
        """What to do where the store refuses altogether."""
        del code
        return "Look at the name, the endpoint, the credentials and what they allow."

    # ------------------------------------------------------------ when it went wrong

    def judge(self, answer: Answer, key: str | None, patience: Patience, sent: int = 1) -> None:
        """Returns when it is to be tried again. ``sent``: how often the request went out; told among an error's details."""
        code, message = self._said(answer)
        said = f"{answer.status} {code} {message}".strip()[:400]
        kind = self._kind(answer.status, code, key)
        if not kind and answer.status in AGAIN:
            kind = "again"
        if kind == "again":
            after = answer.headers.get("retry-after", "")
            self.again(patience, key, said, throttled=answer.status in _THROTTLED, after=float(after) if after.isdigit() else None)
            return
        self._refuse(kind, answer.status, code, said, key, sent)

    def _refuse(self, kind: str, status: int, code: str, said: str, key: str | None, sent: int) -> NoReturn:
        details = {"url": self.url, "key": key, "said": code, "status": status, "sent": sent}
        what = self.url if key is None else f"{self.url}/{shown(key)}"
        if kind == "gone":
            raise ObjectGone(f"{what} is not there.", hint="See: holdfast ls", **details)
        if kind == "changed":
            raise ObjectChanged(f"{what} was replaced meanwhile.", hint="Run it again.", **details)
        if kind == "archived":
            raise ObjectDenied(f"{what} is archived: it must be brought back from its tier first.", hint="Restore it there.", **details)
        if kind == "object":
            raise ObjectDenied(
                f"{what} is refused: {said}", hint="Look at what the credentials allow for this object and its key.", **details
            )
        raise StoreDenied(f"{what} refused: {said}", hint=self._hint(code), **details)


def transport(url: str, address: str, options: Options) -> Transport:
    """Raises StoreDenied: the certificates cannot be read."""
    certificate = (options.certificate, options.key) if options.certificate else None
    try:
        return Transport(address, ca=options.ca, certificate=certificate, read_timeout=options.read_timeout)
    except (OSError, ssl.SSLError) as error:
        raise StoreDenied(f"The certificates for {url} cannot be read: {error}", hint="Name readable PEM files.") from error


def span(start: int, length: int | None) -> dict[str, str]:
    """The header that asks for a range; ``length`` None: to the end."""
    if not start and length is None:
        return {}
    return {"range": f"bytes={start}-{'' if length is None else start + length - 1}"}
