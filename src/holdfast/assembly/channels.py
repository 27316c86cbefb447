"""The plan's channels, as clients; and what delivers the outbox through them."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from holdfast.connect.channels import Channel
from holdfast.errors import Usage
from holdfast.model import Clock
from holdfast.plan import Plan
from holdfast.plan.errors import did_you_mean
from holdfast.plan.shape import channels as shape
from holdfast.plan.values.secret import SecretRef

if TYPE_CHECKING:
    from holdfast.state.outbox import Delivery, Line, Outbox, Way


Served = shape.SlackChannel | shape.PagerDutyChannel | shape.JiraChannel | shape.ServiceNowChannel | shape.WebhookChannel


class UnknownChannel(Usage):
    """The plan has no channel of that name."""

    code = "channel-unknown"


class Channels:
    """Clients are made when they are asked for, and with them the libraries that they need. ``environ``: where secrets are looked up."""

    def __init__(self, plan: Plan, clock: Clock, environ: Mapping[str, str]) -> None:
        self._plan, self._clock, self._environ = plan, clock, environ

    def names(self) -> tuple[str, ...]:
        return tuple(self._plan.document.channels)

    def open(self, name: str) -> Channel:
        """Raises UnknownChannel, SecretUnavailable."""
        part = self._plan.document.channels.get(name)
        if part is None:
            hint = did_you_mean(name, self._plan.document.channels)
            raise UnknownChannel(f"The plan has no channel '{name}'.", hint=hint[:1].upper() + hint[1:], channel=name)
        ca = self._plan.resolve(part.ca) if part.ca else None
        timeout = part.timeout.total_seconds()
        if isinstance(part, shape.EmailChannel):
            return self._mail(name, part, timeout, ca)
        if isinstance(part, shape.AppriseChannel):
            from holdfast.connect.channels.apprise import Apprise

            return Apprise(name, self._secret(part.url))
        return self._web(name, part, timeout, ca)

    def way(self, name: str) -> "Way":
        """The channel and after how much waiting its messages are lost: what a delivery asks for."""
        from holdfast.state.outbox import Way

        channel = self.open(name)
        return Way(channel, self._plan.document.channels[name].give_up)

    def delivery(self, box: "Outbox", noted: "Callable[[Line], object] | None" = None) -> "Delivery":
        """What sends the messages that wait in ``box``; ``noted`` writes down what became of each."""
        from holdfast.state.outbox import Delivery

        return Delivery(box, box.leases, self._clock, self.way, noted=noted)

    def _mail(self, name: str, part: shape.EmailChannel, timeout: float, ca: Path | None) -> Channel:
        from holdfast.connect.channels.mail import Mail, Settings

        password = self._secret(part.token) if part.token else None
        settings = Settings(
            part.url, part.sender, part.to, user=part.user, password=password, insecure=part.insecure, timeout=timeout, ca=ca
        )
        return Mail(name, settings, self._clock)

    def _web(self, name: str, part: Served, timeout: float, ca: Path | None) -> Channel:
        from holdfast.connect.channels import jira, pagerduty, servicenow, slack, webhook
        from holdfast.connect.channels.http import Web

        web = Web(name, timeout, ca)
        match part:
            case shape.SlackChannel(url=None):
                assert part.token is not None
                assert part.to is not None
                return slack.SlackBot(web, self._secret(part.token), part.to, api=part.api)
            case shape.SlackChannel():
                assert part.url is not None
                return slack.SlackWebhook(web, self._secret(part.url))
            case shape.PagerDutyChannel():
                return pagerduty.PagerDuty(web, self._secret(part.token), url=part.url)
            case shape.JiraChannel():
                return jira.Jira(
                    web,
                    jira.Settings(
                        part.url,
                        self._secret(part.token),
                        part.project,
                        user=part.user,
                        type=part.type,
                        cloud=part.cloud,
                        labels=part.labels,
                        priority={str(level): word for level, word in part.priority.items()},
                        done=part.done,
                        reopen=part.reopen,
                    ),
                )
            case shape.ServiceNowChannel():
                token = self._secret(part.token)
                return servicenow.ServiceNow(
                    web,
                    servicenow.Settings(part.url, token, user=part.user, table=part.table, fields=part.fields, close_code=part.close_code),
                )
            case shape.WebhookChannel():
                secret = self._secret(part.token) if part.token else None
                return webhook.Webhook(web, self._secret(part.url), self._clock, secret=secret)

    def _secret(self, reference: SecretRef) -> str:
        from holdfast.connect.secrets import resolve

        return resolve(reference, base=self._plan.path.parent, environ=self._environ)
