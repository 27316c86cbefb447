"""One bit of one byte after another, over every byte of a small vault: found, or harmless; never other content without an error."""

import random
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from holdfast.errors import HoldfastError
from holdfast.model import SystemClock
from holdfast.storage.memory import MemoryStorage
from holdfast.vault import Vault
from holdfast.vault.check.verify import Verifier
from holdfast.vault.format import selfdescription
from holdfast.vault.points import holds
from tests.campaign.content import CHUNK, log_bytes
from tests.campaign.stage import SECRET, Stage
from tests.vault.kit import add_all, finish

SYSTEM, BRANCH, LOG = "shop", "main", 300
CONTENT = {"small": b"a few bytes", "some": bytes(range(256)) * 5, "zeros": bytes(CHUNK)}


def small(stage: Stage) -> None:
    """One of each kind of object."""
    with stage.create() as vault:
        with vault.begin(system=SYSTEM, kind="files", chunk_size=CHUNK) as writer:
            add_all(writer, CONTENT)
            point = finish(writer)
        with vault.logs(SYSTEM).writer(BRANCH) as log:
            log.append(0, log_bytes(SYSTEM, BRANCH, 0, LOG), {})
        holds.place(vault.locations, vault.notary, vault.clock, point.id, "kept")


def flips(order: Mapping[str, Any], report: Any) -> None:
    """Bytes number ``first``, ``first + step`` and so on of the whole vault; each ``deep``-th also meets a whole reading."""
    objects = _objects(Path(order["template"]))
    counts: Counter[str] = Counter()
    draw = random.Random(f"{order['seed']} {order['first']}")
    vault = _open(objects, order["folder"])
    verifier = Verifier(vault.notary)
    for name, data in objects.items():
        assert verifier.problem(name, data) is None, name
    for number, (name, at) in enumerate(_positions(objects, order["first"], order["step"])):
        flipped = bytearray(objects[name])
        flipped[at] ^= 1 << draw.randrange(8)
        found = _found(verifier, name, bytes(flipped))
        if not found or number % order["deep"] == 0:
            came = read_all(objects | {name: bytes(flipped)}, order["folder"])
            if came == "wrong":
                report(failed=f"byte {at} of {name}: other content came back without an error")
                raise AssertionError
            counts[f"met by a whole reading: {came}"] += 1
        counts["found" if found else "harmless"] += 1
    report(counts=counts)


def _found(verifier: Verifier, name: str, data: bytes) -> bool:
    """What a check that reads everything says."""
    if name in selfdescription.parts():
        return data != selfdescription.parts()[name]
    return verifier.problem(name, data) is not None


def _objects(template: Path) -> dict[str, bytes]:
    storage = Stage(template).storage("a")
    return {info.name: storage.get(info.name) for info in storage.list()}


def _positions(objects: Mapping[str, bytes], first: int, step: int) -> Iterator[tuple[str, int]]:
    begin = 0
    for name, data in objects.items():
        for at in range((first - begin) % step, len(data), step):
            yield name, at
        begin += len(data)


def _open(objects: Mapping[str, bytes], folder: str) -> Vault:
    storage = MemoryStorage()
    for name, data in objects.items():
        storage.put_if_absent(name, [data])
    return Vault.open([storage], SECRET, clock=SystemClock(), cache=Path(folder) / "flips")


def read_all(objects: Mapping[str, bytes], folder: str) -> str:
    """ "same" where everything came back, "refused" where an error told of the damage, else "wrong"."""
    try:
        vault = _open(objects, folder)
        points = vault.points()
        if vault.damaged:
            return "refused"
        got = [{stored.entry.path: vault.reader(point).read(stored) for stored in vault.reader(point).entries()} for point in points]
        log = b"".join(bytes(data) for _, data in vault.logs(SYSTEM).reader(BRANCH).stream(0, LOG))
        held = len(holds.current(vault.locations, vault.notary))
    except HoldfastError:
        return "refused"
    return "same" if (got, log, held) == ([CONTENT], log_bytes(SYSTEM, BRANCH, 0, LOG), 1) else "wrong"
