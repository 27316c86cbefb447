"""What is done to a vault by processes that die at it: each can be begun, killed at any call, and done again by the next process."""

import datetime as dt
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from holdfast.model import Entry
from holdfast.vault import prune
from holdfast.vault.check import Check
from holdfast.vault.copy import copy
from holdfast.vault.errors import VaultExists
from holdfast.vault.format import names
from holdfast.vault.keys.keyring import Keyring
from holdfast.vault.logs.compact import compact
from holdfast.vault.points import holds
from holdfast.vault.points.retention import Keep
from tests.campaign.content import CHUNK, files, log_bytes, streamed
from tests.campaign.folders import back_up_folder, restore_folder, restored_right
from tests.campaign.stage import BOTH, CHEAP, CLOCK, SCOPES, SECRET, Stage, wait_until_older

SHOP, MAIL, BRANCH = "shop", "mail", "main"
NOW = dt.timedelta(0)


def back_up(stage: Stage, system: str = SHOP, seed: int = 1, *, incremental: bool = True) -> str:
    """One point of known content; returns its id."""
    wait_until_older()
    with stage.open() as vault:
        points = vault.points(system) if incremental else []
        end = stage.ledger.log_ends().get((system, BRANCH), 0)
        base = vault.reader(points[-1]) if points else None
        with vault.begin(system=system, kind="files", base=base, chunk_size=CHUNK, workers=2) as writer:
            token = secrets.token_hex(8)
            stage.ledger.say("intend", id=token, system=system, seed=seed)
            for path, data in files(seed).items():
                writer.add(Entry(path, size=len(data)), data)
            for path, data in streamed(seed).items():
                sink = writer.stream(Entry(path))
                for at in range(0, len(data), 5000):
                    sink.write(data[at : at + 5000])
                sink.close()
            logs = BRANCH if system == SHOP else None
            at = {"position": end}
            point = writer.commit(kind="files", start=at, stop=at, logs=logs, facts={"token": token})
        stage.said_committed(point.id, writer.lacking)
        return point.id


def follow(stage: Stage, times: int = 6, size: int = 700) -> None:
    """Appends to the log, each acknowledged in the ledger."""
    with stage.open() as vault, vault.logs(SHOP).writer(BRANCH) as writer:
        for _ in range(times):
            start = writer.end or 0
            writer.append(start, log_bytes(SHOP, BRANCH, start, start + size), {"n": start})
            stage.ledger.say("appended", system=SHOP, branch=BRANCH, end=start + size)


def prune_all(stage: Stage, last: int = 1) -> None:
    """Keeps the newest points and what they need; a log as far back as they begin."""
    stage.settle()
    with stage.open() as vault:
        policies = {SHOP: Keep(last=last), MAIL: Keep(last=last)}
        plan = prune.make(vault, policies, zone=dt.UTC, grace=NOW, begins=lambda point: point.start["position"])
        kept = [one for one in vault.points(SHOP) if one.id not in plan.drop]
        for one in plan.drop:
            stage.ledger.say("going", id=one)
        if kept:
            stage.ledger.say("trimmed", system=SHOP, branch=BRANCH, start=min(one.start["position"] for one in kept))
        prune.run(vault, plan, most=1)
        where = [name for name in BOTH if not any(url.endswith(f"/{name}") for url in plan.silent)]
        for one in plan.drop:
            stage.ledger.say("gone", id=one, where=where)


def copy_out(stage: Stage) -> None:
    done = copy(stage.storage("a"), stage.storage("c"))
    assert done.refused == [], done.refused


def change_keys(stage: Stage) -> None:
    """One passphrase in, one writer's key in, one passphrase out."""
    with stage.open() as vault:
        ring = Keyring(vault.locations, vault.notary, CHEAP)
        there = {slot.label for slot in ring.list()}
        for label, role in (("new one", "owner"), ("a writer's", "writer")):
            if label not in there:
                stage.ledger.say("key", secret=label, state="open")
                ring.add(label, role=role, label=label, now=CLOCK.now())
                stage.ledger.say("key", secret=label, state="there")
        if "old one" in there:
            stage.ledger.say("key", secret="old one", state="open")
            ring.remove("old one")
            stage.ledger.say("key", secret="old one", state="gone")


def heal(stage: Stage) -> None:
    with stage.open() as vault:
        Check(vault, share=1, heal=True).run()


def all_sound(stage: Stage) -> None:
    with stage.open() as vault:
        report = Check(vault, share=1).run()
        assert not [one for one in report.found if one.severity == "damage"], report.found


def all_copied(stage: Stage) -> None:
    """The copy lists whatever the source lists."""
    with stage.open(("a",)) as source, stage.open(("c",), cache="cache-c") as copied:
        assert {one.id for one in source.points()} <= {one.id for one in copied.points()}


def all_pruned(stage: Stage) -> None:
    """One point a system is left, in each location, and nothing that none of them needs."""
    for name in BOTH:
        with stage.open((name,), cache=f"cache-{name}") as vault:
            systems = [one.system for one in vault.points()]
            assert sorted(set(systems)) == sorted(systems) == [MAIL, SHOP]
            left = prune.make(vault, {SHOP: Keep(last=1), MAIL: Keep(last=1)}, zone=dt.UTC, grace=NOW)
            assert left.packs == left.drop == (), left


def compact_logs(stage: Stage) -> None:
    with stage.open() as vault:
        done = compact(
            vault.locations.storages,
            vault.notary,
            vault.clock,
            system=SHOP,
            branch=BRANCH,
            merge=lambda metas: metas[0],
            settled=dt.timedelta(seconds=-1),
            fewest=2,
        )
        assert done.bytes >= 0


def rotate_keys(stage: Stage) -> None:
    """A new epoch, and a backup under it."""
    with stage.open() as vault:
        Keyring(vault.locations, vault.notary, CHEAP).rotate()
    back_up(stage, SHOP, 6)


def erase_scope(stage: Stage) -> None:
    """One system's history for good."""
    with stage.open() as vault:
        for one in vault.points("people"):
            stage.ledger.say("going", id=one.id)
        scopes = Keyring(vault.locations, vault.notary, CHEAP).scopes
        certificate = scopes.erase(scopes.plan("pii"), {"by": "the campaign"})
        assert certificate["complete"] in (True, False)


def erased(stage: Stage) -> None:
    """Its key opens nothing any more, and nobody else lost anything."""
    with stage.open() as vault:
        assert "pii" in vault.closed
        assert not vault.points("people")


def hold_and_release(stage: Stage) -> None:
    with stage.open() as vault:
        for one in holds.current(vault.locations, vault.notary):
            holds.release(vault.locations, vault.notary, vault.clock, one.id, "over")
        holds.place(vault.locations, vault.notary, vault.clock, vault.points(SHOP)[0].id, "kept")


def begin_a_vault(stage: Stage) -> None:
    """A new vault; where an earlier try got as far as one location, the other is made from it."""
    try:
        stage.create().close()
    except VaultExists:
        held = [name for name in BOTH if stage.storage(name).head(names.CONFIG) is not None]
        for name in set(BOTH) - set(held):
            assert copy(stage.storage(held[0]), stage.storage(name)).refused == []


# ---------------------------------------------------------------- the states they begin from


def empty(_stage: Stage) -> None:
    pass


def lived_in(stage: Stage) -> None:
    """Four points of two systems, of which a prune left three, a log, a hold that is over, an old key, and a copy that is behind."""
    stage.create().close()
    follow(stage, 5)
    back_up(stage, MAIL, 8)
    back_up(stage, MAIL, 9)
    back_up(stage, SHOP, 1)
    prune_all(stage)
    copy_out(stage)
    follow(stage, 4)
    back_up(stage, SHOP, 3)
    follow(stage, 3)
    with stage.open() as vault:
        Keyring(vault.locations, vault.notary, CHEAP).add("old one", label="old one", now=CLOCK.now())
        stage.ledger.say("key", secret="old one", state="there")
        stage.ledger.say("key", secret=SECRET, state="there")
        first = vault.points(SHOP)[0].id
        done = holds.place(vault.locations, vault.notary, vault.clock, first, "for a while")
        holds.release(vault.locations, vault.notary, vault.clock, done.id, "over")


HURTS = (("b", "packs/", True), ("a", "index/", True), ("b", "points/", True), ("a", "logs/", False), ("a", "packs/", False))
"""Location, kind of object, and whether it is flipped or gone."""


def damaged(stage: Stage) -> None:
    """Lived in, and then each location lost something that the other has."""
    lived_in(stage)
    for name, prefix, flip in HURTS:
        storage = stage.storage(name)
        found = [info.name for info in storage.list(prefix)]
        # Not the same object in both.
        chosen = found[0] if name == "a" else found[-1]
        data = bytearray(storage.get(chosen))
        storage.delete(chosen)
        if flip:
            data[len(data) // 2] ^= 16
            storage.put_if_absent(chosen, [data])


def with_folder(stage: Stage) -> None:
    lived_in(stage)
    back_up_folder(stage, 21)


def with_scope(stage: Stage) -> None:
    lived_in(stage)
    with stage.open() as vault:
        scopes = Keyring(vault.locations, vault.notary, CHEAP).scopes
        scopes.add("pii", SCOPES["pii"], label="pii", now=CLOCK.now(), erase="at-once")
    stage.ledger.say("scope")
    back_up(stage, "people", 7)


def many_small_logs(stage: Stage) -> None:
    lived_in(stage)
    follow(stage, 12, 300)


# ---------------------------------------------------------------- the list


@dataclass(frozen=True)
class Deed:
    """``begin`` makes the state, ``do`` is what is killed, ``after`` must hold once it was done.

    ``hurt``: until it was done once, single locations are incomplete. ``lists``: it looks at listings in which deleted objects may still
    appear. ``fills``: a location into which it writes, if any; ``frees``: room may come to be there as it goes.
    """

    name: str
    begin: Callable[[Stage], Any]
    do: Callable[[Stage], Any]
    hurt: bool = False
    after: Callable[[Stage], Any] = empty
    lists: bool = True
    fills: str = "a"
    frees: bool = False


DEEDS = {
    deed.name: deed
    for deed in (
        Deed("init", empty, begin_a_vault, lists=False),
        Deed("first backup", lived_in, lambda stage: back_up(stage, "new", 4)),
        Deed("incremental backup", lived_in, lambda stage: back_up(stage, SHOP, 5)),
        Deed("follow", lived_in, follow, frees=True),
        Deed("prune", lived_in, prune_all, after=all_pruned, frees=True),
        Deed("copy", lived_in, copy_out, after=all_copied, fills="c"),
        Deed("change keys", lived_in, change_keys, lists=False, frees=True),
        Deed("rotate keys", lived_in, rotate_keys),
        Deed("erase a scope", with_scope, erase_scope, after=erased, frees=True),
        Deed("heal", damaged, heal, hurt=True, after=all_sound, frees=True),
        Deed("compact logs", many_small_logs, compact_logs, lists=False),
        Deed("folder backup", with_folder, back_up_folder),
        Deed("folder restore", with_folder, restore_folder, after=restored_right, lists=False, fills=""),
        Deed("hold", lived_in, hold_and_release, lists=False),
    )
}
