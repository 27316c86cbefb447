"""A system that nothing can be returned to is never ok while a backup of it is scheduled."""

import datetime as dt

import pytest

from holdfast.plan import load
from holdfast.plan.shape.operations import Windows
from holdfast.protection.status import system_status
from tests.protection.plans import at, past

NOW = at("2026-05-01T12:30")


def scheduled(folder):
    lines = f"""
platform: acme
vault: {{key: {{env: KEY}}, locations: [{{name: onsite, url: "file://{folder}/v"}}]}}
systems:
  files: {{kind: files, paths: [/srv/app], backup: daily, keep: {{daily: 7}}}}
"""
    (folder / "holdfast.yaml").write_text(lines)
    return load(folder / "holdfast.yaml").effective("files")


@pytest.mark.parametrize("away", [{}, {"onsite": "its disk is gone"}])
def test_a_schedule_without_an_objective_is_missed_while_there_is_no_point(tmp_path, away):
    found = system_status(scheduled(tmp_path), Windows(), dt.UTC, past(unreachable=away), NOW)
    assert found.state == ("unknown" if away else "missed")
    if not away:
        assert [(one.text, one.hint) for one in found.reasons] == [("there is no recovery point to return to", "holdfast backup files")]
