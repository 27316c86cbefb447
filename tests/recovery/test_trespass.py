"""A restore into what the plan protects is told beforehand, and done only when somebody agrees."""

from pathlib import Path

import pytest

from holdfast.assembly import Platform
from holdfast.assembly.trespass import trespasses
from holdfast.interfaces.cli.commands.recover.restore import fetched_above
from holdfast.plan import BadValue, load
from holdfast.recovery import plan
from tests.cli.running import answer, holdfast

PLAN = """
platform: acme
vault:
  key: {{env: HOLDFAST_KEY}}
  locations:
    - {{name: onsite, url: "file://{here}/vault", failure_domain: here}}
defaults:
  bucket: {{backup: daily, rpo: 1d, keep: {{last: 3}}}}
  files: {{backup: daily, rpo: 1d, keep: {{last: 3}}}}
systems:
  raw: {{kind: bucket, url: "file://{here}/raw", prefixes: [landing/]}}
  app: {{kind: files, paths: ["{here}/srv"], exclude: [/tmp]}}
  inner: {{kind: files, paths: ["{here}/srv/inner"]}}
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    here = tmp_path_factory.mktemp("here")
    (here / "holdfast.yaml").write_text(PLAN.format(here=here))
    for name in ("raw/landing/one", "srv/one", "srv/inner/two"):
        (here / name).parent.mkdir(parents=True, exist_ok=True)
        (here / name).write_bytes(b"x")
    assert run(here, "init", "--yes").returncode == 0
    assert run(here, "backup").returncode == 0
    return here


def run(home, *words):
    return holdfast(home, *words, HOLDFAST_KEY="k")


def warned(home, system: str, into: str, **options) -> list[str]:
    """What the plan of such a restore says, made as the command makes it."""
    environ = {"HOLDFAST_KEY": "k", "HOLDFAST_STATE": str(home / "state"), "HOLDFAST_CACHE": str(home / "cache")}
    with Platform(load(home / "holdfast.yaml"), environ=environ) as platform:
        recovery = platform.recovery(system)
        if system == "raw" and "://" in into:
            options["address"] = into
        made = plan(recovery, platform.history(system), Path(into), {"kind": "latest"}, options)
        return trespasses(platform.plan, system, into, made.restore)


def test_a_buckets_own_address_is_asked_about(home):
    own = f"file://{home}/raw"
    dry = run(home, "restore", "raw", "--into", own, "--delta", "--dry-run", "--json")
    assert dry.returncode == 0, dry.stderr
    assert any("is what raw itself protects" in one for one in answer(dry)["warnings"])
    (home / "raw" / "landing" / "one").write_bytes(b"wrong")
    refused = run(home, "restore", "raw", "--into", own, "--delta", "--json")
    assert (refused.returncode, answer(refused)["error"]["code"]) == (4, "not-confirmed")
    assert (home / "raw" / "landing" / "one").read_bytes() == b"wrong"
    done = run(home, "restore", "raw", "--into", own, "--delta", "--yes")
    assert done.returncode == 0, done.stderr
    assert (home / "raw" / "landing" / "one").read_bytes() == b"x"


def test_what_another_system_protects_is_asked_about(home):
    for into in (f"file://{home}/srv/new", str(home / "srv" / "new")):
        [said] = warned(home, "raw", into)
        assert "is among what app protects" in said
    assert not (home / "srv" / "new").exists()
    (home / "link").symlink_to(home / "srv")
    [said] = warned(home, "raw", str(home / "link" / "new"))
    assert "app" in said
    assert len(warned(home, "raw", str(home / "srv" / "inner" / "new"))) == 2
    # A file's own road below the target leads into the other's folder, too.
    [said] = warned(home, "app", str(home / "srv" / "back"))
    assert "app itself protects" in said
    [said] = warned(home, "app", str(home / "raw" / "landing" / "back"))
    assert "is among what raw protects" in said


def test_free_ground_is_not_asked_about(home):
    for system, into in (
        ("raw", f"file://{home}/free"),
        ("raw", str(home / "srv2")),
        ("raw", str(home / "srv" / "tmp" / "new")),  # app leaves that out
        ("raw", f"file://{home}/raw-copy"),
        ("app", str(home / "free")),
        ("inner", str(home / "free")),
    ):
        assert warned(home, system, into) == [], into
    # Files to their own places: what the plan says two systems protect is its author's affair.
    assert warned(home, "app", "/", delta=True) == []
    assert warned(home, "inner", "/", delta=True) == []
    done = run(home, "restore", "inner", "--into", "/", "--delta", "--json")
    assert done.returncode == 0, done.stderr


def test_no_wal_at_all_is_said_without_a_unit():
    assert [fetched_above(one) for one in (None, "0", " 0 ", "1MiB")] == [None, 0, 0, 1 << 20]
    for wrong in ("", "1", "00x"):
        with pytest.raises(BadValue):
            fetched_above(wrong)
