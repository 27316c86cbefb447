"""The meta of an increment that joins others says of all of them what theirs said of each."""

from holdfast.systems.postgres.follow.meta import MOST_MERGED, merge


def meta(number, **more):
    return {
        "system_identifier": "7", "timeline": 1, "segment_size": 16 << 20, "commits": 1,
        "server_time": f"2026-01-01T00:00:{number:02}.000000+00:00",
        "first_commit": f"2026-01-01T00:00:{number:02}.100000+00:00",
        "last_commit": f"2026-01-01T00:00:{number:02}.200000+00:00",
        "last_commit_lsn": f"0/{number}", "xid_min": 100 + number, "xid_max": 200 + number, "record_end": f"0/{number}8",
        "samples": [[f"2026-01-01T00:00:{number:02}.100000+00:00", f"0/{number}"]],
    } | more  # fmt: skip


def test_what_it_says_holds_for_all():
    mark = {"name": "x", "lsn": "0/2", "end": "0/3", "time": "2026-01-01T00:00:02.000000+00:00"}
    merged = merge([meta(1), meta(2, restore_points=[mark]), meta(3, history="text")])
    assert merged["commits"] == 3
    assert merged["first_commit"].startswith("2026-01-01T00:00:01.1")
    assert merged["last_commit"].startswith("2026-01-01T00:00:03.2")
    assert merged["server_time"].startswith("2026-01-01T00:00:03.0")
    assert (merged["xid_min"], merged["xid_max"]) == (101, 203)
    assert (merged["last_commit_lsn"], merged["record_end"]) == ("0/3", "0/38")
    assert merged["restore_points"] == [mark]
    assert len(merged["samples"]) == 3
    assert merged["history"] == "text"


def test_one_without_commits_takes_nothing_away():
    idle = {"system_identifier": "7", "timeline": 1, "segment_size": 16 << 20, "commits": 0}
    merged = merge([idle, meta(5), idle])
    assert merged == {**meta(5), "commits": 1}


def test_clocks_that_went_back_widen_the_range():
    merged = merge([meta(9), meta(3)])
    assert merged["first_commit"].startswith("2026-01-01T00:00:03")
    assert merged["last_commit"].startswith("2026-01-01T00:00:09")


def test_it_stays_small_and_joins_again():
    merged = merge([meta(number % 60) for number in range(5000)])
    assert len(merged["samples"]) <= MOST_MERGED
    assert merge([merged, merged])["commits"] == 10_000
