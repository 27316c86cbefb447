"""Made tests/golden/format-1-epochs once; kept to show how. It refuses to run where the vault is already."""

import json
from pathlib import Path

from holdfast.model import Entry, SystemClock
from holdfast.storage.local import LocalStorage
from holdfast.vault import Vault
from holdfast.vault.keys.keyring import Keyring
from holdfast.vault.keys.slots import PassphraseCost
from holdfast.vault.points import holds
from tests.golden import content

HERE = Path(__file__).parent
COST = PassphraseCost(memory_kib=1024, passes=1)


def take(vault, files, label, base=None, system="orders-db"):
    with vault.begin(system=system, kind="postgres", base=base, label=label, chunk_size=4096) as writer:
        writer.add(Entry("base", kind="dir", mode=0o700))
        writer.add(Entry("link", kind="symlink", target="PG_VERSION"))
        for path, data in files.items():
            writer.add(Entry(path, size=len(data), mode=0o640, uid=70, gid=71, mtime_ns=1_700_000_000_123_456_789), data)
        return writer.commit(kind="postgres", start={"lsn": "0/3000028"}, stop={"lsn": "0/3000100"}, logs="main")


def main(cache: Path) -> None:
    clock = SystemClock()
    store = LocalStorage(str(HERE / "format-1-epochs"), create=True)
    vault, recovery = Vault.create([store], content.PASSPHRASE, clock=clock, cache=cache, cost=COST)

    def opened(secret=content.PASSPHRASE):
        scopes = {"pii": content.SCOPE_KEY, "late": content.SCOPE_KEY}
        return Vault.open([store], secret, clock=clock, cache=cache, scopes=scopes, systems={"people": "pii", "letters": "late"})

    def keys(vault):
        return Keyring(vault.locations, vault.notary, COST, opened_by=vault.opened_by)

    ring = keys(vault)
    writer = ring.new_key("file", role="writer", label="db1", now=clock.now()).text
    ring.add("a key that was removed", label="leaver", now=clock.now())
    ring.scopes.add("pii", content.SCOPE_KEY, label="pii", now=clock.now())
    ring.scopes.add("late", content.SCOPE_KEY, label="late", now=clock.now(), erase="at-once")
    vault = opened()
    first = take(vault, content.FIRST, "first")
    ring = keys(vault)
    ring.remove("leaver")
    ring.rotate()
    ring.rotate("pii")
    vault = opened()
    second = take(vault, content.SECOND, "second", vault.point(first.id))
    people = take(vault, content.PEOPLE, "people", system="people")
    letters = take(vault, content.PEOPLE, "letters", system="letters")
    by_writer = take(opened(writer), {"PG_VERSION": b"18\n"}, "written by db1", system="other-db")
    with vault.logs("orders-db").writer("main") as log:
        position = content.LOG_START
        for data in content.LOG:
            log.append(position, data, {"number": position})
            position += len(data)
    holds.place(vault.locations, vault.notary, clock, first.id, "kept for ever")
    keys(opened()).writers.revoke("db1")
    facts = {
        "recovery_key": recovery,
        "points": [first.id, second.id],
        "people": people.id,
        "letters": letters.id,
        "revoked": by_writer.id,
        "note": "a test's key, made to be known",
    }
    (HERE / "format-1-epochs.json").write_text(json.dumps(facts, indent=2) + "\n")


if __name__ == "__main__":
    import sys

    main(Path(sys.argv[1]))
