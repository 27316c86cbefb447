"""An executor in the plan: heeded where it is understood, an error everywhere else."""

import pytest

from tests.plan.writing import SMALL, errors, loaded

LAKE = """\
  lake: {kind: KIND, url: "s3://acme/lake", tier: ordinary, executor: EXECUTOR}
"""


def plan(executor: str, kind: str = "delta") -> str:
    return SMALL + LAKE.replace("KIND", kind).replace("EXECUTOR", executor)


@pytest.mark.parametrize("kind", ["delta", "bucket"])
def test_kinds_that_can_be_shared_have_one(tmp_path, kind):
    given = '{spark: "spark://m:7077", key: {file: w.key}, least: 0B, options: {spark.cores.max: "2"}}'
    spec = loaded(tmp_path, plan(given, kind)).effective("lake").spec
    assert (spec.executor.spark, spec.executor.least, spec.executor.options) == ("spark://m:7077", 0, {"spark.cores.max": "2"})


WRONG = {
    "without a master": ("{key: {file: w.key}}", "delta", "spark"),
    "verification without its key": ('{spark: "spark://m:1", verify: true}', "delta", "needs a reader's key"),
    "a key for nothing": ('{spark: "spark://m:1", verify_key: {file: r}}', "delta", "of no use without verify"),
    "verification of a bucket": ('{spark: "spark://m:1", verify: true, verify_key: {file: r}}', "bucket", "verify tables, not buckets"),
    "a secret in the settings": (
        '{spark: "spark://m:1", options: {spark.authenticate.secret: hunter2}}',
        "delta",
        "holds a secret, which has no place in a plan",
    ),
    "a setting that is not Spark's": ('{spark: "spark://m:1", options: {cores: "2"}}', "delta", "no setting of Spark"),
    "the master once more": ('{spark: "spark://m:1", options: {spark.master: "spark://n:1"}}', "delta", "not set among the options"),
    "a key in the plan itself": ('{spark: "spark://m:1", key: hunter2}', "delta", "a literal stands where a secret belongs"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_would_not_be_heeded_is_an_error(tmp_path, case):
    executor, kind, said = WRONG[case]
    [found] = errors(tmp_path, plan(executor, kind))
    assert said in found
    assert "holdfast.yaml:2" in found
    assert "hunter2" not in found


@pytest.mark.parametrize(("kind", "more"), [("postgres", "dsn: {env: X}"), ("files", "paths: [/etc]")])
def test_a_kind_that_cannot_be_shared_has_none(tmp_path, kind, more):
    text = SMALL + f'  other: {{kind: {kind}, tier: ordinary, {more}, executor: {{spark: "spark://m:1"}}}}\n'
    [found] = errors(tmp_path, text)
    assert "unknown key 'executor' in systems.other" in found
