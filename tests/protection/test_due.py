"""due(): what the plan, the past and the clock make of each other."""

import datetime as dt
import zoneinfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.plan import parse_schedule
from holdfast.plan.shape.operations import Windows
from holdfast.protection.due import due, due_for, missed_since
from holdfast.protection.history import Failure, Past
from holdfast.protection.retry import FIRST, LONGEST, again_at, wait
from holdfast.state import Pause, Proof
from tests.protection.plans import at, past, plan, point, system

OPEN = Windows()


def verbs(items, *, ready: bool | None = None) -> list[str]:
    return [item.verb for item in items if ready is None or ready is not bool(item.blocked)]


def test_without_a_point_a_backup_is_due_since_ever(tmp_path):
    (item,) = due([system(tmp_path)], OPEN, dt.UTC, {}, at("2026-05-01T12:00"))
    assert (item.verb, item.since, item.blocked) == ("backup", None, "")
    assert item.reason == "no recovery point yet"


@pytest.mark.parametrize(("now", "since"), [("2026-05-01T12:59:59", None), ("2026-05-01T13:00", "13:00"), ("2026-05-01T17:30", "13:00")])
def test_a_backup_is_due_from_the_first_scheduled_moment_after_the_newest_point(tmp_path, now, since):
    found = [item for item in due_for(system(tmp_path), OPEN, dt.UTC, past(point("2026-05-01T12:10")), at(now)) if item.verb == "backup"]
    assert [f"{item.since:%H:%M}" for item in found] == ([since] if since else [])


def test_the_schedule_counts_in_the_plans_time_zone(tmp_path):
    nightly = plan(tmp_path, zone="Europe/Berlin", backup='"30 1 * * *"', rpo="2d")
    seen = past(point("2026-07-01T00:00"))  # 02:00 in Berlin
    berlin = zoneinfo.ZoneInfo("Europe/Berlin")
    assert "backup" not in verbs(due_for(nightly.effective("db"), OPEN, berlin, seen, at("2026-07-01T23:29")))
    assert "backup" in verbs(due_for(nightly.effective("db"), OPEN, berlin, seen, at("2026-07-01T23:31")))


def test_a_window_holds_backups_back_and_nothing_else(tmp_path):
    made = plan(tmp_path, windows='windows: {backup: "20:00-06:00"}', rpo="2d")
    old = past(point("2026-05-01T01:00"), pruned_at=at("2026-04-29T00:00"))
    items = due([made.effective("db")], made.document.windows, made.zone, {"db": old}, at("2026-05-01T12:00"))
    assert verbs(items, ready=False) == ["backup"]
    assert "outside the window 20:00-06:00" in items[0].blocked
    assert verbs(items, ready=True) == ["verify", "prune"]
    night = due([made.effective("db")], made.document.windows, made.zone, {"db": old}, at("2026-05-01T22:00"))
    assert verbs(night, ready=False) == []


def test_a_freeze_holds_everything_back(tmp_path):
    made = plan(tmp_path, windows='windows: {freeze: ["2026-11-27/2026-11-30"]}')
    old = past(point("2026-11-20T01:00"), pruned_at=at("2026-11-20T00:00"))
    items = due([made.effective("db")], made.document.windows, made.zone, {"db": old}, at("2026-11-30T23:59"))
    assert verbs(items, ready=True) == []
    assert verbs(items) == ["backup", "verify", "prune"]
    after = due([made.effective("db")], made.document.windows, made.zone, {"db": old}, at("2026-12-01T00:00"))
    assert verbs(after, ready=True) == ["backup", "verify", "prune"]


def test_a_pause_is_said_and_ends(tmp_path):
    paused = Past(pause=Pause("db", at("2026-05-01T08:00"), at("2026-05-01T18:00"), "migration"))
    (item,) = due_for(system(tmp_path), OPEN, dt.UTC, paused, at("2026-05-01T12:00"))
    assert "migration" in item.blocked
    assert "2026-05-01T18:00" in item.blocked
    (item,) = due_for(system(tmp_path), OPEN, dt.UTC, paused, at("2026-05-01T18:00"))
    assert item.blocked == ""


def test_a_running_verb_is_not_started_again(tmp_path):
    (item,) = due_for(system(tmp_path), OPEN, dt.UTC, Past(running={"backup": at("2026-05-01T11:00")}), at("2026-05-01T12:00"))
    assert "runs since" in item.blocked


def test_copies_are_due_for_points_that_a_location_lacks(tmp_path):
    seen = past(point("2026-05-01T12:00"), point("2026-05-01T11:00", locations=["onsite"]), point("2026-05-01T10:00", locations=["onsite"]))
    (item,) = [i for i in due_for(system(tmp_path), OPEN, dt.UTC, seen, at("2026-05-01T12:30")) if i.verb == "copy"]
    assert item.points == (point("2026-05-01T10:00").id, point("2026-05-01T11:00").id)
    assert item.reason == "2 points are not in offsite"
    away = Past(points=seen.points, unreachable={"offsite": "refused"})
    assert "copy" not in verbs(due_for(system(tmp_path), OPEN, dt.UTC, away, at("2026-05-01T12:30")))


def test_each_tier_of_proof_has_its_own_schedule(tmp_path):
    made = system(tmp_path, verify="{structure: daily, restore: weekly, spot_check: monthly}")
    proofs = [
        Proof("db", "structure", at("2026-05-13T00:10"), ok=True, point=None, detail={}),
        Proof("db", "restore", at("2026-05-11T03:00"), ok=False, point=None, detail={}),
        Proof("db", "restore", at("2026-05-04T03:00"), ok=True, point=None, detail={}),
    ]
    seen = past(point("2026-05-13T12:00"), proofs=proofs, pruned_at=at("2026-05-13T00:00"))
    found = {i.tier: i for i in due_for(made, OPEN, dt.UTC, seen, at("2026-05-14T12:30")) if i.verb == "verify"}
    assert set(found) == {"structure", "spot_check"}
    assert found["structure"].since == at("2026-05-14T00:00")
    assert "never proved" in found["spot_check"].reason


def test_work_is_ordered_backups_first_then_by_how_late(tmp_path):
    made = system(tmp_path, verify="{structure: daily, restore: weekly}")
    seen = past(point("2026-05-13T12:00", locations=["onsite"]), pruned_at=at("2026-05-01T00:00"))
    assert verbs(due([made], OPEN, dt.UTC, {"db": seen}, at("2026-05-14T12:30"))) == ["backup", "copy", "verify", "verify", "prune"]


# ------------------------------------------------------------------ retry


def test_waiting_doubles_up_to_a_limit():
    assert [wait(n) for n in range(4)] == [dt.timedelta(0), FIRST, 2 * FIRST, 4 * FIRST]
    assert wait(1000) == LONGEST
    assert again_at([], "backup") is None


def test_a_failed_verb_waits_and_says_until_when(tmp_path):
    failures = [
        Failure("backup", at("2026-05-01T12:00")),
        Failure("backup", at("2026-05-01T12:10")),
        Failure("prune", at("2026-05-01T12:19")),
    ]
    (item,) = due_for(system(tmp_path), OPEN, dt.UTC, Past(failures=failures), at("2026-05-01T12:19"))
    assert item.blocked == "failed 2 times in a row; next try at 2026-05-01T12:20:00+00:00"
    (item,) = due_for(system(tmp_path), OPEN, dt.UTC, Past(failures=failures), at("2026-05-01T12:20"))
    assert item.blocked == ""


# ------------------------------------------------------------------ properties

SCHEDULES = ["* * * * *", "0 * * * *", "*/7 * * * *", "30 2 * * *", "0 3 * * 1-5", "15 2 29 2 *", "daily", "weekly"]
ZONES = ["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Pacific/Apia", "Asia/Kathmandu"]
MOMENTS = st.datetimes(dt.datetime(2020, 1, 1), dt.datetime(2032, 1, 1), timezones=st.just(dt.UTC))


@settings(max_examples=300, deadline=None)
@given(
    text=st.sampled_from(SCHEDULES), zone=st.sampled_from(ZONES), last=MOMENTS, later=st.timedeltas(dt.timedelta(0), dt.timedelta(days=3))
)
def test_due_exactly_when_a_scheduled_moment_lies_between(text, zone, last, later):
    schedule, where, now = parse_schedule(text), zoneinfo.ZoneInfo(zone), last + later
    since = missed_since(schedule, where, last, now)
    newest = schedule.last_until(now, where)
    assert (since is not None) == (newest > last)
    if since is not None:
        assert last < since <= newest <= now


@settings(max_examples=50, deadline=None)
@given(text=st.sampled_from(SCHEDULES[1:5]), zone=st.sampled_from(ZONES), start=MOMENTS, step=st.integers(1, 2000))
def test_looking_every_few_seconds_runs_each_scheduled_moment_once(text, zone, start, step):
    """A cron that looks at any pace runs the work once for what came due, never twice, and is then not due until the next moment."""
    schedule, where = parse_schedule(text), zoneinfo.ZoneInfo(zone)
    last, now, runs = start, start, []
    for _ in range(20):
        now += dt.timedelta(seconds=step)
        if missed_since(schedule, where, last, now) is not None:
            runs.append(now)
            last = now
            assert missed_since(schedule, where, last, now) is None
    fires, moment = [], start
    while (moment := schedule.next_after(moment, where)) <= now:
        fires.append(moment)
    looks = [start + dt.timedelta(seconds=step * n) for n in range(1, 21)]
    assert runs == sorted({min(look for look in looks if look >= fire) for fire in fires})


@settings(max_examples=200, deadline=None)
@given(
    window=st.tuples(st.integers(0, 1439), st.integers(1, 1439)),
    moment=MOMENTS,
    zone=st.sampled_from(ZONES),
    frozen=st.one_of(st.none(), st.dates(dt.date(2020, 1, 1), dt.date(2032, 1, 1))),
)
def test_a_backup_never_starts_outside_the_window_or_inside_a_freeze(tmp_path_factory, window, moment, zone, frozen):
    global SYSTEM  # noqa: PLW0603
    if SYSTEM is None:
        SYSTEM = system(tmp_path_factory.mktemp("plan"))
    start, length = window
    end = (start + length) % 1440
    text = f"{start // 60:02}:{start % 60:02}-{end // 60:02}:{end % 60:02}"
    windows = Windows.model_validate({"backup": text, "freeze": [f"{frozen}/{frozen}"] if frozen else []})
    where = zoneinfo.ZoneInfo(zone)
    (item,) = due_for(SYSTEM, windows, where, Past(), moment)
    local = moment.astimezone(where)
    minute = local.hour * 60 + local.minute
    inside = (minute - start) % 1440 < length
    assert (not item.blocked) == (inside and local.date() != frozen)


SYSTEM = None
