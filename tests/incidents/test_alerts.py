"""What Alertmanager's webhook sends becomes one incident for each group, however often it is sent, and whatever it holds."""

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from holdfast.incidents.alerts import take
from holdfast.incidents.errors import AlertNotUnderstood
from tests.incidents.kit import host


def alert(status="firing", name="PrimaryDown", starts="2026-11-21T09:55:00.123Z", **labels):
    return {
        "status": status,
        "labels": {"alertname": name, "severity": "critical", **labels},
        "annotations": {"summary": f"{name} on orders", "description": "no answer for 5 minutes"},
        "startsAt": starts,
        "endsAt": "0001-01-01T00:00:00Z",
        "generatorURL": "http://prometheus/graph",
        "fingerprint": f"c0ffee{name}",
    }


def sent(*alerts, group='{}:{alertname="PrimaryDown"}'):
    """As version 4 of the format has it."""
    return json.dumps(
        {
            "version": "4",
            "groupKey": group,
            "truncatedAlerts": 0,
            "status": "firing",
            "receiver": "holdfast",
            "groupLabels": {"alertname": "PrimaryDown"},
            "commonLabels": {},
            "commonAnnotations": {"summary": "the primary of orders is down"},
            "externalURL": "http://alertmanager",
            "alerts": list(alerts),
        }
    )


def test_a_group_that_fires_is_declared_once(tmp_path):
    here = host(tmp_path)
    by = here.who("holdfast")
    text = sent(alert(system="orders-db"), alert(name="Lag", starts="2026-11-21T09:57:00Z", severity="warning"))
    [(found, new)] = take(text, here.room, by)
    assert new
    assert (found.severity, list(found.affected), found.title) == ("P1", ["orders-db"], "the primary of orders is down (and 1 more)")
    assert found.detected.isoformat() == "2026-11-21T09:55:00.123000+00:00"
    assert found.references["alertmanager"] == "http://alertmanager"
    for _ in range(3):
        [(again, new)] = take(text, here.room, by)
        assert (again.id, new, again.seen) == (found.id, False, 2)
    [(again, _)] = take(sent(alert(system="orders-db", starts="2026-11-21T10:05:00Z")), here.room, by)
    assert (again.id, again.seen) == (found.id, 3)
    other, new = take(sent(alert(name="Disk"), group="another"), here.room, by)[0]
    assert new
    assert other.id != found.id


def test_what_no_longer_fires_is_a_note_and_a_person_says_that_it_is_over(tmp_path):
    here = host(tmp_path)
    by = here.who("holdfast")
    assert take(sent(alert("resolved")), here.room, by) == []
    [(found, _)] = take(sent(alert()), here.room, by)
    for _ in range(2):
        [(calm, new)] = take(sent(alert("resolved")), here.room, by)
        assert (calm.id, calm.state, new) == (found.id, "declared", False)
    assert [event.data["text"] for event in calm.events if event.kind == "note"] == ["Alertmanager: PrimaryDown no longer fires"]
    here.room.resolve(found.id, here.who("anna"))
    [(same, new)] = take(sent(alert()), here.room, by)  # the same alert, that began before the resolution
    assert (same.id, new) == (found.id, False)
    here.clock.forward(3600)
    [(anew, new)] = take(sent(alert(starts="2026-11-21T10:30:00Z")), here.room, by)
    assert new
    assert anew.id != found.id


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "{}", '{"alerts": []}', '{"alerts": [1]}', '{"alerts": [{"status": "x", "labels": {}}]}', "[" * 100_000]
)
def test_what_is_no_message_is_refused(tmp_path, text):
    here = host(tmp_path)
    with pytest.raises(AlertNotUnderstood):
        take(text, here.room, here.who("holdfast"))
    assert here.log.all() == []


ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda below: st.lists(below, max_size=3) | st.dictionaries(st.text(max_size=5), below, max_size=3),
    max_leaves=6,
)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(labels=ANY, annotations=ANY, starts=ANY, common=ANY, group=ANY)
def test_odd_messages_are_taken_or_refused(tmp_path_factory, labels, annotations, starts, common, group):
    here = host(tmp_path_factory.mktemp("odd"))
    one = {"status": "firing", "labels": labels, "annotations": annotations, "startsAt": starts, "fingerprint": 5}
    payload = {"groupKey": group, "alerts": [one], "commonAnnotations": common}
    try:
        made = take(json.dumps(payload), here.room, here.who("holdfast"))
    except AlertNotUnderstood:
        assert not isinstance(labels, dict)
        return
    assert made[0][0].title
