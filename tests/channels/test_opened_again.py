"""An incident that is opened again: tickets go back into work under their ids, somebody is paged anew, and what is late undoes nothing."""

import pytest

from holdfast.connect.channels import ChannelRejected, Message, Reference
from holdfast.connect.channels.jira import Jira as JiraClient
from holdfast.connect.channels.slack import SlackBot
from tests.channels import kit
from tests.channels.jira_service import Jira
from tests.channels.kit import arrived, message
from tests.channels.now_service import Now
from tests.channels.pager_service import Pager
from tests.channels.slack_service import CONVERSATION, TOKEN, Slack

AGAIN = message("declared", 4, title="Opened again: orders-db", round=2)


def ended(client):
    reference = client.send(message("declared", 1), None)
    reference = client.send(message("acknowledged", 2), reference)
    return client.send(message("resolved", 3), reference)


@pytest.mark.parametrize("cloud", [True, False], ids=["cloud", "server"])
def test_jira_moves_the_issue_back_and_keeps_it(cloud):
    with Jira(cloud=cloud) as service:
        client = kit.jira(service)
        reference = ended(client)
        issue = service.issues["DATA-1"]
        assert issue["status"] == "Done"
        after = client.send(AGAIN, reference)
        assert (issue["status"], after.ids["key"], after.round) == ("Open", "DATA-1", 2)
        # Somebody closes it by hand: what is told next says so there, and moves nothing.
        issue["status"] = "Done"
        after = client.send(message("acknowledged", 5, round=2), after)
        assert issue["status"] == "Done"
        # What belongs to the round before comes late.
        issue["status"] = "In Progress"
        client.send(message("resolved", 6), after)
        assert issue["status"] == "In Progress"
        client.send(message("resolved", 7, round=2), after)
        assert (issue["status"], len(service.issues)) == ("Done", 1)


def test_jira_is_moved_back_by_whatever_comes_first_of_the_round_and_as_the_plan_says():
    with Jira() as service:
        client = JiraClient(kit.web(), kit.jira_settings(service, reopen="in progress"))
        after = client.send(message("acknowledged", 5, round=2), ended(client))
        assert (service.issues["DATA-1"]["status"], after.round) == ("In Progress", 2)


def test_jira_says_where_nothing_leads_back_and_comments_once():
    with Jira() as service:
        client = kit.jira(service)
        reference = ended(client)
        ways, service.workflow["Done"] = service.workflow["Done"], [("41", "Archive", "Done")]
        with pytest.raises(ChannelRejected, match=r"'Done', from where nothing leads back into work.*Archive \(to Done\)") as refused:
            client.send(AGAIN, reference)
        assert "reopen:" in refused.value.hint
        service.workflow["Done"] = ways
        after = client.send(AGAIN, refused.value.so_far)
        assert (service.issues["DATA-1"]["status"], after.ids) == ("Open", {"key": "DATA-1", "round": "2"})
        assert arrived(service).count(AGAIN.key) == 1


def test_an_issue_that_a_person_left_open_is_left_where_it_is():
    with Jira() as service:
        client = JiraClient(kit.web(), kit.jira_settings(service, done=None, reopen="Nowhere"))
        reference = ended(client)
        assert client.send(AGAIN, reference).round == 2
        assert service.issues["DATA-1"]["status"] == "Open"


def test_servicenow_takes_the_record_back_into_work():
    with Now() as service:
        client = kit.servicenow(service)
        reference = ended(client)
        [record] = service.records.values()
        assert record["state"] == "6"
        after = client.send(AGAIN, reference)
        assert (record["state"], after.ids) == ("2", {**reference.ids, "round": "2"})
        client.send(AGAIN, reference, again=True)
        assert arrived(service).count(AGAIN.key) == 1
        client.send(message("resolved", 6), after)
        assert record["state"] == "2"
        client.send(message("resolved", 7, round=2), after)
        assert (record["state"], len(service.records)) == ("6", 1)


@pytest.mark.parametrize("how", ["told", "in silence"])
def test_a_record_that_is_closed_for_good_is_gone_on_from(how):
    with Now() as service:
        service.closed_for_good = how
        client = kit.servicenow(service)
        reference = ended(client)
        service.records[reference.ids["sys_id"]]["state"] = "7"
        after = client.send(AGAIN, reference)
        assert after.ids["number"] == "INC0010002"
        made = service.records[after.ids["sys_id"]]
        assert made["description"].startswith("Goes on from INC0010001, which is closed.")
        # The answer was lost: it is found, not made a second time.
        assert client.send(AGAIN, reference, again=True).ids == after.ids
        client.send(message("acknowledged", 5, round=2), after)
        assert (made["state"], len(service.records)) == ("2", 2)


def test_pagerduty_wakes_somebody_anew_also_when_the_old_alert_was_only_acknowledged():
    with Pager() as service:
        client = kit.pagerduty(service)
        reference = client.send(message("declared", 1), None)
        reference = client.send(message("acknowledged", 2), reference)
        after = client.send(AGAIN, reference)
        old, new = "holdfast/shop/INC-2026-0007", "holdfast/shop/INC-2026-0007/2"
        assert {key: state for key, (state, _) in service.alerts.items()} == {old: "resolved", new: "triggered"}
        assert after.ids == {"dedup_key": new, "round": "2"}
        assert service.asked[-1].json()["payload"]["custom_details"]["alert before"] == old
        # Late words of the round before neither open nor end anything.
        for late in (message("escalated", 5), message("resolved", 6), message("declared", 7)):
            assert client.send(late, after).ids == after.ids
        assert {key: state for key, (state, _) in service.alerts.items()} == {old: "resolved", new: "triggered"}
        client.send(message("resolved", 8, round=2), after)
        assert service.alerts[new][0] == "resolved"


def test_slack_shows_it_to_the_whole_conversation():
    with Slack() as service:
        client = kit.slack_bot(service)
        client.send(AGAIN, ended(client))
        assert [one.get("reply_broadcast") for one in service.posted] == [None, False, True, True]


def test_another_conversation_in_the_plan_begins_a_new_thread_and_each_names_the_other():
    with Slack() as service:
        service.conversations.add("C0NEWHOME")
        reference = kit.slack_bot(service).send(message("declared", 1), None)
        moved = SlackBot(kit.web(), TOKEN, "C0NEWHOME", api=service.api)
        after = moved.send(message("updated", 2, title="restore runs"), reference)
        root, told, word = service.posted
        assert (told["channel"], told.get("thread_ts")) == ("C0NEWHOME", None)
        assert reference.url in str(told["blocks"])
        assert (word["channel"], word["thread_ts"]) == (CONVERSATION, root["ts"])
        assert after.url in word["text"]
        assert after.ids["channel"] == "C0NEWHOME"
        after = moved.send(message("resolved", 3), after)
        assert (service.posted[-1]["thread_ts"], len(service.posted)) == (told["ts"], 4)
        # The answer of the first one there was lost: it is found, and the old thread is told once.
        assert moved.send(message("updated", 2, title="restore runs"), reference, again=True).ids["ts"] == told["ts"]
        assert len(service.posted) == 4


def test_a_conversation_that_the_bot_had_to_leave_keeps_nothing_from_the_new_one():
    with Slack() as service:
        service.conversations = {"C0NEWHOME"}
        elsewhere = Reference({"channel": CONVERSATION, "ts": "1.0", "last": "1.0"})
        after = SlackBot(kit.web(), TOKEN, "C0NEWHOME", api=service.api).send(message(), elsewhere)
        assert after.ids["channel"] == "C0NEWHOME"
        assert f"<#{CONVERSATION}>" in str(service.posted[0]["blocks"])


@pytest.mark.parametrize("name", ["jira-cloud", "servicenow"])
def test_an_id_of_another_site_is_not_taken_for_one_of_this(name):
    make, connect = kit.WEB[name]
    with make() as old, make() as new:
        stranger = connect(new).send(message(incident="INC-of-others", key="x"), None)
        reference = connect(old).send(message("declared", 1), None)
        after = connect(new).send(message("updated", 2), reference)
        assert str(after) != str(stranger)
        assert arrived(new) == ["x", "INC-2026-0007.2"]


def test_a_message_of_an_older_version_belongs_to_the_first_round():
    found = message(round=3).to_json()
    assert Message.from_json(found).round == 3
    del found["round"]
    assert Message.from_json(found).round == 1
    assert "round" not in message().to_json()
