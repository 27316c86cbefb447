"""A machine that knows no plan: what the vault alone tells of a files system is enough to list and restore it."""

import datetime as dt

from holdfast.assembly import bare_plan
from holdfast.model import RecoveryPoint
from holdfast.plan.loader import examine


def point(system, kind, facts):
    now = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    return RecoveryPoint(id="0" * 32, system=system, kind=kind, method="full", started_at=now, committed_at=now, facts=facts)


def test_a_plan_written_from_the_vault_alone_holds_files_systems(tmp_path):
    facts = {
        "roots": {"/etc/acme": {}},
        "git": {"pipelines": {"url": "https://git.example/acme/pipelines.git"}},
        "images": {"registry.example/acme/api:1": {}},
    }
    points = [point("app", "files", facts), point("bare", "files", {}), point("db", "postgres", {})]
    path = tmp_path / "holdfast.yaml"
    path.write_text(bare_plan(str(tmp_path / "vault"), "KEY", endpoint=None, points=points))
    plan, problems = examine(path)
    assert plan is not None, problems
    assert [problem for problem in problems if problem.severity == "error"] == []
    spec = plan.effective("app").spec
    assert spec.paths == ("/etc/acme",)
    assert str(spec.git[0].url) == "https://git.example/acme/pipelines.git"
    assert spec.images[0].name == "registry.example/acme/api:1"
