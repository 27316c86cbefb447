"""From the plan's words to clients: each kind, what is wrong with it, where its secrets come from."""

import pytest

from holdfast.assembly.channels import Channels, UnknownChannel
from holdfast.connect.channels.apprise import Apprise
from holdfast.connect.channels.jira import Jira
from holdfast.connect.channels.mail import Mail
from holdfast.connect.channels.pagerduty import PagerDuty
from holdfast.connect.channels.servicenow import ServiceNow
from holdfast.connect.channels.slack import SlackBot, SlackWebhook
from holdfast.connect.channels.webhook import Webhook
from holdfast.connect.secrets import SecretUnavailable
from tests.channels.kit import SetClock
from tests.plan.writing import SMALL, errors, loaded

KINDS = {
    "chat": ("{kind: slack, token: {env: T}, to: C0123ABCD, timeout: 5s}", SlackBot),
    "hook": ("{kind: slack, url: {env: U}}", SlackWebhook),
    "pager": ("{kind: pagerduty, token: {env: T}, give_up: 2h, ca: ca.pem}", PagerDuty),
    "cloud": (
        "{kind: jira, url: 'https://shop.atlassian.net', user: bot@shop.example, token: {env: T}, project: DR, priority: {P1: Highest}}",
        Jira,
    ),
    "server": ("{kind: jira, url: 'https://jira.shop.example/jira', token: {env: T}, project: DR, done: Done}", Jira),
    "desk": (
        "{kind: servicenow, url: 'https://shop.service-now.com', user: u, token: {env: T}, fields: {assignment_group: DB}}",
        ServiceNow,
    ),
    "mail": ("{kind: email, url: 'smtp://mx:25', from: a@shop.example, to: b@shop.example, user: u, token: {file: secret}}", Mail),
    "own": ("{kind: webhook, url: 'https://alerts.shop.example/in', token: {env: T}}", Webhook),
    "rest": ("{kind: apprise, url: {env: U}}", Apprise),
}


def channels(tmp_path, environ=None):
    text = SMALL + "channels:\n" + "".join(f"  {name}: {said}\n" for name, (said, _) in KINDS.items())
    (tmp_path / "secret").write_text("from a file\n")
    return Channels(
        loaded(tmp_path, text), SetClock(), {"T": "t" * 32, "U": "https://hooks.slack.com/services/x"} if environ is None else environ
    )


@pytest.mark.parametrize("name", KINDS)
def test_each_kind_becomes_its_client(tmp_path, name):
    found = channels(tmp_path).open(name)
    assert isinstance(found, KINDS[name][1])
    assert found.name == name


def test_what_the_plan_says_arrives(tmp_path):
    found = channels(tmp_path)
    assert found.names() == tuple(KINDS)
    assert found.open("chat")._web.timeout == 5
    assert found.open("pager")._web.ca == tmp_path / "ca.pem"
    assert found.way("pager").give_up.total_seconds() == 7200
    assert found.way("chat").give_up.total_seconds() == 86400
    assert found.open("cloud")._set.cloud
    assert not found.open("server")._set.cloud
    assert found.open("mail")._set.password == "from a file"


def test_a_missing_secret_or_channel_is_told_by_name(tmp_path):
    with pytest.raises(SecretUnavailable, match="environment variable T"):
        channels(tmp_path, {}).open("chat")
    with pytest.raises(UnknownChannel, match="no channel 'chatt'") as unknown:
        channels(tmp_path).open("chatt")
    assert "chat" in unknown.value.hint


@pytest.mark.parametrize(
    ("said", "wanted"),
    [
        ("{kind: slak, url: {env: A}}", "'slak' is no kind of channel; did you mean 'slack'?"),
        ("{url: {env: A}}", "it has no kind; add kind: slack,"),
        ("{kind: slack}", "Slack is reached by a webhook or by a bot"),
        ("{kind: slack, url: {env: A}, to: C0123456}", "an incoming webhook posts where Slack bound it to"),
        ("{kind: slack, token: {env: A}}", "a bot must know where to post"),
        ("{kind: slack, token: {env: A}, to: '#ops'}", "'#ops' is no id of a Slack conversation"),
        ("{kind: slack, token: xoxb-secret, to: C0123456}", "a literal stands where a secret belongs"),
        ("{kind: slack, url: 'https://hooks.slack.com/services/T0/B0/secret'}", "a webhook's address stands here"),
        ("{kind: webhook, url: 'ftp://x'}", "'ftp://x' is no URL that works here"),
        ("{kind: apprise, url: 'tgram://123:secret/1'}", "a literal stands where a secret belongs"),
        ("{kind: pagerduty}", "channels.one lacks 'token'"),
        ("{kind: email, url: 'smtp://h', from: Ops, to: b@c}", "'Ops' is no mail address"),
        ("{kind: email, url: 'smtp://h', from: a@b, to: []}", "mail goes to nobody"),
        ("{kind: email, url: 'smtp://h', from: a@b, to: b@c, user: u}", "user and password come together"),
        ("{kind: email, url: 'smtp://h', from: a@b, to: b@c, user: u, token: {env: A}, insecure: true}", "a password would go in clear"),
        (
            "{kind: jira, url: 'https://j', token: {env: A}, project: X, projekt: Y}",
            "unknown key 'projekt' in channels.one; did you mean 'project'?",
        ),
        ("{kind: email, url: 'smtp://h', from: a@b, to: b@c, projct: x}", "unknown key 'projct' in channels.one; known here: ca, from,"),
        ("{kind: jira, url: 'https://j', token: {env: A}, project: X, priority: {high: Y}}", "'high' is not one of P1, P2, P3, P4"),
        ("3", "a mapping of keys to values belongs here"),
    ],
)
def test_what_is_wrong_is_told_in_the_words_of_its_kind_and_without_the_secret(tmp_path, said, wanted):
    [found] = errors(tmp_path, SMALL + f"channels:\n  one: {said}\n")
    assert wanted in found
    assert "secret" not in found.replace("where a secret belongs", "").replace("a secret has", "")
