"""PagerDuty's Events API v2 as its documentation describes it."""

import datetime as dt

from tests.channels.serving import Asked, Service, Told, Wrong, exactly, text

KEY = "0123456789abcdef0123456789abcdef"


def moment(value):
    return isinstance(value, str) and dt.datetime.fromisoformat(value).tzinfo is not None


class Pager(Service):
    """``alerts``: by dedup_key, (state, summaries)."""

    def __init__(self, tls=None) -> None:
        self.alerts: dict[str, tuple[str, list[str]]] = {}
        super().__init__(tls)

    def refuse(self, why):
        return Told(400, {"status": "invalid event", "message": "Event object is invalid", "errors": [why]})

    def handle(self, asked: Asked) -> Told:
        if (asked.method, asked.path) != ("POST", "/v2/enqueue"):
            return Told(404)
        event = asked.json()
        exactly(
            event,
            {
                "routing_key": lambda v: isinstance(v, str) and len(v) == 32,
                "event_action": lambda v: v in ("trigger", "acknowledge", "resolve"),
            },
            {"dedup_key": text(255), "payload": dict, "images": list, "links": list, "client": str, "client_url": str},
        )
        if event["routing_key"] != KEY:
            raise Wrong("Invalid routing key")
        key = event.get("dedup_key", "")
        if event["event_action"] != "trigger":
            exactly(event, {"routing_key": str, "event_action": str, "dedup_key": text(255)})
            if key in self.alerts and self.alerts[key][0] != "resolved":
                state = "acknowledged" if event["event_action"] == "acknowledge" else "resolved"
                self.alerts[key] = (state, self.alerts[key][1])
        else:
            exactly(
                event["payload"],
                {"summary": text(1024), "source": text(1024), "severity": lambda v: v in ("critical", "error", "warning", "info")},
                {"timestamp": moment, "component": str, "group": str, "class": str, "custom_details": dict},
                where="payload",
            )
            for link in event.get("links", ()):
                exactly(link, {"href": str}, {"text": str})
            state, told = self.alerts.get(key, ("resolved", []))
            self.alerts[key] = ("triggered" if state == "resolved" else state, [*told, event["payload"]["summary"]])
        return Told(202, {"status": "success", "message": "Event processed", "dedup_key": key})
