"""What participants of a vault do: ``DEEDS`` are watched, ``MEANWHILE`` is what somebody else does in the middle of one."""

from collections.abc import Callable, Sequence

from holdfast.errors import HoldfastError
from holdfast.storage.memory import MemoryStorage
from holdfast.vault.check import Check
from holdfast.vault.copy import ask, behind, copy
from holdfast.vault.errors import (
    KeyringBusy,
    KeyringPartly,
    PointUnknown,
    ReusedDamaged,
    ScopeErased,
    ScopeExists,
    ScopeUnknown,
    SessionAborted,
    SlotRemoved,
    SlotUnknown,
    WrongKey,
)
from holdfast.vault.format import names
from holdfast.vault.logs import SystemLogs
from holdfast.vault.logs.errors import LeaseLost, LogFollowed
from holdfast.vault.packs import damage
from holdfast.vault.points import holds
from holdfast.vault.points.holds import HoldTooLate
from holdfast.vault.points.retention import NothingProvedLeft
from holdfast.vault.records.copies import RecordCopies, journals, newest_plan, newest_runbooks
from holdfast.vault.records.proofs import Proofs
from holdfast.vault.status import status
from tests.vault.races.scene import DAY, OTHER, SCOPED, SMALL, Scene, Wrap, log_bytes, plain

AGAIN = (SessionAborted, KeyringBusy, KeyringPartly)
Deed = Callable[[Scene, Wrap], object]

# ---------------------------------------------------------------- deeds


def backup(scene: Scene, wrap: Wrap) -> None:
    vault = scene.open(wrap)
    points = vault.points("orders")
    point = scene.take(12, vault=vault, base=points[-1].id)
    scene.kept = scene.kept | {point.id}


def backup_of_old_base(scene: Scene, wrap: Wrap) -> None:
    """On a base that a prune takes away: what it needs is kept, or read anew."""
    vault = scene.open(wrap)
    points = vault.points("orders")
    point = scene.take(4, vault=vault, base=points[1].id)
    scene.kept = scene.kept | {point.id}


def copy_to_far(scene: Scene, wrap: Wrap) -> None:
    near, far = (wrap(one) for one in scene.storages)
    done = copy([near], far)
    assert done.refused == [], done.refused


def copy_to_near(scene: Scene, wrap: Wrap) -> None:
    near, far = (wrap(one) for one in scene.storages)
    done = copy([far], near)
    assert done.refused == [], done.refused


def copy_to_new(scene: Scene, wrap: Wrap) -> None:
    near, far = (wrap(one) for one in scene.storages)
    third = MemoryStorage(scene.depot.clock, "third")
    done = copy([near, far], wrap(third))
    assert done.refused == [], done.refused
    scene.require_whole([third])


def prune(scene: Scene, wrap: Wrap) -> None:
    scene.prune(wrap)


def compact(scene: Scene, wrap: Wrap) -> None:
    scene.compact(wrap)


def check(scene: Scene, wrap: Wrap) -> None:
    _check(scene, wrap, heal=False)


def heal(scene: Scene, wrap: Wrap) -> None:
    _check(scene, wrap, heal=True)


def _check(scene: Scene, wrap: Wrap, *, heal: bool) -> None:
    report = Check(scene.open(wrap), share=1.0, heal=heal).run()
    wrong = [one for one in report.found if one.severity != "notice" and not one.healed]
    assert not wrong, wrong
    assert not report.silent, report.silent


def look(scene: Scene, wrap: Wrap) -> None:
    vault = scene.open(wrap)
    told = status(vault)
    assert told.damaged == [], told.damaged
    assert scene.kept <= {point.id for point in vault.points()}


def lag(scene: Scene, wrap: Wrap) -> None:
    vault = scene.open(wrap)
    far = behind([ask(storage) for storage in vault.locations.storages], [point.id for point in vault.points()])
    assert not any(one.unknown for one in far.values()), far
    assert vault.damaged == [], vault.damaged


def restore_new(scene: Scene, wrap: Wrap) -> None:
    vault = scene.open(wrap)
    scene.restore(vault, vault.points()[-1].id)


def restore_old(scene: Scene, wrap: Wrap) -> None:
    """One that the prune beside it removes."""
    vault = scene.open(wrap)
    scene.restore(vault, vault.points()[1].id)


def read_log(scene: Scene, wrap: Wrap) -> None:
    vault = scene.open(wrap)
    logs = SystemLogs(vault.locations, vault.notary, vault.clock, "orders")
    assert list(logs.branches()) == ["main"]
    reader = logs.reader("main")
    start, end = reader.coverage()[-1]
    for at, data in reader.stream(max(start, end - 8 * SMALL), end):
        assert bytes(data) == log_bytes(at, len(data))
    for one in list(reader.increments(end - 8 * SMALL)):
        reader.meta(one)


def follow(scene: Scene, wrap: Wrap) -> None:
    scene.follow(wrap, lines=3)


def follow_again(scene: Scene, wrap: Wrap) -> None:
    """What the vault holds already is offered once more, as after a follower's crash."""
    scene.follow(wrap, start=100 + 20 * SMALL, lines=4)


def hold(scene: Scene, wrap: Wrap) -> None:
    vault = scene.open(wrap)
    point = vault.points()[0].id
    holds.place(vault.locations, vault.notary, vault.clock, point, "found something")
    scene.kept = scene.kept | {point}


def release(scene: Scene, wrap: Wrap) -> None:
    vault = scene.open(wrap)
    mine = next(one for one in holds.current(vault.locations, vault.notary))
    holds.release(vault.locations, vault.notary, vault.clock, mine.id, "no more")
    scene.kept = scene.kept - {mine.point}


def rotate(scene: Scene, wrap: Wrap) -> None:
    scene.keys(wrap).rotate()


def remove_slot(scene: Scene, wrap: Wrap) -> None:
    scene.keys(wrap).remove("other")


def add_slot(scene: Scene, wrap: Wrap) -> None:
    vault = scene.open(wrap)
    scene.keys(wrap).add("a new passphrase", label="new", now=vault.now())


def label_slot(scene: Scene, wrap: Wrap) -> None:
    scene.keys(wrap).label("other", "the other one")


def prove_slot(scene: Scene, wrap: Wrap) -> None:
    scene.keys(wrap).prove(OTHER)


def add_scope(scene: Scene, wrap: Wrap) -> None:
    vault = scene.open(wrap)
    scene.keys(wrap).scopes.add("more", "passphrase of another scope", now=vault.now())


def list_keys(scene: Scene, wrap: Wrap) -> None:
    keys = scene.keys(wrap)
    keys.list()
    keys.states()
    keys.writers.list()
    keys.scopes.present()


def revoke(scene: Scene, wrap: Wrap) -> None:
    scene.keys(wrap).writers.revoke("host")


def erase(scene: Scene, wrap: Wrap) -> None:
    keys = scene.keys(wrap)
    plan = keys.scopes.plan("vaulted")
    keys.scopes.erase(plan, {"name": "somebody"})


def open_all(scene: Scene, wrap: Wrap) -> None:
    vault = scene.open(wrap, scopes={"vaulted": SCOPED})
    for error in vault.closed.values():
        assert isinstance(error, ScopeErased | ScopeUnknown), error
    vault.renew_keys()


def open_other(scene: Scene, wrap: Wrap) -> None:
    scene.open(wrap, secret=OTHER)


def records(scene: Scene, wrap: Wrap) -> None:
    vault = scene.open(wrap)
    for storage in vault.locations.storages:
        mine = RecordCopies(storage, vault.notary, vault.clock.now)
        mine.put(f"{names.JOURNAL}aa/{1:016x}", b"line 1\n")
        mine.put(f"{names.JOURNAL}aa/{2:016x}", b"line 2\n")
        mine.put_plan("platform: shop\n", "first")
        mine.put_runbooks({"a.yaml": "steps: []"})
        assert newest_plan(storage, vault.notary) == ("platform: shop\n", [])
        assert newest_runbooks(storage, vault.notary) == ({"a.yaml": "steps: []"}, [])
        lines, wrong = journals(storage, vault.notary)
        assert lines["aa"][:2] == [b"line 0\n", b"line 1\n"]
        assert not wrong
        proofs = Proofs(storage, vault.notary, vault.clock.now)
        assert proofs.hosts()
        assert all(document is not None for *_, document in proofs.anchors())
        assert all(document is not None for *_, document in proofs.evidence())
        proofs.put_evidence("aa", 1, b"{}")


DEEDS: dict[Deed, tuple[type[HoldfastError], ...]] = {
    backup: (SessionAborted, ReusedDamaged),
    backup_of_old_base: (SessionAborted, ReusedDamaged, PointUnknown),
    copy_to_far: (),
    copy_to_near: (),
    copy_to_new: (),
    prune: (NothingProvedLeft,),
    compact: (),
    check: (),
    heal: (),
    look: (),
    lag: (),
    restore_new: (),
    restore_old: (PointUnknown,),
    read_log: (),
    follow: (LogFollowed, LeaseLost),
    follow_again: (LogFollowed, LeaseLost),
    hold: (HoldTooLate,),
    release: (),
    rotate: AGAIN,
    remove_slot: (*AGAIN, SlotUnknown),
    add_slot: AGAIN,
    label_slot: (*AGAIN, SlotUnknown),
    prove_slot: (*AGAIN, SlotUnknown, WrongKey),
    add_scope: (*AGAIN, ScopeExists),
    list_keys: (),
    revoke: AGAIN,
    erase: (*AGAIN, ScopeErased),
    open_all: (),
    open_other: (SlotRemoved, WrongKey),
    records: (),
}
"""With the errors by which each may end beside others."""

# ---------------------------------------------------------------- meanwhile


def a_prune(scene: Scene, wrap: Wrap) -> None:
    scene.prune(wrap)


def two_prunes(scene: Scene, wrap: Wrap) -> None:
    """The session that runs has ended by its commit."""
    scene.commit()
    scene.prune(wrap)
    scene.prune(wrap)


def weeks(scene: Scene, wrap: Wrap) -> None:
    """Whoever is in the middle of something sleeps: leases end, lists are forgotten."""
    scene.prune(wrap)
    scene.pass_time(8 * DAY)
    scene.prune(wrap)
    scene.pass_time(8 * DAY)
    scene.prune(wrap)


def a_commit(scene: Scene, wrap: Wrap) -> None:
    del wrap
    scene.commit()


def a_backup(scene: Scene, wrap: Wrap) -> None:
    scene.take(30, wrap)


def copies(scene: Scene, wrap: Wrap) -> None:
    near, far = (wrap(one) for one in scene.storages)
    copy([near], far)
    copy([far], near)


def a_copy_and_a_prune(scene: Scene, wrap: Wrap) -> None:
    copies(scene, wrap)
    scene.prune(wrap)


def a_compaction(scene: Scene, wrap: Wrap) -> None:
    scene.compact(wrap)


def a_compaction_and_a_prune(scene: Scene, wrap: Wrap) -> None:
    scene.compact(wrap)
    scene.pass_time(DAY * 2)
    scene.prune(wrap)


def a_follower(scene: Scene, wrap: Wrap) -> None:
    scene.follow(wrap, lines=2)


def a_heal(scene: Scene, wrap: Wrap) -> None:
    Check(scene.open(wrap), share=1.0, heal=True).run()


def a_record_of_damage(scene: Scene, wrap: Wrap) -> None:
    del wrap
    vault = scene.open(plain)
    for storage in scene.storages:
        pack = [name for name in sorted(storage.objects) if name.startswith(names.PACKS)][1]
        parsed = names.parse_pack(pack)
        assert parsed is not None
        damage.put(storage, vault.notary, parsed[0] + parsed[1], damage.BYTES, vault.now())


def a_hold(scene: Scene, wrap: Wrap) -> None:
    vault = scene.open(wrap)
    point = vault.points()[0].id
    holds.place(vault.locations, vault.notary, vault.clock, point, "meanwhile")


def a_rotation(scene: Scene, wrap: Wrap) -> None:
    scene.keys(wrap).rotate()


def a_slot_goes(scene: Scene, wrap: Wrap) -> None:
    scene.keys(wrap).remove("other")


def a_revocation(scene: Scene, wrap: Wrap) -> None:
    scene.keys(wrap).writers.revoke("host")


def an_erasure(scene: Scene, wrap: Wrap) -> None:
    keys = scene.keys(wrap)
    keys.scopes.erase(keys.scopes.plan("vaulted"), {"name": "somebody"})


def a_new_scope(scene: Scene, wrap: Wrap) -> None:
    add_scope(scene, wrap)


def new_records(scene: Scene, wrap: Wrap) -> None:
    vault = scene.open(wrap)
    for storage in vault.locations.storages:
        mine = RecordCopies(storage, vault.notary, vault.clock.now)
        mine.put(f"{names.JOURNAL}aa/{2:016x}", b"line 2\n")


MEANWHILE: Sequence[Deed] = (
    a_prune,
    two_prunes,
    weeks,
    a_commit,
    a_backup,
    copies,
    a_copy_and_a_prune,
    a_compaction,
    a_compaction_and_a_prune,
    a_follower,
    a_heal,
    a_record_of_damage,
    a_hold,
    a_rotation,
    a_slot_goes,
    a_revocation,
    an_erasure,
    a_new_scope,
    new_records,
)
