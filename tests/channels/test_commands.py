"""Channels from the plan to the services: check, test-channel, and an outbox that people can see and empty."""

import json

import pytest

from tests.channels import kit
from tests.channels.kit import HOOK, Hooks
from tests.channels.pager_service import KEY, Pager
from tests.channels.serving import Told
from tests.channels.slack_service import TOKEN, Slack
from tests.cli.running import answer, holdfast

PLAN = """\
platform: shop
vault: {{key: {{env: HOLDFAST_KEY}}, locations: [{{name: here, url: "file://{folder}/vault"}}]}}
people: {{core: {{name: Core, channels: [hook]}}}}
channels:
  pager: {{kind: pagerduty, token: {{env: PAGER_KEY}}, url: "{pager}/v2/enqueue"}}
  chat: {{kind: slack, token: {{env: SLACK_TOKEN}}, to: C0123ABCD, api: "{slack}/api"}}
  hook: {{kind: webhook, url: {{env: HOOK_URL}}, timeout: 100s}}
incidents: {{on_call: core, tell: [hook]}}
"""


@pytest.fixture
def scene(tmp_path):
    with Pager() as pager, Slack() as slack, Hooks() as hooks:
        (tmp_path / "holdfast.yaml").write_text(PLAN.format(folder=tmp_path, pager=pager.url, slack=slack.url))
        env = {"HOLDFAST_KEY": "k" * 40, "PAGER_KEY": KEY, "SLACK_TOKEN": TOKEN, "HOOK_URL": hooks.url + HOOK}

        def run(*words, status=0, **more):
            done = holdfast(tmp_path, *words, **{**env, **more})
            assert done.returncode == status, done.stdout + done.stderr
            assert not any(secret in done.stdout + done.stderr for secret in kit.SECRETS)
            return done

        run.pager, run.slack, run.hooks = pager, slack, hooks
        yield run


def test_a_test_message_is_marked_and_says_what_became_of_it(scene):
    found = answer(scene("--json", "incident", "test-channel", "chat"))
    assert found["kind"] == "slack"
    assert found["reference"]["ids"]["ts"] == scene.slack.posted[0]["ts"]
    assert scene.slack.posted[0]["text"].startswith("[TEST] P4 ")
    assert "took the message as holdfast/shop/test-" in scene("incident", "test-channel", "pager", "--severity", "P1").stdout
    assert next(iter(scene.pager.alerts.values()))[1][0].startswith("[TEST] P1 ")


def test_a_channel_that_is_not_there_or_lacks_its_secret_is_told(scene):
    assert "did you mean 'chat'" in scene("incident", "test-channel", "chta", status=2).stderr.lower()
    scene.slack.always = Told(503)
    assert "503" in scene("incident", "test-channel", "chat", status=3).stderr
    done = scene("incident", "test-channel", "pager", status=2, PAGER_KEY="")
    assert "environment variable PAGER_KEY" in done.stderr


def test_check_asks_each_channel_and_tells_nobody(scene):
    scene.slack.always = Told(200, {"ok": False, "error": "invalid_auth"})
    done = scene("--json", "check", status=3)
    channels = {one["channel"]: one for one in answer(done)["channels"]}
    assert {name: one["state"] for name, one in channels.items()} == {"pager": "ok", "chat": "fail", "hook": "ok"}
    assert "Renew the bot's token" in channels["chat"]["hint"]
    assert scene.pager.alerts == {}
    assert [one["type"] for one in scene.hooks.seen.values()] == ["holdfast.check"]
    assert "invalid_auth" in scene("check", status=3).stdout


def test_what_waits_is_shown_tried_again_and_given_up(scene):
    assert "Nothing waits" in scene("incident", "outbox").stdout
    scene.hooks.always = Told(503)
    declared = answer(scene("--json", "incident", "declare", "orders-db is gone", "--severity", "P2", "--drill", "D1"))
    waiting = answer(scene("--json", "incident", "outbox"))
    assert waiting["waiting"] == 1
    [line] = waiting["messages"]
    assert (line["state"], line["channel"], line["incident"], line["drill"]) == ("waiting", "hook", declared["incident"], True)
    assert "503" in line["error"]
    assert "[DRILL] P2 orders-db is gone" in scene("incident", "outbox", declared["incident"]).stdout.replace("\n", " ").replace("  ", " ")
    # Refused for good: lost, loudly, until somebody looks.
    scene.hooks.always = Told(403)
    lost = answer(scene("--json", "incident", "outbox", "--retry", status=1))
    assert (lost["retried"], lost["lost"], lost["sent"]) == (1, 1, 0)
    assert lost["messages"][0]["state"] == "lost"
    scene.hooks.always = None
    sent = answer(scene("--json", "incident", "outbox", "--retry", "--channel", "hook"))
    assert (sent["retried"], sent["sent"], sent["lost"], sent["messages"]) == (1, 1, 0, [])
    assert len(scene.hooks.seen) == 1
    every = answer(scene("--json", "incident", "outbox", "--all"))["messages"]
    assert [(one["state"], one["attempts"]) for one in every] == [("sent", 3)]
    shown = json.dumps(answer(scene("--json", "incident", "show", declared["incident"])))
    assert "undelivered" in shown
    assert "delivered" in shown


def test_to_try_one_incident_again_leaves_the_others_alone(scene):
    scene.hooks.always = Told(403)
    one, _ = (answer(scene("--json", "incident", "declare", title, "--severity", "P2"))["incident"] for title in ("new", "old"))
    scene.hooks.always = None
    found = answer(scene("--json", "incident", "outbox", one, "--retry", status=1))
    assert (found["retried"], found["sent"], found["lost"]) == (1, 1, 1)
    assert {body["data"]["incident"] for body in scene.hooks.seen.values()} == {one}


def test_a_person_may_give_a_message_up(scene):
    scene.hooks.always = Told(503)
    scene("incident", "declare", "orders-db is gone", "--severity", "P2")
    [line] = answer(scene("--json", "incident", "outbox"))["messages"]
    assert "needs --id" in scene("incident", "outbox", "--drop", status=2).stderr
    found = answer(scene("--json", "incident", "outbox", "--drop", "--id", str(line["id"])))
    assert (found["dropped"], found["waiting"], found["lost"]) == (1, 0, 0)
    assert scene.hooks.seen == {}
