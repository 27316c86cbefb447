"""Each client says what its service's published format allows, and keeps the ids that it answers with."""

import base64
import hashlib
import hmac
import json

import pytest

from holdfast.connect.channels import ChannelRejected, Message
from holdfast.connect.channels.jira import Jira as JiraClient
from holdfast.connect.channels.slack import SlackBot
from tests.channels import kit
from tests.channels.jira_service import Jira, words
from tests.channels.kit import arrived, message
from tests.channels.now_service import Now
from tests.channels.pager_service import Pager
from tests.channels.slack_service import CONVERSATION, HOOK, TOKEN, Slack

STORY = [
    message("declared", 1),
    message("acknowledged", 2, title="ada takes it"),
    message("updated", 3, title="restore runs", links=(), facts={}, text=""),
    message("escalated", 4, title="nobody answered"),
    message("resolved", 5, title="orders-db is back", text="Restored to 11:58; 0 transactions lost."),
]


def tell(client, messages=STORY):
    reference = None
    for one in messages:
        reference = client.send(one, reference)
    return reference


@pytest.mark.parametrize("name", kit.WEB)
def test_a_whole_incident_is_told_in_the_published_format(name):
    make, connect = kit.WEB[name]
    with make() as service:
        client = connect(service)
        reference = tell(client)
        assert [asked for asked in service.asked if asked.method == "POST"]
        keys = [one.key for one in STORY]
        if name == "pagerduty":
            assert arrived(service) == [one.headline for one in STORY if one.kind not in ("acknowledged", "resolved")]
        else:
            assert arrived(service) == keys
        assert not any(secret in str(reference.to_json()) for secret in kit.SECRETS)
        assert client.kind == name.split("-")[0]
        assert client.repeats


@pytest.mark.parametrize("name", kit.WEB)
def test_a_message_of_every_kind_without_anything_more_is_taken(name):
    make, connect = kit.WEB[name]
    with make() as service:
        client = connect(service)
        for number, kind in enumerate(("declared", "acknowledged", "updated", "escalated", "resolved", "reminder", "test")):
            client.send(Message(f"i{number}", f"k{number}", kind, "a title"), None)


@pytest.mark.parametrize("name", kit.WEB)
def test_texts_of_any_length_and_content_stay_within_the_format(name):
    make, connect = kit.WEB[name]
    with make() as service:
        nasty = 'x" OR labels = "y\\" <!channel> & \x00 \N{SNOWMAN} ^ORactive=true\r\nBcc: all@example.com\n'
        long = message(
            title=nasty * 30,
            text=("wörter & <more>\n" * 3000) + "z" * 9000,
            facts={f"fact {n}": nasty for n in range(200)},
            platform="shop 'one'\n",
            incident='INC "7"^\n',
        )
        client = connect(service)
        reference = client.send(long, None)
        client.send(message("updated", 2, text="y" * 70_000, incident=long.incident, platform=long.platform), reference)


@pytest.mark.parametrize("name", kit.WEB)
def test_a_check_tells_nobody_anything(name):
    make, connect = kit.WEB[name]
    with make() as service:
        assert connect(service).check()
        service.seen = {}
        assert arrived(service) == []


@pytest.mark.parametrize("name", kit.WEB)
def test_a_drill_is_marked_wherever_it_is_read(name):
    make, connect = kit.WEB[name]
    with make() as service:
        connect(service).send(message(drill=True), None)
        [asked] = [one for one in service.asked if one.method == "POST" and "search" not in one.path]
        body = asked.json()
        first = {
            "slack": lambda: body["text"] + body["blocks"][0]["text"]["text"].partition(" ")[2],
            "slack-webhook": lambda: body["text"],
            "pagerduty": lambda: body["payload"]["summary"],
            "jira-cloud": lambda: body["fields"]["summary"],
            "jira-server": lambda: body["fields"]["summary"],
            "servicenow": lambda: body["short_description"],
            "webhook": lambda: body["data"]["headline"],
        }[name]()
        assert first.startswith("[DRILL] P1 ")
        assert "drill" in asked.body.decode().replace("[DRILL]", "")


def test_slack_keeps_an_incident_in_one_thread_and_shows_in_the_conversation_what_all_must_see():
    with Slack() as service:
        reference = tell(kit.slack_bot(service))
        root = service.posted[0]["ts"]
        assert reference.ids == {"channel": CONVERSATION, "ts": root, "last": service.posted[-1]["ts"]}
        assert reference.url.endswith(f"p{root}")
        assert [one.get("thread_ts") for one in service.posted] == [None, root, root, root, root]
        assert [one.get("reply_broadcast") for one in service.posted] == [None, False, False, True, True]


def test_nobodys_text_mentions_a_conversation_or_makes_a_link():
    with Slack() as service:
        kit.slack_bot(service).send(
            message(title="<!channel> <@U1> <http://x|y>", text="<!here>", facts={"<!everyone>": "<#C1>"}, links=()), None
        )
        assert "<" not in json.dumps([one["text"] for one in service.posted[0]["blocks"][1:-1]] + [service.posted[0]["text"]])


def test_slack_says_what_to_do_when_the_bot_may_not_post():
    with Slack() as service:
        service.members = False
        with pytest.raises(ChannelRejected, match="not_in_channel") as refused:
            kit.slack_bot(service).send(message(), None)
        assert "Invite" in refused.value.hint
        with pytest.raises(ChannelRejected, match="invalid_auth"):
            SlackBot(kit.web(), "xoxb-wrong", CONVERSATION, api=service.api).check()
        assert TOKEN not in str(refused.value) + refused.value.hint


def test_an_unknown_webhook_of_slack_is_refused_without_its_address():
    with Slack() as service:
        from holdfast.connect.channels.slack import SlackWebhook

        with pytest.raises(ChannelRejected, match="no_service") as refused:
            SlackWebhook(kit.web(), service.url + HOOK + "wrong").check()
        assert "services" not in str(refused.value)


def test_pagerduty_follows_the_incidents_life_under_one_key():
    with Pager() as service:
        client = kit.pagerduty(service)
        states = []
        reference = None
        for one in STORY:
            reference = client.send(one, reference)
            states.append(service.alerts["holdfast/shop/INC-2026-0007"][0])
        assert states == ["triggered", "acknowledged", "acknowledged", "acknowledged", "resolved"]
        assert reference.ids == {"dedup_key": "holdfast/shop/INC-2026-0007"}
        payload = service.asked[0].json()["payload"]
        assert payload["severity"] == "critical"
        assert payload["timestamp"] == "2026-05-01T12:00:00+00:00"
        assert payload["custom_details"]["text"].startswith("The primary")
        assert len(service.alerts) == 1


def test_a_wrong_integration_key_is_told_and_not_shown():
    with Pager() as service:
        from holdfast.connect.channels.pagerduty import PagerDuty

        with pytest.raises(ChannelRejected, match="Invalid routing key") as refused:
            PagerDuty(kit.web(), "f" * 32, url=f"{service.url}/v2/enqueue").check()
        assert "f" * 32 not in str(refused.value)


@pytest.mark.parametrize("cloud", [True, False], ids=["cloud", "server"])
def test_jira_makes_one_issue_comments_and_moves_it(cloud):
    with Jira(cloud=cloud) as service:
        client = JiraClient(kit.web(), kit.jira_settings(service, type="Incident", priority={"P1": "Highest"}, labels=("dr",)))
        reference = tell(client)
        assert reference.ids == {"key": "DATA-1"}
        assert reference.url == f"{service.url}/browse/DATA-1"
        issue = service.issues["DATA-1"]
        assert issue["fields"]["labels"] == ["holdfast-shop-INC-2026-0007", "holdfast", "dr"]
        assert issue["fields"]["priority"] == {"name": "Highest"}
        assert "Nothing was written since 11:58." in words(issue["fields"]["description"])
        assert "Runbook: https://wiki.shop.example/restore?a=1&b=2" in words(issue["fields"]["description"])
        assert issue["status"] == "Done"
        assert len(issue["comments"]) == 4


def test_jira_says_which_ways_an_issue_can_go_and_a_retry_does_not_comment_twice():
    with Jira() as service:
        service.workflow["Open"].pop()
        client = kit.jira(service)
        reference = client.send(message(), None)
        with pytest.raises(ChannelRejected, match=r"'Open', from where nothing leads to 'done'.*Start \(to In Progress\)") as refused:
            client.send(message("resolved", 2), reference)
        service.issues["DATA-1"]["status"] = "In Progress"
        after = client.send(message("resolved", 2), refused.value.so_far)
        assert after.ids == {"key": "DATA-1"}
        assert service.issues["DATA-1"]["status"] == "Done"
        assert len(service.issues["DATA-1"]["comments"]) == 1
        # Somebody moved it by hand: that is no failure.
        client.send(message("resolved", 3), after)


def test_servicenow_makes_notes_and_resolves_one_record():
    with Now() as service:
        reference = tell(kit.servicenow(service))
        [record] = service.records.values()
        assert reference.ids == {"sys_id": record["sys_id"], "number": "INC0010001"}
        assert str(reference) == "INC0010001"
        assert record["sys_id"] in reference.url
        assert (record["impact"], record["urgency"], record["assignment_group"]) == ("1", "1", "Database")
        assert (record["state"], record["close_code"]) == ("6", "Solution provided")
        assert record["close_notes"] == "Restored to 11:58; 0 transactions lost."
        assert len(record["notes"]) == 4


def test_a_table_without_correlation_does_not_lead_to_a_strangers_record():
    with Now() as service:
        service.records["f" * 32] = {"sys_id": "f" * 32, "number": "INC0000001", "notes": [], "state": "1", "description": "a stranger's"}
        service.correlated = False
        kit.servicenow(service).send(message(), None)
        assert service.records["f" * 32]["notes"] == []
        assert len(service.records) == 2


def test_a_webhook_is_signed_so_that_the_receiver_can_check_it():
    with kit.Hooks() as service:
        kit.webhook(service).send(message(), None)
        [asked] = service.asked
        raw = base64.b64decode(kit.SECRET.removeprefix("whsec_"))
        signed = f"{asked.headers['webhook-id']}.{asked.headers['webhook-timestamp']}.".encode() + asked.body
        wanted = base64.b64encode(hmac.new(raw, signed, hashlib.sha256).digest()).decode()
        assert asked.headers["webhook-signature"] == f"v1,{wanted}"
        assert asked.headers["webhook-timestamp"] == str(int(kit.SetClock().now().timestamp()))
        assert asked.json()["type"] == "incident.declared"
        assert Message.from_json(asked.json()["data"]) == message()


def test_the_example_of_standard_webhooks_is_signed_as_there():
    from holdfast.connect.channels.webhook import signature

    # From the reference implementations' own tests.
    raw = base64.b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    found = signature(raw, "msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", b'{"test": 2432232314}')
    assert found == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_a_message_is_the_same_after_a_queue():
    for one in STORY:
        assert Message.from_json(json.loads(json.dumps(one.to_json()))) == one
