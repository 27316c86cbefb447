"""Where messages go: a part for each kind of channel, told apart by ``kind``."""

import datetime as dt
import re
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, PlainValidator, WithJsonSchema, model_validator

from holdfast.plan.errors import BadValue
from holdfast.plan.shape.base import Part
from holdfast.plan.shape.types import Duration, HttpUrl, Name, OneOrMany, Text, Texts, url
from holdfast.plan.values.secret import Address, SecretRef

SECRET_URL = re.compile(r"hooks\.slack(-gov)?\.com|/services/T|workflows/T", re.IGNORECASE)


def _like(pattern: str, what: str, hint: str) -> tuple[Any, Any]:
    def check(value: Any) -> str:
        if not isinstance(value, str) or not re.fullmatch(pattern, value):
            raise BadValue(f"'{value}' is no {what}", hint=hint)
        return value

    return PlainValidator(check), WithJsonSchema({"type": "string", "pattern": f"^{pattern}$", "description": what})


SlackId = Annotated[
    str, *_like(r"[CGD][A-Z0-9]{6,}", "id of a Slack conversation", "it begins with C, and stands at the end of the conversation's details")
]
Mail = Annotated[str, *_like(r"[^@\s<>,;]+@[^@\s<>,;]+", "mail address", "write name@example.com, without a name beside it")]
Mails = Annotated[tuple[Mail, ...], OneOrMany()]
Priority = Literal["P1", "P2", "P3", "P4"]


class _Reached(Part):
    """``ca``: a PEM file that replaces the system's authorities. ``timeout`` for one request. ``give_up`` after that much waiting a
    message that the channel does not take is told as lost.
    """

    ca: Text | None = None
    timeout: Duration = dt.timedelta(seconds=15)
    give_up: Duration = dt.timedelta(hours=24)


class SlackChannel(_Reached):
    """By a bot's ``token`` into the conversation ``to`` (its id, as in C0123ABCD), with a thread for each incident; or by an incoming
    webhook, ``url``, without threads.
    """

    kind: Literal["slack"]
    url: Address | None = None
    token: SecretRef | None = None
    to: SlackId | None = None
    api: HttpUrl = "https://slack.com/api"

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if (self.url is None) == (self.token is None):
            raise BadValue("Slack is reached by a webhook or by a bot", hint="write either url: (incoming webhook) or token: and to:")
        if self.token is not None and self.to is None:
            raise BadValue("a bot must know where to post", hint="add to: with the conversation's id (C…), shown at the end of its details")
        if self.url is not None and self.to is not None:
            raise BadValue("an incoming webhook posts where Slack bound it to", hint="leave to: out, or use a bot's token:")
        _not_plain(self.url)
        return self


class PagerDutyChannel(_Reached):
    """Events API v2. ``token``: the integration key of a service, 32 characters. ``url`` of the EU: https://events.eu.pagerduty.com/v2/enqueue."""

    kind: Literal["pagerduty"]
    token: SecretRef
    url: HttpUrl = "https://events.pagerduty.com/v2/enqueue"


class JiraChannel(_Reached):
    """One issue for each incident. With ``user``, ``token`` is that user's API token (Cloud) or password; without, a personal access
    token (Data Center).

    ``api``: cloud or server; by default cloud for addresses of atlassian.net. ``priority`` gives the project's names of P1 to P4; without
    it the project's default stays. ``done``: the transition to make when the incident is resolved, by its name or its goal's; ``reopen``:
    when it is opened again, by default one that is called so, else one that leads back into work.
    """

    kind: Literal["jira"]
    url: HttpUrl
    user: Text | None = None
    token: SecretRef
    project: Text
    type: Text = "Task"
    api: Literal["cloud", "server"] | None = None
    labels: Texts = ()
    priority: dict[Priority, Text] = Field(default_factory=dict)
    done: Text | None = None
    reopen: Text | None = None

    @property
    def cloud(self) -> bool:
        return self.api == "cloud" if self.api else (urlsplit(self.url).hostname or "").endswith(".atlassian.net")


class ServiceNowChannel(_Reached):
    """One record for each incident, by the Table API. With ``user``, ``token`` is the password; without, a bearer token (OAuth).

    ``fields`` are set on the record when it is made (assignment_group, caller_id, category …); ``close_code`` when it is resolved.
    """

    kind: Literal["servicenow"]
    url: HttpUrl
    user: Text | None = None
    token: SecretRef
    table: Name = "incident"
    fields: dict[Name, Text] = Field(default_factory=dict)
    close_code: Text = "Solution provided"


class EmailChannel(_Reached):
    """``url``: smtp://host:587 (STARTTLS is demanded) or smtps://host:465. ``insecure``: mail may go in clear; a password never does."""

    kind: Literal["email"]
    url: url("smtp", "smtps")  # type: ignore[valid-type]
    sender: Mail = Field(alias="from")
    to: Mails
    user: Text | None = None
    token: SecretRef | None = None
    insecure: bool = False

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if not self.to:
            raise BadValue("mail goes to nobody", hint="add to: with at least one address")
        if (self.user is None) != (self.token is None):
            raise BadValue("a mail server's user and password come together", hint="write both user: and token:, or neither")
        if self.user and self.insecure and str(self.url).startswith("smtp:"):
            raise BadValue("a password would go in clear", hint="leave out insecure:, or user: and token:")
        return self


class WebhookChannel(_Reached):
    """A POST with JSON, as of Standard Webhooks. ``token``: the secret that signs it (whsec_… or any text)."""

    kind: Literal["webhook"]
    url: Address
    token: SecretRef | None = None

    @model_validator(mode="after")
    def _web(self) -> Self:
        _http(self.url)
        _not_plain(self.url)
        return self


class AppriseChannel(_Reached):
    """Anything that apprise knows. ``url``: its address for the service, by reference, since most of them hold credentials."""

    kind: Literal["apprise"]
    url: SecretRef


Channel = Annotated[
    SlackChannel | PagerDutyChannel | JiraChannel | ServiceNowChannel | EmailChannel | WebhookChannel | AppriseChannel,
    Field(discriminator="kind"),
]
"""Where messages go."""


def _http(address: Any) -> None:
    if address.literal is not None and urlsplit(address.literal).scheme not in ("http", "https"):
        raise BadValue(f"'{address.literal}' is no URL that works here", hint="begin with https:// or http://")


def _not_plain(address: Any) -> None:
    """A webhook's address is all that it takes to post there."""
    if address is not None and address.literal is not None and SECRET_URL.search(address.literal):
        raise BadValue(
            "a webhook's address stands here (it is not repeated)", hint="whoever knows it can post: {env: NAME} or {file: PATH}"
        )
