"""Several locations by the command line: who was away is completed by the next backup and by due; systems stay where they belong."""

import pytest

from tests.cli.running import answer, holdfast

PLAN = """
platform: acme
vault:
  key: {{env: KEY}}
  locations: [{{name: onsite, url: "file://{place}/onsite"}}, {{name: offsite, url: "file://{place}/offsite"}}]
systems:
  app: {{kind: files, paths: [{place}/app], backup: daily, keep: {{daily: 7}}, min_copies: 2}}
  local: {{kind: files, paths: [{place}/local], backup: daily, keep: {{daily: 7}}, locations: [onsite]}}
"""


@pytest.fixture
def place(tmp_path):
    (tmp_path / "holdfast.yaml").write_text(PLAN.format(place=tmp_path))
    for name in ("app", "local"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text(name * 1000)
    done = holdfast(tmp_path, "init", "--yes", KEY="open sesame")
    assert done.returncode == 0, done.stderr

    def run(*words, status=0):
        done = holdfast(tmp_path, *words, "--json", KEY="open sesame")
        assert done.returncode == status, done.stderr
        return answer(done)

    run.folder = tmp_path
    return run


def behind(run):
    return {one["url"].rsplit("/", 1)[1]: one["behind"]["points"] for one in run("vault", "status")["locations"]}


@pytest.mark.parametrize("by", ["backup", "due"])
def test_who_was_away_is_completed_when_it_is_back(place, by):
    place("backup", "app")
    (place.folder / "offsite").rename(place.folder / "away")
    (place.folder / "app" / "more").write_text("more" * 1000)
    failed = place("backup", "app", status=3)
    assert "point-not-everywhere" in str(failed)
    [system] = place("status", "app", status=1)["systems"]
    assert system["state"] == "unknown"
    (place.folder / "away").rename(place.folder / "offsite")
    assert behind(place) == {"onsite": 0, "offsite": 1}
    if by == "backup":
        (place.folder / "app" / "last").write_text("last" * 1000)
        place("backup", "app")
    else:
        [due] = [one for one in place("due", "--run")["due"] if one["verb"] == "copy"]
        assert (due["system"], due["outcome"], due["facts"]["points"]) == ("app", "ok", 1)
    assert behind(place) == {"onsite": 0, "offsite": 0}
    place("vault", "check", "--read", "all")


def test_what_belongs_to_one_location_stays_there(place):
    place("backup", "app")
    [point] = place("backup", "local")["points"]
    copies = {one["to"]: one for one in place("vault", "copy")["copies"]}
    assert copies["offsite"]["points"] == 0
    assert not (place.folder / "offsite" / "points" / point["id"]).exists()
    assert (place.folder / "onsite" / "points" / point["id"]).exists()
    assert behind(place) == {"onsite": 0, "offsite": 0}
