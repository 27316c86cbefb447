"""Records that a pack is damaged wherever it lies: what it holds is stored again rather than relied on once more.

``damaged/<pack id>-<BLAKE3>`` in each location that holds the pack, signed by whoever checked: a writer's key suffices, since all that such
a record brings about is that content is stored a second time. What is not signed so is passed over. docs/vault-format.md, "Damaged packs".
"""

import contextlib
import datetime as dt
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from holdfast.errors import Damaged
from holdfast.storage.contract import ObjectExists, ObjectMissing, Storage
from holdfast.vault.format import names
from holdfast.vault.keys.notary import Notary

BYTES = "bytes"
"""The object's bytes are not those that its name promises: other bytes may come back (a heal), and then the record goes."""
CONTENT = "content"
"""They are, and what they hold is wrong: no copy can be better, so the record stays as long as the pack."""


@dataclass(slots=True)
class Records:
    """Of one location. ``found``: by the pack's 48-byte entry what is wrong, BYTES or CONTENT; ``void``: names that nobody believes."""

    found: dict[bytes, str] = field(default_factory=dict)
    void: list[str] = field(default_factory=list)


def name(entry: bytes) -> str:
    """Of the record about a pack (id and BLAKE3, 48 bytes)."""
    return f"{names.DAMAGED}{entry[:16].hex()}-{entry[16:].hex()}"


def parse(record: str) -> bytes | None:
    """The pack's 48-byte entry, None for a name that no record has."""
    text = record.removeprefix(names.DAMAGED)
    parsed = names.parse_pack(f"{names.PACKS}{text[:2]}/{text}")
    return None if parsed is None else parsed[0] + parsed[1]


def read(storage: Storage, notary: Notary) -> Records:
    """What stands in one location. Raises Unreachable."""
    records = Records()
    listed = [info.name for info in storage.list(names.DAMAGED)]
    if not listed:
        return records

    def one(record: str) -> tuple[str, str | None]:
        try:
            return record, str(notary.check(record, storage.get(record), "damaged").clear.get("found"))
        except ObjectMissing:
            return record, ""
        except Damaged:
            return record, None

    with ThreadPoolExecutor(8, thread_name_prefix="holdfast-damage") as pool:
        for record, found in pool.map(one, listed):
            entry = parse(record)
            if found is None or entry is None:
                records.void.append(record)
            elif found:
                records.found[entry] = found
    return records


def put(storage: Storage, notary: Notary, entry: bytes, found: str, at: dt.datetime) -> None:
    """Raises RoleLacking for a reader's key, which signs nothing, and the storage's errors."""
    record = name(entry)
    body = notary.make(record, "damaged", at, {"found": found})
    try:
        storage.put_if_absent(record, [body])
    except ObjectExists:
        if record in read(storage, notary).void:  # what nobody believes stands in the way
            storage.delete(record)
            with contextlib.suppress(ObjectExists):
                storage.put_if_absent(record, [body])
