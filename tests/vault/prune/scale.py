"""A vault of many recovery points, listed, judged and planned in a process of its own: ``python scale.py COUNT CACHE`` prints JSON."""

import datetime as dt
import json
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path

from holdfast.model import RecoveryPoint, SystemClock
from holdfast.storage.memory import MemoryStorage
from holdfast.vault import Vault, prune
from holdfast.vault.format import names
from holdfast.vault.keys.slots import PassphraseCost
from holdfast.vault.points import stored
from holdfast.vault.points.retention import Keep

PACKS = 6
"""Of each point; half of them shared with the point before."""


def build(vault: Vault, count: int) -> None:
    """Points of every hour back from now, as their writers would have left them."""
    (storage,) = vault.locations.storages
    vault.notary.renew = None  # no look at the keyring for each hour that is made up
    now = vault.now()
    previous: list[bytes] = []
    for number in range(count):
        at = now - dt.timedelta(hours=count - number)
        session = names.session_id(at, vault.notary.random(10))
        packs = [*previous[: PACKS // 2], *(vault.notary.random(48) for _ in range(PACKS - len(previous[: PACKS // 2])))]
        previous = packs[::-1]
        for entry in packs[-(PACKS // 2) :]:
            storage.put_if_absent(names.pack(entry[:16], entry[16:]), [b"x"]) if names.pack(
                entry[:16], entry[16:]
            ) not in storage.objects else None
        point = RecoveryPoint(
            id=session, system="db", kind="files", method="full", started_at=at, committed_at=at, start={}, stop={}, version="0",
            host="h", writer=vault.notary.writer, packs=PACKS,
        )  # fmt: skip
        fields = {"session": session, "system": vault.notary.tag("system", "db"), "clock": "", "scope": "vault", "epoch": 1}
        name = names.point(session)
        made = vault.notary.make(name, "point", at, fields, plain=stored.encode(point, []), packs=b"".join(sorted(packs)))
        storage.put_if_absent(name, [made])


def main() -> None:
    count, cache = int(sys.argv[1]), Path(sys.argv[2])
    storage = MemoryStorage()
    cost = PassphraseCost(memory_kib=8, passes=1)
    build(Vault.create([storage], "secret", clock=SystemClock(), cache=cache, cost=cost)[0], count)
    keep = {"db": Keep(last=10, hourly=48, daily=30, weekly=12, monthly=24, yearly=20)}
    told: dict[str, object] = {"points": count, "before_mib": _peak()}

    def timed(what: str, act: Callable[[], object]) -> object:
        began = time.monotonic()
        done = act()
        told[what] = round(time.monotonic() - began, 2)
        return done

    def opened() -> Vault:
        return Vault.open([storage], "secret", clock=SystemClock(), cache=cache)

    first = timed("listed", lambda: len(opened().points()))
    again = timed("listed_again", lambda: len(opened().points()))
    assert first == again == count
    vault = opened()
    plan = timed("planned", lambda: prune.make(vault, keep, zone=dt.UTC, grace=dt.timedelta(0)))
    assert isinstance(plan, prune.PrunePlan)
    told |= {"drop": len(plan.drop), "packs": len(plan.packs), "added_mib": _peak() - int(str(told["before_mib"]))}
    sys.stdout.write(json.dumps(told))


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


if __name__ == "__main__":
    main()
