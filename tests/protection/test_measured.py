"""What restores and verifications took is known to the next estimate and to `plan assess`."""

import datetime as dt

from holdfast.model import SystemClock
from holdfast.plan import load
from holdfast.plan.assess import assess
from holdfast.protection.measured import Restore, measured, restores
from holdfast.recovery import Past, estimate
from holdfast.state import State
from tests.protection.plans import plan

MIB = 1 << 20


def test_restores_and_verifications_feed_the_estimate(tmp_path) -> None:
    state = State(tmp_path / "state", SystemClock())
    for verb, facts in (
        ("restore", {"bytes": 100 * MIB, "log_bytes": 10 * MIB, "clocks": {"restore": 11.0, "replay": 1.0}}),
        ("verify", {"reached": {"bytes": 50 * MIB, "log_bytes": 5 * MIB}, "clocks": {"restore": 5.5, "replay": 0.5}}),
        ("verify", {"clocks": {}}),
    ):
        run = state.runs.begin(verb, "db")
        state.runs.end(run, "ok", **facts)
    state.runs.end(state.runs.begin("restore", "db"), "failed", bytes=MIB, clocks={"restore": 1.0})
    found = restores(state.runs, "db")
    assert sorted((one.bytes // MIB, one.replay) for one in found) == [(50, 0.5), (100, 1.0)]
    assert found[0] == Restore(50 * MIB, 5 * MIB, 5.5, 0.5)
    past = [Past(one.bytes, one.log_bytes, one.restore, one.replay) for one in found]
    made = estimate(200 * MIB, 20 * MIB, past)
    # Both were restored at 10 MiB/s and replayed at 10 MiB/s; 5 s to start.
    assert made.seconds == 22 + 2 + 5
    assert "2 earlier" in made.basis


def test_assess_tells_the_last_proof_and_the_exposure(tmp_path) -> None:
    made = plan(tmp_path)
    state = State(tmp_path / "state", SystemClock())
    now = dt.datetime.now(dt.UTC)
    assert measured("db", state, now).restore is None
    state.proofs.add("db", "restore", ok=False, seconds=1.0)
    state.proofs.add("db", "restore", ok=True, seconds=12.34)
    seen = measured("db", state, now)
    assert seen.restore == dt.timedelta(seconds=12)
    [one] = assess(load(made.path), {"db": seen})
    assert one.measured["restore"] == "12s"
    assert one.measured["exposure"] == "not measured yet"
