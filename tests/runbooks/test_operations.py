"""Holdfast's own operations as steps: a point is taken, restored beside, looked at, agreed to; killed in the middle of the restore."""

from tests.cli.running import answer, holdfast
from tests.runbooks.kit import page

KEY = "correct horse battery staple"

RUNBOOK = page(
    "id: point\nholdfast: [backup, files, --label, before]\noutputs: {id: 'points[0].id'}\n"
    "probe: {holdfast: [points, files], expect: {'systems[0].points[0].label': before}}",
    'id: look\nholdfast: [restore, files, --into, "${target}", --to, "${point.id}", --dry-run]\n'
    'repeatable: true\nexpect: {"point.id": "${point.id}"}',
    "id: restore\nholdfast: [restore, files, --into, '${target}', --to, '${point.id}']\ntimeout: 5m\n"
    "probe: {command: [test, -d, '${target}']}\nundo: {command: [rm, -r, --, '${target}']}",
    'id: same\nshell: diff -r data "$PARAM_TARGET$PWD/data"\nrepeatable: true',
    "id: accept\nkind: human\ndo: Look into ${target}.",
    name="bring-back",
    front="systems: [files]\nparameters: {target: {type: path}}\n",
)  # fmt: skip


def protected(folder):
    (folder / "data").mkdir()
    (folder / "data" / "file").write_text("one\n")
    words = ["init", "--yes", "--platform", "acme", "--location", f"onsite=file://{folder}/vault", "--files", str(folder / "data")]
    done = holdfast(folder, *words, HOLDFAST_KEY=KEY)
    assert done.returncode == 0, done.stderr
    (folder / "runbooks").mkdir()
    (folder / "runbooks" / "bring-back.md").write_text(RUNBOOK)


def test_every_operation_is_a_step_and_gives_values_to_the_next(tmp_path):
    protected(tmp_path)
    assert holdfast(tmp_path, "runbook", "lint", "bring-back").returncode == 0
    ran = answer(holdfast(tmp_path, "runbook", "run", "bring-back", "--param", "target=./back", "--json", HOLDFAST_KEY=KEY))
    assert ran["waiting_for"]["step"] == "accept", ran
    [point] = answer(holdfast(tmp_path, "points", "--json", HOLDFAST_KEY=KEY))["systems"][0]["points"]
    assert ran["steps"][0]["outputs"] == {"id": point["id"]}
    assert (tmp_path / f"back{tmp_path}" / "data" / "file").read_text() == "one\n"
    aborted = answer(holdfast(tmp_path, "runbook", "abort", ran["run"], "--reason", "a test", "--json", HOLDFAST_KEY=KEY))
    assert [step["undo"] for step in aborted["steps"]] == [None, None, "undone", None, None]
    assert not (tmp_path / "back").exists()
    kinds = [entry["kind"] for entry in answer(holdfast(tmp_path, "log", "--json", HOLDFAST_KEY=KEY))["entries"]]
    assert "runbook.undo_finished" in kinds
    assert kinds[-1] == "runbook.ended"
    assert answer(holdfast(tmp_path, "runbook", "list", "--json"))["uncovered"] == []


def test_an_operation_that_fails_stops_the_run_and_is_tried_again_when_told(tmp_path):
    """The target is in the way: refused by the restore itself; put right, the probe says that nothing happened yet."""
    protected(tmp_path)
    (tmp_path / "runbooks" / "bring-back.md").write_text(RUNBOOK.replace("test, -d, '${target}'", "test, -d, '${target}/tmp'"))
    (tmp_path / "back").write_text("keep me")
    failed = holdfast(tmp_path, "runbook", "run", "bring-back", "--param", "target=./back", "--json", HOLDFAST_KEY=KEY)
    assert (failed.returncode, answer(failed)["status"]) == (1, "stopped")
    why = answer(failed)["why"]
    assert why.startswith("it ended with status ")
    assert "back" in why
    (tmp_path / "back").rename(tmp_path / "moved")
    again = answer(holdfast(tmp_path, "runbook", "resume", answer(failed)["run"], "--json", HOLDFAST_KEY=KEY))
    assert again["waiting_for"]["step"] == "accept", again
    assert (tmp_path / "moved").read_text() == "keep me"
