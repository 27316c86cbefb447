"""A person restores something small by hand, and the hash tells whether it was done: the printed steps are followed word for word."""

import hashlib
import subprocess
import sys

import pytest

from tests.cli.running import answer, environment, holdfast
from tests.delta.kit import write
from tests.servers import PostgresServer, need, service_account
from tests.servers.account import server_folder

PLAN = """
platform: acme
vault:
  key: {{env: HOLDFAST_KEY}}
  locations:
    - {{name: onsite, url: "file://{here}/vault", failure_domain: here}}
tiers:
  ordinary: {{backup: daily, rpo: 1d, keep: {{last: 5}}, verify: {{spot_check: monthly}}}}
systems:
  app: {{kind: files, tier: ordinary, paths: ["{here}/source"]}}
  raw: {{kind: bucket, tier: ordinary, url: "file://{here}/bucket"}}
  lake: {{kind: delta, tier: ordinary, url: "file://{here}/lake"}}
"""


@pytest.fixture
def run(tmp_path):
    (tmp_path / "holdfast.yaml").write_text(PLAN.format(here=tmp_path))
    for folder in ("source", "bucket"):
        for number in range(4):
            place = tmp_path / folder / "a folder" / f"it's {number}"
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(f"{folder} {number}".encode() * 50)
    write(tmp_path / "lake" / "orders", id=[1, 2, 3])

    def holdfast_here(*words, **env):
        return holdfast(tmp_path, *words, HOLDFAST_KEY="k", HOLDFAST_SANDBOX=str(tmp_path / "boxes"), **env)

    assert holdfast_here("init", "--yes").returncode == 0
    assert holdfast_here("backup").returncode == 0
    return holdfast_here


def by_hand(tmp_path, steps, target):
    """What a person does at a shell: the last line that it prints."""
    program = f"{sys.executable} -m holdfast.interfaces.cli.main"
    said = ""
    for step in steps:
        text = step.replace("/NEW/FOLDER", str(target))
        text = program + text.removeprefix("holdfast") if text.startswith("holdfast ") else text
        done = subprocess.run(
            text, shell=True, cwd=tmp_path, env=environment(tmp_path, HOLDFAST_KEY="k"), capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, (text, done.stderr)
        said = done.stdout
    return said.strip()


def test_who_follows_the_steps_can_record_it_and_nobody_else(run, tmp_path):
    name = "app"
    [due] = [one for one in answer(run("due", name, "--json"))["due"] if one["tier"] == "spot_check"]
    assert due["blocked"] == f"waits for a person: holdfast verify {name} --spot-check"
    assert "never proved: spot_check" in run("status", name).stdout

    asked = answer(run("verify", name, "--spot-check", "--json"))
    # Asked again, it is the same: who is half-way through need not begin anew.
    again = answer(run("verify", name, "--spot-check", "--json"))
    assert {**again, "asked_at": ""} == {**asked, "asked_at": ""}
    assert f"--record {asked['id']}" in run("verify", name, "--spot-check").stdout

    # Who did not do it: a hash of nothing, of the content without the nonce, no hash at all.
    assert run("verify", "--record", asked["id"], "--result", "done").returncode == 2
    guess = run("verify", "--record", asked["id"], "--result", hashlib.sha256(asked["nonce"].encode()).hexdigest(), "--json")
    assert (guess.returncode, answer(guess)["ok"]) == (1, False)
    assert answer(run("status", name, "--json"))["systems"][0]["proofs"]["spot_check"]["ok"] is False

    result = by_hand(tmp_path, asked["steps"], tmp_path / "got-back")
    # What was to be expected was told nowhere before.
    assert result.split()[0] not in guess.stdout + guess.stderr + "".join(path.read_text() for path in (tmp_path / "state").rglob("*.log"))
    done = run("verify", "--record", asked["id"], "--result", result, "--by", "Ada", "--note", "went well", "--json")
    assert (done.returncode, answer(done)) == (
        0,
        {"id": asked["id"], "system": name, "ok": True, "given": result.split()[0], "by": "Ada"},
    )
    assert run("verify", "--record", asked["id"], "--result", result).returncode == 2, "answered already"

    proof = answer(run("status", name, "--json"))["systems"][0]["proofs"]["spot_check"]
    assert proof["ok"] is True
    assert proof["point"] == asked["point"]
    assert 0 <= proof["age_seconds"] < 3600
    assert not [one for one in answer(run("due", name, "--json"))["due"] if one["tier"] == "spot_check"]
    # Another one is another one.
    assert answer(run("verify", name, "--spot-check", "--json"))["id"] != asked["id"]


def test_objects_and_tables_as_well_and_it_is_evidence(run, tmp_path):
    for name in ("raw", "lake"):
        asked = answer(run("verify", name, "--spot-check", "--json"))
        result = by_hand(tmp_path, asked["steps"], tmp_path / f"got-{name}")
        assert run("verify", "--record", asked["id"], "--result", result, "--by", "Ada").returncode == 0
    reports = [path.read_text() for path in (tmp_path / "state" / "evidence").rglob("*") if path.is_file()]
    assert sum("restore by hand, of a part drawn at random" in one for one in reports) == 2
    usage = run("verify", "--spot-check", "--json")
    assert (usage.returncode, answer(usage)["error"]["code"]) == (2, "spot-check-usage")


@pytest.mark.postgres
def test_a_table_is_got_back_by_hand(tmp_path):
    with need(), PostgresServer.create(15) as server:
        folder = server_folder("spot")
        plan = f"""
platform: acme
vault:
  key: {{env: HOLDFAST_KEY}}
  locations: [{{name: onsite, url: "file://{tmp_path}/vault"}}]
sandbox: {{directory: "{folder}/boxes"}}
systems:
  shop: {{kind: postgres, dsn: "{server.dsn}", data_directory: "{server.data}", backup: daily, rpo: 1d, keep: {{last: 5}}}}
"""
        (tmp_path / "holdfast.yaml").write_text(plan)
        server.execute("create table orders(id int primary key, note text, at timestamptz)")
        server.execute(
            "insert into orders select i, 'ü' || i, '2026-01-01'::timestamptz + i * interval '1 hour' from generate_series(1, 50) i"
        )

        def run(*words):
            return holdfast(tmp_path, *words, HOLDFAST_KEY="k", HOLDFAST_PG_BIN=str(server.bin))

        assert run("init", "--yes").returncode == 0
        assert run("backup", "shop").returncode == 0
        # What changes at the source afterwards changes nothing of what is to be got back.
        asked = answer(run("verify", "shop", "--spot-check", "--json"))
        assert asked["item"] == "postgres.public.orders"
        server.execute("delete from orders where id > 10")
        with server.connect() as session:
            session.execute(asked["steps"][2])
            [lazy] = session.execute(asked["steps"][3]).fetchone()
        assert run("verify", "--record", asked["id"], "--result", lazy).returncode == 1
        words = asked["steps"][0].replace("/NEW/FOLDER", f"{folder}/back").split()[1:]
        owner = ("--owner", service_account().name) if service_account().switch else ()
        restored = answer(run(*words, *owner, "--json"))
        copy = PostgresServer.attach(15, folder / "back", start=False)
        try:
            import psycopg

            with psycopg.connect(restored["result"]["connection"], autocommit=True) as session:
                session.execute(asked["steps"][2])
                [result] = session.execute(asked["steps"][3]).fetchone()
        finally:
            from tests.postgres.restore.conftest import stop

            stop(folder / "back")
            copy.remove()
        assert run("verify", "--record", asked["id"], "--result", result).returncode == 0
