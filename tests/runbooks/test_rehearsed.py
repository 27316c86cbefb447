"""A runbook is to be followed to its end within the time in which its systems want a drill; the list says which one was not."""

import datetime as dt

from holdfast.plan.values.cron import parse_schedule
from holdfast.runbooks.engine.rehearsed import Rehearsal, rehearsal
from tests.cli.running import answer, holdfast
from tests.runbooks.kit import page

NOW = dt.datetime(2026, 11, 21, 12, tzinfo=dt.UTC)
YEARLY, MONTHLY = parse_schedule("yearly"), parse_schedule("monthly")
PLAN = """
platform: acme
vault:
  key: {env: HOLDFAST_KEY}
  locations: [{name: here, url: "file:///tmp/nowhere"}]
systems:
  orders: {kind: postgres, dsn: {env: ORDERS_DSN}, backup: daily, rpo: 1d, drill: quarterly, keep: {last: 3}}
"""


def test_by_the_strictest_of_its_systems():
    october = NOW.replace(month=10)
    assert rehearsal(None, [], dt.UTC, NOW) == Rehearsal(None, False, None)
    assert rehearsal(None, [YEARLY], dt.UTC, NOW) == Rehearsal(None, True, None)
    assert rehearsal(october, [YEARLY], dt.UTC, NOW) == Rehearsal(october, False, None)
    late = rehearsal(october, [YEARLY, MONTHLY], dt.UTC, NOW)
    assert (late.overdue, late.since) == (True, MONTHLY.next_after(october, dt.UTC))
    assert rehearsal(october, [], dt.UTC, NOW) == Rehearsal(october, False, None)


def test_the_list_says_when_each_was_followed_to_its_end(tmp_path):
    (tmp_path / "holdfast.yaml").write_text(PLAN)
    (tmp_path / "runbooks").mkdir()
    (tmp_path / "runbooks" / "a.md").write_text(page("id: a\nkind: human\ndo: this", name="a", front="systems: [orders]\n"))
    (one,) = answer(holdfast(tmp_path, "runbook", "list", "--json"))["runbooks"]
    assert (one["rehearsed"], one["overdue"]) == (None, True)
    assert "to be rehearsed: a" in holdfast(tmp_path, "runbook", "list").stderr
    env = {"HOLDFAST_KEY": "open sesame"}
    run = answer(holdfast(tmp_path, "runbook", "run", "a", "--json", **env))["run"]
    # One that was begun and given up shows nothing.
    assert holdfast(tmp_path, "runbook", "abort", run, "--reason", "later", **env).returncode == 0
    (one,) = answer(holdfast(tmp_path, "runbook", "list", "--json"))["runbooks"]
    assert one["overdue"]
    run = answer(holdfast(tmp_path, "runbook", "run", "a", "--json", **env))["run"]
    assert holdfast(tmp_path, "runbook", "approve", run, "a", "--resume", **env).returncode == 0
    for path in (tmp_path / "state").glob("state.sqlite*"):
        path.unlink()
    (one,) = answer(holdfast(tmp_path, "runbook", "list", "--json"))["runbooks"]
    assert one["rehearsed"] is not None
    assert not one["overdue"]
