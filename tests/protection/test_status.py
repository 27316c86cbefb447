"""status(): the promise against what would be lost now; unknown is a failure."""

import datetime as dt

import pytest

from holdfast.plan.shape.operations import Windows
from holdfast.protection import prometheus
from holdfast.protection.history import Past
from holdfast.protection.status import status, system_status
from holdfast.state import Estimate, Pause, Proof
from holdfast.vault.copy import Behind
from tests.protection.plans import at, beat, past, plan, point, system

NOW = at("2026-05-01T12:30")
PROVED = Proof("db", "restore", at("2026-04-30T03:00"), ok=True, point="p", detail={})
FAST = Estimate(60, 70, 3)
GOOD = {"proofs": [PROVED], "restore": FAST, "pruned_at": at("2026-05-01T00:00")}


def of(made, seen, now=NOW):
    return system_status(made, Windows(), dt.UTC, seen, now)


def texts(found) -> str:
    return " | ".join(f"{reason.state}: {reason.text}" for reason in found.reasons)


def test_a_kept_promise_is_ok_without_reasons(tmp_path):
    found = of(system(tmp_path), past(point("2026-05-01T12:00"), **GOOD))
    assert (found.state, texts(found)) == ("ok", "")
    assert [(e.location, e.lost, e.source) for e in found.exposures] == [
        (n, dt.timedelta(minutes=30), "point") for n in ("onsite", "offsite")
    ]


def test_each_reason_names_the_command_that_helps(tmp_path):
    made = system(tmp_path, verify="{structure: daily, restore: weekly}")
    found = of(made, past(point("2026-05-01T12:00"), **GOOD, unreachable={"offsite": "its disk is gone"}))
    hints = {reason.text.split(":")[0]: reason.hint for reason in found.reasons}
    assert hints["never proved"] == "holdfast vault check"
    assert hints["offsite could not be asked"] == "holdfast check"


def test_exposure_counts_from_the_data_not_from_the_commit(tmp_path):
    """A backup of 50 minutes that ended just now holds data as of its beginning."""
    found = of(system(tmp_path, rpo="45m", backup='"*/30 * * * *"'), past(point("2026-05-01T11:35", took=3000), **GOOD))
    assert found.state == "missed"
    assert "55m would be lost from onsite, promised at most 45m" in texts(found)


def test_each_location_has_its_own_promise(tmp_path):
    made = system(tmp_path, rpo="{onsite: 5s, offsite: 60s}", continuous="true")
    beats = [beat("2026-05-01T12:29:58"), beat("2026-05-01T12:28:00", "offsite", seen="2026-05-01T12:29:59")]
    found = of(made, past(point("2026-05-01T12:00"), beats=beats, **GOOD))
    assert [(e.location, e.state, e.lost.total_seconds(), e.source) for e in found.exposures] == [
        ("onsite", "ok", 2, "log"),
        ("offsite", "missed", 120, "log"),
    ]
    assert "2m would be lost from offsite, promised at most 1m; the follower last spoke 1s ago" in texts(found)


def test_a_dead_follower_lets_the_exposure_grow(tmp_path):
    made = system(tmp_path, rpo="5s", continuous="true")
    found = of(made, past(point("2026-05-01T12:00"), beats=[beat("2026-05-01T12:10"), beat("2026-05-01T12:10", "offsite")], **GOOD))
    assert found.state == "missed"
    assert "the follower last spoke 20m ago" in texts(found)


def test_a_log_without_a_point_restores_nothing(tmp_path):
    made = system(tmp_path, rpo="5s", continuous="true")
    found = of(made, past(beats=[beat("2026-05-01T12:29:59"), beat("2026-05-01T12:29:59", "offsite")], **GOOD))
    assert found.state == "missed"
    assert "no recovery point in onsite" in texts(found)


def test_the_log_in_the_vault_counts_where_no_follower_of_this_host_speaks(tmp_path):
    made = system(tmp_path, rpo="5m", continuous="true")
    ends = {"onsite": at("2026-05-01T12:29"), "offsite": at("2026-05-01T12:28")}
    assert of(made, past(point("2026-05-01T12:00"), log_as_of=ends, **GOOD)).state == "ok"


def test_a_damaged_point_protects_nothing(tmp_path):
    found = of(system(tmp_path), past(point("2026-05-01T12:00", usable=False), **GOOD))
    assert found.state == "missed"


def test_too_few_copies_do_not_count(tmp_path):
    found = of(system(tmp_path, copies=2), past(point("2026-05-01T12:00", locations=["onsite"]), **GOOD))
    assert found.state == "missed"
    assert "no recovery point in 2 locations" in texts(found)


def test_what_could_not_be_asked_is_unknown_and_unknown_is_worst(tmp_path):
    found = of(system(tmp_path), past(point("2026-05-01T02:00"), unreachable={"offsite": "refused"}, **GOOD))
    assert [e.state for e in found.exposures] == ["missed", "unknown"]
    assert found.state == "unknown"
    assert of(system(tmp_path), None).state == "unknown"


def test_a_promise_never_proved_is_unknown(tmp_path):
    found = of(system(tmp_path), past(point("2026-05-01T12:00"), pruned_at=NOW))
    assert found.state == "unknown"
    assert "never proved: restore" in texts(found)
    assert "no restore was ever measured" in texts(found)


def test_a_failed_proof_is_missed_even_if_an_earlier_one_passed(tmp_path):
    failed = Proof("db", "restore", at("2026-05-01T03:00"), ok=False, point="p", detail={})
    found = of(system(tmp_path), past(point("2026-05-01T12:00"), **{**GOOD, "proofs": [PROVED, failed]}))
    assert found.state == "missed"


def test_an_old_proof_is_missed_after_a_whole_interval_of_grace(tmp_path):
    seen = past(
        point("2026-05-01T12:00"), **{**GOOD, "proofs": [Proof("db", "restore", at("2026-04-20T03:00"), ok=True, point="p", detail={})]}
    )
    assert of(system(tmp_path), seen).state == "ok"
    older = past(
        point("2026-05-01T12:00"), **{**GOOD, "proofs": [Proof("db", "restore", at("2026-04-12T03:00"), ok=True, point="p", detail={})]}
    )
    assert "days" not in texts(of(system(tmp_path), older))
    assert of(system(tmp_path), older).state == "missed"


def test_a_restore_slower_than_promised_is_missed(tmp_path):
    found = of(system(tmp_path), past(point("2026-05-01T12:00"), **{**GOOD, "restore": Estimate(1800, 2000, 4)}))
    assert "a restore takes 30m (median of 4), promised 15m" in texts(found)


def test_a_late_backup_is_missed_even_where_the_log_covers_the_data(tmp_path):
    made = system(tmp_path, rpo="5m", continuous="true")
    beats = [beat("2026-05-01T12:29:59"), beat("2026-05-01T12:29:59", "offsite")]
    assert of(made, past(point("2026-05-01T10:50"), beats=beats, **GOOD)).state == "missed"
    assert of(made, past(point("2026-05-01T11:50"), beats=beats, **GOOD)).state == "ok"


def test_a_pause_is_shown_and_excuses_nothing(tmp_path):
    pause = Pause("db", at("2026-05-01T02:00"), None, "migration")
    found = of(system(tmp_path), past(point("2026-05-01T02:00"), pause=pause, **GOOD))
    assert found.state == "missed"
    assert "paused: migration" in texts(found)


def test_a_kind_that_is_not_there_yet_is_unknown(tmp_path):
    made = plan(tmp_path)
    path = tmp_path / "holdfast.yaml"
    path.write_text(path.read_text() + "  ev: {kind: kafka, backup: daily, keep: {daily: 7}, bootstrap: 'k:1', topics: ['*']}\n")
    from holdfast.plan import load

    found = of(load(path).effective("ev"), Past())
    assert found.state == "unknown"
    assert made.systems == ("db",)


def test_the_platform_is_as_good_as_its_worst_system(tmp_path):
    made = system(tmp_path)
    good = status("p", [made], Windows(), dt.UTC, {"db": past(point("2026-05-01T12:00"), **GOOD)}, now=NOW)
    assert good.state == "ok"
    assert status("p", [made], Windows(), dt.UTC, {}, now=NOW).state == "unknown"
    assert status("p", [], Windows(), dt.UTC, {}, now=NOW).state == "unknown"
    document = good.document()
    assert document["systems"][0]["exposure"][0]["exposure_seconds"] == 1800
    assert document["systems"][0]["rto"] == {
        "promised_seconds": 900,
        "measured_seconds": 60,
        "worst_seconds": 70,
        "samples": 3,
        "holds": None,
    }


def test_a_point_in_too_few_locations_does_not_count_and_who_is_behind_is_told(tmp_path):
    made = system(tmp_path, copies=2)
    points = point("2026-05-01T11:50"), point("2026-05-01T12:20", locations=("onsite",))
    found = of(made, past(*points, behind={"offsite": Behind(1, 3, 1 << 20, 5, 1 << 20, 900.0)}, **GOOD))
    assert found.state == "missed"
    assert "the newest recovery point is in 1 of 2 locations that the plan demands (onsite)" in texts(found)
    assert "ok: offsite is behind: it lacks 1 recovery point (3 packs, 1 MiB)" in texts(found)
    assert "ok: the log in offsite is 15m behind" in texts(found)
    assert [one.as_of for one in found.exposures] == [at("2026-05-01T11:50")] * 2
    assert found.exposures[1].document()["behind"]["packs"] == 3
    # One that could not be asked may hold it, and then all of it is protected.
    away = of(made, past(*points[1:], unreachable={"offsite": "gone"}, **GOOD))
    assert [one.state for one in away.exposures] == ["unknown", "unknown"]
    assert "offsite could not be asked" in away.exposures[0].why
    assert "unknown: the newest recovery point is in 1" in texts(of(made, past(*points, unreachable={"offsite": "gone"}, **GOOD)))


def test_prometheus_text_is_golden(tmp_path):
    made = system(tmp_path, rpo="1h")
    known = {"behind": {"onsite": Behind(2, 30, 4096, 1, 100, 12.5)}}
    seen = past(point("2026-05-01T12:00"), **known, **{**GOOD, "restore": None, "unreachable": {"offsite": "refused"}})
    found = prometheus.text(status("p", [made], Windows(), dt.UTC, {"db": seen}, now=NOW))
    assert found == GOLDEN


def test_the_file_is_replaced_whole(tmp_path):
    target = tmp_path / "holdfast.prom"
    target.write_text("old")
    prometheus.write(target, "new\n")
    assert target.read_text() == "new\n"
    assert [path.name for path in tmp_path.iterdir()] == ["holdfast.prom"]
    assert target.stat().st_mode & 0o777 == 0o644
    with pytest.raises(prometheus.MetricsUnwritable):
        prometheus.write(tmp_path / "no" / "x.prom", "new\n")


GOLDEN = """\
# HELP holdfast_state 1 for the state that the system is in: ok, missed or unknown.
# TYPE holdfast_state gauge
holdfast_state{system="db",state="ok"} 0
holdfast_state{system="db",state="missed"} 0
holdfast_state{system="db",state="unknown"} 1
# HELP holdfast_exposure_seconds Time whose changes would be lost if the system were gone now.
# TYPE holdfast_exposure_seconds gauge
holdfast_exposure_seconds{system="db",location="onsite"} 1800
holdfast_exposure_seconds{system="db",location="offsite"} +Inf
# HELP holdfast_rpo_seconds Promised limit of the exposure.
# TYPE holdfast_rpo_seconds gauge
holdfast_rpo_seconds{system="db",location="onsite"} 3600
holdfast_rpo_seconds{system="db",location="offsite"} 3600
# HELP holdfast_behind_points Recovery points that the location lacks and another one has; +Inf when it could not be asked.
# TYPE holdfast_behind_points gauge
holdfast_behind_points{system="db",location="onsite"} 2
holdfast_behind_points{system="db",location="offsite"} +Inf
# HELP holdfast_behind_packs Packs that these points need and the location lacks.
# TYPE holdfast_behind_packs gauge
holdfast_behind_packs{system="db",location="onsite"} 30
holdfast_behind_packs{system="db",location="offsite"} +Inf
# HELP holdfast_behind_bytes Bytes of these packs.
# TYPE holdfast_behind_bytes gauge
holdfast_behind_bytes{system="db",location="onsite"} 4096
holdfast_behind_bytes{system="db",location="offsite"} +Inf
# HELP holdfast_behind_log_seconds From the newest log in the location to the newest in any.
# TYPE holdfast_behind_log_seconds gauge
holdfast_behind_log_seconds{system="db",location="onsite"} 12.5
holdfast_behind_log_seconds{system="db",location="offsite"} +Inf
# HELP holdfast_rto_seconds Promised time to be back.
# TYPE holdfast_rto_seconds gauge
holdfast_rto_seconds{system="db"} 900
# HELP holdfast_restore_seconds Measured time of a restore, median; +Inf when none was measured.
# TYPE holdfast_restore_seconds gauge
holdfast_restore_seconds{system="db"} +Inf
# HELP holdfast_last_backup_timestamp_seconds Commit time of the newest recovery point.
# TYPE holdfast_last_backup_timestamp_seconds gauge
holdfast_last_backup_timestamp_seconds{system="db"} 1777636860
# HELP holdfast_last_proof_timestamp_seconds When the depth of proof was last tried.
# TYPE holdfast_last_proof_timestamp_seconds gauge
holdfast_last_proof_timestamp_seconds{system="db",tier="restore"} 1777518000
# HELP holdfast_last_proof_ok 1 when the last proof passed, 0 when it failed.
# TYPE holdfast_last_proof_ok gauge
holdfast_last_proof_ok{system="db",tier="restore"} 1
# HELP holdfast_points Recovery points.
# TYPE holdfast_points gauge
holdfast_points{system="db"} 1
# HELP holdfast_paused 1 while a person has paused the system's schedule.
# TYPE holdfast_paused gauge
holdfast_paused{system="db"} 0
# HELP holdfast_status_timestamp_seconds When this was found.
# TYPE holdfast_status_timestamp_seconds gauge
holdfast_status_timestamp_seconds 1777638600
"""
