"""Nobody is paged while nothing runs 'due --run': status and check say so, and Prometheus can see it, with what waits and for how long."""

import datetime as dt

import pytest

from holdfast.incidents.metrics import Waiting, text
from holdfast.interfaces.cli.commands.incident.schedule import unkept
from holdfast.state import State
from tests.channels.serving import Told
from tests.cli.running import answer
from tests.incidents.kit import Clock, command, host, orders
from tests.incidents.test_commands import shop

__all__ = ["shop"]


def samples(said: str) -> dict[str, float]:
    return {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in said.splitlines() if not line.startswith("#")}


def test_a_rhythm_is_learnt_and_a_night_of_silence_is_none(tmp_path):
    clock = Clock()
    state = State(tmp_path, clock)
    assert state.passes.last("due") is None
    for _ in range(5):
        state.passes.note("due")
        clock.forward(300)
    assert state.passes.last("due").every == pytest.approx(300)
    clock.forward(40_000)
    state.passes.note("due")
    assert state.passes.last("due").every < 600
    clock.set(-90_000)
    state.passes.note("due")
    assert 0 < state.passes.last("due").every < 600


def test_what_a_host_that_is_gone_wrote_ahead_of_now_hides_no_run_of_another(tmp_path):
    clock = Clock()
    state = State(tmp_path, clock)
    with state.database.writing() as db:
        db.execute("insert into passes (name, host, at) values ('due', 'gone', '2027-01-01T00:00:00.000000+00:00')")
    assert state.passes.last("due").host == "gone"
    state.passes.note("due")
    assert (state.passes.last("due").host, state.passes.last("due").at) == (state.database.host, clock.now())


def test_a_run_that_is_dated_ahead_of_now_is_told_as_that():
    now = Clock().now()
    found = {"late": True, "last_run": now + dt.timedelta(minutes=40), "host": "ops1", "usual_seconds": 300.0}
    assert unkept(found, now).startswith("The newest 'holdfast due --run', on ops1, is dated 40m ahead of now")
    assert unkept({**found, "last_run": now - dt.timedelta(minutes=40)}, now).startswith("'holdfast due --run' has not run for 40m (usual")


def test_status_and_check_say_it_and_status_fails_where_somebody_waits(shop):
    (one, _), chat, environ = shop
    environ = {**environ, "HOLDFAST_STATE": str(one / "state")}
    first = command(one, "status", "--json", **environ)
    assert answer(first)["incidents"]["schedule"]["late"] is True
    assert "No 'holdfast due --run' is known to have run" in command(one, "status", **environ).stderr
    checked = answer(command(one, "check", "--json", **environ))["schedule"]
    assert (checked["state"], "cron" in checked["hint"]) == ("warn", True)
    command(one, "due", "--run", "--json", **environ)
    found = answer(command(one, "status", "--json", **environ))["incidents"]
    assert (found["schedule"]["late"], found["stalled"]) == (False, False)
    assert answer(command(one, "check", "--json", **environ))["schedule"]["state"] == "ok"
    # Cron dies, then chat does.
    state = State(one / "state", Clock())
    with state.database.writing() as db:
        db.execute("update passes set at = '2026-01-01T00:00:00.000000+00:00', every = 300")
    chat.always = Told(503)
    command(one, "incident", "declare", "papers are gone", "--system", "papers", "--as", "anna", **environ)
    told = command(one, "status", "--json", **environ)
    assert told.returncode == 1
    assert answer(told)["incidents"]["stalled"] is True
    loud = command(one, "status", "--prometheus", str(one / "m.prom"), **environ)
    assert "NOBODY IS PAGED: 'holdfast due --run' has not run for" in loud.stderr
    assert "usually every 5m" in loud.stderr
    seen = samples((one / "m.prom").read_text())
    assert seen['holdfast_outbox_messages{channel="chat",state="waiting"}'] >= 1
    assert seen['holdfast_incidents_open{severity="P1",drill="false"}'] >= 1
    assert seen["holdfast_due_last_run_timestamp_seconds"] == dt.datetime(2026, 1, 1, tzinfo=dt.UTC).timestamp()
    assert seen["holdfast_status_timestamp_seconds"] > 0


def test_the_metrics_of_incidents_are_golden(tmp_path):
    here = host(tmp_path)
    first, _ = here.room.declare(orders(severity="P1"), here.who("anna"))
    here.clock.forward(120)
    here.room.acknowledge(first.id, here.who("ben"))
    second, _ = here.room.declare(orders(severity="P1"), here.who("anna"))
    here.clock.forward(300)
    here.room.acknowledge(second.id, here.who("ben"))
    here.room.resolve(second.id, here.who("ben"))
    here.room.declare(orders(severity="P2"), here.who("anna"))
    here.room.declare(orders(drill="D1"), here.who("anna"))
    here.clock.forward(60)
    waiting = {"chat": Waiting(2, 1, here.clock.now() - dt.timedelta(seconds=90)), "pager": Waiting()}
    assert text(here.log.all(), waiting, here.clock, here.clock.now(), 900.0) == GOLDEN
    assert samples(text([], {}, here.clock, None, 900.0))["holdfast_due_last_run_timestamp_seconds"] == 0


GOLDEN = """\
# HELP holdfast_incidents_open Incidents that are not resolved.
# TYPE holdfast_incidents_open gauge
holdfast_incidents_open{severity="P1",drill="false"} 1
holdfast_incidents_open{severity="P1",drill="true"} 1
holdfast_incidents_open{severity="P2",drill="false"} 1
holdfast_incidents_open{severity="P2",drill="true"} 0
holdfast_incidents_open{severity="P3",drill="false"} 0
holdfast_incidents_open{severity="P3",drill="true"} 0
holdfast_incidents_open{severity="P4",drill="false"} 0
holdfast_incidents_open{severity="P4",drill="true"} 0
# HELP holdfast_incident_unacknowledged_seconds Age of the oldest incident that nobody has acknowledged; 0 when there is none.
# TYPE holdfast_incident_unacknowledged_seconds gauge
holdfast_incident_unacknowledged_seconds{drill="false"} 60
holdfast_incident_unacknowledged_seconds{drill="true"} 60
# HELP holdfast_incidents_unanswered Incidents of which everybody was told, and which nobody has acknowledged.
# TYPE holdfast_incidents_unanswered gauge
holdfast_incidents_unanswered{drill="false"} 0
holdfast_incidents_unanswered{drill="true"} 0
# HELP holdfast_incident_acknowledge_seconds From declaration to first acknowledgement in the last 90 days: median and longest.
# TYPE holdfast_incident_acknowledge_seconds gauge
holdfast_incident_acknowledge_seconds{severity="P1",is="median"} 210
holdfast_incident_acknowledge_seconds{severity="P1",is="longest"} 300
# HELP holdfast_outbox_messages Messages about incidents that wait for their channel, and that it did not take at all.
# TYPE holdfast_outbox_messages gauge
holdfast_outbox_messages{channel="chat",state="waiting"} 2
holdfast_outbox_messages{channel="chat",state="lost"} 1
holdfast_outbox_messages{channel="pager",state="waiting"} 0
holdfast_outbox_messages{channel="pager",state="lost"} 0
# HELP holdfast_outbox_oldest_seconds Age of the oldest message that waits for the channel; 0 when none does.
# TYPE holdfast_outbox_oldest_seconds gauge
holdfast_outbox_oldest_seconds{channel="chat"} 90
holdfast_outbox_oldest_seconds{channel="pager"} 0
# HELP holdfast_due_last_run_timestamp_seconds When 'due --run' last ran on any host that is known here; 0 when nobody knows.
# TYPE holdfast_due_last_run_timestamp_seconds gauge
holdfast_due_last_run_timestamp_seconds 1795255680
# HELP holdfast_due_late_seconds After how long without 'due --run' nobody can be sure to be paged.
# TYPE holdfast_due_late_seconds gauge
holdfast_due_late_seconds 900
"""
