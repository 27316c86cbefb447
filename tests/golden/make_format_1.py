"""Made tests/golden/format-1 once; kept to show how. It refuses to run where the vault is already."""

import json
from pathlib import Path

from holdfast.model import Entry, SystemClock
from holdfast.storage.local import LocalStorage
from holdfast.vault import Vault
from holdfast.vault.keys.slots import PassphraseCost
from holdfast.vault.points import holds
from tests.golden import content

HERE = Path(__file__).parent


def main(cache: Path) -> None:
    storage = LocalStorage(str(HERE / "format-1"), create=True)
    clock = SystemClock()
    vault, recovery = Vault.create([storage], content.PASSPHRASE, clock=clock, cache=cache, cost=PassphraseCost(memory_kib=1024, passes=1))
    base = None
    points = []
    for files, label in ((content.FIRST, "first"), (content.SECOND, "second")):
        with vault.begin(system="orders-db", kind="postgres", base=base, label=label, chunk_size=4096) as writer:
            writer.add(Entry("base", kind="dir", mode=0o700))
            writer.add(Entry("link", kind="symlink", target="PG_VERSION"))
            for path, data in files.items():
                writer.add(Entry(path, size=len(data), mode=0o640, uid=70, gid=71, mtime_ns=1_700_000_000_123_456_789), data)
            point = writer.commit(kind="postgres", start={"lsn": "0/3000028"}, stop={"lsn": "0/3000100"}, logs="main")
        points.append(point.id)
        base = vault.point(point.id)
    vault.begin(system="orders-db", kind="postgres").abort()
    with vault.logs("orders-db").writer("main") as log:
        position = content.LOG_START
        for data in content.LOG:
            log.append(position, data, {"number": position})
            position += len(data)
    holds.place(vault.locations, vault.notary, clock, points[0], "kept for ever")
    facts = {"recovery_key": recovery, "points": points, "note": "a test's key, made to be known"}
    (HERE / "format-1.json").write_text(json.dumps(facts, indent=2) + "\n")


if __name__ == "__main__":
    import sys

    main(Path(sys.argv[1]))
