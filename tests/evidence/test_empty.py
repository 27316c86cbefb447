"""Whatever a report is about: each of its fields that holds nothing is named with a reason."""

import random

import pytest

from holdfast.evidence.drilled import Begun, Check, Did, Ended, Finding, Flow, Step
from holdfast.evidence.empty import empty
from holdfast.evidence.page import page
from holdfast.evidence.page.pdf import pdf
from holdfast.journal import Record
from holdfast.protection.recorded import recorded
from tests.evidence.shop import Shop, any_facts, check


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    made = Shop(tmp_path_factory.mktemp("empty") / "shop")
    yield made
    made.close()


def unexplained(evidence):
    given = {one["field"]: one["reason"] for one in evidence["closure"]["empty"]}
    assert set(given) == set(empty(evidence))
    return [path for path, reason in given.items() if not reason]


@pytest.mark.parametrize(
    ("verb", "facts"),
    [
        ("verify", {}),
        ("verify", {"verdict": "passed", "results": [check("a", None, None)], "clocks": {"restore": 1.0}, "reached": {"time": None}}),
        ("restore", {"clocks": {"restore": 1.0, "total": 1.5}, "reached": {"point": "x"}, "until": {"kind": "latest"}}),
        ("when", {"found": None}),
        ("backup", {"point": "not there"}),
        ("vault-check", {"ok": True}),
        ("handover", {}),
    ],
)
def test_of_regular_runs(shop, verb, facts):
    for system in ("orders", None):
        evidence = shop.report(shop.run(verb, system=system, **facts)).evidence
        assert unexplained(evidence) == []


def test_of_runs_that_failed_or_were_lost(shop):
    assert unexplained(shop.report(shop.run(fails=True)).evidence) == []
    shop.platform.journal.record("verify.start", run="20260101T000000-dddddd", system="orders")
    assert unexplained(shop.report("20260101T000000-dddddd").evidence) == []


@pytest.mark.parametrize("seed", range(8))
def test_of_runs_that_say_anything(shop, seed):
    assert unexplained(shop.report(shop.run(**any_facts(random.Random(seed)))).evidence) == []


def ended(**more) -> Ended:
    person = Did("approver", "dora", "2026-11-21T10:00:00+00:00", "accepted", "accept")
    step = Step("restore", "Restore", "holdfast", "2026-11-21T10:00:00+00:00", "2026-11-21T10:00:01+00:00", 1.0, "ok", "ab" * 32)
    return Ended(
        verdict="passed",
        results=[Check("rows", "content", "passed", 1, 1)],
        clocks={"declare": 1.0, "restore": 2.0, "total": 2.0},
        people=[person],
        steps=[step],
        findings=[],
        sign_off=None,
        isolation="a folder of its own",
        isolation_proof=[],
        teardown=[],
        torn_down=True,
        **more,
    )


def drilled(shop, said: Ended):
    begun = Begun("restore", {"name": "lost", "title": "Lost", "hash": "ab" * 32}, ["orders"], {"orders": {"rto": 900.0}}, ["content"])
    with recorded(shop.platform.state, shop.platform.journal, shop.clock, "drill", None, **begun.to_json()) as work:
        work.add(**said.to_json())
    return shop.report(work.run)


def test_of_a_drill_that_leaves_out_what_it_may(shop):
    issued = drilled(shop, ended(absent={"closure.sign_off": "nobody was asked to"}))
    evidence = issued.evidence
    assert unexplained(evidence) == []
    assert {"field": "closure.sign_off", "reason": "nobody was asked to"} in evidence["closure"]["empty"]
    # A drill's promise for the whole is the strictest of its systems'.
    assert (evidence["results"]["rto"]["promised_seconds"], evidence["results"]["rto"]["kept"]) == (900.0, True)
    assert evidence["results"]["steps"][0]["skipped"] is None
    text = page(issued)
    assert "What is empty, and why" in text
    assert "nobody was asked to" in text
    assert pdf(issued).startswith(b"%PDF")


def test_a_drill_s_losses_findings_and_flows_stand_where_they_belong(shop):
    more = {
        "flows": [Flow("a", "b", "replayable", 7, "seven")],
        "rpo": {"lost_seconds": 2000.0, "newest_recovered": None, "newest_committed": None, "counted": "by a ledger"},
        "transactions_lost": 7,
        "reached": {"time": "2026-11-21T10:00:00+00:00"},
    }
    said = ended(**more)
    object.__setattr__(said, "findings", [Finding("slow", "core-data", "2026-12-01", "high", "again")])
    evidence = drilled(shop, said).evidence
    assert evidence["results"]["transactions_lost"] == 7
    assert evidence["results"]["reconciliation"][0]["state"] == "replayable"
    assert [one["owner"] for one in evidence["closure"]["findings"]] == ["core-data"]
    assert evidence["closure"]["retest"]["due"] == "2026-12-01"
    assert unexplained(evidence) == []


def test_steps_of_a_runbook_say_what_went_otherwise():
    from holdfast.evidence.procedure import steps_of

    snapshot = {"steps": [{"id": name, "title": name.title(), "kind": "automatic"} for name in ("one", "two", "three", "four")]}
    ada = {"by": {"name": "Ada"}}
    said = [
        ("begin", {"snapshot": snapshot}),
        ("started", {"step": "one", "attempt": 1}),
        ("finished", {"step": "one", "outcome": "failed", "message": "no room"}),
        ("started", {"step": "one", "attempt": 2}),
        ("finished", {"step": "one", "outcome": "ok", "streams": {"out": {"sha256": "cd" * 32, "size": 5}}}),
        ("skipped", {"step": "two", "reason": "done by hand", **ada}),
        ("approved", {"step": "three", "break_glass": True, "note": "nobody there", **ada}),
        ("ended", {"outcome": "done"}),
    ]
    import datetime as dt

    at = dt.datetime(2026, 11, 21, 10, tzinfo=dt.UTC)
    entries = [
        Record(
            n,
            "",
            f"runbook.{kind}",
            at + dt.timedelta(seconds=n),
            {"run": "r", "clock": {"boot": "b", "mono": float(n)}, "data": data},
            "",
            b"",
        )
        for n, (kind, data) in enumerate(said)
    ]
    one, two, three, four = steps_of(entries, "r")
    assert (one["deviation"], one["output"], one["output_bytes"]) == ("begun 2 times; failed: no room", "cd" * 32, 5)
    assert (one["seconds"], one["by"], one["outcome"]) == (3.0, "holdfast", "ok")
    assert (two["skipped"], two["by"], two["outcome"]) == ("done by hand", "Ada", "skipped")
    assert (three["deviation"], three["by"]) == ("by breaking the glass: nobody there", "Ada")
    assert four["skipped"] == "the run ended before it"
