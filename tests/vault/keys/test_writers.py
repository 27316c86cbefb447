"""Write-only writers: what a backup host's keys can do, what they cannot, and what becomes of what a revoked one signs."""

import datetime as dt

import pytest

from holdfast.errors import Damaged
from holdfast.vault import prune
from holdfast.vault.check import Check
from holdfast.vault.copy import copy
from holdfast.vault.errors import NotBelieved, RoleLacking, SignedAfterRevocation, WriterRevoked, WriterUnknown, WrongKey
from holdfast.vault.format import crypto, envelope, names
from holdfast.vault.keys.bundle import WriterKeys
from holdfast.vault.keys.writers import OwnWriter
from holdfast.vault.packs import layout
from holdfast.vault.points import holds
from holdfast.vault.points.retention import Keep
from holdfast.vault.records.copies import RecordCopies
from tests.vault.kit import CLOCK, SECRET, add_all, capture, finish, restore

FILES = {"secret/name.txt": b"very secret content " * 5000, "large": bytes(range(256)) * 5000}


@pytest.fixture
def writer(house):
    """A backup host's key: its text, as ``vault key add --role writer --kind file`` shows it."""
    return house.keys().new_key("file", role="writer", label="db1", now=CLOCK.now()).text


def secrets_of(bundle):
    """Every secret that a bundle gives its holder."""
    found = dict.fromkeys(bundle.identity.values(), "identity")
    found |= {epoch.private: "epoch" for numbers in bundle.epochs.values() for epoch in numbers.values() if epoch.private}
    if bundle.writer:
        found |= {bundle.writer.sign: "sign", bundle.writer.box: "box"}
    if bundle.root_private:
        found[bundle.root_private] = "root"
    if bundle.slot:
        found[bundle.slot] = "slot"
    return found


def test_a_writer_holds_no_secret_that_reads(house, writer):
    bundle = house.open(writer).notary.bundle
    assert sorted(secrets_of(bundle).values()) == ["box", "identity", "sign", "slot"]
    owner = house.open().notary.bundle
    assert secrets_of(bundle).keys() & secrets_of(owner).keys() == set(owner.identity.values())


def test_all_that_a_writers_bundle_gives_opens_nothing_of_others(house, writer):
    """Every 32 secret bytes of the bundle, tried in every way that the format knows, on every box of every object."""
    owner = house.open()
    base = capture(owner, FILES)
    capture(owner, FILES | {"more": b"more secret content" * 900}, owner.point(base.id))
    with owner.logs("s").writer("main") as log:
        log.append(0, b"very secret log " * 100, {"secret": "meta"})
    holds.place(owner.locations, owner.notary, CLOCK, base.id, "secret reason")
    records = RecordCopies(house.near, owner.notary, CLOCK.now)
    records.put("journal/host/0000000000000001", b"secret line")
    records.put_plan("secret: plan", "digest")
    house.keys().rotate()
    vault = house.open(writer)
    bundle = vault.notary.bundle
    keys = list(secrets_of(bundle))
    boxes = tried = 0
    for name, (data, _) in house.near.objects.items():
        if name.startswith("packs/"):
            found = list(layout.parse_header(data).boxes.values())
        elif data[:8] == envelope.MAGIC and (sealed := envelope.parse(name, data).sealed)[:1] == b"\x01":
            found = [sealed[2 + 88 * i + 8 : 2 + 88 * (i + 1)] for i in range(sealed[1])]
        else:
            continue
        boxes += len(found)
        for box in found:
            for key in keys:
                tried += 1
                with pytest.raises(crypto.CannotOpen):
                    crypto.unbox(box, key)
    assert boxes > 8
    assert tried == 4 * boxes
    # Nor by the ways of the program.
    assert vault.points() == []
    for name in house.names("points/") + house.names("logs/") + house.names("holds/") + house.names("journal/") + house.names("plan/"):
        with pytest.raises(RoleLacking):
            vault.notary.open(vault.notary.check(name, house.near.get(name)))
    # What is shared by all who write tells where chunks lie and what their keyed hashes are; no content and no names.
    shared = b"".join(vault.notary.open(vault.notary.check(name, house.near.get(name))) for name in house.names("index/"))
    assert b"secret" not in shared
    for name, (data, _) in house.near.objects.items():
        if not name.startswith(("FORMAT", "decoder")):
            assert b"secret" not in data


def test_a_writer_backs_up_incrementally_and_readers_restore_it(house, writer):
    vault = house.open(writer)
    first = capture(vault, FILES)
    second = capture(vault, FILES | {"new": b"n" * 70_000}, vault.point(first.id))
    assert second.method == "incremental"
    assert second.totals.stored < first.totals.stored
    assert [point.id for point in vault.points()] == [first.id, second.id]
    assert restore(house.open().point(second.id)) == FILES | {"new": b"n" * 70_000}
    with pytest.raises(RoleLacking):
        restore(vault.point(second.id))
    assert Check(house.open(), share=1).run().ok


def test_another_writers_chunks_are_stored_again(house, writer):
    """A writer that lies about what a chunk holds could otherwise hollow out the backups of others."""
    owner = house.open()
    other = capture(owner, FILES)
    vault = house.open(writer)
    own = capture(vault, FILES)
    assert own.totals.new_chunks > 0
    packs = [set(_packs(house, point)) for point in (other, own)]
    assert not packs[0] & packs[1]
    reader = owner.point(own.id)
    assert capture(owner, FILES, reader).method == "full"  # not even an owner bases on what another writer said


def _packs(house, point):
    raw = envelope.parse("x", house.near.get(f"points/{point.id}")).packs
    return [raw[at : at + 48] for at in range(0, len(raw), 48)]


def test_what_a_revoked_writer_signed_before_is_believed_and_nothing_after(house, writer):
    vault = house.open(writer)
    before = capture(vault, FILES, label="before")
    log = vault.logs("s").writer("main")
    log.append(0, b"a" * 100, {})
    running = vault.begin(system="s", kind="files")
    add_all(running, FILES)
    kept = house.open(writer)
    state = house.keys().writers.revoke("db1")
    assert state.revoked
    assert not state.slots
    with pytest.raises(WrongKey):
        house.open(writer)
    # The process that runs on does not know it yet; its point is signed rightly, and counts for nothing.
    after = finish(running)
    log.append(100, b"b" * 100, {})
    forged = kept.notary.make("holds/" + "f" * 32, "hold", CLOCK.now(), {"point": before.id})
    house.near.put_if_absent("holds/" + "f" * 32, [forged])
    owner = house.open()
    assert [point.id for point in owner.points()] == [before.id]
    assert [type(error) for error in owner.damaged] == [SignedAfterRevocation]
    assert restore(owner.point(before.id)) == FILES
    for name in (f"points/{after.id}", "holds/" + "f" * 32, *house.names("logs/")[1:]):
        with pytest.raises(SignedAfterRevocation):
            owner.notary.check(name, house.near.get(name))
    assert owner.notary.check(house.names("logs/")[0], house.near.get(house.names("logs/")[0]))
    made = prune.make(owner, {"s": Keep(last=1)}, zone=dt.UTC, grace=dt.timedelta(0))
    prune.run(owner, made, most=1)  # what the revoked writer left stops no prune, and is not needed
    assert restore(house.open().point(before.id)) == FILES
    report = Check(house.open(), share=1).run()
    assert report.ok
    assert "signed-after-revocation" in {found.code for found in report.found}
    with pytest.raises(WriterRevoked):
        kept.renew_keys() or kept.begin(system="s", kind="files")
    assert [one.revoked is not None for one in house.keys().writers.list() if one.label == "db1"] == [True]


def test_a_backdated_object_of_a_revoked_writer_is_not_believed(house, writer):
    """The time in an envelope is the writer's word: it decides nothing."""
    kept = house.open(writer)
    house.keys().writers.revoke("db1")
    name = "journal/host/0000000000000001"
    house.near.put_if_absent(name, [kept.notary.make(name, "journal", CLOCK.now() - dt.timedelta(days=300), plain=b"x")])
    with pytest.raises(SignedAfterRevocation):
        house.open().notary.check(name, house.near.get(name))


def test_a_revoked_writers_object_changed_under_its_name_is_not_believed(house, writer):
    vault = house.open(writer)
    with vault.logs("s").writer("main") as log:
        log.append(0, b"a" * 100, {})
    (name,) = house.names("logs/")
    kept = house.open(writer)
    house.keys().writers.revoke("db1")
    from holdfast.vault.logs import body

    other = body.seal(kept.notary, name, system="s", branch="main", data=b"z" * 100, meta={}, at=CLOCK.now())
    for storage in house.storages:
        storage.delete(name)
        storage.put_if_absent(name, [other])
    with pytest.raises(SignedAfterRevocation):
        house.open().notary.check(name, house.near.get(name))


def test_revoking_an_owners_writer_is_refused_and_an_unknown_one_named(house, writer):
    keys = house.keys()
    own = house.vault.notary.writer
    with pytest.raises(OwnWriter):
        keys.writers.revoke(own)
    with pytest.raises(WriterUnknown, match="db9"):
        keys.writers.revoke("db9")
    with pytest.raises(RoleLacking):
        house.keys(house.open(writer)).writers.revoke("db1")


def test_a_copy_carries_the_revocation_and_nothing_signed_behind_it(house, writer):
    from holdfast.storage.memory import MemoryStorage

    kept = house.open(writer)
    capture(kept, FILES)
    house.keys().writers.revoke("db1")
    name = "journal/host/0000000000000001"
    house.near.put_if_absent(name, [kept.notary.make(name, "journal", CLOCK.now(), plain=b"x")])
    third = MemoryStorage(name="third")
    copy(house.near, third)
    assert third.head(name) is None
    vault = house.open(SECRET, third, cache="third")
    assert len(vault.points()) == 1
    with pytest.raises(SignedAfterRevocation):
        vault.notary.check(name, house.near.get(name))


def test_a_writer_cannot_speak_for_another(house, writer):
    """Two valid writers of one vault, and all that the first one can sign."""
    vault = house.open(writer)
    notary = vault.notary
    victim = house.vault.notary.writer
    at, name = CLOCK.now(), "index/" + "1" * 32
    clear = {"kind": "index", "vault": notary.vault.hex(), "writer": victim, "at": "2026-01-01T00:00:00.000000+00:00"}
    lie = envelope.build(name, clear, vault=notary.vault, sign_private=notary.bundle.writer.sign)
    with pytest.raises(NotBelieved):
        house.open().notary.check(name, lie)
    # A point under its own signature that says inside that another wrote it.
    point = capture(house.open(), FILES)
    from holdfast.vault.points import stored

    target = names.point("0" * 32)
    told = point.model_copy(update={"id": "0" * 32})
    fields = {"session": "0" * 32, "system": notary.tag("system", "s"), "scope": "vault", "epoch": 1}
    house.near.put_if_absent(target, [notary.make(target, "point", at, fields, plain=stored.encode(told, []))])
    owner = house.open()
    assert [one.id for one in owner.points()] == [point.id]
    assert [type(error) for error in owner.damaged] == [NotBelieved]
    # What only the root or an owner may say.
    for kind, where in (
        ("drop", f"points/{point.id}.dropped"),
        ("config", "config"),
        ("ring", "keys/ring/" + "0" * 16),
        ("epoch", "keys/epochs/vault/0009"),
    ):
        with pytest.raises(RoleLacking):
            notary.make(where, kind, at, {})
        clear = {"kind": kind, "vault": notary.vault.hex(), "writer": notary.writer, "at": "2026-01-01T00:00:00.000000+00:00"}
        with pytest.raises(NotBelieved):
            owner.notary.check(where, envelope.build(where, clear, vault=notary.vault, sign_private=notary.bundle.writer.sign))
    for kind, where in (("condemned", "condemned/" + "2" * 32), ("hold", "holds/" + "3" * 32 + ".released")):
        with pytest.raises(RoleLacking):
            notary.make(where, kind, at, {})
        clear = {"kind": kind, "vault": notary.vault.hex(), "writer": notary.writer, "at": "2026-01-01T00:00:00.000000+00:00"}
        with pytest.raises(NotBelieved, match="role"):
            owner.notary.check(where, envelope.build(where, clear, vault=notary.vault, sign_private=notary.bundle.writer.sign))


def test_storage_credentials_and_other_keys_forge_nothing(house):
    """An attacker who writes into the locations, with keys of his own making."""
    point = capture(house.open(), FILES)
    with house.open().logs("s").writer("main") as log:
        log.append(0, b"a" * 100, {})
    other = type(house)(house.folder / "attackers")
    own = capture(other.open(), FILES)
    with other.open().logs("s").writer("main") as log:
        log.append(0, b"z" * 100, {})
    mine = WriterKeys.new(crypto.SYSTEM_RANDOM)
    vault_id = house.vault.notary.vault
    everything = {name: data for name, (data, _) in other.near.objects.items() if name not in {"config", "FORMAT.md", "decoder.py"}}
    # As they are, and with this vault's id written into them, signed by the attacker's own writer.
    for name, data in everything.items():
        house.near.objects.setdefault(name, (data, CLOCK.now()))
        if data[:8] == envelope.MAGIC:
            clear = dict(envelope.parse(name, data).clear) | {"vault": vault_id.hex(), "writer": mine.id}
            house.near.objects.setdefault(f"{name}x", (data, CLOCK.now()))
            forged = envelope.build(name, clear, vault=vault_id, sign_private=mine.sign)
            with pytest.raises(Damaged):
                house.open().notary.check(name, forged)
    vault = house.open()
    assert [one.id for one in vault.points()] == [point.id]
    assert own.id not in [one.id for one in vault.points()]
    assert len(vault.damaged) == 1
    assert restore(vault.point(point.id)) == FILES
    stream = b"".join(bytes(data) for _, data in vault.logs("s").reader("main").stream(0))
    assert stream == b"a" * 100
    assert capture(vault, FILES, vault.point(point.id)).totals.new_chunks == 0  # a forged index object hides nothing


def test_a_forged_increment_that_reaches_further_hides_no_log(house):
    """Readers take what reaches furthest; what is not believed reaches nowhere."""
    with house.open().logs("s").writer("main") as log:
        log.append(0, b"a" * 100, {})
        log.append(100, b"b" * 100, {})
    real = house.names("logs/")
    folder = real[0].rsplit("/", 1)[0]
    mine = WriterKeys.new(crypto.SYSTEM_RANDOM)
    vault_id = house.vault.notary.vault
    for name in (f"{folder}/{0:016x}-{150:016x}", f"{folder}/{50:016x}-{5000:016x}"):
        clear = {"kind": "log", "vault": vault_id.hex(), "writer": mine.id, "at": "2026-01-01T00:00:00.000000+00:00"}
        forged = envelope.build(name, clear, vault=vault_id, sign_private=mine.sign, sealed=b"rubbish")
        for storage in house.storages:
            storage.put_if_absent(name, [forged])
    vault = house.open()
    got = b"".join(bytes(data) for _, data in vault.logs("s").reader("main").stream(0, 200))
    assert got == b"a" * 100 + b"b" * 100
    pieces = []
    # Without an end it cannot be told from a newest increment that rotted: all before it is handed out first.
    with pytest.raises(NotBelieved):
        pieces.extend(bytes(data) for _, data in vault.logs("s").reader("main").stream(0))
    assert b"".join(pieces) == b"a" * 100 + b"b" * 100
    with vault.logs("s").writer("main") as log:
        assert log.end == 200
        log.append(150, b"b" * 50 + b"c" * 100, {})
    assert b"".join(bytes(data) for _, data in house.open().logs("s").reader("main").stream(0, 300))[200:] == b"c" * 100
