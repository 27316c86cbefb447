"""Made tests/golden/format-1-records once; kept to show how. It refuses to run where the vault is already."""

import tempfile
from pathlib import Path

from holdfast.model import SystemClock
from holdfast.storage.local import LocalStorage
from holdfast.vault import Vault
from holdfast.vault.keys.slots import PassphraseCost
from holdfast.vault.records.copies import RecordCopies
from tests.golden import content

HERE = Path(__file__).parent


def main(cache: Path) -> None:
    clock = SystemClock()
    store = LocalStorage(str(HERE / "format-1-records"), create=True)
    vault, _ = Vault.create([store], content.PASSPHRASE, clock=clock, cache=cache, cost=PassphraseCost(memory_kib=1024, passes=1))
    records = RecordCopies(store, vault.notary, clock.now)
    records.put_suites({"suites/older.json": "{}"}, whole=True)
    records.put_plan(content.PLAN, "sha256:" + "0" * 64)
    records.put_runbooks(content.RUNBOOKS)
    records.put_suites(content.SUITES, whole=True)
    # The description and the reader of that day lie in the other golden vaults.
    for name in ("FORMAT.md", "decoder.py"):
        (HERE / "format-1-records" / name).unlink()
    vault.close()


if __name__ == "__main__":
    if (HERE / "format-1-records").exists():
        raise SystemExit("it is there already")
    with tempfile.TemporaryDirectory() as folder:
        main(Path(folder))
