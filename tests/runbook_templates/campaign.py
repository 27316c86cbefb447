"""Each shipped runbook followed to its end although every process that drives it is killed, and what must hold afterwards."""

import json
import shutil
import tempfile
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.runbook_templates.database import Database
from tests.runbook_templates.drive import Followed, Follower, Line
from tests.runbook_templates.lake import Lake
from tests.servers import MinioServer, PostgresServer

Told = Callable[[str], None]


@dataclass(frozen=True)
class Pass:
    """One run of one runbook. ``moments``: where it is killed at each step, see ``doomed``; ``steps``: only there (all: None)."""

    what: str
    moments: tuple[str, ...]
    way: str = ""
    steps: tuple[str, ...] | None = None


PASSES = (
    Pass("database", ("before", "in")),
    Pass("database", ("dead",)),
    Pass("database", ("after",)),
    Pass("lake", ("before", "in"), "A"),
    Pass("lake", ("dead",), "B"),
    Pass("lake", ("after",), "A"),
    Pass("lake", ("after",), "B", ("restore-b", "protect")),
)


@dataclass(frozen=True)
class Passed:
    made: Pass
    lines: tuple[Line, ...]
    seconds: float
    reports: tuple[Path, ...]


def go(made: Pass, ground: Path, out: Path | None = None) -> Passed:
    """Raises AssertionError where something does not hold. ``out``: a folder for the signed report."""
    folder = Path(tempfile.mkdtemp(prefix=f"{made.what}-", dir=ground)) / "home"
    with _scene(made, folder) as scene:
        scene.prepare()
        follower: Follower = scene.follower
        known = follower.answer("runbook", "show", scene.runbook)["runbook"]
        ids = [step["id"] for step in known["steps"]]
        places = [(step, moment) for step in made.steps or ids for moment in made.moments]
        followed = follower.follow(scene.runbook, scene.parameters(), places, scene.awaited())
        settled = _settled(followed, known, places)
        scene.proved()
        twice = scene.done_twice()
        assert not twice, twice
        reports = _reported(follower, followed, settled, out, made)
    shutil.rmtree(folder.parent, ignore_errors=True)
    return Passed(made, tuple(followed.lines), followed.seconds, reports)


def _settled(followed: Followed, known: Mapping[str, Any], places: Collection[tuple[str, str]]) -> dict[str, str]:
    """The phase of each step. Every step that is to be done is done, by as few attempts as can be; every kill struck."""
    assert followed.document["outcome"] == "done"
    phases = {step["step"]: step["phase"] for step in followed.document["steps"]}
    attempts = {step["step"]: step["attempts"] for step in followed.document["steps"]}
    assert set(phases.values()) == {"done", "skipped"}
    left_out = {step["id"] for step in known["steps"] if step.get("when")}
    assert {step for step, phase in phases.items() if phase == "skipped"} <= left_out
    struck = {(line.step, line.moment) for line in followed.lines}
    assert struck == {(step, moment) for step, moment in places if phases[step] == "done"}
    for step in known["steps"]:
        again = step["kind"] == "wait" or step.get("repeatable")
        if step["kind"] == "automatic" and not again:
            # Only what was seen not to have happened may be begun again.
            own = [event for event in followed.events if event["data"].get("step") == step["id"]]
            seen = sum(event["kind"] == "probed" and event["data"]["answer"] == "no" for event in own)
            assert attempts[step["id"]] <= 1 + seen, f"{step['id']} was begun {attempts[step['id']]} times"
    return phases


def _reported(follower: Follower, followed: Followed, phases: Mapping[str, str], out: Path | None, made: Pass) -> tuple[Path, ...]:
    """The signed report: whole, by the vault too; with every step, and everybody who took part."""
    report = follower.folder / "report.json"
    follower.holdfast("report", followed.run, "--out", str(report))
    page = report.with_suffix(".html")
    follower.holdfast("report", followed.run, "--html", "--out", str(page))
    checked = follower.answer("evidence", "verify", str(report), "--vault")
    assert checked["verdict"] == "sound", checked
    evidence = json.loads(report.read_text())["evidence"]
    assert evidence["results"]["outcome"] == "done"
    assert evidence["scope"]["runbook"]["name"] == followed.document["runbook"]
    told = {one["step"]: one for one in evidence["results"]["steps"]}
    assert set(told) == set(phases), "a step is not in the report"
    for step, phase in phases.items():
        assert bool(told[step]["skipped"]) == (phase == "skipped"), told[step]
    entries = [entry["kind"] for entry in evidence["steps"]]
    assert len(entries) == len(followed.events), "an event is not in the report"
    assert {person["name"] for person in evidence["people"]} >= {"anna", "ben"}
    assert follower.answer("log")["whole"]
    if out is None:
        return ()
    kept = []
    for file in (report, page):
        there = out / f"{made.what}{made.way and '-' + made.way}-{'-'.join(made.moments)}{file.suffix}"
        shutil.copyfile(file, there)
        kept.append(there)
    return tuple(kept)


@contextmanager
def _scene(made: Pass, folder: Path) -> Iterator[Any]:
    if made.what == "database":
        with PostgresServer.create(15) as server:
            one = Database(folder, server)
            try:
                yield one
            finally:
                one.close()
                shutil.rmtree(one.ground, ignore_errors=True)
        return
    with MinioServer.create() as minio:
        lake = Lake(folder, minio, made.way)
        try:
            yield lake
            expected = {"A": (1, 0), "B": (0, 1)}[made.way]
            if "dead" not in made.moments:
                assert (lake.restores(), len(lake.damaged())) == expected
        finally:
            lake.close()
