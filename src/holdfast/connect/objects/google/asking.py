"""One request to Google Cloud Storage, with who asks."""

import json
from collections.abc import Callable, Mapping
from typing import Any

from holdfast.connect.objects.calling import AGAIN, Caller
from holdfast.connect.objects.errors import StoreUnreachable
from holdfast.connect.objects.google.tokens import provider
from holdfast.connect.objects.google.uploads import Session
from holdfast.connect.objects.open import Options
from holdfast.connect.objects.transport import Answer, Broken, Buffer
from holdfast.connect.objects.xml import error_code
from holdfast.model import Clock

ADDRESS = "https://storage.googleapis.com"
_RATES = frozenset({"rateLimitExceeded", "userRateLimitExceeded"})
_ACCOUNT = frozenset({"accountDisabled", "authError", "required", "userProjectAccountProblem", "accessNotConfigured"})
_OBJECT = frozenset({"resourceIsEncryptedWithCustomerEncryptionKey", "customerEncryptionKeyIsIncorrect"})


class GoogleCaller(Caller):
    """Of one bucket."""

    def __init__(self, bucket: str, options: Options, clock: Clock, note: Callable[[str], None] | None = None) -> None:
        address = (options.endpoint or ADDRESS).rstrip("/")
        super().__init__(f"gs://{bucket}", address, options, clock, note)
        self._token = provider(options, address, clock)

    def json(self, answer: Answer, what: str) -> dict[str, Any]:
        """Raises StoreUnreachable."""
        try:
            found = json.loads(answer.body) if answer.body else {}
        except ValueError:
            found = None
        if not isinstance(found, dict):
            raise StoreUnreachable(f"{self.url} answered nonsense at {what}.", hint="Look at the endpoint.", url=self.url)
        return found

    def piece(self, key: str, session: Session, headers: Mapping[str, str], body: Buffer) -> Answer:
        """A piece of a large object. After a fault the session is asked how much of it arrived, and that is the answer."""
        patience = session.patience = session.patience or self.patience()
        total = headers["content-range"].rpartition("/")[2]
        while True:
            try:
                answer = self._once("PUT", session.path, session.query, headers, body, None)
                if answer.status in (200, 201, 308):
                    return answer
                if answer.status not in AGAIN:
                    self.judge(answer, key, patience)
                said, throttled = f"{answer.status} {self._said(answer)[1]}", answer.status in (429, 503)
            except Broken as error:
                said, throttled = str(error), False
            self.again(patience, key, said, throttled=throttled)
            headers, body = {**headers, "content-range": f"bytes */{total}"}, b""

    def _signed(
        self, method: str, path: str, query: Mapping[str, str], headers: dict[str, str], body: Buffer | None
    ) -> tuple[Mapping[str, str], Mapping[str, str]]:
        del method, path, body
        return (headers if self._token is None else {**headers, "authorization": f"Bearer {self._token()}"}), query

    def _said(self, answer: Answer) -> tuple[str, str]:
        try:
            error = json.loads(answer.body)["error"]
            reasons = error.get("errors") or [{}]
            return str(reasons[0].get("reason", "")), str(error.get("message", ""))
        except (ValueError, KeyError, TypeError, AttributeError, IndexError):
            code, message = error_code(answer.body)
            return code, message or answer.body[:200].decode("utf-8", "replace").strip()

    def _kind(self, status: int, code: str, key: str | None) -> str:
        if code in _RATES:
            return "again"
        if status in (304, 412, 416):
            return "changed"
        if key is not None and code in _OBJECT:
            return "object"
        if key is not None and status == 404:
            return "gone"
        return "object" if key is not None and status == 403 and code not in _ACCOUNT else ""
