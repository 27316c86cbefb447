"""What was ended by mistake is met again; no circle of duplicates ends without a post-mortem; what two hosts declare is told once."""

import datetime as dt

import pytest

from holdfast.incidents.errors import IncidentUsage
from holdfast.incidents.messages import messages
from holdfast.incidents.room import QUIET
from holdfast.incidents.upkeep import queue
from tests.incidents.kit import host, orders
from tests.incidents.test_escalation import Box


@pytest.mark.parametrize("outcome", ["", "false alarm"])
def test_what_is_still_not_well_a_day_after_the_end_is_declared_anew(tmp_path, outcome):
    here = host(tmp_path)
    by = here.who("anna")
    what = orders(key="missed/orders-db", since=here.clock.now() - dt.timedelta(hours=1))
    first, _ = here.room.declare(what, by)
    if outcome:
        here.room.close(first.id, by, outcome=outcome, why="I saw nothing")
    else:
        here.room.resolve(first.id, by)
    here.clock.forward(QUIET.total_seconds() - 60)
    assert here.room.declare(what, by)[1] is False
    here.clock.forward(120)
    anew, new = here.room.declare(what, by)
    assert (new, anew.id != first.id, anew.open) == (True, True, True)
    assert here.room.declare(what, by)[0].id == anew.id


def test_a_drill_that_failed_and_a_duplicate_of_what_is_open_are_not(tmp_path):
    here = host(tmp_path)
    by = here.who("anna")
    drill = orders(key="drill/fire", since=here.clock.now(), source={"kind": "drill"})
    alert = orders(key="alert/1", since=here.clock.now())
    here.clock.forward(60)
    kept, _ = here.room.declare(orders(), by)
    here.room.resolve(here.room.declare(drill, by)[0].id, by)
    here.room.close(here.room.declare(alert, by)[0].id, by, outcome="duplicate", why=kept.id)
    here.clock.forward(2 * QUIET.total_seconds())
    assert [here.room.declare(one, by)[1] for one in (drill, alert)] == [False, False]
    here.room.resolve(kept.id, by)
    assert here.room.declare(alert, by)[1]


def test_a_circle_of_duplicates_is_refused(tmp_path):
    here = host(tmp_path)
    by = here.who("anna")
    one, two = (here.room.declare(orders(), by)[0].id for _ in range(2))
    here.room.close(one, by, outcome="duplicate", why=two)
    with pytest.raises(IncidentUsage, match=f"{one} was itself closed as a duplicate of {two}"):
        here.room.close(two, by, outcome="duplicate", why=one)
    assert here.log.load(two).open
    here.room.reopen(one, by, "it is the older one")
    assert here.room.close(two, by, outcome="duplicate", why=one).outcome == "duplicate"


def test_two_hosts_that_declare_at_once_make_one_message_for_each_channel(tmp_path):
    one, two = host(tmp_path, "ops1"), host(tmp_path, "ops2")
    keys = []
    for each in (one, two):
        found, _ = each.room.declare(orders(key="missed/orders-db"), each.who("holdfast"))
        keys.append({message.key for _, _, message in messages(found, each.policy)})
    assert keys[0] == keys[1]
    one.hears(two)
    merged = one.log.load(found.id)
    assert {message.key for _, _, message in messages(merged, one.policy)} == keys[0]


def test_what_was_told_under_an_older_key_is_told(tmp_path):
    here = host(tmp_path)
    found, _ = here.room.declare(orders(key="missed/orders-db"), here.who("holdfast"))
    for channel in ("chat", "pager"):
        data = {"message": f"{found.id}/{found.declared.name}/{channel}", "channel": channel, "reference": None}
        found, _ = here.log.append(found.id, "delivered", here.who("holdfast"), data)
    box = Box()
    assert queue(found, here.policy, here.log, box) == 0
    assert box.taken == {}
