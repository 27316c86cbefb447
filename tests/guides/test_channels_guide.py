"""docs/guide-channels.md: its plan reaches each of its services, and its commands work as printed."""

import os
import re
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.channels import kit, now_service
from tests.channels.jira_service import TOKEN, Jira
from tests.channels.kit import HOOK, Hooks
from tests.channels.now_service import Now
from tests.channels.pager_service import KEY, Pager
from tests.channels.serving import Told
from tests.channels.slack_service import HOOK as SLACK_HOOK
from tests.channels.slack_service import TOKEN as BOT
from tests.channels.slack_service import Slack
from tests.channels.test_apprise import Receiver
from tests.channels.test_mail import PASSWORD, authority, server
from tests.cli.running import answer
from tests.guides.script import commands
from tests.incidents.kit import command

__all__ = ["authority"]

PAGE = Path(__file__).resolve().parents[2] / "docs" / "guide-channels.md"
HEAD = """\
platform: shop
vault: {{key: {{env: HOLDFAST_KEY}}, locations: [{{name: here, url: "file://{folder}/vault"}}]}}
people: {{core: {{name: Core, channels: [chat]}}}}
incidents: {{on_call: core, tell: [own, tickets]}}
"""


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # apprise asks the standard library for a module that is to go
@pytest.mark.timeout(900)
def test_the_guide_works_as_printed(tmp_path, authority):
    [printed] = re.findall(r"^```yaml\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "holdfast").write_text(f'#!/bin/sh\nexec {sys.executable} -m holdfast.interfaces.cli.main "$@"\n')
    (programs / "holdfast").chmod(0o755)
    with ExitStack() as stack:
        slack, pager, jira, now, own, rest = (stack.enter_context(one()) for one in (Slack, Pager, Jira, Now, Hooks, Receiver))
        box = stack.enter_context(server(authority, login=True))
        # What is the reader's own; the tests' services know one project, one account and no cloud by its name.
        places = {
            "to: C0123ABCD": f'to: C0123ABCD, api: "{slack.api}"',
            "give_up: 48h": f'give_up: 48h, url: "{pager.url}/v2/enqueue"',
            '"https://shop.atlassian.net"': f'"{jira.url}", api: cloud',
            "project: DR": "project: DATA",
            '"https://shop.service-now.com", user: holdfast': f'"{now.url}", user: {now_service.USER}',
            "smtp://mx.shop.example:587": f"smtp://127.0.0.1:{box.port}",
            "token: {env: SMTP_PASSWORD}": f"token: {{env: SMTP_PASSWORD}}, ca: {authority / 'ca.pem'}",
        }
        for said, meant in places.items():
            assert said in printed, f"{PAGE.name} no longer says {said}"
            printed = printed.replace(said, meant)
        # A loaded machine may be slower than any service.
        printed = printed.replace("{kind: ", "{timeout: 100s, kind: ")
        (tmp_path / "holdfast.yaml").write_text(HEAD.format(folder=tmp_path) + printed)
        (tmp_path / "jira.token").write_text(TOKEN)
        (tmp_path / "jira.token").chmod(0o600)
        environ = {
            "HOLDFAST_KEY": "k" * 40,
            "HOLDFAST_STATE": str(tmp_path / "state"),
            "SLACK_BOT_TOKEN": BOT,
            "SLACK_WEBHOOK": slack.url + SLACK_HOOK,
            "PAGERDUTY_KEY": KEY,
            "SNOW_PASSWORD": now_service.PASSWORD,
            "SMTP_PASSWORD": PASSWORD,
            "ALERT_URL": own.url + HOOK,
            "ALERT_SECRET": kit.SECRET,
            "APPRISE_URL": f"json://user:hidden-secret@{rest.host}/path",
        }

        def followed(text: str) -> str:
            """One block of the page, typed in the folder of the plan."""
            done = subprocess.run(
                ["bash", "-euc", text],
                cwd=tmp_path,
                env={**environ, "PATH": f"{programs}:{os.environ['PATH']}", "HOME": str(tmp_path), "LANG": "C.UTF-8"},
                capture_output=True,
                text=True,
                check=False,
                timeout=400,
            )
            assert done.returncode == 0, f"{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
            return done.stdout

        first, second = commands(PAGE)
        followed(first)
        found = answer(command(tmp_path, "check", "--json", **environ))
        assert {one["channel"]: one["state"] for one in found["channels"]} == dict.fromkeys(
            ("chat", "hook", "pager", "tickets", "desk", "mail", "own", "rest"), "ok"
        )
        assert [told[0][:9] for _, told in pager.alerts.values()] == ["[TEST] P1"]
        slack.always = Told(503)
        command(tmp_path, "incident", "declare", "orders-db is gone", "--severity", "P1", "--as", "ada", **environ)
        assert jira.issues["DATA-1"]["fields"]["priority"] == {"name": "Highest"}
        assert slack.posted == []
        slack.always = None
        said = followed(second)
        assert "503" in said
        assert "1 message sent." in said
        assert "orders-db is gone" in slack.posted[0]["text"]
        assert box.users
