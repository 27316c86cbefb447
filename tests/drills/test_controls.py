"""A control that is green, or red for another reason than its own, fails the drill."""

import pytest

from holdfast.assembly.drills.restorer import PlatformRestorer
from holdfast.drills.errors import DrillUsage
from holdfast.errors import Unreachable
from holdfast.model import Silent
from tests.drills.kit import Shop, failed

pytestmark = pytest.mark.timeout(1800)
LOST = "drill: lost\ntitle: lost\nsystems: docs\ndisaster: {kind: system-lost}\ncriteria: [sentinel, structure, content]\n"


@pytest.fixture
def shop(tmp_path):
    return Shop(None, tmp_path)


@pytest.mark.parametrize("control", ["stale", "truncated", "poisoned"])
def test_fed_with_something_sound_the_drill_fails(shop, monkeypatch, control):
    """As if the feeding itself were broken: the control is green, so it proves nothing."""
    recover = PlatformRestorer.recover
    monkeypatch.setattr(
        PlatformRestorer, "recover", lambda self, until, control, clocks, progress: recover(self, until, None, clocks, progress)
    )
    done = shop.drill(LOST, ("docs",), controls=(control,))
    assert done.outcome == "failed"
    assert failed(done) == [f"docs/control {control}"]
    (check,) = [one for one in done.checks if one.kind == "control"]
    assert check.actual.startswith("green: ")
    assert [one.about for one in done.findings] == [f"docs/control/control {control}"]


@pytest.mark.parametrize("control", ["truncated", *(pytest.param(name, marks=pytest.mark.soak) for name in ("stale", "poisoned"))])
def test_red_for_another_reason_fails_it_too(shop, monkeypatch, control):
    recover = PlatformRestorer.recover

    def broken(self, until, control, clocks, progress):
        if control is not None:
            raise Unreachable("The network is down.")
        return recover(self, until, control, clocks, progress)

    monkeypatch.setattr(PlatformRestorer, "recover", broken)
    done = shop.drill(LOST, ("docs",), controls=(control,))
    assert failed(done) == [f"docs/control {control}"]
    (check,) = [one for one in done.checks if one.kind == "control"]
    assert "unreachable" in check.actual
    assert check.detail == "it was red for another reason"


def test_controls_come_by_their_schedule(shop):
    (shop.folder / "drills").mkdir()
    (shop.folder / "drills" / "lost.yaml").write_text(LOST + "negative: {stale: yearly, poisoned: yearly}\npeople: none\n")
    first = shop.call("drill", "lost")
    assert {one["name"] for one in first["checks"] if one["kind"] == "control"} == {"control stale", "control poisoned"}
    second = shop.call("drill", "lost")
    assert not [one for one in second["checks"] if one["kind"] == "control"]
    third = shop.call("drill", "lost", "--control", "truncated")
    assert {one["name"] for one in third["checks"] if one["kind"] == "control"} == {"control truncated"}


def test_what_comes_back_in_another_way_is_fed_with_what_is_older_than_the_marks(shop):
    text = LOST.replace("{kind: system-lost}", "{kind: location-lost}")
    done = shop.drill(text, ("docs",), controls=("stale",))
    assert (done.outcome, failed(done)) == ("ok", []), [one.to_json() for one in done.checks if one.state == "failed"]
    done = shop.drill(LOST, ("docs",), controls=("stale",))
    assert done.outcome == "ok"


def test_an_unknown_control_is_fed_with_nothing(shop):
    with shop.platform() as platform:
        restorer = PlatformRestorer(platform, "docs")
        with pytest.raises(DrillUsage, match="no control 'staIe'"), restorer.recover({"kind": "latest"}, "staIe", {}, Silent()):
            pass
