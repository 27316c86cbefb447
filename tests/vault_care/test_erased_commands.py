"""A system whose scope was erased has no history because it was destroyed; every command says that, and not that none was taken yet."""

import pytest

from tests.cli.running import answer, holdfast

PLAN = """
platform: acme
vault:
  key: {{env: KEY}}
  scopes: {{pii: {{key: {{env: PII}}}}}}
  locations: [{{name: onsite, url: "file://{place}/onsite"}}]
systems:
  app: {{kind: files, paths: [{place}/app], backup: daily, keep: {{daily: 7}}}}
  people: {{kind: files, paths: [{place}/people], backup: daily, keep: {{daily: 7}}, scope: pii}}
"""


@pytest.fixture
def run(tmp_path):
    (tmp_path / "holdfast.yaml").write_text(PLAN.format(place=tmp_path))
    for name in ("app", "people"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text(name)

    def run(*words, json=True):
        return holdfast(tmp_path, *words, *(["--json"] if json else []), KEY="open sesame", PII="another sesame")

    for words in (["init", "--yes"], ["backup", "app", "people"]):
        done = run(*words)
        assert done.returncode == 0, done.stderr
    run.folder = tmp_path
    return run


def test_points_and_restore_say_that_it_was_erased(run):
    assert [len(one["points"]) for one in answer(run("points"))["systems"]] == [1, 1]
    done = run("vault", "key", "erase-scope", "pii", "--yes")
    assert done.returncode == 0, done.stderr
    listed = run("points")
    assert listed.returncode == 0, listed.stderr
    app, people = answer(listed)["systems"]
    assert (len(app["points"]), app["erased"]) == (1, None)
    assert people["points"] == []
    assert "was erased" in people["erased"]
    text = run("points", "people", json=False)
    assert "was erased" in text.stderr
    assert "Take one" not in text.stdout + text.stderr
    restored = run("restore", "people", "--into", str(run.folder / "new"))
    assert restored.returncode == 4
    assert "vault-scope-erased" in restored.stdout + restored.stderr
    assert "was erased" in restored.stdout + restored.stderr
    assert "another scope in the plan" in restored.stdout + restored.stderr
    assert not (run.folder / "new").exists()
