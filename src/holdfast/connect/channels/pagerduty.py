"""PagerDuty, Events API v2: one alert for each incident, held together by its ``dedup_key``.

Format: https://developer.pagerduty.com/docs/events-api-v2/trigger-events/ and https://developer.pagerduty.com/docs/events-api-v2/overview/
(202 when taken, 400 when wrong, 429 when too many; at most 1,024 characters of a summary, 255 of a key, 512 KiB in all).
"""

import hashlib
from typing import Any, Literal

from holdfast.connect.channels.contract import Message, Reference
from holdfast.connect.channels.http import Web, host_of
from holdfast.connect.channels.words import cut

SEVERITY = {"P1": "critical", "P2": "error", "P3": "warning", "P4": "info"}
ACTIONS = {"acknowledged": "acknowledge", "resolved": "resolve"}


class PagerDuty:
    """Declares by 'trigger', which further messages join; acknowledges and resolves what Holdfast's incident does. What is said of an
    incident that is over, or of a round before the one that PagerDuty knows, is not sent.

    An incident that is opened again is a new alert with a key of its own: a trigger would join the old one where that was acknowledged, and
    wake nobody.
    """

    kind: Literal["pagerduty"] = "pagerduty"
    settles = 0.0
    repeats = "events with one dedup_key are one alert: a repetition is joined to it by PagerDuty"

    def __init__(self, web: Web, routing_key: str, *, url: str = "https://events.pagerduty.com/v2/enqueue") -> None:
        self._web, self._key, self._url = web, routing_key, url
        self.name = web.name

    def send(self, message: Message, reference: Reference | None = None, *, again: bool = False) -> Reference:
        del again
        reference = reference or Reference()
        before = reference.ids.get("dedup_key")
        anew = before is not None and message.round > reference.round
        key = dedup_key(message) if before is None or anew else before
        action = ACTIONS.get(message.kind, "trigger")
        if message.round < reference.round or (message.over and action == "trigger"):
            # It would open the resolved alert anew, and wake somebody for a post-mortem.
            return reference.also(dedup_key=before or key)
        if before is not None and before != key:
            # Nothing of the round before stays open; to resolve what is resolved does nothing.
            self._post({"routing_key": self._key, "event_action": "resolve", "dedup_key": before})
        event: dict[str, Any] = {"routing_key": self._key, "event_action": action, "dedup_key": key}
        if action == "trigger":
            event |= {"payload": _payload(message, before if anew else None), "client": "Holdfast"}
            if message.links:
                event["links"] = [{"href": link.url, "text": link.title} for link in message.links]
        self._post(event)
        return reference.also(dedup_key=key, **({"round": str(message.round)} if message.round > 1 else {}))

    def check(self) -> str:
        # Resolving what was never triggered does nothing, and needs a right key.
        self._post({"routing_key": self._key, "event_action": "resolve", "dedup_key": "holdfast/check"})
        return "PagerDuty takes events for this integration"

    def _post(self, event: dict[str, Any]) -> None:
        answer = self._web.ask("POST", self._url, body=event)
        found = answer.mapping()
        if answer.status == 202 and found.get("status") == "success":
            return
        if answer.status in (200, 202):
            raise self._web.strange(host_of(self._url), maybe=True)
        errors = found.get("errors")
        said = "; ".join(str(one) for one in errors) if isinstance(errors, list) else str(found.get("message", ""))
        raise self._web.judge(answer, host_of(self._url), said.replace(self._key, "…"), fix="Check the integration key of the service.")


def dedup_key(message: Message) -> str:
    """At most 255 characters, the same for all messages of a round of an incident."""
    whole = f"holdfast/{message.platform}/{message.incident}" + (f"/{message.round}" if message.round > 1 else "")
    return whole if len(whole) <= 255 else f"holdfast/{hashlib.sha256(whole.encode()).hexdigest()}"


def _payload(message: Message, before: str | None) -> dict[str, Any]:
    details: dict[str, Any] = {"incident": message.incident, "message": message.key, "what": message.kind, "drill": message.drill}
    if message.text:
        details["text"] = cut(message.text, 20_000)
    if message.by:
        details["by"] = message.by
    if before is not None:
        details["alert before"] = before
    payload: dict[str, Any] = {
        "summary": cut(message.headline, 1024),
        "source": message.platform or "holdfast",
        "severity": SEVERITY[message.severity],
        "custom_details": {**{name: cut(value, 1000) for name, value in message.facts.items()}, **details},
    }
    if message.at:
        payload["timestamp"] = message.at
    if message.drill or message.kind == "test":
        payload["class"] = "drill" if message.drill else "test"
    return payload
