"""What a report says: the run's facts, its clocks, its numbers; issued once, whatever is killed in between."""

import datetime as dt
import json
import os
import signal
import subprocess
import sys
import textwrap
import time

import pytest

from holdfast.assembly.evidence.period import all_tests
from holdfast.evidence import verifier
from holdfast.evidence.issue import RunGoesOn, RunNotFound
from holdfast.evidence.page import page
from holdfast.evidence.page.html import chosen
from holdfast.evidence.page.timeline import chart
from holdfast.journal.record import make
from holdfast.protection.measured import losses
from tests.evidence.shop import Shop, check


@pytest.fixture
def shop(tmp_path):
    made = Shop(tmp_path / "shop")
    yield made
    made.close()


def test_every_figure_comes_from_the_run(shop):
    evidence = shop.proved(results=[check("orders", [7], [7]), check("lines", 0, 2, "failed", "two too many")], verdict="failed").evidence
    assert evidence["test"]["objectives"] == {
        "tier": "t", "kind": "files", "rpo": {"near": 172800.0, "far": 172800.0}, "rto": 900.0, "mtd": None,
    }  # fmt: skip
    assert evidence["test"]["trigger"] == "command"
    assert evidence["scope"]["plan"] == shop.platform.plan.hash
    rto = evidence["results"]["rto"]
    assert (rto["promised_seconds"], rto["measured_seconds"], rto["kept"]) == (900.0, 4.7, True)
    assert {one["name"]: one["seconds"] for one in rto["phases"]} == {
        "detect": None, "declare": None, "decide": None, "wait": None, "prepare": 0.2, "restore": 2.5, "replay": 1.25, "validate": 0.75,
        "accept": None,
    }  # fmt: skip
    assert evidence["results"]["counts"] == {"passed": 1, "failed": 1, "skipped": 0}
    assert [one["finding"] for one in evidence["closure"]["findings"]] == ["check failed: lines"]
    assert evidence["closure"]["findings"][0]["owner"] == "core-data"
    assert evidence["people"][0]["role"] == "started it"
    assert evidence["history"]["rto"]["samples"] == 1


def test_loss_is_counted_in_recovered_data(shop):
    newest = (shop.clock.now() - dt.timedelta(seconds=90)).isoformat()
    idle = shop.proved(reached={"time": newest}).evidence["results"]["rpo"]
    assert 90 <= idle["lost_seconds"] < 100
    assert idle["at_most"]
    equal = shop.proved(reached={"time": newest}, exact=True).evidence["results"]["rpo"]
    assert (equal["lost_seconds"], equal["at_most"]) == (0.0, False)
    chosen_by_hand = shop.proved(reached={"time": newest}, until={"kind": "time"}).evidence["results"]["rpo"]
    assert chosen_by_hand["lost_seconds"] is None
    assert losses(shop.platform.state, "orders") == [pytest.approx(90, abs=10), 0.0, None]
    unknown = shop.proved(reached={"lsn": "0/1"}).evidence["results"]["rpo"]
    assert unknown["lost_seconds"] is None
    assert unknown["counted"].startswith("not measured")


def test_a_missed_promise_a_failure_and_a_proof_of_nothing_are_findings(shop):
    late = shop.proved(clocks={"restore": 1000.0}).evidence
    assert late["results"]["rto"]["kept"] is False
    assert "RTO missed: 1000.0 s, promised 900.0 s" in late["closure"]["findings"][0]["finding"]
    failed = shop.report(shop.run(fails=True)).evidence
    assert failed["results"]["outcome"] == "failed"
    assert failed["closure"]["findings"][0]["finding"] == "the run failed: RuntimeError"
    nothing = shop.proved(verdict="inconclusive", results=[check("a", 1, None, "skipped", "why")]).evidence
    assert "nothing was proved: no check passed" in [one["finding"] for one in nothing["closure"]["findings"]]
    assert nothing["scope"]["exclusions"] == [{"name": "a", "reason": "why"}]


@pytest.mark.parametrize(("by", "finding"), [(-30, "wall clock stepped back"), (600, "clocks disagree")])
def test_a_clock_that_was_set_during_a_run_is_a_finding_and_durations_are_right(shop, by, finding):
    from holdfast.protection.recorded import recorded

    with recorded(shop.platform.state, shop.platform.journal, shop.clock, "verify", "orders") as work:
        shop.clock.by += dt.timedelta(seconds=by)
    issued = shop.report(work.run)
    clocks = issued.evidence["clocks"]
    assert [one["finding"] for one in clocks["findings"]] == [finding]
    assert abs(clocks["wall_seconds"] - by) < 5
    assert 0 <= clocks["monotonic_seconds"] < 5
    assert any(finding in one["finding"] for one in issued.evidence["closure"]["findings"])
    verdict = verifier.verify(issued.data, {shop.root})
    assert verdict.state == "sound"
    assert any(finding in note for note in verdict.notes)


def test_a_run_has_one_report_and_a_deleted_one_leaves_its_number(shop):
    first, second = shop.proved(), shop.proved()
    assert shop.report(first.evidence["test"]["id"]).data == first.data
    path = shop.prover().reports.folder / second.chain / "00000002.json"
    path.unlink()
    third = shop.proved()
    assert third.number == 3
    assert third.evidence["previous"] == second.sha256
    stored = {number: data for _, number, data in _stored(shop)}
    assert stored == {1: first.data, 2: second.data, 3: third.data}


def _stored(shop):
    from holdfast.vault.records.proofs import Proofs

    vault = shop.platform.vault()
    return Proofs(vault.locations.storages[1], vault.notary, shop.clock.now).evidence()


def test_runs_that_are_unknown_or_go_on_have_no_report(shop):
    from holdfast.protection.recorded import recorded

    with pytest.raises(RunNotFound):
        shop.prover().find("2020")
    with pytest.raises(RunNotFound):
        shop.prover().find("latest")
    with recorded(shop.platform.state, shop.platform.journal, shop.clock, "verify", "orders") as work, pytest.raises(RunGoesOn):
        shop.report(work.run)
    assert shop.prover().find("latest").id == work.run


def test_another_process_reports_what_one_began_and_another_ended(shop):
    """As a runbook that is resumed: this process wrote the end alone."""
    shop.platform.journal.record("runbook.start", run="20260101T000000-aaaaaa", system="orders")
    shop.close()
    shop.open()
    shop.platform.vault()
    shop.platform.journal.record("runbook.end", run="20260101T000000-aaaaaa", system="orders", outcome="ok")
    assert shop.platform.copy_records() == []
    [issued] = shop.prover().reports.all()
    assert issued.evidence["test"]["verb"] == "runbook"


def test_a_runbook_s_run_is_told_with_its_people_steps_and_snapshot(shop):
    """In the form in which the engine of runbooks writes its events."""
    run, journal = "20260101T000000-cccccc", shop.platform.journal
    person = {"name": "Ada", "login": "ada", "host": "pc"}
    begun = {"snapshot": {"name": "restore-orders", "title": "Restore", "steps": []}, "hash": "ab" * 32, "parameters": {}, "by": person}
    events = [
        ("begin", begun),
        ("started", {"step": "stop", "attempt": 1}),
        ("finished", {"step": "stop", "outcome": "ok"}),
        ("approved", {"step": "go", "by": {**person, "name": "Grace"}}),
        ("ended", {"outcome": "done", "undone": []}),
    ]
    for n, (kind, data) in enumerate(events):
        journal.record(f"runbook.{kind}", run=run, n=n, at=shop.clock.now().isoformat(), data=data)
    shop.platform.vault()
    assert shop.platform.copy_records() == []
    [issued] = shop.prover().reports.all()
    evidence = issued.evidence
    assert evidence["results"]["outcome"] == "done"
    assert evidence["closure"]["findings"] == []
    assert evidence["scope"]["runbook"] == {"name": "restore-orders", "title": "Restore", "version": "ab" * 6, "hash": "ab" * 32}
    assert [(one["role"], one["name"]) for one in evidence["people"]][1:] == [("begin", "Ada"), ("approved", "Grace")]
    assert evidence["scope"]["plan"] == shop.platform.plan.hash
    assert "snapshot" not in evidence["steps"][0]["facts"]
    assert [(bar.lane, bar.name) for bar in chart(evidence).bars][-1] == ("steps", "stop")
    assert verifier.verify(issued.data, {shop.root}).state == "sound"
    assert "Grace" in page(issued)


def test_a_run_whose_process_was_killed_is_lost_and_said_so(shop):
    journal = shop.platform.journal
    journal.record("verify.start", run="20260101T000000-bbbbbb", system="orders")
    issued = shop.report("20260101T000000-bbbbbb")
    assert issued.evidence["results"]["outcome"] == "lost"
    assert verifier.verify(issued.data, {shop.root}).state == "sound"


KILLED = """
import os, signal, sys
from pathlib import Path
from tests.evidence.shop import Shop
from holdfast.evidence import issue

shop = Shop(Path(sys.argv[1]))
run = shop.run()
at = sys.argv[2]
if at == "drafted":
    issue.Reports._note = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
else:
    Path.rename = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
shop.report(run)
"""


@pytest.mark.parametrize("at", ["drafted", "noted"])
def test_killed_while_a_report_is_issued_numbers_stay_without_gaps(shop, at):
    first = shop.proved()
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(KILLED), str(shop.home), at], check=False, timeout=120, env={**os.environ})
    assert done.returncode == -signal.SIGKILL
    shop.open()
    reports = [shop.proved() for _ in range(2)]
    held = list(shop.prover().reports.all())
    assert [one.number for one in held] == list(range(1, len(held) + 1))
    assert len(held) == (3 if at == "drafted" else 4)
    verdicts = [verifier.verify(one.data, {shop.root}) for one in held]
    assert {one.state for one in verdicts} == {"sound"}
    assert verifier.gaps(verdicts) == []
    assert held[0].data == first.data
    assert held[-1].data == reports[-1].data


def test_a_page_says_what_the_report_says_and_carries_it(shop):
    issued = shop.proved(results=[check("<script>alert(1)</script>", "</script><b>", [7])])
    text = page(issued)
    assert "<script>alert" not in text
    assert text.count("<script") == 1
    carried = text.split('<script id="evidence" type="application/json">')[1].split("</script>")[0]
    assert verifier.canonical(json.loads(carried)) + b"\n" == issued.data
    assert "http://" not in text.replace("http://www.w3.org/2000/svg", "")
    assert "https://" not in text
    for said in ("4.7", "900.0", issued.evidence["test"]["id"], issued.sha256, "restore", "DORA", "art. 12"):
        assert said in text
    assert "ISO 22301" not in page(issued, "DORA art. 12").split("What auditors ask")[1]
    assert [one.clause for one in chosen("iso 8.6")] == ["8.6"]


def test_a_pdf_carries_the_signed_report(shop):
    from holdfast.evidence.page.pdf import pdf

    issued = shop.proved(results=[check("注文 and Über", "</script>", [7])])
    data = pdf(issued)
    assert data.startswith(b"%PDF-")
    import re
    import zlib

    streams = []
    for found in re.finditer(rb"stream\n(.*?)\nendstream", data, re.DOTALL):
        try:
            streams.append(zlib.decompress(found[1]))
        except zlib.error:
            streams.append(found[1])
    assert issued.data in streams
    assert pdf(issued) == data


def test_ten_thousand_runs_in_the_history_cost_a_report_little(shop):
    """By processor time, which others on the machine do not change: a report reads the history once or twice and parses little of it."""
    shop.proved()
    journal = shop.platform.journal
    [path] = journal.folder.glob("*.jsonl")
    last = list(journal.entries())[-1]
    lines, at = [], last.at
    for number in range(10_000):
        for kind in ("backup.start", "backup.end"):
            last = make(last.n + 1, last.hash, kind, at, {"run": f"20260101T000000-{number:06x}", "system": "orders", "outcome": "ok"})
            lines.append(last.line)
    with path.open("ab") as file:
        file.write(b"".join(lines))
    (journal.folder / f"{path.stem}.head").write_text(f"{last.n} {last.hash}\n")
    before = time.process_time()
    issued = shop.proved()
    took = time.process_time() - before
    assert issued.number == 2
    assert verifier.verify(issued.data, {shop.root}).state == "sound"
    assert took < 1.5
    before = time.process_time()
    assert all_tests(shop.platform, "2026-Q1")["doubts"] == []
    assert time.process_time() - before < 6
