"""kill -9 in each phase: the next command undoes what ran, and the drill is recorded as interrupted."""

import signal
import subprocess
import sys

import pytest

from holdfast.interfaces.cli.commands.drill.desk import desk_of, look_after
from holdfast.runbooks.actions.process import marked
from tests.drills.kit import Shop, fill, marks
from tests.drills.test_production import CORRUPT, targets
from tests.servers import PostgresServer, need

pytestmark = pytest.mark.timeout(1800)
LOST = "drill: lost\ntitle: lost\nsystems: docs\ndisaster: {kind: system-lost}\ncriteria: [sentinel, structure, content]\n"
PHASES = (
    "sentinel:begun",
    "stage:ended",
    "inject:begun",
    "recover:ended",
    "control:begun",
    "teardown:begun",
    "teardown:ended",
)
OTHERS = (
    "steady:begun",
    "earlier:ended",
    "backup:ended",
    "prepare drill:ended",
    "sentinel:ended",
    "detect:ended",
    "declare:ended",
    "validate:ended",
    "accept:ended",
)


def kill(shop, scenario: str, systems: str, target: str, phase: str) -> None:
    file = shop.folder / "scenario.yaml"
    file.write_text(scenario)
    words = [sys.executable, "-m", "tests.drills.killed", str(shop.folder), str(file), systems, target, phase]
    done = subprocess.run(words, env=shop.environ, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=1800)
    assert done.returncode == -signal.SIGKILL, done.stderr[-3000:]
    assert list((shop.folder / "state" / "drills").glob("*.json")), "a killed drill leaves its mark"


def looked_after(shop) -> None:
    """By a command that has nothing to do with drills."""
    shop.call("jobs", "--all")
    assert not list((shop.folder / "state" / "drills").glob("*.json"))
    assert not list((shop.folder / "state" / "drills").glob("drill-cache-*"))
    assert not (shop.boxes / "boxes").exists() or not list((shop.boxes / "boxes").iterdir())
    ended = shop.journal("drill.end")
    begun = shop.journal("drill.begin")
    assert [one.payload["run"] for one in ended] == [one.payload["run"] for one in begun]
    with shop.platform() as platform:
        assert not platform.journal.verify()


@pytest.mark.parametrize("phase", [*PHASES, *(pytest.param(phase, marks=pytest.mark.soak) for phase in OTHERS)])
def test_files(tmp_path, phase):
    shop = Shop(None, tmp_path)
    kill(shop, LOST, "docs", "", phase)
    looked_after(shop)
    assert shop.journal("drill.end")[0].payload["outcome"] == "interrupted"
    assert not list((tmp_path / "docs").glob(".holdfast*"))
    # Looked after once: the next command finds nothing to do.
    with shop.platform() as platform:
        assert look_after(platform) == []
    assert len(shop.journal("drill.end")) == 1


def test_its_incident_is_closed_with_a_word(tmp_path):
    shop = Shop(None, tmp_path)
    shop.plan.write_text(shop.plan.read_text() + "people: {dora: {name: Dora}}\nincidents: {on_call: dora}\n")
    kill(shop, LOST, "docs", "", "decide:begun")
    looked_after(shop)
    (incident,) = shop.call("incident", "list", "--all")["incidents"]
    assert (incident["state"], incident["outcome"]) == ("closed", "drill")
    assert any("process was killed" in str(one.payload) for one in shop.journal("incident."))


PAGE = """---
runbook: docs-back
title: The documents come back
parameters: {{target: {{type: path}}, beside: {{type: path}}}}
---
# The documents come back

```step
id: made
shell: 'echo x > "$PARAM_BESIDE"'
undo: {{shell: 'rm "$PARAM_BESIDE"'}}
```

```step
id: restore
holdfast: [restore, docs, --into, "${{target}}"]
```

```step
id: die
shell: |
  kill -9 "$DRILL_PROCESS"
  exec sleep 86400
```
"""


def test_a_runbook_that_it_followed(tmp_path):
    """What its steps made is undone by their own undo, what they started is ended, where it restored to is gone."""
    shop = Shop(None, tmp_path)
    (tmp_path / "runbooks").mkdir()
    (tmp_path / "runbooks" / "docs-back.md").write_text(PAGE.format())
    beside = tmp_path / "beside"
    page = f'runbook: {{name: docs-back, parameters: {{target: "${{into}}/docs", beside: "{beside}"}}, allow: [made, die]}}\n'
    kill(shop, LOST + page, "docs", "", "never")
    assert beside.exists()
    [run] = {one.payload["run"] for one in shop.journal("runbook.")}
    assert marked(run), "what the killed drill had begun goes on"
    looked_after(shop)
    assert not beside.exists()
    assert not marked(run)
    [ended] = shop.journal("runbook.ended")
    assert ended.payload["data"] == {"outcome": "aborted", "undone": ["made"]}


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    with need():
        servers = PostgresServer.create(15), PostgresServer.create(15)
    with servers[0], servers[1]:
        for server in servers:
            fill(server)
        folder = tmp_path_factory.mktemp("killed")
        shop = Shop(servers[0], folder, "  stage: {kind: postgres, tier: t, dsn: {env: STAGE_DSN}}\n", targets(stage="{system: stage}"))
        shop.environ["STAGE_DSN"] = servers[1].dsn
        yield shop, servers[1]


@pytest.mark.postgres
@pytest.mark.parametrize(
    "phase", ["inject:ended", *(pytest.param(phase, marks=pytest.mark.soak) for phase in ("sentinel:ended", "validate:begun"))]
)
def test_a_target(both, phase):
    shop, stage = both
    kill(shop, CORRUPT, "stage", "stage", phase)
    if phase != "sentinel:ended":
        assert stage.value("select count(*) from orders") == 280
    assert marks(stage)
    looked_after(shop)
    assert marks(stage) is None
    assert stage.value("select count(*) from orders") == 400
    assert stage.value("select count(*) from pg_class where relname like 'holdfast_drill%'") == 0


def test_a_drill_at_work_is_not_taken_for_a_killed_one(tmp_path):
    shop = Shop(None, tmp_path)
    kill(shop, LOST, "docs", "", "stage:ended")
    with shop.platform() as platform:
        desk = desk_of(platform)
        working = desk.markers.set("20990101T000000-aaaaaa", "other")
        assert look_after(platform) == []
        assert len(list((tmp_path / "state" / "drills").glob("*.json"))) == 2
        working.remove()
        assert "interrupted" in look_after(platform)[0]
    assert not list((tmp_path / "docs").glob(".holdfast*"))


@pytest.mark.postgres
def test_what_cannot_be_undone_now_is_tried_again(both):
    shop, stage = both
    kill(shop, CORRUPT, "stage", "stage", "inject:ended")
    stage.stop()
    try:
        shop.call("jobs", "--all")
        assert list((shop.folder / "state" / "drills").glob("*.json")), "what is not undone is not forgotten"
    finally:
        stage.start()
    looked_after(shop)
    assert stage.value("select count(*) from orders") == 400
