"""A line of a journal that is torn or was changed keeps nobody from seeing the rest, and is told."""

from holdfast.incidents.timeline import outcome_of
from holdfast.incidents.written import newest_review
from tests.incidents.kit import host


def test_what_is_torn_is_passed_over_and_told(tmp_path):
    here = host(tmp_path)
    run = "20261121T100000-0a1b2c"
    here.journal.record("incident-plan.reviewed", by={"name": "anna"}, sha256="aa")
    here.journal.record("verify.end", run=run, data={"verdict": "restorable"})
    [path] = here.log.files()
    lines = path.read_bytes().splitlines(keepends=True)
    assert [b"anna" in line for line in lines[-2:]] == [True, False]
    others = here.log.others
    others.mkdir(parents=True)
    (others / "feed.jsonl").write_bytes(lines[-2].replace(b"anna", b"otto") + lines[-2].replace(b'"sha256"', b'"sha257"'))
    (others / "torn.jsonl").write_bytes(lines[-1][: lines[-1].find(run.encode()) + len(run) + 1])
    review = newest_review(here.log)
    assert review is not None
    assert (review.by, review.sha256) == ("anna", "aa")
    assert sorted(here.log.doubts) == ["feed:0", "feed:1"]
    assert outcome_of(run, here.log) == "restorable"
    assert sorted(here.log.doubts) == ["feed:0", "feed:1", "torn:0"]
