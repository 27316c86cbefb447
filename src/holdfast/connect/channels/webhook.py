"""Any service of one's own: a POST with JSON, signed as Standard Webhooks demand.

Format: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md (webhook-id, webhook-timestamp,
webhook-signature: 'v1,' and the HMAC-SHA256 of id.timestamp.body in base64), and Idempotency-Key as in
https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/.
"""

import base64
import binascii
import hashlib
import hmac
import json
from typing import Literal

from holdfast.connect.channels.contract import ChannelRejected, Message, Reference
from holdfast.connect.channels.http import Web, host_of
from holdfast.model import Clock

PREFIX = "whsec_"


class Webhook:
    """``type`` is ``incident.`` and the message's kind, ``data`` the message, with ``headline`` and ``drill``."""

    kind: Literal["webhook"] = "webhook"
    settles = 0.0
    repeats = "a repetition has the same webhook-id and Idempotency-Key: the receiver must look at one of them"

    def __init__(self, web: Web, url: str, clock: Clock, *, secret: str | None = None) -> None:
        self._web, self._url, self._clock, self._secret = web, url, clock, secret
        self.name = web.name

    def send(self, message: Message, reference: Reference | None = None, *, again: bool = False) -> Reference:
        del again
        data = {**message.to_json(), "headline": message.headline}
        self._post(message.key, {"type": f"incident.{message.kind}", "timestamp": message.at, "data": data})
        return reference or Reference()

    def check(self) -> str:
        self._post("holdfast-check", {"type": "holdfast.check", "timestamp": "", "data": {}})
        return "the webhook takes messages"

    def _post(self, key: str, document: dict[str, object]) -> None:
        body = json.dumps(document, ensure_ascii=False).encode()
        stamp = str(int(self._clock.now().timestamp()))
        headers = {"Content-Type": "application/json", "webhook-id": key, "webhook-timestamp": stamp, "Idempotency-Key": f'"{key}"'}
        if self._secret is not None:
            headers["webhook-signature"] = signature(self._raw(self._secret), key, stamp, body)
        answer = self._web.ask("POST", self._url, headers=headers, body=body)
        if not 200 <= answer.status < 300:
            raise self._web.judge(answer, host_of(self._url))

    def _raw(self, secret: str) -> bytes:
        if not secret.startswith(PREFIX):
            return secret.encode()
        try:
            return base64.b64decode(secret.removeprefix(PREFIX), validate=True)
        except binascii.Error:
            raise ChannelRejected(
                f"The secret of channel '{self.name}' begins with {PREFIX} and is no base64.", hint="Copy it whole from the receiver."
            ) from None


def signature(secret: bytes, key: str, stamp: str, body: bytes) -> str:
    """What stands in ``webhook-signature``."""
    return "v1," + base64.b64encode(hmac.digest(secret, f"{key}.{stamp}.".encode() + body, hashlib.sha256)).decode()
