"""The plan that the design shows: every key of it is known, typed, and refused when misspelt."""

import json
from pathlib import Path

import jsonschema
import pytest

from holdfast.plan import examine, load
from holdfast.plan import schema as schema_module
from holdfast.plan.source.reader import read
from holdfast.plan.source.tree import Items, Mapping, plain

EXAMPLE = Path(__file__).parent / "example" / "holdfast.yaml"
TEXT = EXAMPLE.read_text()
FREE = {
    "vars",
    "labels",
    "scopes",
    "tiers",
    "systems",
    "people",
    "channels",
    "during",
    "storage",
    "downtime_per_hour",
    "escalate_after",
    "rpo",
    "roles",
    "severity",
    "severities",
}
"""Mappings whose keys are names that the user chooses."""


def mappings():
    """(path, mark of the first key) of every mapping of the example whose keys are fixed."""
    tree, wrong = read(TEXT, "holdfast.yaml")
    assert not wrong

    def walk(node, path):
        if isinstance(node, Mapping):
            if not path or path[-1] not in FREE:
                yield path, next(iter(node.pairs.values())).mark
            for key, pair in node.pairs.items():
                yield from walk(pair.value, (*path, key))
        elif isinstance(node, Items):
            for number, value in enumerate(node.values):
                yield from walk(value, (*path, number))

    return list(walk(tree, ()))


def test_it_loads_and_every_part_is_typed():
    plan = load(EXAMPLE)
    orders = plan.effective("orders-db")
    assert [str(orders.tightest_rpo), str(orders.rto), orders.min_copies] == ["0:00:05", "0:15:00", 2]
    assert orders.spec.source == "prefer-standby"  # from defaults
    assert orders.labels["env"] == "prod"  # from vars
    assert [location.name for location in orders.locations] == ["onsite", "offsite"]
    assert plan.document.runbooks == "./runbooks"  # over base.yaml
    assert "lead" in plan.document.people  # from base.yaml
    assert plan.effective("audit-db").labels == {"team": "audit"}  # from systems.d
    assert plan.document.systems["events"].security.password.env == "KAFKA_PASSWORD"
    assert orders.spec.checks[0].on == "standby"  # not YAML's old word for true
    assert orders.spec.wal_backlog.limit == 200 * 2**30
    assert {name for name in plan.systems if not plan.effective(name).available} == {"events", "catalogue", "airflow"}


def test_it_has_warnings_only_about_its_window():
    _, problems = examine(EXAMPLE)
    assert {problem.severity for problem in problems} == {"warning"}
    assert all("no backup may start for 14h outside 20:00-06:00" in problem.message for problem in problems)


@pytest.mark.parametrize(("path", "mark"), mappings(), ids=lambda value: ".".join(map(str, value)) if isinstance(value, tuple) else "")
def test_an_unknown_key_is_told_with_its_place_everywhere(tmp_path, path, mark):
    lines = TEXT.splitlines(keepends=True)
    line = lines[mark.line - 1]
    flow = "{" in line[: mark.column - 1]
    before, after = line[: mark.column - 1], line[mark.column - 1 :]
    indent = " " * (mark.column - 1)
    lines[mark.line - 1] = f"{before}xyzzy: 1, {after}" if flow else f"{before}xyzzy: 1\n{indent}{after}"
    (tmp_path / "base.yaml").write_text((EXAMPLE.parent / "base.yaml").read_text())
    (tmp_path / "holdfast.yaml").write_text("".join(lines))
    _, problems = examine(tmp_path / "holdfast.yaml")
    told = [
        problem
        for problem in problems
        if problem.severity == "error" and (problem.mark.line, problem.mark.column) == (mark.line, mark.column)
    ]
    assert told, [str(problem) for problem in problems]
    expected = "'xyzzy' is no kind of system" if path == ("defaults",) else "unknown key 'xyzzy'"
    assert any(expected in problem.message and problem.hint for problem in told)


def test_the_shipped_schema_is_up_to_date():
    assert schema_module.FILE.read_text() == schema_module.text(), "run: python -m holdfast.plan.schema"


def test_the_example_and_its_parts_are_valid_by_the_schema():
    shipped = json.loads(schema_module.FILE.read_text())
    jsonschema.Draft202012Validator.check_schema(shipped)
    validator = jsonschema.Draft202012Validator(shipped)
    for path in EXAMPLE.parent.rglob("*.yaml"):
        assert [error.message for error in validator.iter_errors(plain(read(path.read_text(), "")[0]))] == []


@pytest.mark.parametrize(
    "spoiled",
    [
        {"platfrm": "x"},
        {"systems": {"a": {"kind": "postgre"}}},
        {"systems": {"a": {"kind": "postgres", "hots": []}}},
        {"systems": {"a": {"dsn": {"env": "X"}}}},
        {"tiers": {"a": {"rto": "soon"}}},
        {"vault": {"key": "literal", "locations": []}},
        {"defaults": {"postgres": {"maxlag": "5m"}}},
    ],
)
def test_the_schema_refuses_what_the_plan_refuses(spoiled):
    validator = jsonschema.Draft202012Validator(json.loads(schema_module.FILE.read_text()))
    assert list(validator.iter_errors(spoiled))
