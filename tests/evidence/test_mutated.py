"""100 mutated reports: each is caught. 100 untouched ones: none is accused."""

import json
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from holdfast.assembly.evidence.compared import compared
from holdfast.evidence import verifier
from holdfast.evidence.verifier import FORMAT, canonical, verify
from tests.evidence import mutations
from tests.evidence.shop import Shop, any_facts

COUNT = 100


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    made = Shop(tmp_path_factory.mktemp("shop"))
    yield made
    made.close()


@pytest.fixture(scope="module")
def reports(shop):
    """Of runs of every kind and outcome, whose facts are random, under a clock that is set now and then."""
    chance = random.Random(20261121)
    found = []
    for number in range(COUNT):
        verb = chance.choice(["verify", "verify", "restore", "vault-check", "backup", "when"])
        run = shop.run(verb, system=chance.choice(["orders", None]), fails=chance.random() < 0.2, **any_facts(chance))
        if chance.random() < 0.1:
            shop.clock.by += verifier.dt.timedelta(seconds=chance.choice([-7200, -1, 30, 86400]))
        if chance.random() < 0.1:
            shop.run("prune", system=None)
        found.append(shop.report(run).data)
        assert json.loads(found[-1])["evidence"]["number"] == number + 1
    assert not shop.told
    return found


def test_none_of_100_untouched_reports_is_accused(reports, shop):
    verdicts = [verify(data, {shop.root}) for data in reports]
    assert [verdict.problems for verdict in verdicts if verdict.state != "sound"] == []
    assert {verdict.facts["vouched"] for verdict in verdicts} == {"root"}
    assert verifier.gaps(verdicts) == []
    shuffled = random.Random(1).sample(verdicts, len(verdicts))
    assert verifier.gaps(shuffled) == []


def test_each_of_100_mutated_reports_is_caught(reports, shop):
    chance = random.Random(6)
    tried = set()
    for number, data in enumerate(reports):
        for mutate in (mutations.ALL[number % len(mutations.ALL)], chance.choice(mutations.ALL)):
            another = reports[(number + chance.randrange(1, COUNT)) % COUNT]
            spoiled = mutate(data, another, chance)
            if spoiled == data:
                continue
            tried.add(mutate)
            verdict = verify(spoiled, {shop.root})
            assert verdict.state == "altered", (mutate.__name__, number)
            assert verdict.problems, mutate.__name__
    assert tried == set(mutations.ALL)


def test_every_byte_counts(reports, shop):
    """Each byte of a report in turn; in the always-run sample, each 40th."""
    data, root = min(reports, key=len), {shop.root}
    step = 1 if os.environ.get("HOLDFAST_EVERY_BYTE") else 40
    for at in range(0, len(data), step):
        for mask in (0x01, 0x20):
            spoiled = data[:at] + bytes([data[at] ^ mask]) + data[at + 1 :]
            assert verify(spoiled, root).state == "altered", at


def test_who_signed_is_not_known_without_a_root(reports):
    verdict = verify(reports[0])
    assert (verdict.state, verdict.status) == ("unknown signer", 2)


def test_the_host_s_own_key_can_be_believed_instead(reports, shop):
    assert verify(reports[0], {shop.platform.host_key.public}).facts["vouched"] == "host"


def test_the_true_root_of_another_vault_vouches_for_nothing(reports, tmp_path):
    other = Shop(tmp_path / "other")
    theirs = other.proved().data
    verdict = verify(reports[0], {other.root})
    assert verdict.state == "altered"
    assert "another key" in verdict.problems[0]
    assert verify(theirs, {other.root}).state == "sound"
    other.close()


class Insider:
    """Who holds the host's key can sign anything; what contradicts the journal or the anchor is caught all the same."""

    def __init__(self, shop):
        self.key = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(shop.platform.host_key.path.read_text()))

    def sign(self, evidence):
        return canonical({"evidence": evidence, "signature": self.key.sign(FORMAT.encode() + b"\0" + canonical(evidence)).hex()}) + b"\n"


@pytest.mark.parametrize(
    "lie",
    [
        "outcome",
        "checks",
        "anchor",
        "splice",
        "clocks",
        "plan",
        "cut",
        "extra",
        "number",
        "origin",
        "lines",
        "verdict",
        "message",
        "lost",
        "signed off",
    ],
)
def test_an_insider_s_lie_that_the_journal_contradicts_is_caught(reports, shop, lie):
    insider = Insider(shop)
    whole = next(d for d in map(json.loads, reports) if d["evidence"]["results"]["checks"] and d["evidence"]["number"] > 1)
    evidence, other = whole["evidence"], json.loads(reports[-1])["evidence"]
    assert verify(insider.sign(evidence), {shop.root}).state == "sound"
    if lie == "outcome":
        evidence["results"]["outcome"] = "ok" if evidence["results"]["outcome"] != "ok" else "failed"
    elif lie == "checks":
        evidence["results"]["checks"][0]["state"] = "passed" if evidence["results"]["checks"][0]["state"] != "passed" else "failed"
    elif lie == "anchor":
        evidence["anchor"] = other["anchor"]
    elif lie == "splice":
        evidence["journal"] = other["journal"]
    elif lie == "clocks":
        evidence["clocks"]["findings"] = [{"entry": 1, "finding": "x", "seconds": 1}]
    elif lie == "plan":
        evidence["scope"]["plan"] = "sha256:" + "0" * 64
    elif lie == "cut":
        evidence["journal"]["lines"].pop()
    elif lie == "extra":
        evidence["approved"] = True
    elif lie == "number":
        evidence["number"] = 0
    elif lie == "origin":
        evidence["number"] = 1
    elif lie in ("verdict", "message"):
        evidence["results"][lie] = "better than it was"
    elif lie == "lost":
        evidence["results"]["transactions_lost"] = 0
    elif lie == "signed off":
        evidence["closure"]["sign_off"] = {"name": "the head of data", "role": "approver", "at": evidence["issued"]["at"]}
    else:
        entry = json.loads(evidence["journal"]["lines"][0])
        entry["payload"]["note"] = "put in"
        evidence["journal"]["lines"][0] = canonical(entry).decode() + "\n"
    verdict = verify(insider.sign(evidence), {shop.root})
    assert verdict.state == "altered", lie


def test_what_an_insider_signed_anew_is_not_what_lies_in_the_vault(reports, shop):
    """Outcome, journal and anchor rewritten together and signed by the host's own key: offline it is sound, beside the vault it is not."""
    whole = json.loads(next(data for data in reversed(reports) if b'"outcome":"failed"' in data))
    evidence, insider = whole["evidence"], Insider(shop)
    shop.platform.copy_records()
    vault = shop.platform.vault()
    right = insider.sign(evidence)
    assert compared(vault, right) == ([], [])
    lines, prev = [], None
    for line in evidence["journal"]["lines"]:
        entry = json.loads(line)
        if entry["payload"].get("outcome") == "failed":
            entry["payload"]["outcome"] = "ok"
        entry["prev"] = prev or entry["prev"]
        entry["hash"] = prev = verifier.sha256(canonical({key: value for key, value in entry.items() if key != "hash"}))
        lines.append(canonical(entry).decode() + "\n")
    evidence["journal"]["lines"], evidence["results"]["outcome"] = lines, "ok"
    evidence["anchor"]["document"]["hash"] = prev
    message = b"holdfast anchor 1\0" + canonical(evidence["anchor"]["document"])
    evidence["anchor"]["signature"] = insider.key.sign(message).hex()
    forged = insider.sign(evidence)
    assert verify(forged, {shop.root}).state == "sound"
    wrong, _ = compared(vault, forged)
    assert len(wrong) == 3 * len(shop.places)
    assert all("another one" in text for text in wrong)


def test_a_missing_a_doubled_and_an_exchanged_report_are_seen(reports, shop):
    first, second, third = (verify(data, {shop.root}) for data in reports[:3])
    assert verifier.gaps([first, third]) == ["Reports 2 to 2 are missing."]
    assert verifier.gaps([first, second, third, third]) == []
    evidence = json.loads(reports[1])["evidence"]
    evidence["people"] = []
    another = verify(Insider(shop).sign(evidence), {shop.root})
    assert another.state == "sound"
    assert verifier.gaps([first, second, another]) == ["Two reports have the number 2."]
    assert verifier.gaps([first, another, third]) == ["Report 3 does not continue report 2: one of them is not the one that was issued."]


def test_the_script_alone_says_the_same(reports, shop, tmp_path):
    """Without Holdfast on the path: only the standard library and cryptography."""
    script = tmp_path / "verify_evidence.py"
    script.write_bytes(Path(verifier.__file__).read_bytes())
    good, bad = tmp_path / "good.json", tmp_path / "bad.json"
    good.write_bytes(reports[0])
    bad.write_bytes(mutations.change_digit(reports[0], b"", random.Random(2)))

    def run(*words):
        block = "import runpy, sys; sys.modules['holdfast'] = None; del sys.argv[0]; runpy.run_path(sys.argv[0], run_name='__main__')"
        return subprocess.run(
            [sys.executable, "-c", block, str(script), *map(str, words)], capture_output=True, text=True, check=False, cwd=tmp_path
        )

    done = run(good, "--root", shop.root)
    assert (done.returncode, done.stdout.splitlines()[0]) == (0, f"{good}: sound"), done.stderr
    done = run(good, bad, "--root", shop.root)
    assert done.returncode == 1
    assert f"{bad}: altered" in done.stdout
    assert run(good).returncode == 2


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\n",
        b"null\n",
        b"[]\n",
        b"{}\n",
        b"[" * 100000,
        b'{"evidence":{},"signature":""}\n',
        b"\xff\xfe",
        b"1e999\n",
        b"1" * 5000 + b"\n",
    ],
)
def test_what_is_no_report_is_altered_and_never_a_bug(data):
    assert verify(data, {"0" * 64}).state == "altered"
