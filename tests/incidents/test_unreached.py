"""Who has no channels hears by mail where the plan has a channel for it; else it is written down, and the next is asked at once."""

from holdfast.incidents.timeline import timeline
from holdfast.incidents.upkeep import escalate
from tests.incidents.kit import PLAN, host, orders

LEAD = PLAN.replace("lead: {name: The lead, channels: [pager]}", "lead: {name: The lead, email: lead@shop.example}")
MAIL = LEAD.replace(
    "  mail: {kind: webhook, url: {env: MAILER}}",
    "  mail: {kind: email, url: 'smtp://mx.shop.example:587', from: hf@shop.example, to: ops@shop.example}",
)


def test_mail_reaches_who_has_an_address_and_no_channels(tmp_path):
    assert host(tmp_path, text=MAIL).policy.reach(["lead"]) == {"chat": [], "mail": ["lead@shop.example"]}


def test_behind_one_whom_nothing_reaches_the_next_is_asked_at_once(tmp_path):
    text = LEAD.replace("email: lead@shop.example}", "escalate_after: {20m: head}}").replace("30m: head", "50m: head")
    here = host(tmp_path, text=text)
    found, _ = here.room.declare(orders(), here.who("anna"))
    here.clock.forward(10 * 60)
    escalate(found, here.policy, here.log, here.who("holdfast"))
    found = here.log.load(found.id)
    assert [page.to for page in found.pages] == [("core",), ("lead", "head")]
    assert found.events[-1].data["unreached"] == ["lead"]
    assert "NOT REACHED, no channel: lead" in timeline(found, [])[-1].text
    assert "head@shop.example" in [address for each in found.events[-1].data["tell"] for address in each["to"]]


def test_an_owner_whom_nothing_reaches_is_not_waited_for(tmp_path):
    text = PLAN.replace("channels: [chat, pager], email: core@shop.example,", "")
    here = host(tmp_path, text=text)
    found, _ = here.room.declare(orders(), here.who("anna"))
    assert found.pages[0].to == ("core", "lead")
    assert found.declared.data["unreached"] == ["core"]
    assert {each["channel"] for each in found.declared.data["tell"]} == {"chat", "pager"}
    again = here.room.reopen(here.room.resolve(found.id, here.who("anna")).id, here.who("anna"), "it is back")
    assert again.events[-1].data["unreached"] == ["core"]
