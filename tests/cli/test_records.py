"""The journal and the plan travel with the data: copied after a command, found again from the vault alone."""

import shutil

from tests.cli.running import answer, holdfast

PLAN = """
platform: shop
vault:
  key: {{env: HOLDFAST_KEY}}
  locations:
    - {{name: near, url: "file://{near}"}}
    - {{name: far, url: "file://{far}"}}
tiers:
  t: {{rpo: 2d, rto: 1h, backup: daily, keep: {{last: 3}}}}
systems:
  orders: {{kind: postgres, tier: t, dsn: {{env: ORDERS_DSN}}}}
"""
KEY = {"HOLDFAST_KEY": "correct horse battery staple", "ORDERS_DSN": "postgresql://nobody@127.0.0.1:1/none"}


def create(tmp_path):
    from holdfast.model import SystemClock
    from holdfast.storage.local import LocalStorage
    from holdfast.vault import Vault
    from holdfast.vault.keys.slots import PassphraseCost

    places = [tmp_path / "near", tmp_path / "far"]
    storages = [LocalStorage(str(place), create=True) for place in places]
    cost = PassphraseCost(memory_kib=8, passes=1)
    Vault.create(storages, KEY["HOLDFAST_KEY"], clock=SystemClock(), cache=tmp_path / "made", cost=cost)
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "holdfast.yaml").write_text(PLAN.format(near=places[0], far=places[1]))
    return places, tmp_path / "home"


def held(place, kind):
    return sorted(path.name for path in (place / kind).rglob("*") if path.is_file()) if (place / kind).exists() else []


def test_a_command_leaves_journal_and_plan_in_every_location_and_an_empty_machine_finds_them(tmp_path):
    places, home = create(tmp_path)
    for again in range(2):
        done = holdfast(home, "vault", "prune", "--yes", "--json", **KEY)
        assert done.returncode == 0, done.stderr
        for place in places:
            assert len(held(place, "plan")) == 1
            assert len(held(place, "journal")) == 3 + 2 * again
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    shutil.rmtree(places[0])
    places[1].rename(elsewhere / "rescued")
    done = holdfast(elsewhere, "vault", "open", f"file://{elsewhere / 'rescued'}", "--write-plan", "plan.yaml", "--json", **KEY)
    assert done.returncode == 0, done.stderr
    assert answer(done)["plan_from"] == "vault"
    shown = holdfast(elsewhere, "--plan", "plan.yaml", "plan", "show", "--json", **KEY)
    assert shown.returncode == 0, shown.stderr
    plan = answer(shown)["plan"]
    assert (plan["platform"], list(plan["systems"])) == ("shop", ["orders"])
    assert plan["tiers"]["t"]["rpo"] == "2d"
    assert [place["url"] for place in plan["vault"]["locations"]] == [f"file://{elsewhere / 'rescued'}"]
    listed = holdfast(elsewhere, "--plan", "plan.yaml", "vault", "status", "--json", **KEY)
    assert listed.returncode == 0, listed.stderr


def test_what_cannot_be_copied_is_told_and_fails_nothing(tmp_path):
    places, home = create(tmp_path)
    (places[1] / "journal").write_text("a file where a folder is needed")
    done = holdfast(home, "vault", "prune", "--yes", "--json", **KEY)
    assert done.returncode == 0, done.stderr
    assert "were not copied into" in done.stderr
    assert str(places[1]) in done.stderr
    assert answer(done)["done"]["points"] == 0
    assert len(held(places[0], "journal")) == 3


def test_without_a_stored_plan_a_bare_one_is_written(tmp_path):
    places, home = create(tmp_path)
    done = holdfast(home, "vault", "open", f"file://{places[0]}", "--write-plan", "new.yaml", "--json", **KEY)
    assert done.returncode == 0, done.stderr
    assert answer(done)["plan_from"] == "points"
