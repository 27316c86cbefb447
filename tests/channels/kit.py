"""What the tests of channels share: an incident's messages, each client at its service, a clock that is set."""

import datetime as dt
import threading

from holdfast.connect.channels import Link, Message
from holdfast.connect.channels.http import Web
from holdfast.connect.channels.jira import Jira
from holdfast.connect.channels.jira import Settings as JiraSettings
from holdfast.connect.channels.pagerduty import PagerDuty
from holdfast.connect.channels.servicenow import ServiceNow
from holdfast.connect.channels.servicenow import Settings as NowSettings
from holdfast.connect.channels.slack import SlackBot, SlackWebhook
from holdfast.connect.channels.webhook import Webhook
from tests.channels import jira_service, now_service, pager_service, slack_service
from tests.channels.serving import Asked, Service, Told, Wrong, exactly

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
HOOK = "/hook/with-a-secret-in-it"
PATIENT = 100.0
"""Seconds: nothing here waits for a time-out unless it says so."""


class SetClock:
    """Stands where it is put; sleeping moves it. Safe for threads."""

    def __init__(self) -> None:
        self.moment = dt.datetime(2026, 5, 1, 12, tzinfo=dt.UTC)
        self.seconds = 0.0
        self.lock = threading.Lock()

    def now(self) -> dt.datetime:
        return self.moment

    def monotonic(self) -> float:
        return self.seconds

    def sleep(self, seconds: float) -> None:
        self.forward(seconds)

    def forward(self, seconds: float) -> None:
        with self.lock:
            self.moment += dt.timedelta(seconds=seconds)
            self.seconds += seconds


def message(kind="declared", number=1, **more) -> Message:
    given = {
        "incident": "INC-2026-0007",
        "key": f"INC-2026-0007.{number}",
        "kind": kind,
        "title": "orders-db <lost> & gone",
        "text": "The primary answers no more.\nNothing was written since 11:58.\n\nSee the runbook.",
        "severity": "P1",
        "platform": "shop",
        "by": "ada",
        "at": "2026-05-01T12:00:00+00:00",
        "links": (Link("Runbook", "https://wiki.shop.example/restore?a=1&b=2"),),
        "facts": {"systems": "orders-db", "RTO": "15m"},
    }
    return Message(**{**given, **more})


class Hooks(Service):
    """A service of one's own. ``seen``: what it took, once for each webhook-id."""

    def __init__(self, tls=None) -> None:
        self.seen: dict[str, dict] = {}
        super().__init__(tls)

    def refuse(self, why):
        return Told(400, {"error": why})

    def handle(self, asked: Asked) -> Told:
        if asked.path != HOOK:
            return Told(404)
        body = asked.json()
        exactly(body, {"type": str, "timestamp": str, "data": dict})
        key = asked.headers["webhook-id"]
        if asked.headers["idempotency-key"] != f'"{key}"':
            raise Wrong("two keys")
        self.seen[key] = body
        return Told(202)


def web(**more) -> Web:
    return Web("alerts", **{"timeout": PATIENT, **more})


def slack_bot(service, **more):
    return SlackBot(web(**more), slack_service.TOKEN, slack_service.CONVERSATION, api=service.api)


def slack_hook(service, **more):
    return SlackWebhook(web(**more), service.url + slack_service.HOOK)


def pagerduty(service, **more):
    return PagerDuty(web(**more), pager_service.KEY, url=f"{service.url}/v2/enqueue")


def jira_settings(service, **more):
    user = jira_service.USER if service.cloud else None
    given = {"url": service.url, "token": jira_service.TOKEN, "project": "DATA", "user": user, "cloud": service.cloud, "done": "done"}
    return JiraSettings(**{**given, **more})


def jira(service, **more):
    return Jira(web(**more), jira_settings(service))


def servicenow(service, **more):
    settings = NowSettings(service.url, now_service.PASSWORD, user=now_service.USER, fields={"assignment_group": "Database"})
    return ServiceNow(web(**more), settings)


def webhook(service, **more):
    return Webhook(web(**more), service.url + HOOK, SetClock(), secret=SECRET)


def jira_server(tls=None):
    return jira_service.Jira(cloud=False, tls=tls)


WEB = {
    "slack": (slack_service.Slack, slack_bot),
    "slack-webhook": (slack_service.Slack, slack_hook),
    "pagerduty": (pager_service.Pager, pagerduty),
    "jira-cloud": (lambda tls=None: jira_service.Jira(tls=tls), jira),
    "jira-server": (jira_server, jira),
    "servicenow": (now_service.Now, servicenow),
    "webhook": (Hooks, webhook),
}
"""By name: (service, client at it)."""

SECRETS = (slack_service.TOKEN, "sEcReTpAtH", pager_service.KEY, jira_service.TOKEN, now_service.PASSWORD, SECRET, HOOK)


def arrived(service) -> list[str]:
    """Which messages the service shows to people: their keys or headlines, as often as they are there."""
    if isinstance(service, slack_service.Slack):
        return [one["blocks"][-1]["block_id"].removeprefix("holdfast:") for one in service.posted]
    if isinstance(service, pager_service.Pager):
        return [told for _, summaries in service.alerts.values() for told in dict.fromkeys(summaries)]
    if isinstance(service, jira_service.Jira):
        made = [one["properties"]["holdfast"]["message"] for one in service.issues.values()]
        said = [entry["value"]["message"] for one in service.issues.values() for told in one["comments"] for entry in told["properties"]]
        return [*made, *said]
    if isinstance(service, now_service.Now):
        texts = [text for one in service.records.values() for text in (one["description"], *one["notes"])]
        return [text.rpartition("[message ")[2].rstrip("]") for text in texts]
    return list(service.seen)
