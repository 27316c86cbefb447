"""``holdfast init`` and the plan commands, run as a person runs them."""

import contextlib
import os
import pty
import stat
import subprocess

from holdfast.plan import load
from holdfast.plan.template import Answers, PlaceAnswer, render
from tests.cli.running import PROGRAM, answer, environment, holdfast, with_plan
from tests.plan.writing import SMALL, changed, write

PASSPHRASE = "correct horse battery staple"


def begin(folder, *words, **env):
    return holdfast(folder, "init", "--yes", *words, HOLDFAST_KEY=PASSPHRASE, **env)


def test_a_first_init_writes_a_plan_makes_the_vault_and_shows_the_key_once(tmp_path):
    places = ["--location", str(tmp_path / "one"), "--location", f"vaulted=file://{tmp_path}/two"]
    done = begin(tmp_path, *places, "--system", "orders-db", "--dsn-env", "ORDERS_DSN", "--json")
    assert done.returncode == 0, done.stderr
    first = answer(done)
    assert (first["plan_written"], first["vault_created"]) == (True, True)
    assert first["recovery_key"].startswith("hf1-")
    assert [place["name"] for place in first["locations"]] == ["onsite", "vaulted"]
    assert (tmp_path / "one" / "config").exists()
    assert (tmp_path / "two" / "config").exists()
    plan = load(tmp_path / "holdfast.yaml")
    assert plan.warnings == ()
    assert plan.effective("orders-db").spec.dsn[0].env == "ORDERS_DSN"

    text = (tmp_path / "holdfast.yaml").read_text()
    again = begin(tmp_path, "--json")
    assert again.returncode == 0, again.stderr
    assert answer(again) == {**first, "plan_written": False, "vault_created": False, "recovery_key": None}
    assert (tmp_path / "holdfast.yaml").read_text() == text
    everything = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert first["recovery_key"].encode() not in everything
    assert PASSPHRASE.encode() not in everything
    assert holdfast(tmp_path, "init", "--yes", HOLDFAST_KEY="another").returncode == 2


def test_a_key_file_is_made_for_the_owner_alone_and_kept(tmp_path):
    done = begin(tmp_path, "--location", str(tmp_path / "v"), "--key-file", "the.key")
    assert done.returncode == 0, done.stderr
    assert stat.S_IMODE((tmp_path / "the.key").stat().st_mode) == 0o600
    key = (tmp_path / "the.key").read_text()
    assert key.strip() not in done.stdout + done.stderr
    assert begin(tmp_path, "--key-file", "the.key").returncode == 0
    assert (tmp_path / "the.key").read_text() == key


def test_what_is_missing_is_said_before_anything_is_written(tmp_path):
    for words, status, said in (
        ([], 2, "--location file:///var/lib/holdfast"),
        (["--location", "s4://x/y"], 2, "Write file:///folder or s3://"),
        (["--location", "/v", "--system", "a", "--dsn", "postgres://u:hunter2@h/d"], 2, "--dsn-env NAME"),
        (["--location", "/v", "--timezone", "Europe/Berln"], 2, "Europe/Berlin"),
    ):
        done = begin(tmp_path, *words)
        assert (done.returncode, said in done.stderr) == (status, True), done.stderr
        assert "hunter2" not in done.stderr
        assert not (tmp_path / "holdfast.yaml").exists()


def test_without_its_key_the_plan_is_kept_for_the_next_try(tmp_path):
    done = holdfast(tmp_path, "init", "--yes", "--location", str(tmp_path / "v"))
    assert done.returncode == 2
    assert "HOLDFAST_KEY cannot be read: it is not set" in done.stderr
    assert begin(tmp_path).returncode == 0


def test_an_empty_location_joins_the_vault_and_another_vault_does_not(tmp_path):
    assert begin(tmp_path, "--location", str(tmp_path / "one")).returncode == 0
    text = (tmp_path / "holdfast.yaml").read_text()
    line = next(line for line in text.splitlines() if "- {name: onsite" in line)
    wider = text.replace(line, f"{line}\n{line.replace('onsite', 'offsite').replace('/one', '/two')}")
    (tmp_path / "holdfast.yaml").write_text(wider)
    done = begin(tmp_path, "--json")
    assert done.returncode == 0, done.stderr
    assert (answer(done)["joined"], answer(done)["recovery_key"], answer(done)["vault_created"]) == (["offsite"], None, False)
    again = begin(tmp_path)
    assert (again.returncode, "and is kept" in again.stdout, "was empty" in again.stdout) == (0, True, False)
    (tmp_path / "elsewhere").mkdir()
    assert begin(tmp_path / "elsewhere", "--location", str(tmp_path / "three")).returncode == 0
    (tmp_path / "holdfast.yaml").write_text(wider.replace("/two", "/three"))
    done = begin(tmp_path)
    assert done.returncode == 4
    assert "hold different vaults" in done.stderr


def test_a_wrong_plan_makes_no_vault(tmp_path):
    with_plan(tmp_path, changed("rto: 15m", "rto: soon").replace("file:///var/lib/holdfast", f"file://{tmp_path}/v"))
    assert begin(tmp_path).returncode == 2
    assert not (tmp_path / "v").exists()


def test_every_plan_that_init_can_write_is_fine(tmp_path):
    places = [PlaceAnswer("onsite", "file:///v"), PlaceAnswer("away", "s3://b/p", "https://s3.example", "eu-west-1")]
    for number, answers in enumerate(
        [
            Answers("shop", {"env": "KEY"}, places[:1]),
            Answers(
                "yes", {"file": "/etc/holdfast key"}, places, "Europe/Berlin", "orders-db", {"env": "DSN"}, "/var/lib/postgresql/15/main"
            ),
            Answers("1st-shop", {"env": "KEY"}, places, "UTC", "on", 'host=/tmp dbname="a b" user=x'),
        ]
    ):
        plan = load(write(tmp_path / str(number), render(answers)))
        assert plan.platform == answers.platform
        assert plan.systems == ((answers.system,) if answers.system else ())


def test_lint_show_diff_and_assess_as_text(tmp_path):
    with_plan(tmp_path)
    lint = holdfast(tmp_path, "plan", "lint")
    assert lint.stdout.startswith("holdfast.yaml: fine, 2 systems, 2 locations, 0 warnings. sha256:")
    assert (lint.returncode, lint.stderr) == (0, "")
    show = holdfast(tmp_path, "plan", "show", "--effective", "label:team=audit")
    assert "rto: 2d" in show.stdout
    assert "orders-db" not in show.stdout
    (tmp_path / "new.yaml").write_text(changed("rto: 15m", "rto: 20m"))
    diff = holdfast(tmp_path, "plan", "diff", "holdfast.yaml", "--plan", "new.yaml")
    assert diff.stdout == "~ tiers.critical.rto: 15m → 20m\n\nWeaker than before:\n  orders-db: rto grows from 15m to 20m\n"
    assess = holdfast(tmp_path, "plan", "assess")
    assert "not measured yet" in assess.stdout
    merged = answer(holdfast(tmp_path, "plan", "show", "--json"))
    assert merged["plan"]["platform"] == "shop"


def test_warnings_count_as_errors_when_asked(tmp_path):
    with_plan(tmp_path, SMALL + "quiesce: {airflow: [pause]}\n")
    assert holdfast(tmp_path, "plan", "lint").returncode == 0
    strict = holdfast(tmp_path, "plan", "lint", "--strict")
    assert (strict.returncode, "not fine" in strict.stdout) == (2, True)


def test_at_a_terminal_it_asks_for_what_no_option_says(tmp_path):
    answers = ["shop", f"file://{tmp_path}/v", "", "orders-db", "ORDERS_DSN"]
    terminal, theirs = pty.openpty()
    env = environment(tmp_path, HOLDFAST_KEY=PASSPHRASE)
    process = subprocess.Popen([*PROGRAM, "init"], cwd=tmp_path, env=env, stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    for line in answers:
        os.write(terminal, f"{line}\n".encode())
    shown = b""
    with contextlib.suppress(OSError):  # how a closed terminal reads
        while part := os.read(terminal, 4096):
            shown += part
    os.close(terminal)
    assert process.wait(60) == 0, shown
    plan = load(tmp_path / "holdfast.yaml")
    assert (plan.platform, plan.systems) == ("shop", ("orders-db",))
    assert b"Recovery key, shown this once" in shown
