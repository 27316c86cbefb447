"""``holdfast expectations`` and the checks that a plan makes of suites, as people type them."""

import json

import pytest

from tests.cli.running import answer, holdfast
from tests.delta.kit import write

PLAN = """
platform: acme
vault:
  key: {{env: HOLDFAST_KEY}}
  locations:
    - {{name: onsite, url: "file://{here}/vault", failure_domain: here}}
systems:
  lake:
    kind: delta
    url: "file://{here}/lake"
    backup: daily
    rpo: 1d
    keep: {{last: 3}}
    expectations: ./suites
    checks:
      - {{name: exactly, suite: exact.json, table: sales/orders}}
"""


@pytest.fixture
def run(tmp_path):
    (tmp_path / "holdfast.yaml").write_text(PLAN.format(here=tmp_path))
    write(tmp_path / "lake" / "sales" / "orders", id=[1, 2, 3], amount=[1.5, 2.5, None])

    def holdfast_here(*words):
        return holdfast(tmp_path, *words, HOLDFAST_KEY="k", HOLDFAST_SANDBOX=str(tmp_path / "boxes"))

    assert holdfast_here("init", "--yes").returncode == 0
    assert holdfast_here("backup", "lake").returncode == 0
    return holdfast_here


def test_a_suite_is_printed_for_review_and_judged_by_the_plan(run, tmp_path):
    done = run("expectations", "lake", "--table", "sales/orders", "--exact")
    assert done.returncode == 0, done.stderr
    suite = json.loads(done.stdout)
    assert suite["meta"]["holdfast"]["coordinate"] == {"version": 0}
    assert {"type": "expect_table_row_count_to_equal", "kwargs": {"value": 3}, "meta": {}, "severity": "critical"} in suite["expectations"]
    (tmp_path / "exact.json").write_text(done.stdout)

    # The folder of suites is not there: what was to be judged was not, and nothing hides it.
    write(tmp_path / "lake" / "sales" / "orders", id=[4], amount=[None])
    assert run("backup", "lake").returncode == 0
    done = run("verify", "lake", "--no-content", "--json")
    [system] = answer(done)["systems"]
    results = {one["name"]: one for one in system["results"]}
    assert done.returncode == 1
    assert results["exactly"]["state"] == "skipped"
    assert results["exactly"]["expected"] == {"version": 0}
    assert results["suite ./suites"]["state"] == "failed"
    assert "holds no suite" in results["suite ./suites"]["detail"] or "cannot be read" in results["suite ./suites"]["detail"]

    done = run("when", "lake", "--check", "exactly", "--json")
    assert (done.returncode, answer(done)["error"]["code"]) == (2, "when-usage")


def test_usage_is_refused_before_anything_is_opened(run, tmp_path):
    (tmp_path / "there.json").write_text("mine")
    for words, status, code in (
        (("--table", "sales/orders", "--into", "there.json"), 4, "suite-taken"),
        (("--table", "sales/orders", "--within", "200"), 2, "expectations-usage"),
        (("--table", "sales/order"), 2, "table-unknown"),
    ):
        done = run("expectations", "lake", *words, "--json")
        assert (done.returncode, answer(done)["error"]["code"]) == (status, code)
    assert (tmp_path / "there.json").read_text() == "mine"
    assert not list((tmp_path / "boxes").glob("hf-*"))
