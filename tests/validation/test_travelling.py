"""Suites of expectations travel with the plan: into every location, and out of the vault onto an empty machine."""

import shutil

import pytest

from holdfast.assembly import Platform, lint
from holdfast.assembly.vault.records import StoredRecords
from holdfast.model import SystemClock
from holdfast.plan import beside, load
from holdfast.plan.portable import relocated
from holdfast.storage.local import LocalStorage
from holdfast.validation import suites
from holdfast.vault import Vault
from holdfast.vault.keys.slots import PassphraseCost
from tests.cli.running import answer, holdfast
from tests.delta.kit import write
from tests.validation.tables import expect, suite

PLAN = """
platform: acme
vault:
  key: {{env: HOLDFAST_KEY}}
  locations:
    - {{name: onsite, url: "file://{here}/vault", failure_domain: here}}
systems:
  lake:
    kind: delta
    url: "file://{here}/lake"
    backup: daily
    rpo: 1d
    keep: {{last: 3}}
    expectations: ./suites
    checks:
      - {{name: own, suite: "{here}/elsewhere/own.json", table: sales/orders}}
"""


@pytest.fixture
def home(tmp_path):
    (tmp_path / "holdfast.yaml").write_text(PLAN.format(here=tmp_path))
    (tmp_path / "suites" / "sales").mkdir(parents=True)
    (tmp_path / "elsewhere").mkdir()
    suite(tmp_path / "suites" / "sales" / "orders.json", expect("table_row_count_to_be_between", min_value=3))
    suite(tmp_path / "elsewhere" / "own.json", expect("column_values_to_not_be_null", column="id"))
    write(tmp_path / "lake" / "sales" / "orders", id=[1, 2, 3], amount=[1.5, 2.5, None])
    return tmp_path


def run(folder, *words, **more):
    return holdfast(folder, *words, HOLDFAST_KEY="k", HOLDFAST_SANDBOX=str(folder / "boxes"), **more)


def stored(home):
    return sorted(one.name for one in (home / "vault" / "plan").iterdir() if one.name.endswith(".suites"))


def test_from_nothing_but_the_vault_a_copy_is_judged_by_the_suites(home, tmp_path_factory):
    assert run(home, "init", "--yes").returncode == 0
    assert run(home, "backup", "lake").returncode == 0
    empty = tmp_path_factory.mktemp("empty")
    (home / "vault").rename(empty / "rescued")
    shutil.rmtree(home / "lake")
    for one in ("suites", "elsewhere"):
        shutil.rmtree(home / one)
    # A suite of that name that stands there is somebody's: nothing is written.
    (empty / "suites" / "sales").mkdir(parents=True)
    (empty / "suites" / "sales" / "orders.json").write_text("{}")
    opening = ("vault", "open", f"file://{empty}/rescued", "--write-plan", "holdfast.yaml", "--json")
    refused = run(empty, *opening)
    assert (refused.returncode, answer(refused)["error"]["code"]) == (4, "plan-in-the-way")
    assert not (empty / "holdfast.yaml").exists()
    shutil.rmtree(empty / "suites")
    done = run(empty, *opening, "--records", "records")
    assert done.returncode == 0, done.stderr
    own = beside(f"{home}/elsewhere/own.json")
    assert answer(done)["records"]["suites"] == sorted([own, "suites/sales/orders.json"])
    assert sorted(answer(done)["suites"]) == sorted([own, "suites/sales/orders.json"])
    assert (empty / "records" / "suites" / own).read_bytes() == (empty / own).read_bytes()
    assert lint(load(empty / "holdfast.yaml")) == []
    done = run(empty, "verify", "lake", "--no-content", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    [system] = answer(done)["systems"]
    judged = {one["name"].split(":")[0]: one["state"] for one in system["results"] if one["kind"] == "expectation"}
    assert judged == {"own": "passed", "suite sales/orders": "passed"}


def test_a_machine_that_lacks_some_takes_nothing_from_the_vault_and_says_so(home):
    storage = LocalStorage(str(home / "vault"), create=True)
    Vault.create([storage], "k", clock=SystemClock(), cache=home / "made", cost=PassphraseCost(memory_kib=8, passes=1))
    environ = {"HOLDFAST_KEY": "k", "HOLDFAST_STATE": str(home / "state"), "HOLDFAST_CACHE": str(home / "cache")}

    def copied() -> str:
        with Platform(load(home / "holdfast.yaml"), environ=environ) as platform:
            platform.vault()
            return " ".join(platform.copy_records())

    assert copied() == ""
    [first] = stored(home)
    assert copied() == ""
    assert stored(home) == [first]  # the same are not stored again
    (home / "elsewhere" / "own.json").unlink()
    said = copied()
    assert "own.json cannot be read" in said
    assert "holdfast plan lint" in said
    assert stored(home) == [first]
    # Who has none of them is no keeper of suites: nothing is stored, nothing told.
    (home / "suites" / "sales" / "orders.json").rename(home / "kept.json")
    assert copied() == ""
    assert stored(home) == [first]
    (home / "kept.json").rename(home / "suites" / "sales" / "orders.json")
    suite(home / "elsewhere" / "own.json", expect("column_values_to_be_unique", column="id"))
    assert copied() == ""
    assert len(stored(home)) == 2


def test_lint_says_which_suites_are_there_and_are_suites(home):
    assert lint(load(home / "holdfast.yaml")) == []
    (home / "suites" / "broken.json").write_text('{"expectations": [')
    (home / "suites" / "empty.json").write_text('{"expectations": []}')
    (home / "suites" / "utf-16.json").write_bytes((home / "elsewhere" / "own.json").read_text().encode("utf-16"))
    (home / "elsewhere" / "own.json").unlink()
    done = run(home, "plan", "lint", "--json")
    assert done.returncode == 2
    problems = answer(done)["problems"]
    line = PLAN.splitlines().index("    expectations: ./suites") + 1
    assert sorted((one["severity"], one["line"], one["path"]) for one in problems) == [
        ("error", line, "systems.lake.expectations"),
        ("error", line, "systems.lake.expectations"),
        ("warning", line, "systems.lake.expectations"),
        ("warning", line + 2, "systems.lake.checks[0].suite"),
    ]
    said = " ".join(one["message"] for one in problems)
    for words in ("broken.json is no JSON", "empty.json expects nothing", "utf-16.json is not UTF-8", "own.json cannot be read"):
        assert words in said


def test_what_stands_where_a_suite_belongs_is_seen(tmp_path):
    stored = StoredRecords(None, {}, {"suites/a.json": "{}", "../out.json": "{}", "b.json": "{}"}, {})
    (tmp_path / "suites").write_text("no folder")
    (tmp_path / "b.json").write_text("{}")
    assert stored.suites_in_the_way(tmp_path) == [tmp_path / "suites"]
    (tmp_path / "suites").unlink()
    assert stored.suites_in_the_way(tmp_path) == []
    assert stored.write_suites(tmp_path) == [tmp_path / "suites" / "a.json"]
    assert stored.write_suites(tmp_path) == []
    assert not (tmp_path.parent / "out.json").exists()


def test_nothing_out_of_the_vault_becomes_a_file_that_a_shell_or_a_login_reads(tmp_path):
    """Who took over a host that writes into the vault names places, too; the plan may be written into somebody's home."""
    own = beside(".hidden/own.json")
    places = (".bashrc", ".ssh/authorized_keys", "gx/.git/config", "gx/../.profile", ".suites/../.netrc", ".suites/.x")
    stored = StoredRecords(None, {}, {**dict.fromkeys((*places, "gx/a.json", own), "{}"), "Makefile": "all: ; rm -r x"}, {})
    assert stored.write_suites(tmp_path) == [tmp_path / "gx" / "a.json", tmp_path / own]
    assert sorted(one.name for one in tmp_path.iterdir()) == [".suites", "gx"]
    said = " ".join(stored.strange())
    assert all(repr(each) in said for each in (*places, "Makefile"))
    assert "gx/a.json" not in said


def test_what_is_too_much_to_travel_is_told(home, monkeypatch):
    monkeypatch.setattr(suites, "MOST", 200)
    plan = load(home / "holdfast.yaml")
    found = suites.gather(plan)
    assert (found.texts, found.too_many, len(suites.lost(found))) == ({}, True, 1)
    assert [one.severity for one in suites.lint(plan)] == ["warning"]


@pytest.mark.parametrize("path", ["/etc/gx/a.json", "../gx/a.json", "~/a.json", "gx/../../a.json", "."])
def test_what_lies_outside_of_the_plans_folder_gets_a_place_of_its_own(path):
    place = beside(path)
    assert place.startswith(".suites/")
    assert "/../" not in f"/{place}/"
    assert beside("other" + path) != place
    document = {"vault": {}, "systems": {"s": {"kind": "delta", "expectations": path, "checks": [{"name": "a", "suite": path}]}}}
    came = relocated(document, "file:///v", "K", suites=[place])["systems"]["s"]
    assert (came["expectations"], came["checks"][0]["suite"]) == (place, place)
    stayed = relocated(document, "file:///v", "K")["systems"]["s"]
    assert (stayed["expectations"], stayed["checks"][0]["suite"]) == (path, path)


def test_what_lies_below_the_plans_folder_stays_where_it_is():
    assert [beside(one) for one in ("a.json", "./gx/a.json", "gx//b/../a.json")] == ["a.json", "gx/a.json", "gx/a.json"]
    outside = {"vault": {}, "defaults": {"delta": {"expectations": "/etc/gx"}}}
    came = relocated(outside, "file:///v", "K", suites=[beside("/etc/gx") + "/a.json"])
    assert came["defaults"]["delta"]["expectations"] == beside("/etc/gx")
