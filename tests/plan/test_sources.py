"""Includes, variables, defaults: what the sum is and where errors in it are told."""

import pytest

from holdfast.plan import BadValue, PlanInvalid, PlanMissing, load
from tests.plan.writing import SMALL, changed, errors, loaded, write


def test_later_files_win_and_the_including_file_over_all(tmp_path):
    write(
        tmp_path,
        "timezone: Europe/Paris\nrunbooks: ./base\nsystems: {x-db: {kind: postgres, tier: ordinary, dsn: {env: X}}}\n",
        "base.yaml",
    )
    write(tmp_path, "runbooks: ./one\nsystems: {x-db: {owner: first}}\n", "d/1.yaml")
    write(tmp_path, "runbooks: ./two\nsystems: {x-db: {owner: second}}\n", "d/2.yaml")
    plan = loaded(tmp_path, 'include: [base.yaml, "d/*.yaml"]\ntimezone: UTC\n' + SMALL)
    assert plan.document.timezone == "UTC"
    assert plan.document.runbooks == "./two"
    assert plan.document.systems["x-db"].owner == "second"
    assert plan.systems == ("x-db", "orders-db", "audit-db")
    assert [path.name for path in plan.files] == ["base.yaml", "1.yaml", "2.yaml", "holdfast.yaml"]


def test_lists_are_replaced_as_a_whole(tmp_path):
    write(tmp_path, "tiers: {critical: {locations: [elsewhere]}}\n", "base.yaml")
    assert loaded(tmp_path, "include: base.yaml\n" + SMALL).document.tiers["critical"].locations == ("onsite", "offsite")


def test_an_error_in_an_included_file_names_that_file(tmp_path):
    write(tmp_path, "\ntiers:\n  extra: {rto: 1h, rpoo: 5}\n", "d/tiers.yaml")
    assert errors(tmp_path, "include: d/tiers.yaml\n" + SMALL) == [
        "tiers.yaml:3:20: error: unknown key 'rpoo' in tiers.extra; did you mean 'rpo'?"
    ]


def test_includes_are_relative_to_the_file_that_names_them(tmp_path):
    write(tmp_path, "include: deeper.yaml\n", "d/first.yaml")
    write(tmp_path, "runbooks: ./deep\n", "d/deeper.yaml")
    assert loaded(tmp_path, "include: d/first.yaml\n" + SMALL).document.runbooks == "./deep"


def test_a_circle_is_refused(tmp_path):
    write(tmp_path, "include: b.yaml\n", "a.yaml")
    write(tmp_path, "include: a.yaml\n", "b.yaml")
    (said,) = errors(tmp_path, "include: a.yaml\n" + SMALL)
    assert said.startswith("b.yaml:1:10: error: a file includes itself: ")
    assert said.endswith("take this include out")
    assert said.count("→") == 2


def test_a_file_that_includes_itself_by_a_glob_is_fine(tmp_path):
    assert loaded(tmp_path, 'include: "*.yaml"\n' + SMALL).platform == "shop"


def test_a_missing_include_is_told_and_an_empty_glob_is_not(tmp_path):
    assert loaded(tmp_path, 'include: ["none.d/*.yaml"]\n' + SMALL)
    (said,) = errors(tmp_path, "include: [none.yaml]\n" + SMALL)
    assert said.startswith("holdfast.yaml:1:11: error: cannot include ")
    assert "No such file" in said


def test_variables_reach_keys_values_and_includes_and_keep_their_type(tmp_path):
    write(tmp_path, "runbooks: ./prod-books\n", "prod.yaml")
    text = 'include: "${env}.yaml"\nvars: {env: prod, copies: 2, name: "${env}-db", on: true}\n' + changed(
        "min_copies: 2", "min_copies: ${copies}"
    )
    text = text.replace("  audit-db:", '  "${name}":').replace(
        "{team: audit, region: eu}", '{env: "${env}!", raw: "$${env}", on: "x${on}"}'
    )
    plan = loaded(tmp_path, text)
    assert plan.document.tiers["critical"].min_copies == 2
    assert plan.document.systems["prod-db"].labels == {"env": "prod!", "raw": "${env}", "on": "xtrue"}
    assert plan.document.runbooks == "./prod-books"


def test_set_replaces_a_variable(tmp_path):
    text = "vars: {env: prod}\n" + changed("platform: shop", "platform: shop-${env}")
    assert loaded(tmp_path, text, ["env=stage"]).platform == "shop-stage"
    assert loaded(tmp_path, text, {"env": "qa"}).platform == "shop-qa"


@pytest.mark.parametrize(("setting", "hint"), [("evn=x", "Did you mean 'env'?"), ("env", "--set env=stage"), ("=x", "--set env=stage")])
def test_a_wrong_setting_is_told(tmp_path, setting, hint):
    with pytest.raises(BadValue) as caught:
        loaded(tmp_path, "vars: {env: prod}\n" + SMALL, [setting])
    assert hint in caught.value.hint


def test_an_unknown_variable_is_told_with_its_place(tmp_path):
    text = "vars: {env: prod}\n" + changed("platform: shop", "platform: shop-${evn}")
    assert errors(tmp_path, text)[0] == "holdfast.yaml:2:11: error: there is no variable 'evn'; did you mean 'env'?"


def test_variables_that_refer_to_each_other_for_ever_are_told(tmp_path):
    text = 'vars: {a: "${b}", b: "x${a}"}\n' + changed("platform: shop", "platform: ${a}")
    assert "the variable 'a' refers to itself: a → b → a" in errors(tmp_path, text)[0]


def test_defaults_by_kind_lie_below_the_systems_own_keys(tmp_path):
    text = SMALL + "defaults: {postgres: {from: prefer-standby, max_lag: 5m, wal_backlog: {warn: 1GiB, limit: 2GiB}, tier: ordinary}}\n"
    text = text.replace("    labels: {team: core}", "    labels: {team: core}\n    max_lag: 1m\n    wal_backlog: {warn: 3GiB}")
    plan = loaded(tmp_path, text)
    orders, audit = plan.document.systems["orders-db"], plan.document.systems["audit-db"]
    assert (orders.source, orders.max_lag.total_seconds(), orders.tier) == ("prefer-standby", 60, "critical")
    assert orders.wal_backlog.limit is None  # a key is taken as a whole
    assert audit.wal_backlog.limit == 2 * 2**30


def test_no_plan_and_an_unreadable_one(tmp_path):
    with pytest.raises(PlanMissing) as caught:
        load(tmp_path / "holdfast.yaml")
    assert "holdfast init" in caught.value.hint
    (tmp_path / "holdfast.yaml").mkdir()
    with pytest.raises(PlanMissing):
        load(tmp_path / "holdfast.yaml")


def test_an_empty_plan_says_what_it_lacks(tmp_path):
    with pytest.raises(PlanInvalid) as caught:
        loaded(tmp_path, "")
    assert {problem.message for problem in caught.value.problems} == {"the plan lacks 'platform'", "the plan lacks 'vault'"}
