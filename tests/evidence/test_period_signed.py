"""A period's report is a signed file like a run's: believed as it was made, refused when anything in it was changed."""

import json
import subprocess
import sys

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from holdfast.assembly.evidence.compared import compared
from holdfast.assembly.evidence.period import signed_tests
from holdfast.evidence import verifier
from holdfast.evidence.verifier import canonical
from holdfast.protection.recorded import recorded
from tests.evidence.shop import Shop, check


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    made = Shop(tmp_path_factory.mktemp("period") / "shop")
    text = made.plan.read_text()
    made.plan.write_text(text.replace("rpo: 2d,", "rpo: 2d, drill: quarterly,"))
    made.open()
    made.platform.vault()
    made.run(verdict="passed", results=[check("rows", 1, 1)], clocks={"restore": 3.0})
    for verdict in ("failed", "passed"):
        with recorded(made.platform.state, made.platform.journal, made.clock, "drill", None, systems=["orders"], test_kind="full") as work:
            work.add(verdict=verdict)
    yield made
    made.close()


@pytest.fixture(scope="module")
def issued(shop):
    return signed_tests(shop.platform, f"{shop.clock.now().year}", shop.told.append)


def verdict(shop, data):
    return verifier.verify(data, {shop.root})


def test_it_is_sound_and_says_who_signed_it_over_which_journals(shop, issued):
    found = verdict(shop, issued.data)
    assert (found.state, found.problems) == ("sound", [])
    assert found.facts["vouched"] == "root"
    document = issued.document
    assert document["anchor"]["document"]["n"] == document["journal"]["heads"][0]["n"]
    assert document["anchor"]["locations"]
    last = shop.platform.journal.believed(document["journal"]["chain"])
    noted = [record for record in last if record.kind == "evidence.period"]
    # Whatever test comes first, each report is noted once.
    assert [record.payload["sha256"] for record in noted].count(issued.sha256) == 1
    assert verifier.verify(issued.data).state == "unknown signer"
    assert verifier.verify(issued.data, {"0" * 64}).state == "altered"


def test_drills_are_tests_of_the_period(issued):
    [drill] = [one for one in issued.document["tests"] if one["test"] == "drill" and one["state"] != "excused"]
    assert (drill["system"], drill["state"], drill["why"]) == ("orders", "passed", "after 1 that failed")


def test_any_changed_byte_is_told(shop, issued):
    data = issued.data
    for at in range(0, len(data), 211):
        spoiled = data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]
        assert verdict(shop, spoiled).state == "altered", at


def test_a_liar_with_a_key_of_his_own_is_not_believed(shop, issued):
    body, key = issued.document, Ed25519PrivateKey.generate()
    body["tests"] = [one for one in body["tests"] if one["state"] != "missed"]
    body["counts"]["missed"] = 0
    body["counts"]["due"] = len(body["tests"])
    body["signer"]["public"] = key.public_key().public_bytes_raw().hex()
    body["host"]["key"] = verifier.sha256(key.public_key().public_bytes_raw())[:16]
    signature = key.sign(verifier.PERIOD.encode() + b"\0" + canonical(body)).hex()
    assert verdict(shop, canonical({"period": body, "signature": signature}) + b"\n").state == "altered"


@pytest.mark.parametrize("change", ["counts", "anchor", "format"])
def test_the_host_s_own_key_signs_no_contradiction(shop, issued, change):
    body = issued.document
    if change == "counts":
        body["counts"]["missed"] += 1
    elif change == "anchor":
        body["journal"]["heads"][0]["hash"] = "0" * 64
    else:
        body["format"] = verifier.FORMAT
    signature = shop.platform.host_key.sign(verifier.PERIOD, body)
    assert verdict(shop, canonical({"period": body, "signature": signature}) + b"\n").state == "altered"


def test_it_is_compared_with_the_vault(shop, issued):
    assert shop.platform.copy_records() == []
    wrong, lacks = compared(shop.platform.vault(), issued.data)
    assert (wrong, lacks) == ([], [])
    body = issued.document
    body["journal"]["heads"][0]["hash"] = "0" * 64
    wrong, _ = compared(shop.platform.vault(), canonical({"period": body, "signature": ""}) + b"\n")
    assert len(wrong) == 2


def test_the_stand_alone_script_and_reports_beside_it(shop, issued, tmp_path):
    report = shop.proved()
    (tmp_path / "period.json").write_bytes(issued.data)
    (tmp_path / "report.json").write_bytes(report.data)
    words = [sys.executable, verifier.__file__, "period.json", "report.json", "--root", shop.root]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert done.stdout.count("sound") == 2


def test_the_command_writes_checks_and_draws_it(shop, tmp_path, monkeypatch, capsys):
    from holdfast.interfaces.cli.app import run

    for name, value in {**shop.environ, "HOLDFAST_PLAN": str(shop.plan)}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    year = str(shop.clock.now().year)
    assert run(["report", "--period", year, "--out", "period.json", "--control", "DORA"]) in (0, 1)
    assert run(["report", "--period", year, "--html", "--out", "period.html"]) in (0, 1)
    capsys.readouterr()
    assert run(["evidence", "verify", "period.json", "--root", shop.root, "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["files"][0]["period"] == year
    assert run(["evidence", "verify", "period.json", "--vault"]) == 0
    text = (tmp_path / "period.html").read_text()
    assert "read up to entry" in text
    assert shop.root in text
