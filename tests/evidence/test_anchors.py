"""Anchors: in every location, chained, citing each other; a journal written anew does not fit them."""

import datetime as dt
import hashlib
import json

import pytest

from holdfast.assembly import Platform, stored_records
from holdfast.assembly.evidence.proving import Prover
from holdfast.evidence import verifier
from holdfast.journal import canonical, parse
from holdfast.journal.record import make
from holdfast.plan import load
from holdfast.protection.recorded import recorded
from holdfast.vault.records.proofs import Proofs
from tests.evidence.authority import Authority
from tests.evidence.shop import SECRET, Shop
from tests.servers import need


@pytest.fixture
def shop(tmp_path):
    made = Shop(tmp_path / "shop")
    yield made
    made.close()


def anchored(place):
    """Objects below anchors/ of a location, by name."""
    return sorted(str(path.relative_to(place)) for path in (place / "anchors").rglob("*") if path.is_file())


def test_the_head_goes_into_every_location_and_the_report_shows_it(shop):
    report = shop.proved().evidence
    anchor = report["anchor"]
    assert [one["url"] for one in anchor["locations"]] == [f"file://{place}" for place in shop.places]
    name = f"anchors/{report['journal']['chain']}/{anchor['document']['n']:016x}"
    assert [anchored(place) for place in shop.places] == [[name]] * 2
    assert anchor["document"]["hash"] == json.loads(report["journal"]["lines"][-1])["hash"]
    assert not shop.told


def test_an_unchanged_head_is_anchored_once_and_each_names_the_one_before(shop):
    shop.run()
    first = shop.prover().anchor()
    assert shop.prover().anchor() == first
    shop.run()
    second = shop.prover().anchor()
    assert second.document["previous"] == hashlib.sha256(canonical(first.document)).hexdigest()
    assert len(anchored(shop.places[0])) == 2
    assert verifier.signed(shop.platform.host_key.public, second.signature, "holdfast anchor 1", second.document)


def test_without_its_memory_a_host_takes_the_anchor_that_is_there(shop):
    shop.run()
    first = shop.prover().anchor()
    for memory in shop.platform.journal.folder.glob("anchors.*.json"):
        memory.unlink()
    again = shop.prover().anchor()
    assert (again.document, again.signature) == (first.document, first.signature)
    assert len(again.locations) == 2


def test_hosts_cite_each_other_s_heads(tmp_path):
    one, two = Shop(tmp_path / "one"), Shop(tmp_path / "two", vault=tmp_path / "one")
    one.run()
    first = one.prover().anchor()
    two.run()
    second = two.prover().anchor()
    digest = hashlib.sha256(canonical(first.document)).hexdigest()
    assert second.document["cites"] == [{"chain": first.chain, "n": first.n, "hash": first.document["hash"], "sha256": digest}]
    one.run()
    third = one.prover().anchor()
    assert [cite["chain"] for cite in third.document["cites"]] == [second.chain]
    two.run()
    assert [cite["n"] for cite in two.prover().anchor().document["cites"]] == [third.n]
    for made in (one, two):
        made.close()


def test_an_anchor_taken_away_is_missed_by_who_cited_it(tmp_path):
    one, two = Shop(tmp_path / "one"), Shop(tmp_path / "two", vault=tmp_path / "one")
    one.run()
    one.prover().anchor()
    one.run()
    last = one.prover().anchor()
    two.run()
    two.prover().anchor()
    for place in one.places:
        (place / "anchors" / last.chain / f"{last.n:016x}").unlink()
    two.run()
    two.prover().anchor()
    assert any(f"was anchored at entry {last.n}" in text for text in two.told)
    for made in (one, two):
        made.close()


def test_a_location_that_is_away_fails_nothing_and_gets_the_next_one(shop):
    shop.run()
    shop.platform.vault()
    shop.places[1].rename(shop.home / "away")
    (shop.places[1]).write_text("no folder")
    report = shop.proved()
    assert [one["url"] for one in report.evidence["anchor"]["locations"]] == [f"file://{shop.places[0]}"]
    assert any(str(shop.places[1]) in text for text in shop.told)
    assert verifier.verify(report.data, {shop.root}).state == "sound"
    shop.places[1].unlink()
    (shop.home / "away").rename(shop.places[1])
    shop.told.clear()
    shop.close()
    shop.open()
    assert len(shop.prover().anchor().locations) == 2
    assert not shop.told


def rewritten(shop, change):
    """The host's journal, written anew by who may write its folder, with ``change`` applied to each payload."""
    folder = shop.platform.journal.folder
    [path] = folder.glob("*.jsonl")
    prev, lines = None, []
    for line in path.read_bytes().splitlines(keepends=True):
        record = parse(line)
        fresh = make(record.n, prev or record.prev, record.kind, record.at, change(record))
        prev = fresh.hash
        lines.append(fresh.line)
    path.write_bytes(b"".join(lines))
    (folder / f"{path.stem}.head").write_text(f"{len(lines) - 1} {prev}\n")
    return path.stem


def test_a_journal_written_anew_is_whole_in_itself_and_does_not_fit_its_anchor(shop):
    shop.run(verdict="failed")
    shop.prover().anchor()
    rewritten(shop, lambda record: {**record.payload, **({"verdict": "passed"} if "verdict" in record.payload else {})})
    shop.open()
    assert shop.platform.journal.verify() == []
    for memory in shop.platform.journal.folder.glob("anchors.*.json"):
        memory.unlink()
    made = shop.prover().anchor()
    assert not made.locations
    assert all("written anew" in text or "not anchored" in text for text in shop.told)
    assert len(shop.told) == 2


def test_copies_written_anew_do_not_fit_the_anchor_either(shop):
    """Who has the writer's key and may delete in a location puts a forged journal there: the anchor tells."""
    shop.run(verdict="failed")
    shop.platform.vault()
    shop.platform.copy_records()
    assert stored_records(shop.platform.vault()).problems == {}
    tag = shop.platform.journal.chains()[0]
    for place in shop.places:
        for path in (place / "journal").rglob("*"):
            if path.is_file():
                path.unlink()
    rewritten(shop, lambda record: {**record.payload, "note": "forged"})
    (shop.platform.journal.folder / "exported.json").unlink()
    from holdfast.vault.records.copies import RecordCopies

    vault = shop.platform.vault()
    shop.platform.journal.export("again", RecordCopies(vault.locations.first, vault.notary, shop.clock.now))
    found = stored_records(vault)
    assert found.broken
    assert "written anew" in found.problems[tag]


def test_a_cut_journal_in_the_vault_is_seen_by_its_anchor(shop):
    shop.proved()
    shop.platform.copy_records()
    tag = shop.platform.journal.chains()[0]
    last = max((shop.places[0] / "journal" / tag).iterdir())
    assert stored_records(shop.platform.vault()).problems == {}
    for path in sorted((shop.places[0] / "journal" / tag).iterdir())[-2:]:
        path.unlink()
    assert last.name
    assert "was anchored" in stored_records(shop.platform.vault()).problems[tag]


def test_due_anchors_when_the_plan_s_time_has_come(shop):
    shop.platform.vault()
    shop.run("backup")
    shop.platform.anchoring = True
    shop.platform.copy_records()
    assert len(anchored(shop.places[0])) == 1
    shop.run("backup")
    shop.platform.copy_records()
    assert len(anchored(shop.places[0])) == 1
    shop.clock.by += dt.timedelta(hours=1, minutes=1)
    shop.platform.copy_records()
    assert len(anchored(shop.places[0])) == 2


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    with need():
        made = Authority(tmp_path_factory.mktemp("authority"))
    with made.serving():
        yield made


def test_an_authority_puts_its_own_clock_on_an_anchor(tmp_path, authority):
    shop = Shop(tmp_path / "shop", more=f"evidence: {{timestamp: {{url: '{authority.url}', ca: {authority.ca}}}}}")
    shop.clock.by = dt.timedelta(days=-400)
    issued = shop.proved()
    [stamp] = issued.evidence["anchor"]["stamps"]
    assert stamp["authority"] == authority.url
    roots = verifier.certificates([authority.ca])
    verdict = verifier.verify(issued.data, {shop.root}, roots)
    assert verdict.state == "sound"
    assert any("time stamp of" in note and "not checked" not in note for note in verdict.notes)
    other = Authority(tmp_path / "other")
    assert verifier.verify(issued.data, {shop.root}, verifier.certificates([other.ca])).state == "altered"
    authority.answer = b"nothing"
    try:
        later = shop.proved()
    finally:
        authority.answer = None
    assert later.evidence["anchor"]["stamps"] == []
    assert any("not believed" in text for text in shop.told)
    assert verifier.verify(later.data, {shop.root}, roots).state == "sound"
    shop.close()


LOCKED = """
platform: shop
vault:
  key: {{env: HOLDFAST_KEY}}
  locations:
    - {{name: far, url: "{url}", endpoint: "{endpoint}", region: us-east-1, lock: {{mode: compliance, days: 3}},
        credentials: {{access_key_id: {{env: ID}}, secret_access_key: {{env: SECRET}}}}}}
systems:
  orders: {{kind: files, paths: [/srv/orders], backup: daily, keep: {{last: 3}}}}
"""


@pytest.mark.minio
def test_in_a_locked_location_nobody_takes_an_anchor_back(minio, tmp_path):
    """Not who has the store's own keys either: it is neither removed, nor hidden, nor replaced, nor is the report."""
    import botocore.exceptions

    bucket = minio.bucket(lock=True)
    plan = tmp_path / "holdfast.yaml"
    plan.write_text(LOCKED.format(url=f"s3://{bucket}/vault", endpoint=minio.endpoint))
    environ = {"HOLDFAST_KEY": SECRET, "ID": minio.access_key, "SECRET": minio.secret_key}
    environ |= {"HOLDFAST_STATE": str(tmp_path / "state"), "HOLDFAST_CACHE": str(tmp_path / "cache")}
    told = []

    def opened():
        return Platform(load(plan), environ=environ)

    with opened() as platform:
        platform.create_vault()
    with opened() as platform:
        platform.vault()
        with recorded(platform.state, platform.journal, platform.clock, "verify", "orders") as work:
            work.add(verdict="passed")
        prover = Prover(platform, told.append)
        issued = prover.report(prover.find(work.run))
    assert told == []
    anchor = issued.evidence["anchor"]
    [place] = anchor["locations"]
    left = dt.datetime.fromisoformat(place["locked_until"]) - dt.datetime.now(dt.UTC)
    assert dt.timedelta(days=2, hours=23) < left < dt.timedelta(days=3, hours=1)

    client = minio.client()
    chain, n = anchor["document"]["chain"], anchor["document"]["n"]
    for key in (f"vault/anchors/{chain}/{n:016x}", f"vault/evidence/{chain}/{1:016x}"):
        [version] = client.list_object_versions(Bucket=bucket, Prefix=key)["Versions"]
        with pytest.raises(botocore.exceptions.ClientError):
            client.delete_object(Bucket=bucket, Key=key, VersionId=version["VersionId"])
        client.put_object(Bucket=bucket, Key=key, Body=b"another story")
        client.delete_object(Bucket=bucket, Key=key)
    client.close()
    with opened() as platform:
        vault = platform.vault()
        proofs = Proofs(vault.locations.first, vault.notary, platform.clock.now)
        assert proofs.newest_anchors() == {chain: n}
        assert proofs.anchor(chain, n)["anchor"] == anchor["document"]
        assert [data for _, _, data in proofs.evidence()] == [issued.data]
        assert verifier.verify(issued.data, {vault.notary.bundle.root_public.hex()}).state == "sound"
